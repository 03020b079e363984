/** The DKIM records of a domain: of the keys that are here, and of selectors that were named. */

import type { KeyFile } from "../keys/index.ts";
import { nodeCrypto } from "../message/dkim/crypto.ts";
import { type DkimKey, keyName, keyRecordText, readKeyRecord, zoneText } from "../message/dkim/index.ts";
import { RSA_BITS_ADVISED, RSA_BITS_REFUSED_BELOW } from "../message/dkim/key.ts";
import { algorithmName, type ComparedKey, compareKeys } from "./dkim-keys.ts";
import { type Examination, type Finding, unknown } from "./doctor-finding.ts";
import { shown } from "./terminal.ts";

/** `files` are keys whose private half is here; `selectors` those that were named beside them. */
export async function examineDkim(
  { domain, dns }: Examination,
  files: readonly KeyFile[],
  selectors: readonly string[],
): Promise<Finding[]> {
  if (files.length === 0 && selectors.length === 0) {
    const text = "no selector is known: neither in the configuration, nor in the key folder, nor by --selector";
    return [
      {
        area: "DKIM",
        level: "warning",
        text,
        todo: `\`postrider dkim new ${domain}\` makes a key; --selector names one that is elsewhere.`,
      },
    ];
  }
  const compared = await compareKeys(files, dns);
  const here = new Set(files.map(({ key }) => key.selector));
  const named = selectors.filter((selector) => !here.has(selector));
  return [...compared.flatMap(ofKey), ...(await Promise.all(named.map((selector) => ofSelector(selector, domain, dns)))).flat()];
}

function ofKey({ file: { key }, comparison }: ComparedKey): Finding[] {
  const name = `${key.selector} (${algorithmName(key)})`;
  const notes = [...(comparison.kind === "published" ? comparison.notes : []), ...key.warnings];
  const more = notes.map((note): Finding => ({ area: "DKIM", level: "warning", text: note.replace(/\.$/, "") }));
  switch (comparison.kind) {
    case "published":
      return [{ area: "DKIM", level: "ok", text: `${name} is published` }, ...more];
    case "unknown":
      return [{ area: "DKIM", level: "unknown", text: `${name}: ${shown(comparison.why)}` }];
    default:
      return [
        { area: "DKIM", level: "problem", text: `${name}: ${shown(comparison.why)}`, todo: "Publish:", record: recordOf(key) },
        ...more,
      ];
  }
}

const recordOf = (key: DkimKey): string => zoneText(key.recordName, keyRecordText(key));

async function ofSelector(selector: string, domain: string, dns: Examination["dns"]): Promise<Finding[]> {
  const name = keyName(selector, domain);
  const answer = await dns.txt(name);
  const finding = (level: Finding["level"], text: string, todo?: string): Finding[] => [
    { area: "DKIM", level, text, ...(todo === undefined ? {} : { todo }) },
  ];
  if (answer.kind === "failed") return [unknown("DKIM", name, shown(answer.why))];
  if (answer.kind !== "found") {
    return finding("problem", `there is no record at ${name}`, "Publish the record of the key that signs, or sign with another.");
  }
  const reads = answer.records.map(readKeyRecord);
  const read = reads.find(({ ok }) => ok) ?? reads[0];
  if (read === undefined || !read.ok)
    return finding("problem", `the TXT record at ${name} is no key record: ${shown(read?.why ?? "")}`, "Publish the key's record again.");
  const { kind, publicKey, testing } = read.value;
  if (publicKey === "")
    return finding("problem", `${selector} was taken back (p= is empty)`, "Sign with another key: `postrider dkim rotate`.");
  if (kind !== "rsa" && kind !== "ed25519") return finding("warning", `${selector} is of kind k=${shown(kind)}, which few know`);
  const key = nodeCrypto.verifyingKey(kind, publicKey);
  if (!key.ok)
    return finding(
      "problem",
      `${selector} cannot be used: ${shown(key.why)}`,
      "Was it cut? A TXT string holds 255 octets; publish the record in several.",
    );
  const { bits } = key.value;
  if (kind === "rsa" && bits < RSA_BITS_REFUSED_BELOW)
    return finding(
      "problem",
      `${selector} has ${bits} bits, which receivers refuse (RFC 8301 3.2)`,
      "Make a new key: `postrider dkim new`.",
    );
  const weak = kind === "rsa" && bits < RSA_BITS_ADVISED ? `; ${RSA_BITS_ADVISED} bits are advised` : "";
  const test = testing ? "; t=y (testing): receivers may treat the mail as not signed" : "";
  const what = kind === "rsa" ? `RSA-${bits}` : "Ed25519";
  return finding(weak === "" && test === "" ? "ok" : "warning", `${selector} is published (${what})${weak}${test}`);
}
