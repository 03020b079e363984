/**
 * Judges one signature over a message, with what DNS said about its key (RFC 6376 6.1, as RFC 8301 and RFC 8463 have changed it).
 *
 * Rules
 * 1. pass needs everything: a key that may be used, the same body, the same header fields. Whatever else happens is not pass.
 * 2. A DNS failure is temperror: nothing is known. An absence is permerror.
 * 3. The reason is for a person: what happened, and what would change it.
 */
import { encodeBase64 } from "../../util/base64.ts";
import { sameBytes } from "../../util/bytes.ts";
import { HeaderInput } from "./canonical-header.ts";
import { RSA_BITS_REFUSED_BELOW } from "./key.ts";
import { type KeyRecord, keyName, keyObjection, keyRecords, type TxtAnswer } from "./key-record.ts";
import type { DkimCrypto, KeyKind, VerifyingKey } from "./primitives.ts";
import { identityDomain, type MessageSignature, type Signature } from "./signature-field.ts";
import type { SignedMessage } from "./signed-message.ts";

/** RFC 8601 2.7.1, but for `none`, which is said of a message without signatures. */
export type DkimVerdict = "pass" | "fail" | "neutral" | "policy" | "temperror" | "permerror";

/** What decided. */
export type DkimCause =
  | "verified"
  | "unusable-field"
  | "algorithm"
  | "expired"
  | "dns"
  | "no-key"
  | "unusable-key"
  | "short-key"
  | "body-changed"
  | "header-changed"
  | "header-section";

export interface Judgement {
  readonly verdict: DkimVerdict;
  readonly cause: DkimCause;
  /** A sentence without a full stop, in lower case. */
  readonly reason: string;
  /** The key that was found, where one was. */
  readonly key: { readonly record: KeyRecord; readonly bits: number } | undefined;
  /** Set where the body was looked at. */
  readonly body: { readonly hash: string | undefined; readonly size: number } | undefined;
}

/** What is known without a key: an expired signature, an algorithm that is not accepted. */
export function judgeEarly(signature: Signature & { readonly expires?: number | undefined }, now: number): Judgement | undefined {
  if (signature.algorithm === "rsa-sha1") {
    return judged("policy", "algorithm", "it was made with rsa-sha1, which is not accepted any more (RFC 8301 3.1)");
  }
  if (signature.expires !== undefined && signature.expires * 1000 < now) {
    return judged("fail", "expired", `the signature expired at ${new Date(signature.expires * 1000).toISOString()}`);
  }
  return undefined;
}

/** Judges a DKIM-Signature or ARC-Message-Signature. `now` in milliseconds since 1970 UTC. */
export function judgeMessageSignature(signature: MessageSignature, message: SignedMessage, answer: TxtAnswer, now: number): Judgement {
  const early = judgeEarly(signature, now);
  if (early !== undefined) return early;
  if (message.section.ending === "limit") return judged("permerror", "header-section", "the header section is too long to be verified");
  const usable = usableKeys(signature, answer, message.crypto, strictIdentity(signature));
  if (!usable.ok) return usable.judgement;
  const first = usable.keys[0] as UsableKey;
  const { digest, size } = message.bodyHash(signature.bodyForm, signature.length);
  const seen = { key: keyOf(first), body: { hash: digest === undefined ? undefined : encodeBase64(digest), size } };
  if (digest === undefined) {
    return judged("fail", "body-changed", `the body was cut after signing: ${signature.length} octets are signed, it has ${size}`, seen);
  }
  if (!sameBytes(digest, signature.bodyHash)) {
    return judged(
      "fail",
      "body-changed",
      "the body was changed after signing (mailing lists that add a footer and filters that rewrite do that)",
      seen,
    );
  }
  const input = signedInput(signature, message);
  const key = usable.keys.find(({ key }) => key.verify(input, signature.signature));
  if (key === undefined) {
    const reason = "the body is as it was signed, but a signed header field was changed, or another key made the signature";
    return judged("fail", "header-changed", reason, seen);
  }
  return judged("pass", "verified", `the signature of ${signature.domain} is good`, { ...seen, key: keyOf(key) });
}

/** Judges an ARC-Seal over these octets. */
export function judgeSeal(seal: Signature, input: Uint8Array, answer: TxtAnswer, crypto: DkimCrypto): Judgement {
  const early = judgeEarly(seal, 0);
  if (early !== undefined) return early;
  const usable = usableKeys(seal, answer, crypto, undefined);
  if (!usable.ok) return usable.judgement;
  const key = usable.keys.find(({ key }) => key.verify(input, seal.signature));
  if (key !== undefined) return judged("pass", "verified", `the seal of ${seal.domain} is good`, { key: keyOf(key), body: undefined });
  const seen = { key: keyOf(usable.keys[0] as UsableKey), body: undefined };
  return judged("fail", "header-changed", "an ARC field was changed after sealing, or another key made the seal", seen);
}

interface UsableKey {
  readonly record: KeyRecord;
  readonly key: VerifyingKey;
}

type UsableKeys = { readonly ok: true; readonly keys: readonly UsableKey[] } | { readonly ok: false; readonly judgement: Judgement };

/** The keys that DNS has for a signature and that may be used for it (RFC 6376 6.1.2). */
function usableKeys(signature: Signature, answer: TxtAnswer, crypto: DkimCrypto, strictAgainst: string | undefined): UsableKeys {
  const name = keyName(signature.selector, signature.domain);
  const no = (verdict: DkimVerdict, cause: DkimCause, why: string): UsableKeys => ({ ok: false, judgement: judged(verdict, cause, why) });
  if (answer.kind === "failed") return no("temperror", "dns", `DNS did not answer for ${name}: ${answer.why}`);
  if (answer.kind === "no-domain") return no("permerror", "no-key", `there is no key: ${name} does not exist`);
  if (answer.kind === "no-data" || answer.records.length === 0)
    return no("permerror", "no-key", `there is no key: ${name} has no TXT record`);
  const records = keyRecords(answer.records);
  if (!records.ok) return no("permerror", "unusable-key", `the TXT record at ${name} is no key record: ${records.why}`);
  const kind: KeyKind = signature.algorithm === "ed25519-sha256" ? "ed25519" : "rsa";
  const keys: UsableKey[] = [];
  let objection: Judgement | undefined;
  for (const record of records.value) {
    const read = usableKey(record, kind, crypto, strictAgainst, name);
    if ("verdict" in read) objection ??= read;
    else keys.push(read);
  }
  return keys.length > 0 ? { ok: true, keys } : { ok: false, judgement: objection as Judgement };
}

function usableKey(
  record: KeyRecord,
  kind: KeyKind,
  crypto: DkimCrypto,
  strictAgainst: string | undefined,
  name: string,
): UsableKey | Judgement {
  const seen = { key: { record, bits: 0 }, body: undefined };
  const objection = keyObjection(record, kind);
  if (objection !== undefined) return judged("permerror", "unusable-key", `the record at ${name} cannot be used: ${objection}`, seen);
  if (record.strict && strictAgainst !== undefined) return judged("permerror", "unusable-key", strictAgainst, seen);
  const key = crypto.verifyingKey(kind, record.publicKey);
  if (!key.ok) return judged("permerror", "unusable-key", `the record at ${name} cannot be used: ${key.why}`, seen);
  if (kind === "rsa" && key.value.bits < RSA_BITS_REFUSED_BELOW) {
    const why = `the key at ${name} has ${key.value.bits} bits: less than ${RSA_BITS_REFUSED_BELOW} can be forged (RFC 8301 3.2)`;
    return judged("fail", "short-key", why, { key: { record, bits: key.value.bits }, body: undefined });
  }
  return { record, key: key.value };
}

/** What a key with t=s has against this signature's i= (RFC 6376 3.6.1). */
function strictIdentity(signature: MessageSignature): string | undefined {
  if (identityDomain(signature.identity).toLowerCase() === signature.domain.toLowerCase()) return undefined;
  return `the key has t=s, which wants i=${signature.identity} to be at ${signature.domain} itself`;
}

function keyOf({ record, key }: UsableKey): { readonly record: KeyRecord; readonly bits: number } {
  return { record, bits: key.bits };
}

/** The octets that a message's signature is over (RFC 6376 3.7). */
function signedInput(signature: MessageSignature, message: SignedMessage): Uint8Array {
  const { field, hole, headerForm, names } = signature;
  const selected = message.index.select(names, field);
  let size = field.raw.length;
  for (const { raw } of selected) size += raw.length + 2;
  const input = new HeaderInput(size);
  for (const { raw } of selected) input.add(raw, headerForm);
  input.addSignature(field.raw, hole, headerForm);
  return input.bytes();
}

type Seen = Pick<Judgement, "key" | "body">;

function judged(verdict: DkimVerdict, cause: DkimCause, reason: string, seen: Seen = { key: undefined, body: undefined }): Judgement {
  return { verdict, cause, reason, ...seen };
}
