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

export interface Route {
  /** A domain; `*.example.test` for all below it; `*` for all. */
  readonly domain: string;
  readonly to: NextHop;
}

export const byMx: NextHop = { kind: "mx" };

export function routeFor(routes: readonly Route[], domain: string): NextHop {
  const key = domainKey(domain);
  return routes.find((route) => matches(route.domain, key))?.to ?? byMx;
}

function matches(pattern: string, key: string): boolean {
  if (pattern === "*") return true;
  return pattern.startsWith("*.")
    ? key.endsWith(domainKey(pattern.slice(1))) && key.length > pattern.length - 1
    : domainKey(pattern) === key;
}

/** Mail with the same key shares connections, back-off and limits. */
export function destinationKey(hop: NextHop, domain: string): string {
  return hop.kind === "mx" ? `mx ${domainKey(domain)}` : `host ${hop.host}:${hop.port}`;
}
