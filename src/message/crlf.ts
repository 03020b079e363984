/**
 * Line ends of a message that somebody hands over: each CR and LF alone becomes CRLF (RFC 5321 2.3.8).
 *
 * Rules
 * 1. Nothing else is changed; no dot is touched. What arrived over the wire is mended elsewhere (`line-ends.ts`), as who sent it may have stuffed dots.
 * 2. Any way of cutting the input into chunks gives the same output.
 */
import { CR, CRLF, EMPTY, LF } from "../util/bytes.ts";

/** The bytes with every CR and LF in a CRLF; the same where they are already. */
export function mendedLineEnds(bytes: Uint8Array): Uint8Array {
  const mender = new LineEnds();
  const mended = mender.push(bytes);
  const last = mender.end();
  if (last.length === 0) return mended;
  const whole = new Uint8Array(mended.length + last.length);
  whole.set(mended);
  whole.set(last, mended.length);
  return whole;
}

/** Turns each CR and LF alone into CRLF, chunk by chunk. Clean chunks come back as they are. */
export class LineEnds {
  #afterCr = false;

  push(chunk: Uint8Array): Uint8Array {
    const lone = this.#countLone(chunk);
    const afterCr = this.#afterCr;
    if (chunk.length > 0) this.#afterCr = chunk[chunk.length - 1] === CR;
    if (lone === 0) return chunk;
    const out = new Uint8Array(chunk.length + lone);
    let o = 0;
    let before = afterCr ? CR : 0;
    for (const c of chunk) {
      if (before === CR && c !== LF) out[o++] = LF;
      else if (c === LF && before !== CR) out[o++] = CR;
      out[o++] = c;
      before = c;
    }
    return out;
  }

  /** What ends the content: the LF that its last CR lacks. */
  end(): Uint8Array {
    const lacks = this.#afterCr;
    this.#afterCr = false;
    return lacks ? CRLF.subarray(1) : EMPTY;
  }

  /** Octets to be added in this chunk; what its last CR lacks is the next chunk's. */
  #countLone(chunk: Uint8Array): number {
    let lone = 0;
    if (this.#afterCr && chunk.length > 0 && chunk[0] !== LF) lone++;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      if (at > 0 ? chunk[at - 1] !== CR : !this.#afterCr) lone++;
    }
    for (let at = chunk.indexOf(CR); at >= 0 && at < chunk.length - 1; at = chunk.indexOf(CR, at + 1)) {
      if (chunk[at + 1] !== LF) lone++;
    }
    return lone;
  }
}
