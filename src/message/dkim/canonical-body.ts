/**
 * The canonical forms of a body (RFC 6376 3.4.3 and 3.4.4), made while its chunks go by.
 *
 * Rules
 * 1. Any way of cutting the body gives the same octets; memory does not grow with it: empty lines that may be the last are counted, not kept.
 * 2. What stays as it is goes to the sink as slices of the chunk. Only where slices would be tiny are they gathered first.
 * 3. A CR or LF that is no part of a CRLF is an octet like others: `bareLineEnd` tells of it.
 */
import { CR, CRLF, LF } from "../../util/bytes.ts";
import { PLAIN_STEP, skipPlain } from "../../util/plain-octets.ts";
import type { ByteSink } from "./primitives.ts";

export type Canonicalization = "simple" | "relaxed";

const TAB = 9;
const SP = 32;
const ONE_SP: Uint8Array = Uint8Array.of(SP);
const ONE_CR: Uint8Array = Uint8Array.of(CR);
/** Shorter slices are gathered: a call into the hash costs more than copying them. */
const DIRECT_SIZE = 256;
const GATHER_SIZE = 2048;
const MANY_LINES: Uint8Array = new Uint8Array(512).map((_, i) => (i % 2 === 0 ? CR : LF));

export class BodyCanonicalizer {
  readonly #relaxed: boolean;
  readonly #sink: ByteSink;
  /** CRLFs seen that are written only if something follows them. */
  #lines = 0;
  /** Relaxed: white space was seen and not written. */
  #space = false;
  /** The last octet was a CR, not written. */
  #cr = false;
  #size = 0;
  #bits = 0;
  #bare = false;
  #gathered: Uint8Array | undefined;
  #used = 0;

  constructor(kind: Canonicalization, sink: ByteSink) {
    this.#relaxed = kind === "relaxed";
    this.#sink = sink;
  }

  /** Octets of the canonical form so far; all of them after `end`. */
  get size(): number {
    return this.#size;
  }

  /** Some octet above 127. */
  get eightBit(): boolean {
    return this.#bits > 127;
  }

  /** A CR or LF that is no part of a CRLF. To be asked after `end`. */
  get bareLineEnd(): boolean {
    return this.#bare;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const from = this.#cr ? this.#afterCr(chunk) : 0;
    if (this.#relaxed) this.#pushRelaxed(chunk, from);
    else this.#pushSimple(chunk, from);
  }

  /** The body has ended: writes its last line end, and what was gathered. */
  end(): void {
    if (this.#cr) this.#bareCr();
    this.#space = false;
    // Simple: an empty body is one CRLF. Relaxed: it is nothing.
    if (this.#size > 0 || !this.#relaxed) this.#write(CRLF, 0, 2);
    this.#spill();
  }

  /** Where to go on in a chunk that follows a CR. */
  #afterCr(chunk: Uint8Array): number {
    if (chunk[0] !== LF) {
      this.#bareCr();
      return 0;
    }
    this.#cr = false;
    this.#space = false;
    this.#lines++;
    return 1;
  }

  #bareCr(): void {
    this.#cr = false;
    this.#bare = true;
    this.#run(ONE_CR, 0, 1);
  }

  #pushSimple(chunk: Uint8Array, from: number): void {
    this.#inspect(chunk, from);
    const open = chunk.length > from && chunk[chunk.length - 1] === CR;
    this.#run(chunk, from, open ? chunk.length - 1 : chunk.length);
    this.#cr = open;
  }

  /** Looks for bare line ends and upper bits, without changing anything else. */
  #inspect(chunk: Uint8Array, from: number): void {
    const { length } = chunk;
    const view = new DataView(chunk.buffer, chunk.byteOffset, length);
    let bits = this.#bits;
    let i = from;
    while (i < length) {
      i = skipPlain(view, i, length);
      for (const stop = Math.min(i + PLAIN_STEP, length); i < stop; i++) {
        const c = chunk[i] as number;
        bits |= c;
        if (c === LF) this.#bare = true;
        else if (c === CR && i + 1 < length) {
          if (chunk[i + 1] === LF) i++;
          else this.#bare = true;
        }
      }
    }
    this.#bits = bits;
  }

  #pushRelaxed(chunk: Uint8Array, start: number): void {
    const { length } = chunk;
    const view = new DataView(chunk.buffer, chunk.byteOffset, length);
    let bits = this.#bits;
    /** What begins here goes out as it is. */
    let from = this.#space ? skipSpace(chunk, start) : start;
    let i = from;
    while (i < length) {
      const c = chunk[i] as number;
      if (c > SP) {
        bits |= c;
        i++;
        // Behind a character, so that a space that comes first in a word of four follows none.
        if ((i & 3) === 0) i = skipText(view, i, length);
      } else if (c === SP || c === TAB) {
        if (c === SP && (chunk[i + 1] as number) > SP) {
          i++; // one space inside a line stays
          continue;
        }
        this.#run(chunk, from, i);
        this.#space = true;
        from = i = skipSpace(chunk, i + 1);
      } else if (c === CR) {
        if (i + 1 === length) {
          this.#run(chunk, from, i);
          this.#cr = true;
          from = i = length;
        } else if (chunk[i + 1] !== LF) {
          this.#bare = true;
          i++;
        } else {
          i += 2;
          if (this.#space && from === i - 2) {
            this.#space = false; // white space at the end of a line
            this.#lines++;
            from = i;
          }
        }
      } else {
        this.#bare ||= c === LF;
        i++;
      }
    }
    this.#run(chunk, from, length);
    this.#bits = bits;
  }

  /** Octets that stay as they are, but for CRLFs at their end, which are counted. */
  #run(chunk: Uint8Array, from: number, to: number): void {
    let end = to;
    let lines = 0;
    while (end - from >= 2 && chunk[end - 1] === LF && chunk[end - 2] === CR) {
      end -= 2;
      lines++;
    }
    if (end > from) {
      if (this.#lines > 0) this.#writeLines();
      if (this.#space) {
        this.#write(ONE_SP, 0, 1);
        this.#space = false;
      }
      this.#write(chunk, from, end);
    }
    this.#lines += lines;
  }

  #writeLines(): void {
    for (let left = 2 * this.#lines; left > 0; left -= MANY_LINES.length) this.#write(MANY_LINES, 0, Math.min(left, MANY_LINES.length));
    this.#lines = 0;
  }

  #write(bytes: Uint8Array, from: number, to: number): void {
    const size = to - from;
    this.#size += size;
    if (size >= DIRECT_SIZE) {
      this.#spill();
      this.#sink.update(size === bytes.length ? bytes : bytes.subarray(from, to));
      return;
    }
    this.#gathered ??= new Uint8Array(GATHER_SIZE);
    if (this.#used + size > GATHER_SIZE) this.#spill();
    const gathered = this.#gathered;
    let at = this.#used;
    if (size > 32) gathered.set(bytes.subarray(from, to), at);
    else for (let i = from; i < to; i++) gathered[at++] = bytes[i] as number;
    this.#used += size;
  }

  #spill(): void {
    if (this.#used === 0) return;
    this.#sink.update((this.#gathered as Uint8Array).subarray(0, this.#used));
    this.#used = 0;
  }
}

/**
 * The index at or after `i`, which follows no white space, up to which a line is as its relaxed form: skips words of four octets that have no
 * control, no upper bit and no two spaces side by side. A borrow can only cause a needless closer look.
 */
function skipText(view: DataView, i: number, length: number): number {
  let at = i;
  let space = 0;
  for (; at + 4 <= length; at += 4) {
    const word = view.getInt32(at, true);
    if (((word | (word - 0x20202020)) & 0x80808080) !== 0) break;
    const other = word ^ 0x20202020;
    const spaces = (other - 0x01010101) & ~other & 0x80808080;
    if ((spaces & ((spaces << 8) | space)) !== 0) break;
    space = spaces >>> 24;
  }
  // A space that ends the last word may be followed by another, or by a line end.
  return space === 0 ? at : at - 1;
}

function skipSpace(chunk: Uint8Array, from: number): number {
  let i = from;
  while (chunk[i] === SP || chunk[i] === TAB) i++;
  return i;
}
