/**
 * IP addresses and endpoints as text.
 *
 * Rules
 * 1. An address that we keep is canonical: dotted IPv4, IPv6 as RFC 5952 writes it, and an IPv4-mapped one
 *    (`::ffff:192.0.2.1`) as the IPv4 it is. A peer thus has one name, whichever socket it came in by.
 * 2. Limits on peers count an IPv6 /64 as one peer: whoever has one address there has them all.
 */
import { isIPv4, isIPv6 } from "../mail/domain.ts";

/** A host (IP address or domain name, without brackets) and a port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

const GROUPS = 8;

/** The eight 16-bit groups of an IPv6 address without a zone, or `undefined`. */
export function ipv6Groups(text: string): readonly number[] | undefined {
  if (!isIPv6(text)) return undefined;
  const [head, tail] = text.split("::") as [string, string?];
  const front = groupsOf(head);
  if (tail === undefined) return front;
  const back = groupsOf(tail);
  return [...front, ...new Array<number>(GROUPS - front.length - back.length).fill(0), ...back];
}

function groupsOf(half: string): number[] {
  if (half === "") return [];
  return half.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a, b, c, d] = group.split(".").map(Number) as [number, number, number, number];
    return [a * 256 + b, c * 256 + d];
  });
}

/** The text of RFC 5952: lower case, the longest run of zeros (of two groups or more, the first among equals) as `::`. */
export function formatIPv6(groups: readonly number[]): string {
  let start = -1;
  let longest = 1;
  for (let i = 0; i < GROUPS; i++) {
    let end = i;
    while (end < GROUPS && groups[end] === 0) end++;
    if (end - i > longest) {
      start = i;
      longest = end - i;
    }
    if (end > i) i = end;
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  return start === -1 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + longest))}`;
}

/** The one text of an address; `undefined` where the text is no IP address. A zone (`%eth0`) is taken off. */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const zone = text.indexOf("%");
  const groups = ipv6Groups(zone === -1 ? text : text.slice(0, zone));
  if (groups === undefined) return undefined;
  return mappedIPv4(groups) ?? formatIPv6(groups);
}

function mappedIPv4(groups: readonly number[]): string | undefined {
  for (let i = 0; i < 5; i++) if (groups[i] !== 0) return undefined;
  if (groups[5] !== 0xffff) return undefined;
  const [high, low] = [groups[6] as number, groups[7] as number];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** 127.0.0.0/8, ::1, and the first one mapped into IPv6. */
export function isLoopback(address: string): boolean {
  const text = canonicalAddress(address);
  return text !== undefined && (text === "::1" || (text.startsWith("127.") && isIPv4(text)));
}

/** 0.0.0.0 or ::, "all interfaces" where one listens. */
export function isUnspecified(address: string): boolean {
  const text = canonicalAddress(address);
  return text === "0.0.0.0" || text === "::";
}

/** The key under which limits count a peer: an IPv4 address itself, `2001:db8:1:2::/64` for IPv6, other text as it is. */
export function peerKey(address: string): string {
  const text = canonicalAddress(address);
  if (text === undefined || !text.includes(":")) return text ?? address;
  const groups = ipv6Groups(text) as readonly number[];
  return `${formatIPv6([...groups.slice(0, 4), 0, 0, 0, 0])}/64`;
}

/** `192.0.2.1` -> `1.2.0.192.in-addr.arpa`, IPv6 by nibbles under ip6.arpa (RFC 3596 2.5). */
export function reverseName(address: string): string | undefined {
  const text = canonicalAddress(address);
  if (text === undefined) return undefined;
  if (!text.includes(":")) return `${text.split(".").reverse().join(".")}.in-addr.arpa`;
  const nibbles = (ipv6Groups(text) as readonly number[]).map((group) => group.toString(16).padStart(4, "0")).join("");
  return `${[...nibbles].reverse().join(".")}.ip6.arpa`;
}

/**
 * `host:port`, `192.0.2.1:25`, `[2001:db8::1]:25`; with a default port also a bare host or IPv6 address.
 * The host is not checked to be a domain name. `undefined` where the text is none of these.
 */
export function parseEndpoint(text: string, defaultPort?: number): Endpoint | undefined {
  if (defaultPort !== undefined && isIPv6(text)) return { host: formatIPv6(ipv6Groups(text) as readonly number[]), port: defaultPort };
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === undefined || port > 65535) return undefined;
  if (plain !== undefined) return { host: plain, port };
  const groups = bracketed === undefined ? undefined : ipv6Groups(bracketed);
  return groups === undefined ? undefined : { host: formatIPv6(groups), port };
}

/** `192.0.2.1:25`, `[::1]:25`, `mx.example.net:25` */
export function formatEndpoint(endpoint: Endpoint): string {
  return `${endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
}
