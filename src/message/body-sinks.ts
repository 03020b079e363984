/**
 * What a body can go through on its way into a converted message: one sink for each way to treat it.
 *
 * Rules
 * 1. A sink gets its body in any chunks and gives the same octets for all of them; it keeps a bounded few.
 * 2. What a reader decodes from the output is what stood in the input; only what readers ignore may be left out.
 */
import { Base64LineEncoder } from "../util/base64.ts";
import { CR, CRLF, concat, EMPTY, LF, latin1 } from "../util/bytes.ts";
import { ContentScanner } from "./facts.ts";
import { QuotedPrintableEncoder } from "./quoted-printable.ts";

/** RFC 5321 4.5.3.1.6, without CRLF. */
export const LINE_LIMIT = 998;
/** Where an overlong line of an encoded body is broken: an escape still fits behind it. */
const BREAK_AT = 990;

export interface BodySink {
  push(chunk: Uint8Array): Uint8Array;
  /** The rest; `undefined` where the body cannot go out in this way. */
  end(): Uint8Array | undefined;
  /** The output so far ends in a line break that is not the body's: a delimiter needs no other. */
  readonly endsLine: boolean;
}

export function quotedPrintableSink(): BodySink {
  const encoder = new QuotedPrintableEncoder();
  return { push: (chunk) => encoder.push(chunk), end: () => encoder.end(), endsLine: false };
}

export function base64Sink(): BodySink {
  const encoder = new Base64LineEncoder();
  let wrote = false;
  return {
    push(chunk) {
      wrote ||= chunk.length > 0;
      return encoder.push(chunk);
    },
    end: () => encoder.end(),
    get endsLine() {
      return wrote;
    },
  };
}

/** As it is, whatever it holds. */
export function plainSink(): BodySink {
  return { push: (chunk) => chunk, end: () => EMPTY, endsLine: false };
}

/** As it is, provided that it holds nothing that would need a change: for what must not be changed (RFC 1847 2.1). */
export function checkedSink(sevenBit: boolean): BodySink {
  const scanner = new ContentScanner();
  return {
    push(chunk) {
      scanner.push(chunk);
      return chunk;
    },
    end() {
      const facts = scanner.facts();
      const clean = !facts.binary && facts.longestLine <= LINE_LIMIT && !(sevenBit && facts.eightBit);
      return clean ? EMPTY : undefined;
    },
    endsLine: false,
  };
}

/** How one octet that may not stand, and a line that has grown too long, are written. */
interface Mending {
  readonly octet: (c: number) => Uint8Array;
  /** What a CR or LF alone becomes. */
  readonly loneBreak: Uint8Array;
  /** Written where a line is too long; absent: the rest of such a line is dropped. */
  readonly lineBreak?: Uint8Array;
  /** Whether a line may be broken behind the octets written last. */
  readonly mayBreak: (before: number, last: number) => boolean;
}

const HYPHEN = 45;
const EQUALS = 61;
const escaped = (c: number): Uint8Array => latin1(`=${c.toString(16).toUpperCase().padStart(2, "0")}`);
/** Neither base64 nor boundaries hold a circumflex (RFC 2046 5.1.1): readers pass over it, and no delimiter comes to be by it. */
const STRAY = latin1("^");

/** A body that is quoted-printable already: stray octets are escaped, overlong lines broken softly. */
export function quotedPrintableMender(sevenBit: boolean): BodySink {
  const mayBreak = (before: number, last: number) => before !== EQUALS && last !== EQUALS;
  return menderSink(sevenBit, { octet: escaped, loneBreak: CRLF, lineBreak: latin1("=\r\n"), mayBreak });
}

/** A body that is base64 already: readers pass over stray octets and line breaks (RFC 2045 6.8). */
export function base64Mender(sevenBit: boolean): BodySink {
  return menderSink(sevenBit, { octet: () => STRAY, loneBreak: CRLF, lineBreak: CRLF, mayBreak: () => true });
}

/** What stands before the first and after the last part, which readers ignore (RFC 2046 5.1.1). */
export function gapSink(sevenBit: boolean): BodySink {
  return menderSink(sevenBit, { octet: () => STRAY, loneBreak: STRAY, mayBreak: () => true });
}

function menderSink(sevenBit: boolean, mending: Mending): BodySink {
  const mender = new Mender(sevenBit, mending);
  return { push: (chunk) => mender.push(chunk), end: () => mender.end(), endsLine: false };
}

class Mender {
  readonly #most: number;
  readonly #mending: Mending;
  #column = 0;
  #before = 0;
  #last = 0;
  #afterCr = false;
  /** The line was begun here, not in the input: were its first octet a hyphen, it could become a delimiter. */
  #ownLine = false;

  constructor(sevenBit: boolean, mending: Mending) {
    this.#most = sevenBit ? 127 : 255;
    this.#mending = mending;
  }

  push(chunk: Uint8Array): Uint8Array {
    const out: Uint8Array[] = [];
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const c = chunk[i] as number;
      const legal = c !== 0 && c !== CR && c !== LF && c <= this.#most;
      if (legal && !this.#afterCr && !this.#ownLine && this.#column < BREAK_AT) {
        this.#wrote(c);
        continue;
      }
      if (i > from) out.push(chunk.subarray(from, i));
      from = i + 1;
      this.#special(c, legal, out);
    }
    if (from < chunk.length) out.push(from === 0 ? chunk : chunk.subarray(from));
    return concat(out);
  }

  end(): Uint8Array {
    const last = this.#afterCr ? this.#mending.loneBreak : EMPTY;
    this.#afterCr = false;
    return last;
  }

  #special(c: number, legal: boolean, out: Uint8Array[]): void {
    const afterCr = this.#afterCr;
    this.#afterCr = false;
    if (afterCr && c === LF) {
      this.#break(CRLF, false, out);
      return;
    }
    if (afterCr) this.#lone(out);
    if (c === CR) this.#afterCr = true;
    else if (c === LF) this.#lone(out);
    else this.#write(c, legal, out);
  }

  #lone(out: Uint8Array[]): void {
    const { loneBreak } = this.#mending;
    if (loneBreak === CRLF) this.#break(loneBreak, true, out);
    else if (this.#column < BREAK_AT) {
      out.push(loneBreak);
      this.#wrote(loneBreak[0] as number);
    }
  }

  #break(bytes: Uint8Array, own: boolean, out: Uint8Array[]): void {
    out.push(bytes);
    this.#column = 0;
    this.#before = 0;
    this.#last = LF;
    this.#ownLine = own;
  }

  #write(c: number, legal: boolean, out: Uint8Array[]): void {
    const { lineBreak, mayBreak, octet } = this.#mending;
    if (this.#column >= BREAK_AT) {
      if (lineBreak === undefined) return;
      if (mayBreak(this.#before, this.#last) || this.#column >= LINE_LIMIT - 4) this.#break(lineBreak, true, out);
    }
    const octets = legal && !(this.#ownLine && c === HYPHEN) ? Uint8Array.of(c) : octet(c);
    this.#ownLine = false;
    out.push(octets);
    for (const written of octets) this.#wrote(written);
  }

  #wrote(c: number): void {
    this.#before = this.#last;
    this.#last = c;
    this.#column++;
  }
}
