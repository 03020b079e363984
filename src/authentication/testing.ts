/** What the tests of the checks share: DNS as a table. */

import { canonicalAddress, reverseName } from "../net/address.ts";
import type { CheckDns, DnsAnswer, MailExchanger } from "./dns.ts";

export type Zone = Readonly<Record<string, readonly ZoneRecord[]>>;
export type ZoneRecord =
  | { readonly TXT: string }
  | { readonly A: string }
  | { readonly AAAA: string }
  | { readonly MX: readonly [number, string] }
  | { readonly PTR: string }
  | { readonly CNAME: string }
  /** Every question for the name that finds nothing else fails. */
  | "TIMEOUT";

const ALIAS_LIMIT = 8;

/** DNS that knows what the table knows; `asked` collects the questions as `TXT name`. */
export function tableDns(zone: Zone, asked: string[] = []): CheckDns {
  const table = new Map<string, readonly ZoneRecord[]>();
  for (const [name, records] of Object.entries(zone)) table.set(key(name), records);
  const existing = new Set<string>();
  for (const name of table.keys()) {
    const labels = name.split(".");
    for (let i = 0; i < labels.length; i++) existing.add(labels.slice(i).join(".")); // RFC 8020: names above a name exist
  }
  const ask = <T>(name: string, type: string, read: (record: ZoneRecord) => T | undefined): Promise<DnsAnswer<T>> => {
    asked.push(`${type} ${name}`);
    return Promise.resolve(look(key(name), read));
  };
  const look = <T>(start: string, read: (record: ZoneRecord) => T | undefined): DnsAnswer<T> => {
    let name = start;
    for (let hops = 0; ; hops++) {
      const records = table.get(name);
      if (records === undefined) return { kind: existing.has(name) ? "no-data" : "no-domain" };
      const found = records.map(read).filter((record) => record !== undefined);
      if (found.length > 0) return { kind: "found", records: found };
      const alias = records.find((record): record is { CNAME: string } => record !== "TIMEOUT" && "CNAME" in record);
      if (alias !== undefined) {
        if (hops >= ALIAS_LIMIT) return { kind: "failed", why: "a loop of aliases" };
        name = key(alias.CNAME);
        continue;
      }
      return records.includes("TIMEOUT") ? { kind: "failed", why: "no answer in time" } : { kind: "no-data" };
    }
  };
  return {
    txt: (name) => ask(name, "TXT", (r) => (r !== "TIMEOUT" && "TXT" in r ? r.TXT : undefined)),
    a: (name) => ask(name, "A", (r) => (r !== "TIMEOUT" && "A" in r ? r.A : undefined)),
    aaaa: (name) => ask(name, "AAAA", (r) => (r !== "TIMEOUT" && "AAAA" in r ? canonicalAddress(r.AAAA) : undefined)),
    mx: (name) =>
      ask(name, "MX", (r): MailExchanger | undefined =>
        r !== "TIMEOUT" && "MX" in r ? { preference: r.MX[0], exchange: key(r.MX[1]) } : undefined,
      ),
    ptr: (address) => ask(reverseName(address) ?? address, "PTR", (r) => (r !== "TIMEOUT" && "PTR" in r ? key(r.PTR) : undefined)),
  };
}

const key = (name: string): string => name.toLowerCase().replace(/\.$/, "");
