/**
 * Signs messages: DKIM-Signature fields to be put in front of a content, made while it goes by (RFC 6376 5).
 *
 * Rules
 * 1. The content is not kept and not copied: its header section is read, its body is hashed once for each canonical form asked for.
 * 2. Every key signs, or none does: what cannot be signed is an error, never a message with fewer signatures.
 * 3. Content that will not arrive as it is, is not signed (RFC 6376 5.3): a bare CR or LF; upper bits where it may be converted.
 * 4. l= is never written: what is added behind it would count as signed.
 */
import { encodeBase64 } from "../../util/base64.ts";
import { fromLatin1, isAscii, latin1 } from "../../util/bytes.ts";
import { HeaderReader, type HeaderSection } from "../header-section.ts";
import { BodyCanonicalizer, type Canonicalization } from "./canonical-body.ts";
import { HeaderInput } from "./canonical-header.ts";
import { FieldIndex, namesToSign, SIGNED_NAMES, type SigningName } from "./field-selection.ts";
import type { DkimKey } from "./key.ts";
import type { RunningHash } from "./primitives.ts";
import { signedField, unsignedField, type WrittenTag } from "./signature-text.ts";

export interface DkimSignerOptions {
  /** One or several, such as RSA and Ed25519; their fields come in this order. */
  readonly keys: readonly DkimKey[];
  /** relaxed by default, both. */
  readonly headerForm?: Canonicalization;
  readonly bodyForm?: Canonicalization;
  /** Which fields to sign; From is always signed. `SIGNED_NAMES` by default. */
  readonly names?: readonly SigningName[];
  /** x= is this many seconds after t=; absent: signatures do not expire. */
  readonly lifetime?: number;
  /** i=, such as `@news.example.com`: at the keys' domain or below it. Absent: no i=. */
  readonly identity?: string;
}

export interface SigningOptions {
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** A next hop may turn 8-bit content into 7-bit: such content is refused (`eight-bit`), to be converted first. */
  readonly mayBeConverted?: boolean;
  /** The header section, where the caller has it: what is pushed then is the body alone. */
  readonly section?: HeaderSection;
}

/** Why a content was not signed. */
export type UnsignableContent = "bare-line-end" | "eight-bit" | "no-from" | "header";

export class DkimContentError extends Error {
  override readonly name = "DkimContentError";
  readonly fault: UnsignableContent;

  constructor(fault: UnsignableContent, why: string) {
    super(why);
    this.fault = fault;
  }
}

export class DkimSigner {
  readonly options: Required<Pick<DkimSignerOptions, "keys" | "headerForm" | "bodyForm" | "names">> & DkimSignerOptions;

  /** Throws a RangeError for options that contradict one another. */
  constructor(options: DkimSignerOptions) {
    if (options.keys.length === 0) throw new RangeError("a signer needs a key");
    if (options.lifetime !== undefined && !(options.lifetime >= 1)) throw new RangeError("lifetime is in seconds, at least 1");
    for (const key of options.keys) checkIdentity(options.identity, key.domain);
    const names = options.names ?? SIGNED_NAMES;
    for (const { name } of names) {
      if (!/^[\x21-\x39\x3c-\x7e]+$/.test(name) || name !== name.toLowerCase())
        throw new RangeError(`"${name}" is no field name in lower case`);
      if (name === "dkim-signature") throw new RangeError("DKIM-Signature fields are not signed");
    }
    if (new Set(names.map(({ name }) => name)).size < names.length) throw new RangeError("a field name is given twice");
    this.options = {
      ...options,
      headerForm: options.headerForm ?? "relaxed",
      bodyForm: options.bodyForm ?? "relaxed",
      names: names.some(({ name }) => name === "from") ? names : [{ name: "from", oversign: "always" }, ...names],
    };
  }

  /** What the operator should know about the keys. */
  get warnings(): readonly string[] {
    return this.options.keys.flatMap((key) => key.warnings);
  }

  /** Signs content that comes in chunks. */
  start(options: SigningOptions): DkimSigning {
    return new DkimSigning(this, options);
  }

  /** Signs content that is in memory; the fields, to be put in front of it. Throws as `DkimSigning.finish` does. */
  sign(chunks: Iterable<Uint8Array>, options: SigningOptions): Uint8Array {
    const signing = this.start(options);
    for (const chunk of chunks) signing.push(chunk);
    return signing.finish();
  }
}

function checkIdentity(identity: string | undefined, domain: string): void {
  if (identity === undefined) return;
  if (!isAscii(identity) || /[\x00-\x20;=\x7f]/.test(identity)) throw new RangeError(`"${identity}" cannot be written as i=`);
  const below = identity.slice(identity.lastIndexOf("@") + 1).toLowerCase();
  if (!identity.includes("@") || (below !== domain && !below.endsWith(`.${domain}`))) {
    throw new RangeError(`i=${identity} must be at ${domain} or below it (RFC 6376 3.5)`);
  }
}

/** One content being signed. */
export class DkimSigning {
  readonly #signer: DkimSigner;
  readonly #options: SigningOptions;
  readonly #hash: RunningHash;
  readonly #body: BodyCanonicalizer;
  #reader: HeaderReader | undefined;
  #section: HeaderSection | undefined;

  /** Made by `DkimSigner.start`. */
  constructor(signer: DkimSigner, options: SigningOptions) {
    this.#signer = signer;
    this.#options = options;
    this.#hash = (signer.options.keys[0] as DkimKey).crypto.sha256();
    this.#body = new BodyCanonicalizer(signer.options.bodyForm, this.#hash);
    this.#section = options.section;
    if (options.section === undefined) this.#reader = new HeaderReader();
  }

  /** The next chunk. It must stay as it is until the header section is whole. */
  push(chunk: Uint8Array): void {
    if (this.#reader === undefined) this.#body.push(chunk);
    else if (this.#reader.push(chunk)) this.#endHeader(this.#reader);
  }

  /** The content has ended: the DKIM-Signature fields, one for each key, each with its CRLF. Throws a `DkimContentError`. */
  finish(): Uint8Array {
    if (this.#reader !== undefined) this.#endHeader(this.#reader);
    const section = this.#section as HeaderSection;
    this.#body.end();
    checkContent(section, this.#body, this.#options.mayBeConverted === true);
    const index = new FieldIndex(section);
    if (index.all("from").length === 0) throw new DkimContentError("no-from", "it has no From field, which must be signed (RFC 6376 5.4)");
    return latin1(signatures(this.#signer, index, section, this.#hash.digest(), this.#options.now));
  }

  #endHeader(reader: HeaderReader): void {
    const { section, rest } = reader.finish();
    this.#reader = undefined;
    this.#section = section;
    for (const chunk of rest) this.#body.push(chunk);
  }
}

function checkContent(section: HeaderSection, body: BodyCanonicalizer, mayBeConverted: boolean): void {
  if (!section.wellFormed) {
    const why = section.ending === "limit" ? "its header section is too long" : "its header section does not end with an empty line";
    throw new DkimContentError("header", why);
  }
  if (body.bareLineEnd || /\r(?!\n)|(?<!\r)\n/.test(fromLatin1(section.bytes))) {
    throw new DkimContentError(
      "bare-line-end",
      "it has a CR or LF that is no part of a CRLF, which would not arrive as it is (RFC 6376 5.3)",
    );
  }
  if (mayBeConverted && body.eightBit) {
    throw new DkimContentError(
      "eight-bit",
      "its body is 8-bit, and a next hop may convert it: it must be converted before it is signed (RFC 6376 5.3)",
    );
  }
}

/** The fields of all keys. The covered fields are written once; each signature's own field takes the place of the one before. */
function signatures(signer: DkimSigner, index: FieldIndex, section: HeaderSection, bodyHash: Uint8Array, now: number): string {
  const { keys, headerForm, names } = signer.options;
  const wanted = namesToSign(index, names);
  const input = new HeaderInput(section.bytes.length + 2048);
  for (const field of index.select(wanted)) input.add(field.raw, headerForm);
  const covered = input.size;
  const list = wanted.join(":");
  const hashText = encodeBase64(bodyHash);
  let text = "";
  for (const key of keys) {
    const unsigned = unsignedField("DKIM-Signature", tagsOf(signer, key, list, hashText, Math.floor(now / 1000)));
    const { length } = unsigned.before;
    input.truncate(covered);
    input.addSignature(latin1(unsigned.before + unsigned.after), { start: length, end: length }, headerForm);
    text += signedField(unsigned, encodeBase64(key.key.sign(input.bytes())));
  }
  return text;
}

function tagsOf({ options }: DkimSigner, key: DkimKey, names: string, bodyHash: string, created: number): WrittenTag[] {
  const tags: WrittenTag[] = [
    { name: "v", value: "1" },
    { name: "a", value: key.algorithm },
    { name: "c", value: `${options.headerForm}/${options.bodyForm}` },
    { name: "d", value: key.domain },
    { name: "s", value: key.selector },
    { name: "t", value: String(created) },
  ];
  if (options.lifetime !== undefined) tags.push({ name: "x", value: String(created + Math.floor(options.lifetime)) });
  if (options.identity !== undefined) tags.push({ name: "i", value: options.identity });
  tags.push({ name: "h", value: names, form: "list" }, { name: "bh", value: bodyHash }, { name: "b", value: "" });
  return tags;
}
