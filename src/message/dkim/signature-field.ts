/**
 * The fields that hold signatures: DKIM-Signature (RFC 6376 3.5) and, with the same syntax, ARC-Message-Signature and ARC-Seal (RFC 8617 4.1).
 *
 * Rules
 * 1. Strict: what is required is there, in its form; a field that breaks the syntax is never tried.
 * 2. A field that cannot be used still says whose it claims to be, as far as it can be read.
 * 3. Tags that are not known are passed over (RFC 6376 3.2).
 */
import { isDomain } from "../../mail/domain.ts";
import { decodeBase64 } from "../../util/base64.ts";
import { fromLatin1, fromUtf8, isAscii } from "../../util/bytes.ts";
import type { HeaderField } from "../header-section.ts";
import type { Canonicalization } from "./canonical-body.ts";
import type { Hole } from "./canonical-header.ts";
import { colonList, parseTagList, shown, type TagList, withoutSpace } from "./tag-list.ts";

/** rsa-sha1 is read so that it can be named; RFC 8301 3.1 forbids to accept it. */
export type SignatureAlgorithm = "rsa-sha256" | "ed25519-sha256" | "rsa-sha1";

/** What a signature says, be it DKIM's or one of ARC's. */
export interface Signature {
  readonly field: HeaderField;
  readonly hole: Hole;
  readonly algorithm: SignatureAlgorithm;
  readonly domain: string;
  readonly selector: string;
  readonly signature: Uint8Array;
  /** b= without spaces: its beginning tells signatures apart (RFC 6008). */
  readonly signatureText: string;
  /** t=, in seconds since 1970 UTC. */
  readonly created: number | undefined;
}

/** A signature over a message: DKIM-Signature or ARC-Message-Signature. */
export interface MessageSignature extends Signature {
  readonly headerForm: Canonicalization;
  readonly bodyForm: Canonicalization;
  readonly bodyHash: Uint8Array;
  /** h=, in lower case, in order, as often as each stands there. */
  readonly names: readonly string[];
  /** l=: octets of the canonical body that are signed; absent: all. */
  readonly length: number | undefined;
  /** x=, in seconds since 1970 UTC. */
  readonly expires: number | undefined;
  /** i= as written, `@d=` where absent. For ARC, where i= is something else, always the latter. */
  readonly identity: string;
}

/** A field that is not fit to be verified. */
export interface Unusable {
  readonly field: HeaderField;
  /** neutral: its syntax is broken, or it is of a kind not known. permerror: it can be read, and can never be verified. */
  readonly verdict: "neutral" | "permerror";
  /** In words. */
  readonly why: string;
  readonly domain: string | undefined;
  readonly selector: string | undefined;
  readonly algorithm: string | undefined;
  readonly tags: TagList | undefined;
}

export type ReadField<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly value: Unusable };

/** How DKIM-Signature and ARC's fields differ. */
export type SignatureKind = "dkim" | "arc";

/** Thrown inside this file alone. */
class Refusal extends Error {
  readonly verdict: "neutral" | "permerror";

  constructor(verdict: "neutral" | "permerror", why: string) {
    super(why);
    this.verdict = verdict;
  }
}

/** The tags of a header field. */
export function readTags(field: HeaderField): ReturnType<typeof parseTagList> & { readonly offset: number } {
  const colon = field.raw.indexOf(58);
  const text = fromLatin1(field.raw.subarray(colon + 1));
  // A CR or LF may stand in folding alone (RFC 5322 2.2.3).
  if (/\r(?!\n)|(?<!\r)\n/.test(text)) return { ok: false, why: "it has a CR or LF that is no part of a line end", offset: 0 };
  return { ...parseTagList(text), offset: colon + 1 };
}

/** Reads a DKIM-Signature or ARC-Message-Signature. */
export function readMessageSignature(field: HeaderField, kind: SignatureKind): ReadField<MessageSignature> {
  return reading(field, (tags, offset) => {
    if (kind === "dkim") checkVersion(tags);
    const base = signatureOf(field, tags, offset);
    const [headerForm, bodyForm] = formsOf(tags);
    const names = namesOf(tags);
    // RFC 8617 4.1.2: a seal is made after the message signature, and the next sealer adds another.
    if (kind === "arc" && names.includes("arc-seal"))
      throw new Refusal("permerror", "it covers ARC-Seal fields, which it must not (RFC 8617 4.1.2)");
    checkQuery(tags);
    const expires = numberOf(tags, "x", 12);
    if (expires !== undefined && base.created !== undefined && expires <= base.created) {
      throw new Refusal("neutral", "x= (when it expires) is not later than t= (when it was made)");
    }
    return {
      ...base,
      headerForm,
      bodyForm,
      bodyHash: base64Of(tags, "bh"),
      names,
      length: numberOf(tags, "l", 76),
      expires,
      identity: kind === "dkim" ? identityOf(tags, base.domain) : `@${base.domain}`,
    };
  });
}

/** Reads an ARC-Seal: no h=, no bh=, relaxed always (RFC 8617 4.1.3). */
export function readSeal(field: HeaderField): ReadField<Signature & { readonly tags: TagList }> {
  return reading(field, (tags, offset) => {
    if (tags.has("h")) throw new Refusal("permerror", "it has h=, which an ARC-Seal must not have (RFC 8617 4.1.3)");
    return { ...signatureOf(field, tags, offset), tags };
  });
}

function reading<T>(field: HeaderField, read: (tags: TagList, offset: number) => T): ReadField<T> {
  const list = readTags(field);
  const tags = list.ok ? list.value : undefined;
  try {
    if (!list.ok) throw new Refusal("neutral", list.why);
    return { ok: true, value: read(list.value, list.offset) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const claimed = (name: string): string | undefined => {
      const value = tags?.get(name)?.value;
      return value === undefined ? undefined : shown(value);
    };
    return {
      ok: false,
      value: {
        field,
        verdict: error.verdict,
        why: error.message,
        domain: claimed("d"),
        selector: claimed("s"),
        algorithm: claimed("a"),
        tags,
      },
    };
  }
}

function required(tags: TagList, name: string): string {
  const tag = tags.get(name);
  if (tag === undefined) throw new Refusal("neutral", `the tag ${name}= is missing`);
  return tag.value;
}

function checkVersion(tags: TagList): void {
  const version = required(tags, "v");
  if (version !== "1") throw new Refusal("neutral", `it is of version ${shown(version)}: only 1 is known`);
}

function signatureOf(field: HeaderField, tags: TagList, offset: number): Signature {
  const algorithm = required(tags, "a").toLowerCase();
  if (algorithm !== "rsa-sha256" && algorithm !== "ed25519-sha256" && algorithm !== "rsa-sha1") {
    throw new Refusal("neutral", `its algorithm ${shown(algorithm)} is not known`);
  }
  const domain = nameOf(tags, "d");
  const selector = nameOf(tags, "s");
  const signature = base64Of(tags, "b");
  const { start, end } = tags.get("b") as { start: number; end: number };
  return {
    field,
    hole: { start: offset + start, end: endOfValue(field.raw, offset + end) },
    algorithm,
    domain,
    selector,
    signature,
    signatureText: withoutSpace(required(tags, "b")),
    created: numberOf(tags, "t", 12),
  };
}

/** b= as the last tag has the field's CRLF behind it, which is not its own. */
function endOfValue(raw: Uint8Array, end: number): number {
  return end === raw.length && raw[end - 1] === 10 && raw[end - 2] === 13 ? end - 2 : end;
}

/** d= or s=; U-labels as UTF-8 (RFC 8616 4), kept as they stand. */
function nameOf(tags: TagList, tag: string): string {
  const written = required(tags, tag);
  const name = isAscii(written) ? written : (fromUtf8(Uint8Array.from(written, (c) => c.charCodeAt(0))) ?? "");
  if (!isDomain(name)) throw new Refusal("neutral", `${tag}=${shown(written)} is no domain name`);
  return name;
}

function base64Of(tags: TagList, name: string): Uint8Array {
  const octets = decodeBase64(withoutSpace(required(tags, name)));
  if (octets === undefined || octets.length === 0) throw new Refusal("neutral", `${name}= is not base64`);
  return octets;
}

function numberOf(tags: TagList, name: string, digits: number): number | undefined {
  const value = tags.get(name)?.value;
  if (value === undefined) return undefined;
  if (value.length > digits || !/^[0-9]+$/.test(value)) throw new Refusal("neutral", `${name}=${shown(value)} is no number`);
  return Number(value);
}

function formsOf(tags: TagList): [Canonicalization, Canonicalization] {
  const value = tags.get("c")?.value ?? "simple/simple";
  const [header, body = "simple", ...more] = value.toLowerCase().split("/");
  const known = (form: string | undefined): form is Canonicalization => form === "simple" || form === "relaxed";
  if (!known(header) || !known(body) || more.length > 0) throw new Refusal("neutral", `c=${shown(value)} is no canonicalization`);
  return [header, body];
}

/** Only dns/txt is known (RFC 6376 3.5); a query type among others that is not known is passed over. */
function checkQuery(tags: TagList): void {
  const value = tags.get("q")?.value;
  if (value === undefined || colonList(value.toLowerCase()).includes("dns/txt")) return;
  throw new Refusal("neutral", `its key is to be found by ${shown(value)}: only dns/txt is known`);
}

function namesOf(tags: TagList): string[] {
  const names = colonList(required(tags, "h").toLowerCase());
  for (const name of names) {
    if (!/^[\x21-\x39\x3c-\x7e]+$/.test(name)) throw new Refusal("neutral", `h= names "${shown(name)}", which is no header field`);
  }
  // RFC 6376 5.4: the From field must be signed; 6.1.1 has the rest.
  if (!names.includes("from")) throw new Refusal("permerror", "the From field is not signed (h= must name it)");
  return names;
}

/** i= with a domain that is d= or below it (RFC 6376 3.5). */
function identityOf(tags: TagList, domain: string): string {
  const value = tags.get("i")?.value;
  if (value === undefined) return `@${domain}`;
  const identity = withoutSpace(value);
  const at = identity.lastIndexOf("@");
  if (at < 0) throw new Refusal("neutral", `i=${shown(identity)} has no "@"`);
  const below = identity.slice(at + 1).toLowerCase();
  const own = tags.get("d")?.value.toLowerCase() ?? "";
  if (below !== own && !below.endsWith(`.${own}`)) {
    throw new Refusal("permerror", `i=${shown(identity)} is not at d=${shown(own)} nor below it`);
  }
  return isAscii(identity) ? identity : (fromUtf8(Uint8Array.from(identity, (c) => c.charCodeAt(0))) ?? identity);
}

/** The domain of an identity. */
export function identityDomain(identity: string): string {
  return identity.slice(identity.lastIndexOf("@") + 1);
}
