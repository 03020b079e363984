/**
 * Finds the end of DATA content and takes out the dots that the sender stuffed (RFC 5321 4.5.2).
 *
 * Rules
 * 1. Only CRLF "." CRLF ends content; no other mixture of CR, LF and dot does (SMTP smuggling, CVE-2023-51764).
 * 2. A dot directly behind a CRLF is stuffed and is left out; all else goes on as slices of what came in.
 * 3. The CRLF before the final dot belongs to the content.
 */
import { CR, DOT, LF } from "../util/bytes.ts";

const LONE_CR: Uint8Array = Uint8Array.of(CR);

export class DataFramer {
  /** The last two octets of the wire; the content begins as if behind a CRLF. */
  #last = LF;
  #beforeLast = CR;
  #state: "text" | "dot" | "dot-cr" = "text";
  #done = false;

  /** The end was seen. */
  get done(): boolean {
    return this.#done;
  }

  /** Adds the content in `chunk` to `out`; returns how many octets of the chunk belong to the content or its end. */
  push(chunk: Uint8Array, out: Uint8Array[]): number {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      if (this.#state === "text") {
        i = nextDot(chunk, i);
        if (i === chunk.length) break;
        if (!this.#atLineStart(chunk, i)) continue;
        if (i > start) out.push(chunk.subarray(start, i));
        start = i + 1;
        this.#state = "dot";
      } else if (this.#state === "dot" && chunk[i] === CR) {
        this.#state = "dot-cr";
      } else if (this.#state === "dot-cr" && chunk[i] === LF) {
        this.#done = true;
        return i + 1;
      } else {
        // The dot was a stuffed one: this octet is text, and none of the line's start.
        if (this.#state === "dot-cr" && i === 0) out.push(LONE_CR); // it was held back from the chunk before
        this.#state = "text";
      }
    }
    return this.#endChunk(chunk, start, out);
  }

  #atLineStart(chunk: Uint8Array, i: number): boolean {
    const last = i > 0 ? chunk[i - 1] : this.#last;
    if (last !== LF) return false;
    return (i > 1 ? chunk[i - 2] : i === 1 ? this.#last : this.#beforeLast) === CR;
  }

  #endChunk(chunk: Uint8Array, start: number, out: Uint8Array[]): number {
    const end = this.#state === "dot-cr" ? chunk.length - 1 : chunk.length; // its CR waits for what follows
    if (end > start) out.push(chunk.subarray(start, end));
    if (chunk.length > 0) {
      this.#beforeLast = chunk.length > 1 ? (chunk[chunk.length - 2] as number) : this.#last;
      this.#last = chunk[chunk.length - 1] as number;
    }
    return chunk.length;
  }
}

/** Octets looked at here before the search is left to native code, which is faster only where dots are rare. */
const NEAR = 64;

function nextDot(chunk: Uint8Array, from: number): number {
  const near = Math.min(from + NEAR, chunk.length);
  for (let i = from; i < near; i++) if (chunk[i] === DOT) return i;
  const found = chunk.indexOf(DOT, near);
  return found < 0 ? chunk.length : found;
}
