/**
 * Key records in DNS: `selector._domainkey.domain` TXT (RFC 6376 3.6.1).
 *
 * Rules
 * 1. v= may be absent; where it is there it must come first and be DKIM1, so that another protocol's record is none of ours.
 * 2. A name may have several TXT records; each that reads as a key record is tried, up to `KEY_RECORD_LIMIT`.
 * 3. An empty p= is a key that was revoked, which is not the same as no key.
 */
import { domainKey } from "../../mail/domain.ts";
import type { KeyKind, Read } from "./primitives.ts";
import { colonList, parseTagList, shown, withoutSpace } from "./tag-list.ts";

/** Key records of one name that are tried; RFC 6376 3.6.2.2 wants one. */
export const KEY_RECORD_LIMIT = 4;

/** What DNS said about a name's TXT records; `failed` is never an absence. */
export type TxtAnswer =
  | { readonly kind: "found"; readonly records: readonly string[] }
  | { readonly kind: "no-data" }
  | { readonly kind: "no-domain" }
  | { readonly kind: "failed"; readonly why: string };

export interface KeyRecord {
  /** As DNS has it. */
  readonly text: string;
  /** k= in lower case, "rsa" where absent; one that is not known too. */
  readonly kind: string;
  /** p= without spaces; "" is revoked. */
  readonly publicKey: string;
  /** h= in lower case; absent: all. */
  readonly hashes: readonly string[] | undefined;
  /** s= in lower case; `["*"]` where absent. */
  readonly services: readonly string[];
  /** t= has y: the domain is trying DKIM out. */
  readonly testing: boolean;
  /** t= has s: i= must be at d= itself. */
  readonly strict: boolean;
}

/** Where the key of a signature stands: A-labels, in lower case. */
export function keyName(selector: string, domain: string): string {
  return `${domainKey(selector)}._domainkey.${domainKey(domain)}`;
}

/** Reads one TXT record, its strings joined. */
export function readKeyRecord(text: string): Read<KeyRecord> {
  const list = parseTagList(text);
  if (!list.ok) return list;
  const tags = list.value;
  const version = tags.get("v");
  if (version !== undefined) {
    if (version.value !== "DKIM1") return { ok: false, why: `v=${shown(version.value)} is not DKIM1` };
    if (tags.keys().next().value !== "v") return { ok: false, why: "v=DKIM1 is not its first tag" };
  }
  const key = tags.get("p");
  if (key === undefined) return { ok: false, why: "the tag p= (the key) is missing" };
  const listOf = (name: string): string[] | undefined => {
    const value = tags.get(name)?.value;
    return value === undefined ? undefined : colonList(value.toLowerCase());
  };
  const flags = listOf("t") ?? [];
  return {
    ok: true,
    value: {
      text,
      kind: tags.get("k")?.value.toLowerCase() ?? "rsa",
      publicKey: withoutSpace(key.value),
      hashes: listOf("h"),
      services: listOf("s") ?? ["*"],
      testing: flags.includes("y"),
      strict: flags.includes("s"),
    },
  };
}

/** The key records among a name's TXT records, or why there is none. */
export function keyRecords(texts: readonly string[]): Read<readonly KeyRecord[]> {
  const records: KeyRecord[] = [];
  let why = "there is no record";
  for (const [i, text] of texts.entries()) {
    const read = readKeyRecord(text);
    if (read.ok) {
      records.push(read.value);
      if (records.length === KEY_RECORD_LIMIT) break;
    } else if (i === 0) why = read.why;
  }
  if (records.length > 0) return { ok: true, value: records };
  return { ok: false, why: texts.length > 1 ? `none of its ${texts.length} TXT records is one; the first: ${why}` : why };
}

/** Whether a key of this record may be used, and why not (RFC 6376 3.6.1, 6.1.2). */
export function keyObjection(record: KeyRecord, kind: KeyKind): string | undefined {
  if (record.publicKey === "") return "the key was revoked (p= is empty)";
  if (record.kind !== kind) return `the key is of kind k=${shown(record.kind)}, the signature was made with ${kind}`;
  if (record.hashes !== undefined && !record.hashes.includes("sha256")) return "the key's h= does not allow sha256";
  if (!record.services.includes("*") && !record.services.includes("email")) return "the key's s= does not allow email";
  return undefined;
}
