/**
 * Makes content fit for DATA: stuffs dots, ends the last line, adds the final dot (RFC 5321 4.5.2).
 *
 * Rules
 * 1. Nothing that leaves can end the content but the end that `end` writes: a bare CR or LF is made a CRLF, so that no
 *    `\n.\n` is ever on the wire for a lenient peer to take for the end (SMTP smuggling).
 * 2. Clean content goes through as slices, cut only where a dot or a line end is put in.
 */
import { CR, CRLF, DOT, LF, latin1 } from "../util/bytes.ts";
import { indexOfControl } from "../util/plain-octets.ts";

const STUFFED: Uint8Array = Uint8Array.of(DOT);
const LONE_LF: Uint8Array = Uint8Array.of(LF);
const LONE_CR: Uint8Array = Uint8Array.of(CR);
const END: Uint8Array = latin1(".\r\n");

export class DotStuffer {
  #lineStart = true;
  #afterCr = false;

  /** Adds what is to be written for this chunk to `out`. */
  push(chunk: Uint8Array, out: Uint8Array[]): void {
    let start = 0;
    let afterCr = this.#afterCr;
    let lineStart = this.#lineStart;
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    for (let i = 0; i < chunk.length; i++) {
      if (!afterCr && !lineStart) i = indexOfControl(chunk, view, i); // within a line a dot is as plain as any octet
      if (i === chunk.length) break;
      const c = chunk[i] as number;
      let insert: Uint8Array | undefined;
      if (afterCr && c !== LF) {
        insert = LONE_LF; // the CR before was bare
        lineStart = true;
      } else if (c === LF && !afterCr) insert = LONE_CR;
      if (insert !== undefined) start = cut(chunk, start, i, insert, out);
      if (lineStart && c === DOT) start = cut(chunk, start, i, STUFFED, out);
      lineStart = c === LF;
      afterCr = c === CR;
    }
    if (chunk.length > start) out.push(start === 0 ? chunk : chunk.subarray(start));
    this.#afterCr = afterCr;
    this.#lineStart = lineStart;
  }

  /** Adds the end: a CRLF if the last line has none, and the final dot. */
  end(out: Uint8Array[]): void {
    if (this.#afterCr) out.push(LONE_LF);
    else if (!this.#lineStart) out.push(CRLF);
    out.push(END);
  }
}

function cut(chunk: Uint8Array, start: number, i: number, insert: Uint8Array, out: Uint8Array[]): number {
  if (i > start) out.push(chunk.subarray(start, i));
  out.push(insert);
  return i;
}
