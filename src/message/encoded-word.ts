/**
 * Encoded words: text outside ASCII in a header (RFC 2047), and the folding of headers (RFC 5322 2.2.3).
 *
 * Rules
 * 1. An encoded word has at most 75 characters, is UTF-8 and never holds half a character (RFC 2047 2 and 5).
 * 2. Text that a reader would take for an encoded word is encoded itself, so that it comes out as it went in.
 * 3. Words are encoded from the first to the last that needs it; spaces between two encoded words would be lost (RFC 2047 6.2).
 * 4. In a header of UTF-8 (RFC 6532) text stands as it is, but for what rule 2 is about and what some readers take for the end of a line.
 * 5. What is given here holds no CR, LF or other control: `ComposeError` has told the caller before.
 */
import { encodeBase64 } from "../util/base64.ts";
import { isAscii, utf8 } from "../util/bytes.ts";

/** `ascii`: what is not ASCII becomes encoded words; `utf8`: it stands as it is, and the message needs SMTPUTF8. */
export type HeaderStyle = "ascii" | "utf8";

/** RFC 2047 2. */
export const ENCODED_WORD_LIMIT = 75;
/** RFC 2047 2: where an encoded word stands a line has at most 76 characters; other lines are kept to it too. */
export const HEADER_LINE = 76;
const OPENING = "=?utf-8?Q?";
const FRAME = OPENING.length + "?=".length;
/** Columns that a first word is given at least, however long the name of its field. */
const LEAST_ROOM = 30;
/** A word of more octets than this is encoded too: RFC 5322 2.1.1 allows no line over 998. */
const PLAIN_WORD_LIMIT = 900;

/** Whether this cannot stand in a header as it is. */
export function needsEncodedWord(text: string, style: HeaderStyle = "ascii"): boolean {
  if (text.length > PLAIN_WORD_LIMIT || text.includes("=?")) return true;
  if (isAscii(text)) return false;
  // C1 controls and the separators of Unicode end a line for some readers.
  return style === "ascii" || utf8(text).length > PLAIN_WORD_LIMIT || /[\x80-\x9f\u2028\u2029]|[\ud800-\udfff]/u.test(text);
}

/** `Name: value` for an unstructured field, encoded where needed, folded at 76, with its CRLF. */
export function unstructuredField(name: string, value: string, style: HeaderStyle = "ascii"): string {
  const text = trimBlanks(value);
  const room = HEADER_LINE - name.length - ": ".length;
  if (text.length <= room && !needsEncodedWord(text)) return `${name}: ${text}\r\n`;
  return foldField(name, encodeText(text, room, style));
}

/** The words, in turn, each with the blanks before it; those that need it encoded. `room` is what the first line has left. */
function encodeText(text: string, room: number, style: HeaderStyle): string[] {
  const words = splitWords(text);
  const first = words.findIndex((word) => needsEncodedWord(word, style));
  if (first < 0) return words;
  const last = words.findLastIndex((word) => needsEncodedWord(word, style));
  const span = words.slice(first, last + 1).join("");
  // The blank before the first encoded word parts it from what stands before.
  const lead = first === 0 ? 0 : 1;
  const encoded = encodeWords(span.slice(lead), first === 0 ? room : ENCODED_WORD_LIMIT).map((word, i) =>
    i === 0 ? span.slice(0, lead) + word : ` ${word}`,
  );
  return [...words.slice(0, first), ...encoded, ...words.slice(last + 1)];
}

/**
 * The text as encoded words, in the shorter of the two encodings; to be parted by single spaces or folds. The first has at most `room`
 * characters, but 30 at least, the others at most `later`.
 */
export function encodeWords(text: string, room: number = ENCODED_WORD_LIMIT, later: number = ENCODED_WORD_LIMIT): string[] {
  const whole = text.toWellFormed();
  const asQ = isShorterInQ(whole);
  const words: string[] = [];
  let limit = Math.max(LEAST_ROOM, Math.min(room, ENCODED_WORD_LIMIT)) - FRAME;
  let start = 0;
  let size = 0;
  const flush = (end: number) => {
    const octets = utf8(whole.slice(start, end));
    words.push(asQ ? `${OPENING}${encodeQ(octets)}?=` : `=?utf-8?B?${encodeBase64(octets)}?=`);
    start = end;
    size = 0;
    limit = later - FRAME;
  };
  for (let i = 0; i < whole.length; ) {
    const c = whole.codePointAt(i) as number;
    const octets = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    const width = !asQ ? octets : isPlainInQ(c) || c === 32 ? 1 : 3 * octets;
    if (size + width > (asQ ? limit : (limit >> 2) * 3)) flush(i);
    size += width;
    i += octets === 4 ? 2 : 1;
  }
  if (start < whole.length) flush(whole.length);
  return words;
}

function isShorterInQ(text: string): boolean {
  const bytes = utf8(text);
  let wide = 0;
  for (const c of bytes) if (!isPlainInQ(c) && c !== 32) wide++;
  return bytes.length + 2 * wide <= Math.ceil(bytes.length / 3) * 4;
}

/** RFC 2047 5 (3): what may stand in an encoded word inside a phrase; the same set serves everywhere. */
function isPlainInQ(c: number): boolean {
  const alphanumeric = (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122);
  return alphanumeric || c === 33 || c === 42 || c === 43 || c === 45 || c === 47;
}

function encodeQ(octets: Uint8Array): string {
  let text = "";
  for (const c of octets) {
    text += c === 32 ? "_" : isPlainInQ(c) ? String.fromCharCode(c) : `=${c.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

const isBlank = (c: string | undefined): boolean => c === " " || c === "\t";

/** Without the blanks around it. Spaces of Unicode are text: they are encoded like other text. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text[start])) start++;
  while (end > start && isBlank(text[end - 1])) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** Words with the blanks before them; blanks at the very end belong to the last word. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let start = 0;
  let inWord = false;
  for (let i = 0; i < text.length; i++) {
    const blank = isBlank(text[i]);
    if (blank && inWord) {
      words.push(text.slice(start, i));
      start = i;
    }
    inWord = !blank;
  }
  if (inWord) words.push(text.slice(start));
  else if (words.length > 0) words[words.length - 1] += text.slice(start);
  return words;
}

/** `Name: ` and these pieces, broken before a piece that begins with a blank where the line would pass 76. */
export function foldField(name: string, pieces: readonly string[]): string {
  let text = `${name}:`;
  let width = text.length;
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i] as string;
    const next = i === 0 ? ` ${piece}` : piece;
    const breaks = width + next.length > HEADER_LINE && i > 0 && isBlank(next[0]);
    text += breaks ? `\r\n${next}` : next;
    width = breaks ? next.length : width + next.length;
  }
  return `${text}\r\n`;
}
