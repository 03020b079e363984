/**
 * The canonical forms of header fields (RFC 6376 3.4.1 and 3.4.2), written one after another into the octets that are signed.
 *
 * Rules
 * 1. One buffer holds them all; a field is written once, octet by octet.
 * 2. The signature's own field comes last, without the value of its b= tag and without its CRLF (RFC 6376 3.7).
 */
import { CR, LF } from "../../util/bytes.ts";
import type { Canonicalization } from "./canonical-body.ts";

const TAB = 9;
const SP = 32;
const COLON = 58;

/** Where in a field the value of b= stands, from after "=" to before ";" or the field's end. */
export interface Hole {
  readonly start: number;
  readonly end: number;
}

export class HeaderInput {
  #bytes: Uint8Array;
  #size = 0;

  /** `capacity`: octets that are expected; more may come. */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** A header field as it stands in the message. */
  add(raw: Uint8Array, kind: Canonicalization): void {
    this.#reserve(raw.length + 2);
    if (kind === "simple") this.#addSimple(raw, raw.length);
    else this.#addRelaxed(raw, -1, -1);
    this.#lineEnd();
  }

  /** The field that holds the signature. */
  addSignature(raw: Uint8Array, hole: Hole, kind: Canonicalization): void {
    this.#reserve(raw.length);
    if (kind === "relaxed") {
      this.#addRelaxed(raw, hole.start, hole.end);
      return;
    }
    this.#addSimple(raw, hole.start);
    const end = raw[raw.length - 1] === LF && raw[raw.length - 2] === CR ? raw.length - 2 : raw.length;
    if (end > hole.end) this.#addSimple(raw.subarray(hole.end), end - hole.end);
  }

  /** What was written; a view that later writing may change. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  /** Goes back to an earlier `size`: the next signature over the same fields writes its own field there. */
  truncate(size: number): void {
    this.#size = Math.min(size, this.#size);
  }

  #reserve(more: number): void {
    const needed = this.#size + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = larger;
  }

  #addSimple(raw: Uint8Array, size: number): void {
    this.#bytes.set(size === raw.length ? raw : raw.subarray(0, size), this.#size);
    this.#size += size;
  }

  /** The last field of a content that was cut short may lack its CRLF. */
  #lineEnd(): void {
    const at = this.#size;
    if (this.#bytes[at - 2] === CR && this.#bytes[at - 1] === LF) return;
    this.#bytes[at] = CR;
    this.#bytes[at + 1] = LF;
    this.#size = at + 2;
  }

  #addRelaxed(raw: Uint8Array, holeStart: number, holeEnd: number): void {
    const out = this.#bytes;
    const { length } = raw;
    let at = this.#size;
    let i = 0;
    for (; i < length && raw[i] !== COLON; i++) {
      const c = raw[i] as number;
      if (c === SP || c === TAB) continue; // obsolete: white space before the colon
      out[at++] = c >= 65 && c <= 90 ? c | 32 : c;
    }
    out[at++] = COLON;
    let space = false;
    let begun = false;
    for (i++; i < length; i++) {
      if (i === holeStart) i = holeEnd;
      const c = raw[i];
      if (c === undefined) break;
      if (c === SP || c === TAB) space = true;
      else if (c === CR && raw[i + 1] === LF) i++;
      else {
        if (space && begun) out[at++] = SP;
        out[at++] = c;
        space = false;
        begun = true;
      }
    }
    this.#size = at;
  }
}
