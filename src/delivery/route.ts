/**
 * Where mail goes, by its envelope.
 *
 * Rules
 * 1. The first route that matches wins; where none does, it is MX.
 * 2. Only the envelope is looked at: the recipient's domain, and the sender where a route names one.
 */
import type { TlsMode } from "../client/connection-options.ts";
import type { Credentials } from "../client/credentials.ts";
import { domainKey } from "../mail/domain.ts";
import type { ReversePath } from "../mail/envelope.ts";
import { mailboxKey } from "../mail/mailbox.ts";

export type NextHop =
  /** The domain's own mail exchangers (RFC 5321 5.1). */
  | { readonly kind: "mx" }
  | HostHop
  /** A folder of this machine, in which `{local}` and `{domain}` stand for those of the recipient. */
  | { readonly kind: "maildir"; readonly folder: string }
  /** Taken and forgotten. */
  | { readonly kind: "discard" }
  /** Stays in the queue until the route is another, or somebody removes it. */
  | { readonly kind: "hold" };

/** One host, whatever DNS says of the domain. */
export interface HostHop {
  readonly kind: "host";
  /** A name, an address, or the path of a unix socket. */
  readonly host: string;
  /** 0 for a unix socket. */
  readonly port: number;
  /** smtp where absent. LMTP answers for each recipient, and for good: it is in the mailbox then. */
  readonly protocol?: "smtp" | "lmtp";
  /** opportunistic where absent. */
  readonly tls?: TlsMode;
  /** Whether the certificate is checked; where absent: with a login, and not otherwise. */
  readonly verify?: boolean;
  readonly credentials?: Credentials;
}

/** Which domains a route is for; `domain` is a domain key. */
export type DomainPattern =
  | { readonly kind: "any" }
  | { readonly kind: "exact"; readonly domain: string }
  /** Every domain below this one, itself not included. */
  | { readonly kind: "below"; readonly domain: string };

/** Which senders; `key` is a mailbox key. */
export type SenderPattern = DomainPattern | { readonly kind: "mailbox"; readonly key: string } | { readonly kind: "null" };

export interface Route {
  readonly domain: DomainPattern;
  /** Any where absent. */
  readonly from?: SenderPattern;
  readonly to: NextHop;
}

const byMx: NextHop = { kind: "mx" };

export function routeFor(routes: readonly Route[], domain: string, from: ReversePath = null): NextHop {
  const key = domainKey(domain);
  return (
    routes.find((route) => matchesDomain(route.domain, key) && (route.from === undefined || matchesSender(route.from, from)))?.to ?? byMx
  );
}

/** Whether a route's pattern takes a domain (both as domain keys). */
export function matchesDomain(pattern: DomainPattern, domain: string): boolean {
  switch (pattern.kind) {
    case "any":
      return true;
    case "exact":
      return domain === pattern.domain;
    case "below":
      return domain.endsWith(`.${pattern.domain}`);
  }
}

export function matchesSender(pattern: SenderPattern, from: ReversePath): boolean {
  if (pattern.kind === "null" || from === null) return pattern.kind === "null" && from === null;
  return pattern.kind === "mailbox" ? mailboxKey(from) === pattern.key : matchesDomain(pattern, domainKey(from.domain));
}

/** Mail with the same key shares connections, back-off and limits. */
export function destinationKey(hop: NextHop, domain: string): string {
  if (hop.kind === "mx") return `mx ${domainKey(domain)}`;
  if (hop.kind !== "host") return hop.kind;
  const { host, port, protocol = "smtp", tls = "opportunistic", credentials, verify = credentials !== undefined } = hop;
  // One who wants the certificate checked does not go through a session in which it was not.
  return `host ${protocol} ${host}:${port} ${tls}${verify ? " verified" : ""} ${credentials?.user ?? ""}`;
}
