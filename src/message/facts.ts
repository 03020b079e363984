/**
 * What a content is made of, found while its chunks go by.
 *
 * Rules
 * 1. Every octet is looked at once and nothing is kept but a few numbers.
 * 2. Any way of cutting the content into chunks gives the same facts.
 */
import type { ContentFacts } from "../mail/content.ts";
import { CR, LF } from "../util/bytes.ts";
import { PLAIN_STEP, skipPlain } from "../util/plain-octets.ts";
import { EMPTY, FIRST, headerSteps } from "./header-line.ts";

export class ContentScanner {
  #size = 0;
  #bits = 0;
  #headerBits = 0;
  #headerState = FIRST;
  #binary = false;
  #afterCr = false;
  #longest = 0;
  /** Where the current line began, counted from the start of the content. */
  #lineStart = 0;

  push(chunk: Uint8Array): void {
    if (this.#headerState < EMPTY) this.#scanHeader(chunk);
    this.#scan(chunk);
  }

  /** The facts of what was pushed so far, taken as a whole content. */
  facts(): ContentFacts {
    return {
      size: this.#size,
      eightBit: this.#bits > 127,
      eightBitHeader: this.#headerBits > 127,
      binary: this.#binary || this.#afterCr,
      longestLine: Math.max(this.#longest, this.#size - this.#lineStart),
    };
  }

  #scanHeader(chunk: Uint8Array): void {
    let state = this.#headerState;
    let bits = this.#headerBits;
    for (let i = 0; i < chunk.length; i++) {
      const c = chunk[i] as number;
      state = headerSteps[(state << 8) | c] as number;
      // The octet that shows a line to be the body's is the body's.
      if (state >= EMPTY) break;
      bits |= c;
    }
    this.#headerState = state;
    this.#headerBits = bits;
  }

  #scan(chunk: Uint8Array): void {
    const length = chunk.length;
    const base = this.#size;
    const view = new DataView(chunk.buffer, chunk.byteOffset, length);
    let bits = this.#bits;
    let binary = this.#binary;
    let longest = this.#longest;
    let lineStart = this.#lineStart - base;
    // The index at which an LF would end a line; -1 where the octet before was no CR.
    let lfAt = this.#afterCr ? 0 : -1;
    let i = 0;
    while (i < length) {
      if (lfAt !== i) i = skipPlain(view, i, length);
      for (const stop = Math.min(i + PLAIN_STEP, length); i < stop; i++) {
        const c = chunk[i] as number;
        if (c > CR && c < 128 && lfAt !== i) continue;
        bits |= c;
        if (lfAt === i && c === LF) {
          longest = Math.max(longest, i - 1 - lineStart);
          lineStart = i + 1;
        } else {
          binary ||= lfAt === i || c === LF || c === 0;
          if (c === CR) lfAt = i + 1;
        }
      }
    }
    this.#bits = bits;
    this.#binary = binary;
    if (length > 0) this.#afterCr = lfAt === length;
    this.#longest = longest;
    this.#lineStart = lineStart + base;
    this.#size = base + length;
  }
}

/** The facts of a content that is there as a whole. */
export function contentFacts(chunks: Iterable<Uint8Array>): ContentFacts {
  const scanner = new ContentScanner();
  for (const chunk of chunks) scanner.push(chunk);
  return scanner.facts();
}
