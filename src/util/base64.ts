/**
 * Base64, RFC 4648 4, and its form in lines, RFC 2045 6.8.
 *
 * Rules
 * 1. Where there is a Buffer it encodes, and the lines are moved into their places by words of eight octets. Elsewhere two characters are
 *    written at a time from a table of 4,096 pairs; a line of 76 and its CRLF are 39 such pairs.
 * 2. Cutting the input into other chunks gives the same output.
 */
import { concat, EMPTY, latin1 } from "./bytes.ts";

/** RFC 2045 6.8: at most 76 characters a line. */
export const BASE64_LINE = 76;
/** Octets that make a full line. */
const LINE_OCTETS = 57;
const PAIRS_A_LINE = 39;

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const codes = latin1(alphabet);
const EQUALS = 61;

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const pair = (first: number, second: number): number => (littleEndian ? first | (second << 8) : (first << 8) | second);
const pairs = Uint16Array.from({ length: 4096 }, (_, i) => pair(codes[i >> 6] as number, codes[i & 63] as number));
const crlf = pair(13, 10);

/** Base64 in one piece, with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  if (typeof Buffer !== "undefined") return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i] as number, bytes[i + 1], bytes[i + 2]];
    text += alphabet.charAt(a >> 2) + alphabet.charAt(((a & 3) << 4) | ((b ?? 0) >> 4));
    text += b === undefined ? "=" : alphabet.charAt(((b & 15) << 2) | ((c ?? 0) >> 6));
    text += c === undefined ? "=" : alphabet.charAt(c & 63);
  }
  return text;
}

/** How many octets `encodeBase64Lines` makes of so many. */
export function base64LinesSize(size: number): number {
  const tail = size % LINE_OCTETS;
  return Math.floor(size / LINE_OCTETS) * 2 * PAIRS_A_LINE + (tail === 0 ? 0 : 4 * Math.ceil(tail / 3) + 2);
}

/** Base64 in lines, each ended by CRLF; nothing for nothing. */
export function encodeBase64Lines(bytes: Uint8Array): Uint8Array {
  return typeof Buffer === "undefined" ? encodeByTable(bytes) : encodeByBuffer(bytes);
}

/** Lines that Buffer encodes at a time: a string larger than this is made far from the caches. */
const BLOCK_LINES = 256;
let scratch: Buffer<ArrayBuffer> | undefined;

function encodeByBuffer(bytes: Uint8Array): Uint8Array {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = base64LinesSize(bytes.length);
  const out = Buffer.allocUnsafeSlow(size); // every octet is written below
  const view = new DataView(out.buffer, out.byteOffset, size);
  const lines = Math.floor(bytes.length / LINE_OCTETS);
  scratch ??= Buffer.allocUnsafeSlow(BLOCK_LINES * BASE64_LINE);
  const block = new DataView(scratch.buffer, scratch.byteOffset, scratch.length);
  for (let line = 0; line < lines; line += BLOCK_LINES) {
    const count = Math.min(BLOCK_LINES, lines - line);
    scratch.write(source.toString("base64", line * LINE_OCTETS, (line + count) * LINE_OCTETS), "latin1");
    placeLines(block, count, view, line * 2 * PAIRS_A_LINE);
  }
  if (lines * LINE_OCTETS < bytes.length) {
    out.write(source.toString("base64", lines * LINE_OCTETS), lines * 2 * PAIRS_A_LINE, "latin1");
    out[size - 2] = 13;
    out[size - 1] = 10;
  }
  return new Uint8Array(out.buffer, out.byteOffset, size);
}

/** Lines of 76 that stand one behind another to their places with a CRLF behind each. No eight of base64's characters are a NaN's octets. */
function placeLines(from: DataView, count: number, to: DataView, at: number): void {
  let o = at;
  for (let line = 0; line < count; line++) {
    const i = line * BASE64_LINE;
    to.setFloat64(o, from.getFloat64(i, true), true);
    to.setFloat64(o + 8, from.getFloat64(i + 8, true), true);
    to.setFloat64(o + 16, from.getFloat64(i + 16, true), true);
    to.setFloat64(o + 24, from.getFloat64(i + 24, true), true);
    to.setFloat64(o + 32, from.getFloat64(i + 32, true), true);
    to.setFloat64(o + 40, from.getFloat64(i + 40, true), true);
    to.setFloat64(o + 48, from.getFloat64(i + 48, true), true);
    to.setFloat64(o + 56, from.getFloat64(i + 56, true), true);
    to.setFloat64(o + 64, from.getFloat64(i + 64, true), true);
    to.setInt32(o + 72, from.getInt32(i + 72, true), true);
    to.setInt16(o + 76, 0x0a0d, true);
    o += 2 * PAIRS_A_LINE;
  }
}

/** For a runtime without Buffer. */
export function encodeByTable(bytes: Uint8Array): Uint8Array {
  const fullLines = Math.floor(bytes.length / LINE_OCTETS);
  const tail = bytes.length - fullLines * LINE_OCTETS;
  const tailPairs = tail === 0 ? 0 : 2 * Math.ceil(tail / 3) + 1;
  const out = new Uint16Array(fullLines * PAIRS_A_LINE + tailPairs);
  writeLines(bytes, fullLines, out);
  if (tail > 0) writeTail(bytes.subarray(bytes.length - tail), out, fullLines * PAIRS_A_LINE);
  return new Uint8Array(out.buffer);
}

function writeLines(bytes: Uint8Array, lines: number, out: Uint16Array): void {
  let i = 0;
  let o = 0;
  for (let line = 0; line < lines; line++) {
    for (const end = i + LINE_OCTETS; i < end; i += 3) {
      const three = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
      out[o++] = pairs[three >> 12] as number;
      out[o++] = pairs[three & 4095] as number;
    }
    out[o++] = crlf;
  }
}

function writeTail(bytes: Uint8Array, out: Uint16Array, at: number): void {
  let o = at;
  for (let i = 0; i < bytes.length; i += 3) {
    const b = bytes[i + 1];
    const c = bytes[i + 2];
    const three = ((bytes[i] as number) << 16) | ((b ?? 0) << 8) | (c ?? 0);
    out[o++] = pairs[three >> 12] as number;
    const third = b === undefined ? EQUALS : (codes[(three >> 6) & 63] as number);
    out[o++] = pair(third, c === undefined ? EQUALS : (codes[three & 63] as number));
  }
  out[o] = crlf;
}

/** Encodes a stream in lines. */
export class Base64LineEncoder {
  #kept: Uint8Array = EMPTY;

  /** The full lines there are by now. */
  push(chunk: Uint8Array): Uint8Array {
    const bytes = this.#kept.length === 0 ? chunk : concat([this.#kept, chunk]);
    const used = bytes.length - (bytes.length % LINE_OCTETS);
    this.#kept = bytes.slice(used);
    return used === 0 ? EMPTY : encodeBase64Lines(bytes.subarray(0, used));
  }

  /** The last line. */
  end(): Uint8Array {
    const last = encodeBase64Lines(this.#kept);
    this.#kept = EMPTY;
    return last;
  }
}

const values: Int8Array = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i++) values[codes[i] as number] = i;

/**
 * The octets, or `undefined` where the text is not base64 as RFC 4648 3 and 4 have it: whole groups of four with their padding, no other
 * characters, no spaces, no line breaks, no bits set in what the padding leaves over.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let o = 0;
  for (let i = 0; i < digits; i++) {
    const value = values[text.charCodeAt(i)] ?? -1;
    if (value < 0) return undefined;
    bits = ((bits << 6) | value) & 0xffffff;
    if ((i & 3) === 3) {
      bytes[o++] = bits >> 16;
      bytes[o++] = (bits >> 8) & 255;
      bytes[o++] = bits & 255;
    }
  }
  if (padding === 1) {
    if ((bits & 3) !== 0) return undefined;
    bytes[o++] = (bits >> 10) & 255;
    bytes[o] = (bits >> 2) & 255;
  } else if (padding === 2) {
    if ((bits & 15) !== 0) return undefined;
    bytes[o] = (bits >> 4) & 255;
  }
  return bytes;
}
