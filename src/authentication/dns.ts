/**
 * What the checks ask DNS, and no more: so that a table can answer in tests and a resolver in service.
 *
 * Rules
 * 1. `no-domain` and `no-data` are facts; whatever could not be found out is `failed`, and never taken for an absence.
 * 2. Nothing here rejects. Limits, time-outs and the cache belong to the resolver; the limits of a check belong to the check.
 */
import { isIPv4, isIPv6 } from "../mail/domain.ts";
import type { Resolver } from "../net/resolver.ts";

export type DnsAnswer<T> =
  | { readonly kind: "found"; readonly records: readonly T[] }
  /** The name exists, without records of this type. */
  | { readonly kind: "no-data" }
  /** The name does not exist, or is none that DNS could carry. */
  | { readonly kind: "no-domain" }
  /** Nobody could tell; `why` is for the operator. */
  | { readonly kind: "failed"; readonly why: string };

export interface MailExchanger {
  readonly preference: number;
  /** A-labels; "" is the null MX of RFC 7505. */
  readonly exchange: string;
}

/** Names are taken with or without a final dot, in any case. */
export interface CheckDns {
  /** Each record as one text, its strings joined without a space. */
  txt(name: string): Promise<DnsAnswer<string>>;
  /** IPv4 addresses. */
  a(name: string): Promise<DnsAnswer<string>>;
  /** IPv6 addresses. */
  aaaa(name: string): Promise<DnsAnswer<string>>;
  mx(name: string): Promise<DnsAnswer<MailExchanger>>;
  /** The names of an IP address. */
  ptr(address: string): Promise<DnsAnswer<string>>;
}

/** The resolver of `net/` as the checks see it. */
export function dnsOf(resolver: Resolver): CheckDns {
  return {
    txt: (name) => resolver.txt(name),
    a: (name) => addresses(resolver, name, "ipv4"),
    aaaa: (name) => addresses(resolver, name, "ipv6"),
    mx: (name) => resolver.mx(name),
    ptr: (address) => resolver.ptr(address),
  };
}

/** A record may spell an address where a name belongs (`a:%{i}`): the resolver would answer it with itself, DNS knows no such name. */
function addresses(resolver: Resolver, name: string, family: "ipv4" | "ipv6"): Promise<DnsAnswer<string>> {
  if (isIPv4(name) || isIPv6(name)) return Promise.resolve({ kind: "no-domain" });
  return resolver.addresses(name, family);
}
