/**
 * Quoted-printable, RFC 2045 6.7.
 *
 * Rules
 * 1. CRLF is a line break; a CR or LF alone is an octet and is encoded, so that it comes out as it went in.
 * 2. A space or tab at the end of a line is encoded (rule 3 there), and no line passes 76 characters (rule 5).
 * 3. A line that a soft break begins does not begin with a hyphen: it could be taken for the delimiter of a part.
 * 4. Any way of cutting the input into chunks gives the same output.
 */
import { CR, CRLF, concat, EMPTY, fromLatin1, LF, latin1 } from "../util/bytes.ts";

export const QUOTED_PRINTABLE_LINE = 76;
/** A soft line break needs the last column for its "=". */
const LAST_COLUMN = QUOTED_PRINTABLE_LINE - 1;
const EQUALS = 61;
const HYPHEN = 45;
const SPACE = 32;
/** What one turn may write: a line, a soft break and an escape. */
const ROOM = QUOTED_PRINTABLE_LINE + 8;
const hex = latin1("0123456789ABCDEF");
/** 1 for an octet that always stands for itself: a visible one, but for "=". */
const plain = Uint8Array.from({ length: 256 }, (_, c) => (c > 32 && c < 127 && c !== EQUALS ? 1 : 0));

export class QuotedPrintableEncoder {
  #column = 0;
  /** The end of the last chunk, where what it becomes depends on what follows: a space, a CR, or both. */
  #kept: Uint8Array = EMPTY;

  push(chunk: Uint8Array): Uint8Array {
    const bytes = this.#kept.length === 0 ? chunk : concat([this.#kept, chunk]);
    let end = bytes.length;
    if (end > 0 && bytes[end - 1] === CR) end--;
    if (end > 0 && isBlank(bytes[end - 1] as number)) end--;
    this.#kept = bytes.slice(end);
    return this.#encode(bytes, end);
  }

  /** What was held back. Whether a line break ends the output depends on the input alone. */
  end(): Uint8Array {
    const kept = this.#kept;
    this.#kept = EMPTY;
    return this.#encode(kept, kept.length);
  }

  /** Encodes up to `end`; octets beyond it are looked at only to see whether a line ends. */
  #encode(bytes: Uint8Array, end: number): Uint8Array {
    let out = new Uint8Array(Math.ceil(end * 1.25) + ROOM);
    let column = this.#column;
    let o = 0;
    let i = 0;
    while (i < end) {
      if (o + ROOM > out.length) out = enlarged(out);
      // Most of a text is copied as it is, up to the end of an output line.
      const stop = Math.min(end, i + LAST_COLUMN - column);
      const from = i;
      while (i < stop) {
        const c = bytes[i] as number;
        if (plain[c] === 0 && !(c === SPACE && !endsLine(bytes, i + 1))) break;
        out[o++] = c;
        i++;
      }
      column += i - from;
      if (i === end) break;
      const c = bytes[i++] as number;
      if (c === CR && bytes[i] === LF) {
        out[o++] = CR;
        out[o++] = LF;
        column = 0;
        i++;
        continue;
      }
      const literal = isBlank(c) ? !endsLine(bytes, i) : plain[c] === 1;
      if (column + (literal ? 1 : 3) > LAST_COLUMN) {
        out[o++] = EQUALS;
        out[o++] = CR;
        out[o++] = LF;
        column = 0;
        if (literal && c !== HYPHEN) {
          i--; // it begins the next line
          continue;
        }
      }
      if (literal && c !== HYPHEN) {
        out[o++] = c;
        column++;
      } else if (literal && column > 0) {
        out[o++] = c;
        column++;
      } else {
        o = writeEscape(out, o, c);
        column += 3;
      }
    }
    this.#column = column;
    return out.subarray(0, o);
  }
}

function enlarged(out: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(out.length * 2);
  larger.set(out);
  return larger;
}

function writeEscape(out: Uint8Array, at: number, c: number): number {
  out[at] = EQUALS;
  out[at + 1] = hex[c >> 4] as number;
  out[at + 2] = hex[c & 15] as number;
  return at + 3;
}

function isBlank(c: number): boolean {
  return c === 32 || c === 9;
}

function endsLine(bytes: Uint8Array, at: number): boolean {
  return at === bytes.length || (bytes[at] === CR && bytes[at + 1] === LF);
}

/**
 * A text of ASCII without controls but tabs and CRLF, encoded: what the encoder gives, but by the engine's own string operations. `undefined` for another
 * text.
 */
export function quotedPrintableText(text: string): string | undefined {
  if (/[^\t\r\n\x20-\x7e]/.test(text) || /\r(?!\n)|(?<!\r)\n/.test(text)) return undefined;
  return text.replaceAll("=", "=3D").split("\r\n").map(foldedLine).join("\r\n");
}

/** One line, with soft breaks where it is too long; its "=" are escaped already. */
function foldedLine(line: string): string {
  const end = line.length - 1;
  const blank = line.endsWith(" ") ? "=20" : line.endsWith("\t") ? "=09" : undefined;
  const whole = blank === undefined ? line : line.slice(0, end) + blank;
  if (whole.length <= LAST_COLUMN) return whole;
  let out = "";
  let at = 0;
  let begins = "";
  while (whole.length - at + begins.length > LAST_COLUMN) {
    let cut = at + LAST_COLUMN - begins.length;
    // An escape is not parted.
    if (whole[cut - 1] === "=") cut--;
    else if (whole[cut - 2] === "=") cut -= 2;
    out += `${begins}${whole.slice(at, cut)}=\r\n`;
    at = cut;
    begins = "";
    if (whole[at] === "-") {
      begins = "=2D";
      at++;
    }
  }
  return out + begins + whole.slice(at);
}

/** A whole text encoded. */
export function encodeQuotedPrintable(bytes: Uint8Array): Uint8Array {
  const encoder = new QuotedPrintableEncoder();
  return concat([encoder.push(bytes), encoder.end()]);
}

/** A text that ends in a line break, encoded or not. */
export function endWithLine(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 || fromLatin1(bytes.subarray(-2)) === "\r\n" ? bytes : concat([bytes, CRLF]);
}
