/**
 * The names of an address that lead back to it (RFC 7208 5.5, RFC 8601 2.7.3): SPF's "ptr" and iprev ask the same.
 *
 * Rules
 * 1. At most NAME_LIMIT names are looked at (RFC 7208 4.6.4): whoever owns the address writes them.
 * 2. A name whose addresses could not be asked for is no confirmed name; that it could not be asked is told.
 */
import { domainKey } from "../mail/domain.ts";
import type { CheckDns } from "./dns.ts";
import { type IpAddress, parseIp } from "./ip.ts";

/** RFC 7208 4.6.4: PTR names beyond this are not looked at. */
export const NAME_LIMIT = 10;

export interface ReverseNames {
  /** How the PTR question went. */
  readonly kind: "found" | "no-data" | "no-domain" | "failed";
  readonly why?: string;
  /** Every name looked at, in the order of the answer: A-labels, lower case. */
  readonly names: readonly string[];
  /** Those that lead back to the address. */
  readonly confirmed: readonly string[];
  /** Those whose addresses could not be asked for. */
  readonly unknown: readonly string[];
  /** Names beyond the limit. */
  readonly leftOut: number;
}

/** Never rejects. */
export async function reverseNames(address: IpAddress, dns: CheckDns): Promise<ReverseNames> {
  const answer = await dns.ptr(address.text);
  if (answer.kind !== "found") {
    const none = { kind: answer.kind, names: [], confirmed: [], unknown: [], leftOut: 0 };
    return answer.kind === "failed" ? { ...none, why: answer.why } : none;
  }
  const names = answer.records.slice(0, NAME_LIMIT).map(domainKey);
  const answers = await Promise.all(names.map((name) => (address.family === 4 ? dns.a(name) : dns.aaaa(name))));
  const confirmed: string[] = [];
  const unknown: string[] = [];
  for (const [i, addresses] of answers.entries()) {
    const name = names[i] as string;
    if (addresses.kind === "failed") unknown.push(name);
    else if (addresses.kind === "found" && addresses.records.some((record) => parseIp(record)?.text === address.text)) confirmed.push(name);
  }
  return { kind: "found", names, confirmed, unknown, leftOut: answer.records.length - names.length };
}
