/**
 * Where mail for a domain goes, by name: the exchangers that DNS has for it, or the host of a route (RFC 5321 5.1).
 *
 * Rules
 * 1. MX by preference; no MX: the domain itself (implicit MX); null MX: no mail (RFC 7505).
 * 2. Never ourselves: of a list that names us, only what is preferred to us is left.
 * 3. DNS that does not answer delays; only an answer of DNS fails.
 * 4. Domains with the same exchangers in the same order are one site: they share connections, pacing and back-off.
 */
import { addressOfLiteral, domainKey } from "../mail/domain.ts";
import type { Unfinished } from "../mail/outcome.ts";
import type { EnhancedStatus } from "../mail/status.ts";
import type { MxRecord, Resolver } from "../net/resolver.ts";
import { destinationKey, type HostHop } from "./route.ts";

/** A next hop that is reached by a connection. */
export type RemoteHop = HostHop | { readonly kind: "mx" };

export interface Site {
  readonly kind: "site";
  /** The same for all mail that may go through one connection; such as `mx a.test,b.test>c.test`. */
  readonly key: string;
  /** Names of hosts or addresses, those of one preference together, best first. */
  readonly ranks: readonly (readonly string[])[];
  /** 0 for a unix socket. */
  readonly port: number;
  /** DNS named the hosts: one that bears our name is ourselves. An operator's is believed. */
  readonly byDns: boolean;
}

/** There is none, for now or for good. */
export interface NoSite {
  readonly kind: "none";
  /** Of the domain alone; no Site has it, for DNS may say something else the next time. */
  readonly key: string;
  readonly outcome: Unfinished;
}

export interface SiteOptions {
  readonly resolver: Pick<Resolver, "mx">;
  /** The port of recipients' servers. */
  readonly port: number;
  /** Whether this name is ours. */
  isOwnName(name: string): boolean;
}

/** At once where DNS need not be asked. */
export function siteOf(hop: RemoteHop, domain: string, options: SiteOptions): Site | Promise<Site | NoSite> {
  if (hop.kind === "host") return { kind: "site", key: destinationKey(hop, domain), ranks: [[hop.host]], port: hop.port, byDns: false };
  const { port } = options;
  const literal = addressOfLiteral(domain);
  if (literal !== undefined) return { kind: "site", key: `address ${literal}`, ranks: [[literal]], port, byDns: false };
  return byMx(domain, options);
}

async function byMx(domain: string, options: SiteOptions): Promise<Site | NoSite> {
  const answer = await options.resolver.mx(domain);
  const key = domainKey(domain);
  switch (answer.kind) {
    case "failed":
      return none(key, "delayed", "4.4.3", `DNS did not say where mail for ${domain} goes: ${answer.why}`);
    case "no-domain":
      return none(key, "failed", "5.1.2", `the domain ${domain} does not exist`);
    case "no-data":
      return { kind: "site", key: `domain ${key}`, ranks: [[domain]], port: options.port, byDns: true };
    case "found":
      return byExchangers(domain, answer.records, options);
  }
}

function byExchangers(domain: string, records: readonly MxRecord[], options: SiteOptions): Site | NoSite {
  // RFC 7505 3: a single MX with an empty exchange. Among others it means nothing.
  const named = records.filter((record) => record.exchange !== "");
  if (named.length === 0) return none(domainKey(domain), "failed", "5.1.10", `the domain ${domain} accepts no mail (null MX)`);
  const own = named.filter((record) => options.isOwnName(record.exchange)).map((record) => record.preference);
  const usable = named.filter((record) => record.preference < Math.min(Number.POSITIVE_INFINITY, ...own));
  if (usable.length === 0) {
    const text = `mail for ${domain} would come back here: its MX names this server, which has no route for it`;
    return none(domainKey(domain), "failed", "5.4.6", text);
  }
  const ranks = ranked(usable);
  const key = `mx ${ranks.map((names) => names.join(",")).join(">")}`;
  return { kind: "site", key, ranks, port: options.port, byDns: true };
}

/** By preference; those of one preference by name, so that the key is the same for all who have them. */
function ranked(records: readonly MxRecord[]): string[][] {
  const byPreference = new Map<number, Set<string>>();
  for (const { preference, exchange } of records) {
    const names = byPreference.get(preference);
    if (names === undefined) byPreference.set(preference, new Set([exchange]));
    else names.add(exchange);
  }
  return [...byPreference].sort(([a], [b]) => a - b).map(([, names]) => [...names].sort());
}

function none(domain: string, action: "delayed" | "failed", status: EnhancedStatus, text: string): NoSite {
  return { kind: "none", key: `unknown ${domain}`, outcome: { action, scope: "host", status, why: { kind: "dns", text } } };
}
