/**
 * Block lists in DNS (RFC 5782): whether one of them names the peer's address.
 *
 * Rules
 * 1. A list that does not answer knows nothing: that is neither a yes nor a no.
 * 2. Only 127.0.0.0/8 is an answer, and 127.255.255.0/24 is none: lists say there that one may not ask them.
 */
import { domainKey } from "../mail/domain.ts";
import type { CheckDns } from "./dns.ts";
import { dottedAddress, parseIp } from "./ip.ts";

/** Lists that are asked for one address. */
export const BLOCK_LIST_LIMIT = 10;

/** The first of the lists that names the address, in words; `undefined` where none does. Never rejects. */
export async function listedBy(address: string, zones: readonly string[], dns: Pick<CheckDns, "a">): Promise<string | undefined> {
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  const reversed = dottedAddress(ip).split(".").reverse().join(".");
  const answers = await Promise.all(zones.slice(0, BLOCK_LIST_LIMIT).map((zone) => dns.a(`${reversed}.${domainKey(zone)}`)));
  for (const [i, answer] of answers.entries()) {
    const code = answer.kind === "found" ? answer.records.find(isListing) : undefined;
    if (code !== undefined) return `${ip.text} is on the block list ${zones[i]} (${code})`;
  }
  return undefined;
}

function isListing(record: string): boolean {
  return record.startsWith("127.") && !record.startsWith("127.255.255.");
}
