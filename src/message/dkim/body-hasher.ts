/**
 * The hashes of one canonical form of a body: of all of it, and of its beginnings, where signatures have l= (RFC 6376 3.4.5).
 *
 * Rules
 * 1. Each octet is hashed once, however many signatures ask: the running hash is copied where a length is reached.
 */
import { BodyCanonicalizer, type Canonicalization } from "./canonical-body.ts";
import type { ByteSink, DkimCrypto, RunningHash } from "./primitives.ts";

export class BodyHasher implements ByteSink {
  readonly #hash: RunningHash;
  readonly #canonicalizer: BodyCanonicalizer;
  /** Lengths not reached yet, the next one last. */
  readonly #lengths: number[];
  readonly #digests = new Map<number, Uint8Array>();
  #size = 0;
  #whole: Uint8Array | undefined;

  /** `lengths`: the values of l= that are asked for. */
  constructor(form: Canonicalization, lengths: Iterable<number>, crypto: DkimCrypto) {
    this.#hash = crypto.sha256();
    this.#canonicalizer = new BodyCanonicalizer(form, this);
    this.#lengths = [...new Set(lengths)].sort((a, b) => b - a);
    this.#reach();
  }

  push(chunk: Uint8Array): void {
    this.#canonicalizer.push(chunk);
  }

  end(): void {
    this.#canonicalizer.end();
    this.#whole = this.#hash.digest();
  }

  /** For the canonicalizer: octets of the canonical form. */
  update(bytes: Uint8Array): void {
    let from = 0;
    for (let next = this.#lengths.at(-1); next !== undefined && next <= this.#size + bytes.length; next = this.#lengths.at(-1)) {
      const to = next - this.#size;
      if (to > from) this.#hash.update(bytes.subarray(from, to));
      from = to;
      this.#digests.set(next, this.#hash.digestSoFar());
      this.#lengths.pop();
    }
    if (from < bytes.length) this.#hash.update(from === 0 ? bytes : bytes.subarray(from));
    this.#size += bytes.length;
  }

  /** Octets of the canonical form, after `end`. */
  get size(): number {
    return this.#size;
  }

  /** The hash of the body, or of its first `length` octets; nothing where it has not so many. After `end`. */
  digest(length: number | undefined): Uint8Array | undefined {
    return length === undefined ? this.#whole : this.#digests.get(length);
  }

  /** l=0 is reached before anything came. */
  #reach(): void {
    if (this.#lengths.at(-1) !== 0) return;
    this.#digests.set(0, this.#hash.digestSoFar());
    this.#lengths.pop();
  }
}
