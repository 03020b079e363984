/**
 * Encoded words: text outside ASCII in a header (RFC 2047), and the folding of headers (RFC 5322 2.2.3).
 *
 * Rules
 * 1. An encoded word has at most 75 characters, is UTF-8 and never holds half a character (RFC 2047 2 and 5).
 * 2. Text that a reader would take for an encoded word is encoded itself, so that it comes out as it went in.
 * 3. Words are encoded from the first to the last that needs it; spaces between two encoded words would be lost (RFC 2047 6.2).
 * 4. What is given here holds no CR, LF or other control: `ComposeError` has told the caller before.
 */
import { encodeBase64 } from "../util/base64.ts";
import { concat, isAscii, utf8 } from "../util/bytes.ts";
import { FOLD_AT } from "./trace.ts";

/** RFC 2047 2. */
export const ENCODED_WORD_LIMIT = 75;
const OPENING = "=?utf-8?Q?";
const FRAME = OPENING.length + "?=".length;
/** Columns that a first word is given at least, however long the name of its field. */
const LEAST_ROOM = 30;
/** A word of ASCII longer than this is encoded too: RFC 5322 2.1.1 allows no line over 998. */
const PLAIN_WORD_LIMIT = 900;

/** Whether this cannot stand in a header as it is. */
export function needsEncodedWord(text: string): boolean {
  return !isAscii(text) || text.includes("=?") || text.length > PLAIN_WORD_LIMIT;
}

/** `Name: value` for an unstructured field, encoded where needed, folded at 78, with its CRLF. */
export function unstructuredField(name: string, value: string): string {
  return foldField(name, encodeText(value.trim(), FOLD_AT - name.length - ": ".length));
}

/** The words, in turn, each with the spaces before it; those that need it encoded. `room` is what the first line has left. */
function encodeText(text: string, room: number): string[] {
  const words = splitWords(text);
  const first = words.findIndex((word) => needsEncodedWord(word));
  if (first < 0) return words;
  const last = words.findLastIndex((word) => needsEncodedWord(word));
  const span = words.slice(first, last + 1).join("");
  // The space before the first encoded word parts it from what stands before.
  const lead = first === 0 ? 0 : 1;
  const encoded = encodeWords(span.slice(lead), first === 0 ? room : ENCODED_WORD_LIMIT).map((word, i) =>
    i === 0 && first === 0 ? word : ` ${word}`,
  );
  return [...words.slice(0, first), ...encoded, ...words.slice(last + 1)];
}

/** The text as encoded words, in the shorter of the two encodings; to be parted by single spaces or folds. The first has at most `room` characters. */
export function encodeWords(text: string, room: number = ENCODED_WORD_LIMIT): string[] {
  const bytes = utf8(text.toWellFormed());
  let wide = 0;
  for (const c of bytes) if (!isPlainInQ(c) && c !== 32) wide++;
  const asQ = bytes.length + 2 * wide <= Math.ceil(bytes.length / 3) * 4;
  const words: string[] = [];
  let held: Uint8Array[] = [];
  let size = 0;
  const flush = () => {
    if (held.length > 0) words.push(asQ ? `${OPENING}${held.map(encodeQ).join("")}?=` : `=?utf-8?B?${encodeBase64(concat(held))}?=`);
    held = [];
    size = 0;
  };
  for (const character of text.toWellFormed()) {
    const octets = utf8(character);
    const width = asQ ? encodeQ(octets).length : octets.length;
    const limit = (words.length === 0 ? Math.max(LEAST_ROOM, Math.min(room, ENCODED_WORD_LIMIT)) : ENCODED_WORD_LIMIT) - FRAME;
    if (size + width > (asQ ? limit : (limit >> 2) * 3)) flush();
    held.push(octets);
    size += width;
  }
  flush();
  return words;
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

/** Words with the blanks before them; blanks at the very end belong to the last word. */
function splitWords(text: string): string[] {
  const words: string[] = [];
  let start = 0;
  let inWord = false;
  for (let i = 0; i < text.length; i++) {
    const blank = text[i] === " " || text[i] === "\t";
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

/** `Name: ` and these pieces, broken before a piece that begins with a blank where the line would pass 78. */
export function foldField(name: string, pieces: readonly string[]): string {
  let text = `${name}:`;
  let width = text.length;
  for (const [i, piece] of pieces.entries()) {
    const next = i === 0 ? ` ${piece}` : piece;
    const breaks = width + next.length > FOLD_AT && (next.startsWith(" ") || next.startsWith("\t")) && i > 0;
    text += breaks ? `\r\n${next}` : next;
    width = breaks ? next.length : width + next.length;
  }
  return `${text}\r\n`;
}
