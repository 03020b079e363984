/**
 * Where mail for a domain goes.
 *
 * Rules
 * 1. The first route that matches wins; where none does, it is MX.
 * 2. Only the envelope's domain is looked at.
 */
import { domainKey } from "../mail/domain.ts";

export type NextHop =
  /** The domain's own mail exchangers (RFC 5321 5.1). */
  | { readonly kind: "mx" }
  /** One host, whatever DNS says of the domain. */
  | { readonly kind: "host"; readonly host: string; readonly port: number };

/** Which domains a route is for; `domain` is a domain key. */
export type DomainPattern =
  | { readonly kind: "any" }
  | { readonly kind: "exact"; readonly domain: string }
  /** Every domain below this one, itself not included. */
  | { readonly kind: "below"; readonly domain: string };

export interface Route {
  readonly domain: DomainPattern;
  readonly to: NextHop;
}

const byMx: NextHop = { kind: "mx" };

export function routeFor(routes: readonly Route[], domain: string): NextHop {
  const key = domainKey(domain);
  return routes.find((route) => matchesDomain(route.domain, key))?.to ?? byMx;
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

/** Mail with the same key shares connections, back-off and limits. */
export function destinationKey(hop: NextHop, domain: string): string {
  return hop.kind === "mx" ? `mx ${domainKey(domain)}` : `host ${hop.host}:${hop.port}`;
}
