/**
 * Reads a message once for all that is to be verified or sealed: its signatures, its ARC sets, and the hashes of its body that they ask for.
 *
 * Rules
 * 1. The body is hashed at most twice, once for each canonical form, whatever a stranger's signatures ask for; nothing of it is kept.
 * 2. At most `SIGNATURE_LIMIT` DKIM-Signature fields are looked at, from the top; the rest are counted.
 * 3. What the header section asks for is known before the body came: keys can be looked up meanwhile.
 */
import { HeaderReader, type HeaderSection } from "../header-section.ts";
import { type ArcChain, readArcChain } from "./arc-set.ts";
import { BodyHasher } from "./body-hasher.ts";
import type { Canonicalization } from "./canonical-body.ts";
import { nodeCrypto } from "./crypto.ts";
import { FieldIndex } from "./field-selection.ts";
import type { DkimCrypto } from "./primitives.ts";
import { type MessageSignature, type ReadField, readMessageSignature } from "./signature-field.ts";

/** DKIM-Signature fields of one message that are looked at (RFC 6376 6.1 leaves the number to us). */
export const SIGNATURE_LIMIT = 10;

export interface SignedHeader {
  readonly section: HeaderSection;
  readonly index: FieldIndex;
  /** The first `SIGNATURE_LIMIT` DKIM-Signature fields, from the top. */
  readonly dkim: readonly ReadField<MessageSignature>[];
  /** DKIM-Signature fields beyond them. */
  readonly skipped: number;
  readonly arc: ArcChain;
}

export interface BodyHash {
  /** Nothing where the body has fewer octets than l= says. */
  readonly digest: Uint8Array | undefined;
  /** Octets of the canonical body. */
  readonly size: number;
}

export interface SignedMessage extends SignedHeader {
  readonly crypto: DkimCrypto;
  /** Of the forms and lengths that signatures of this message have, and of the forms that were asked for beside them. */
  bodyHash(form: Canonicalization, length: number | undefined): BodyHash;
}

export interface SignedMessageOptions {
  /** A form of the body to hash whether or not a signature has it: what an ARC sealer needs. */
  readonly form?: Canonicalization;
  readonly crypto?: DkimCrypto;
}

export class SignedMessageReader {
  readonly #options: SignedMessageOptions;
  readonly #crypto: DkimCrypto;
  readonly #reader = new HeaderReader();
  #header: SignedHeader | undefined;
  readonly #hashers = new Map<Canonicalization, BodyHasher>();

  constructor(options: SignedMessageOptions = {}) {
    this.#options = options;
    this.#crypto = options.crypto ?? nodeCrypto;
  }

  /** What the header section says; nothing until it is whole. */
  get header(): SignedHeader | undefined {
    return this.#header;
  }

  push(chunk: Uint8Array): void {
    if (this.#header !== undefined) for (const hasher of this.#hashers.values()) hasher.push(chunk);
    else if (this.#reader.push(chunk)) this.#endHeader();
  }

  /** The message has ended. */
  finish(): SignedMessage {
    const header = this.#header ?? this.#endHeader();
    for (const hasher of this.#hashers.values()) hasher.end();
    return {
      ...header,
      crypto: this.#crypto,
      bodyHash: (form, length) => {
        const hasher = this.#hashers.get(form);
        if (hasher === undefined) throw new RangeError(`the body was not hashed in its ${form} form: it has to be asked for`);
        return { digest: hasher.digest(length), size: hasher.size };
      },
    };
  }

  #endHeader(): SignedHeader {
    const { section, rest } = this.#reader.finish();
    const index = new FieldIndex(section);
    const fields = index.all("dkim-signature");
    const dkim = fields.slice(0, SIGNATURE_LIMIT).map((field) => readMessageSignature(field, "dkim"));
    const arc = readArcChain(index);
    const header: SignedHeader = { section, index, dkim, skipped: Math.max(0, fields.length - SIGNATURE_LIMIT), arc };
    this.#header = header;
    this.#makeHashers(header);
    for (const chunk of rest) for (const hasher of this.#hashers.values()) hasher.push(chunk);
    return header;
  }

  #makeHashers({ dkim, arc }: SignedHeader): void {
    const lengths = new Map<Canonicalization, number[]>();
    if (this.#options.form !== undefined) lengths.set(this.#options.form, []);
    const messages = arc.kind === "sets" ? arc.sets.map((set) => set.message) : [];
    for (const read of [...dkim, ...messages]) {
      if (!read.ok) continue;
      const { bodyForm, length } = read.value;
      const known = lengths.get(bodyForm) ?? [];
      if (length !== undefined) known.push(length);
      lengths.set(bodyForm, known);
    }
    for (const [form, asked] of lengths) this.#hashers.set(form, new BodyHasher(form, asked, this.#crypto));
  }
}

/** Reads a message that is in memory. */
export function readSignedMessage(chunks: Iterable<Uint8Array>, options?: SignedMessageOptions): SignedMessage {
  const reader = new SignedMessageReader(options);
  for (const chunk of chunks) reader.push(chunk);
  return reader.finish();
}
