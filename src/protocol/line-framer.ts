/**
 * Cuts the bytes of a command stream into lines.
 *
 * Rules
 * 1. Only CRLF ends a line (RFC 5321 2.3.8). A CR or LF by itself is reported once, at once, and the line that has it
 *    goes on, unread, up to its CRLF.
 * 2. No more than `limit` octets of an unfinished line are ever held; a longer one is reported at once and dropped.
 * 3. A line that arrives in one piece is handed on as a slice of it.
 * 4. The bytes behind the last line taken can be taken raw (DATA, BDAT) or forgotten (STARTTLS).
 */
import { CR, concat, EMPTY, LF } from "../util/bytes.ts";
import { Fifo } from "../util/fifo.ts";

export type Framed =
  | { readonly kind: "line"; readonly bytes: Uint8Array }
  | { readonly kind: "too-long" }
  /** A bare CR or LF. `again`: no CRLF has come since the last one that was reported. */
  | { readonly kind: "bare"; readonly again: boolean };

const TOO_LONG: Framed = { kind: "too-long" };

export class LineFramer {
  readonly #limit: number;
  readonly #chunks = new Fifo<Uint8Array>();
  #current: Uint8Array = EMPTY;
  #at = 0;
  /** Octets in `#chunks`. */
  #queued = 0;
  #partial: Uint8Array[] = [];
  #partialSize = 0;
  /** The last octet of the previous chunk was a CR whose LF has not come. */
  #afterCr = false;
  #skipping = false;
  #bare = false;

  /** `limit`: octets of a line, its CRLF included. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Octets that were pushed and not read yet. */
  get unread(): number {
    return this.#queued + this.#current.length - this.#at;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    // What waits goes first, even when the piece before it has been taken already.
    if (this.#at < this.#current.length || this.#chunks.length > 0) {
      this.#chunks.push(chunk);
      this.#queued += chunk.length;
    } else {
      this.#current = chunk;
      this.#at = 0;
    }
  }

  /** The next line or fault, or `undefined` until more bytes come. */
  next(): Framed | undefined {
    for (;;) {
      if (this.#at >= this.#current.length && !this.#advance()) return undefined;
      const framed = this.#scan();
      if (framed !== undefined) return framed;
    }
  }

  /** The next piece of what was not read as lines. */
  takeRaw(): Uint8Array | undefined {
    if (this.#at >= this.#current.length && !this.#advance()) return undefined;
    const raw = this.#at === 0 ? this.#current : this.#current.subarray(this.#at);
    this.#at = this.#current.length;
    return raw;
  }

  /** Puts back the tail of what `takeRaw` gave. */
  putBack(rest: Uint8Array): void {
    if (rest.length === 0) return;
    if (this.#at < this.#current.length) throw new Error("bytes are put back only before others are read");
    this.#current = rest;
    this.#at = 0;
  }

  /** Forgets all that was not read. */
  clear(): void {
    this.#chunks.clear();
    this.#queued = 0;
    this.#current = EMPTY;
    this.#at = 0;
    this.#dropPartial();
    this.#afterCr = this.#skipping = this.#bare = false;
  }

  #advance(): boolean {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return false;
    this.#queued -= chunk.length;
    this.#current = chunk;
    this.#at = 0;
    return true;
  }

  #scan(): Framed | undefined {
    const bytes = this.#current;
    const start = this.#at;
    let afterCr = this.#afterCr;
    for (let i = start; i < bytes.length; i++) {
      const c = bytes[i];
      if (c === LF) {
        if (afterCr) return this.#endLine(start, i);
        return this.#foundBare(i + 1, false);
      }
      if (afterCr) return this.#foundBare(i, c === CR);
      afterCr = c === CR;
      if (i - start + this.#partialSize >= this.#limit && !this.#skipping) return this.#foundTooLong(i, afterCr);
    }
    this.#keepPartial(bytes.subarray(start), afterCr);
    this.#at = bytes.length;
    return undefined;
  }

  #endLine(start: number, lf: number): Framed | undefined {
    this.#at = lf + 1;
    this.#afterCr = false;
    if (this.#skipping) {
      this.#skipping = this.#bare = false;
      return undefined;
    }
    if (this.#partialSize === 0) {
      if (lf - start + 1 > this.#limit) return TOO_LONG;
      return { kind: "line", bytes: this.#current.subarray(start, lf - 1) };
    }
    const whole = concat([...this.#partial, this.#current.subarray(start, lf + 1)]);
    this.#dropPartial();
    return whole.length > this.#limit ? TOO_LONG : { kind: "line", bytes: whole.subarray(0, whole.length - 2) };
  }

  #foundBare(next: number, cr: boolean): Framed | undefined {
    this.#at = cr ? next + 1 : next;
    this.#afterCr = cr;
    this.#dropPartial();
    if (this.#skipping && !this.#bare) {
      this.#bare = true; // the line was too long and has been answered
      return undefined;
    }
    const again = this.#bare;
    this.#skipping = this.#bare = true;
    return { kind: "bare", again };
  }

  #foundTooLong(i: number, afterCr: boolean): Framed {
    this.#at = i + 1;
    this.#afterCr = afterCr;
    this.#skipping = true;
    this.#dropPartial();
    return TOO_LONG;
  }

  #keepPartial(rest: Uint8Array, afterCr: boolean): void {
    this.#afterCr = afterCr;
    if (this.#skipping) return;
    this.#partial.push(rest.slice()); // a copy, so that one octet does not hold the whole read buffer
    this.#partialSize += rest.length;
    if (this.#partial.length > 64) this.#partial = [concat(this.#partial)];
  }

  #dropPartial(): void {
    if (this.#partialSize === 0) return;
    this.#partial = [];
    this.#partialSize = 0;
  }
}
