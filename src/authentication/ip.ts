/**
 * IP addresses as numbers, for prefixes.
 *
 * Rules
 * 1. An IPv4-mapped IPv6 address is the IPv4 address it is (RFC 7208 5), wherever it comes from.
 * 2. Addresses of different families never match, whatever the length of the prefix.
 */
import { isIPv4 } from "../mail/domain.ts";
import { canonicalAddress, ipv6Groups } from "../net/address.ts";

export interface IpAddress {
  readonly family: 4 | 6;
  /** Canonical: dotted, or as RFC 5952 writes it. */
  readonly text: string;
  /** Two or eight groups of 16 bits. */
  readonly groups: readonly number[];
}

/** The address that a text is, or `undefined`. */
export function parseIp(text: string): IpAddress | undefined {
  const canonical = canonicalAddress(text);
  if (canonical === undefined) return undefined;
  if (canonical.includes(":")) return { family: 6, text: canonical, groups: ipv6Groups(canonical) as readonly number[] };
  return { family: 4, text: canonical, groups: ipv4Groups(canonical) };
}

function ipv4Groups(text: string): readonly number[] {
  const [a, b, c, d] = text.split(".").map(Number) as [number, number, number, number];
  return [a * 256 + b, c * 256 + d];
}

/** An IPv4 network as written in a record; `undefined` where it is none. */
export function ipv4Network(text: string): readonly number[] | undefined {
  return isIPv4(text) ? ipv4Groups(text) : undefined;
}

/** Whether the first `length` bits are the same. */
export function inPrefix(address: readonly number[], network: readonly number[], length: number): boolean {
  if (address.length !== network.length) return false;
  let bits = length;
  for (let i = 0; bits > 0; i++, bits -= 16) {
    const differ = (address[i] as number) ^ (network[i] as number);
    if (bits >= 16 ? differ !== 0 : differ >> (16 - bits) !== 0) return false;
  }
  return true;
}

/** The address in the form of the SPF macro "i": dotted, IPv6 nibble by nibble (RFC 7208 7.3). */
export function dottedAddress(address: IpAddress): string {
  if (address.family === 4) return address.text;
  return [...address.groups.map((group) => group.toString(16).padStart(4, "0")).join("")].join(".");
}
