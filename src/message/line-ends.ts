/**
 * Turns every bare CR and bare LF into CRLF (RFC 5321 2.3.8 lets none through), chunk by chunk.
 *
 * Rules
 * 1. Clean content goes through as the chunks it came in.
 * 2. Who ends lines with a bare LF stuffs dots behind it as well (Python's smtplib, given bytes). The framer rightly sees no line
 *    there, so of two dots at the start of a line that is made here, one is taken out.
 */
import { CR, DOT, LF } from "../util/bytes.ts";

const LONE_LF: Uint8Array = Uint8Array.of(LF);
const LONE_CR: Uint8Array = Uint8Array.of(CR);
const LONE_DOT: Uint8Array = Uint8Array.of(DOT);

export class LineEndMender {
  #afterCr = false;
  /** made: the last octet ended a line that was mended. dot: and a dot came, which is held back. */
  #line: "text" | "made" | "dot" = "text";

  /** Adds what this chunk becomes to `out`. */
  push(chunk: Uint8Array, out: Uint8Array[]): void {
    let start = 0;
    const cut = (i: number, insert?: Uint8Array): void => {
      if (i > start) out.push(chunk.subarray(start, i));
      if (insert !== undefined) out.push(insert);
      start = i;
    };
    for (let i = 0; i < chunk.length; i++) {
      const c = chunk[i] as number;
      if (c > DOT && !this.#afterCr && this.#line === "text") continue;
      if (this.#afterCr && c !== LF) {
        cut(i, LONE_LF); // the CR before was bare
        this.#line = "made";
      }
      if (this.#line === "dot") {
        if (c !== DOT) cut(i, LONE_DOT);
        this.#line = "text";
      } else if (this.#line === "made" && c === DOT) {
        cut(i);
        start = i + 1;
        this.#line = "dot";
      } else this.#line = "text";
      if (c === LF && !this.#afterCr) {
        cut(i, LONE_CR);
        this.#line = "made";
      }
      this.#afterCr = c === CR;
    }
    if (chunk.length > start) out.push(start === 0 ? chunk : chunk.subarray(start));
  }

  /** Ends the content. */
  end(out: Uint8Array[]): void {
    if (this.#line === "dot") out.push(LONE_DOT);
    if (this.#afterCr) out.push(LONE_LF);
    this.#afterCr = false;
    this.#line = "text";
  }
}
