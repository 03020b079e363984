/**
 * Parameters of MIME header fields: `; filename="a b.txt"` (RFC 2045 5.1), with the forms of RFC 2231 for what is long or not ASCII.
 *
 * Rules
 * 1. A value that fits stands as a token or in quotes, which every reader knows; only others use RFC 2231.
 * 2. No piece passes a line; a character is never split between two.
 * 3. `filename` and `filename*` never stand together: readers differ about which of them counts.
 */
import { utf8 } from "../util/bytes.ts";
import { encodeWords, HEADER_LINE, needsEncodedWord } from "./encoded-word.ts";

/** Characters of a value in one piece, so that ` filename*10*=` and a semicolon fit into 78 with it. */
const PIECE_LIMIT = 56;
// Without the marks of RFC 2231: what looks like them goes in quotes.
const token = /^[!#$&+\-.0-9A-Z^_`a-z{|}~]+$/;

/** The pieces of one parameter, such as ` filename="a b.txt"`; to be joined by semicolons. */
export function formatParameter(name: string, value: string): string[] {
  if (isPlain(value)) {
    return [token.test(value) ? ` ${name}=${value}` : ` ${name}="${value.replace(/["\\]/g, "\\$&")}"`];
  }
  const pieces = splitExtended(value.toWellFormed());
  if (pieces.length === 1) return [` ${name}*=${pieces[0]}`];
  return pieces.map((piece, i) => ` ${name}*${i}*=${piece}`);
}

/** Readers decode what looks like an encoded word in quotes too. */
const isPlain = (value: string): boolean => value.length <= PIECE_LIMIT && !needsEncodedWord(value);

/** Characters that a plain copy of a value may have: its line stays far below the 998 that SMTP carries. */
const FALLBACK_LIMIT = 600;

/**
 * For readers without RFC 2231: the same value in a plain form, under another name (`name` of Content-Type stands in for `filename`). Nothing where
 * `formatParameter` writes a plain form itself, or this one would be too long. RFC 2047 5 (3) has no encoded word in quotes, but the readers
 * that need this one decode it there, and the others have taken the exact form.
 */
export function formatFallback(name: string, value: string): string[] {
  if (isPlain(value)) return [];
  const ascii = !needsEncodedWord(value);
  const room = HEADER_LINE - ` ${name}="";`.length;
  const text = ascii ? value.replace(/["\\]/g, "\\$&") : encodeWords(value, room, HEADER_LINE - ' ";'.length).join("\r\n ");
  return text.length > FALLBACK_LIMIT ? [] : [` ${name}="${text}"`];
}

function splitExtended(value: string): string[] {
  const pieces: string[] = [];
  let piece = "utf-8''";
  for (const character of value) {
    const text = extended(character);
    if (piece.length + text.length > PIECE_LIMIT) {
      pieces.push(piece);
      piece = "";
    }
    piece += text;
  }
  pieces.push(piece);
  return pieces;
}

/** RFC 2231 7: attribute-char as it is, other octets as `%E9`. */
function extended(character: string): string {
  if (/^[!#$&+\-.0-9A-Z^_`a-z{|}~]$/.test(character)) return character;
  let text = "";
  for (const octet of utf8(character)) text += `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  return text;
}

export interface StructuredValue {
  /** What stands before the first parameter, in lower case: `text/plain`. */
  readonly value: string;
  /** By name in lower case; of a name that comes twice the first. RFC 2231 forms stay under the names they have. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** A Content-Type or Content-Disposition taken apart, comments left out; what makes no sense is passed over. Linear. */
export function parseParameters(text: string): StructuredValue {
  const parts = splitParts(text);
  const parameters = new Map<string, string>();
  for (const part of parts.slice(1)) {
    const equals = part.indexOf("=");
    if (equals < 0) continue;
    const name = part.slice(0, equals).trim().toLowerCase();
    if (name !== "" && !parameters.has(name)) parameters.set(name, unquote(part.slice(equals + 1).trim()));
  }
  return { value: (parts[0] ?? "").replaceAll(/[ \t]/g, "").toLowerCase(), parameters };
}

/** Parted at semicolons that stand outside quotes and comments. */
function splitParts(text: string): string[] {
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    if (c === "\\" && (quoted || depth > 0)) {
      if (quoted) part += text.slice(i, i + 2);
      i++;
    } else if (quoted) {
      part += c;
      if (c === '"') quoted = false;
    } else if (c === "(") depth++;
    else if (c === ")" && depth > 0) depth--;
    else if (depth > 0) continue;
    else if (c === ";") {
      parts.push(part);
      part = "";
    } else {
      part += c;
      if (c === '"') quoted = true;
    }
  }
  parts.push(part);
  return parts;
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  const end = text.length > 1 && text.endsWith('"') ? -1 : undefined;
  return text.slice(1, end).replace(/\\(.)/gs, "$1");
}
