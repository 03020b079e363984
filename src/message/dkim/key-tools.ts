/**
 * What an operator needs around keys: a new one, its DNS record as text and as a zone file has it, and a comparison with what DNS says.
 *
 * Rules
 * 1. Pure: DNS is asked by the caller, files are written by the caller.
 * 2. A key counts as published only where a receiver could verify with it.
 */
import { nodeCrypto } from "./crypto.ts";
import { type DkimKey, RSA_BITS_ADVISED } from "./key.ts";
import { keyName, keyObjection, keyRecords, type TxtAnswer } from "./key-record.ts";
import type { DkimCrypto, KeyKind } from "./primitives.ts";

/** RFC 1035 3.3: octets of one string of a TXT record. */
export const TXT_STRING_LIMIT = 255;

/** A new private key, PEM of PKCS#8. RSA of 2048 bits takes some tenths of a second. */
export function generateDkimKey(kind: KeyKind, bits: number = RSA_BITS_ADVISED, crypto: DkimCrypto = nodeCrypto): string {
  return crypto.generate(kind, bits);
}

/** The text of a key's TXT record. */
export function keyRecordText({ key }: DkimKey): string {
  return `v=DKIM1; k=${key.kind}; p=${key.publicKey}`;
}

/** The record that takes a key back (RFC 6376 3.6.1). */
export function revokedRecordText({ key }: DkimKey): string {
  return `v=DKIM1; k=${key.kind}; p=`;
}

/** A text in strings of at most 255 octets, as a TXT record holds it. */
export function txtStrings(text: string): string[] {
  const strings: string[] = [];
  for (let at = 0; at < text.length; at += TXT_STRING_LIMIT) strings.push(text.slice(at, at + TXT_STRING_LIMIT));
  return strings.length === 0 ? [""] : strings;
}

/** The record as a zone file takes it: `name. IN TXT ( "..." "..." )`. */
export function zoneText(name: string, text: string): string {
  const strings = txtStrings(text).map((string) => `"${string.replaceAll(/["\\]/g, "\\$&")}"`);
  if (strings.length === 1) return `${name}. IN TXT ${strings[0]}\n`;
  return `${name}. IN TXT (\n${strings.map((string) => `  ${string}\n`).join("")})\n`;
}

/** Whether DNS has a key's record. Only `published` is good enough to sign with. */
export type KeyComparison =
  /** `notes`: what receivers may stumble over, each a sentence. */
  | { readonly kind: "published"; readonly notes: readonly string[] }
  | { readonly kind: "absent"; readonly why: string }
  | { readonly kind: "revoked"; readonly why: string }
  /** Another key is there, or one that cannot be used. */
  | { readonly kind: "different"; readonly why: string }
  /** DNS could not be asked: nothing is known. */
  | { readonly kind: "unknown"; readonly why: string };

export function compareKeyRecord(key: DkimKey, answer: TxtAnswer): KeyComparison {
  const name = keyName(key.selector, key.domain);
  if (answer.kind === "failed") return { kind: "unknown", why: `DNS did not answer for ${name}: ${answer.why}` };
  if (answer.kind !== "found" || answer.records.length === 0) return { kind: "absent", why: `DNS has no TXT record at ${name}` };
  const read = keyRecords(answer.records);
  if (!read.ok) return { kind: "different", why: `the TXT record at ${name} is no key record: ${read.why}` };
  const records = read.value;
  const same = records.find((record) => samePublicKey(record.publicKey, key.key.publicKey));
  if (same === undefined) {
    const revoked = records.every((record) => record.publicKey === "");
    if (revoked) return { kind: "revoked", why: `DNS has taken the key back: p= at ${name} is empty` };
    return { kind: "different", why: `the record at ${name} holds another key than the private key here` };
  }
  const objection = keyObjection(same, key.key.kind);
  if (objection !== undefined) return { kind: "different", why: `the record at ${name} cannot be used: ${objection}` };
  const notes: string[] = [];
  if (records.length > 1) notes.push(`${name} has ${records.length} key records: receivers may try the wrong one (RFC 6376 3.6.2.2).`);
  if (same.testing) notes.push(`The record at ${name} has t=y (testing): receivers may treat the mail as not signed.`);
  return { kind: "published", notes };
}

function samePublicKey(a: string, b: string): boolean {
  return a !== "" && a.replace(/=+$/, "") === b.replace(/=+$/, "");
}
