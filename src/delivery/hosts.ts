/**
 * The addresses to try for a destination, in order (RFC 5321 5.1).
 *
 * Rules
 * 1. MX by preference, equal ones shuffled; no MX: the domain's own addresses (implicit MX); null MX: no mail (RFC 7505).
 * 2. Never ourselves: of a list that names us, only what is preferred to us is left.
 * 3. DNS that does not answer delays; only an answer of DNS fails.
 */
import { addressOfLiteral, domainKey } from "../mail/domain.ts";
import type { Unfinished } from "../mail/outcome.ts";
import type { EnhancedStatus } from "../mail/status.ts";
import type { Families, MxRecord, Resolver } from "../net/resolver.ts";
import type { HostHop } from "./route.ts";

/** A next hop that is reached by a connection. */
export type RemoteHop = HostHop | { readonly kind: "mx" };

/** One address to connect to. */
export interface TargetHost {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export type Hosts =
  | { readonly kind: "hosts"; readonly hosts: readonly TargetHost[] }
  | { readonly kind: "none"; readonly outcome: Unfinished };

export interface HostsOptions {
  readonly resolver: Resolver;
  readonly families: Families;
  /** The port of recipients' servers. */
  readonly port: number;
  /** Whether this name is ours. */
  isOwnName(name: string): boolean;
  /** Whether we listen there. */
  isOwnEndpoint(address: string, port: number): boolean;
  readonly random?: () => number;
}

export async function hostsFor(hop: RemoteHop, domain: string, options: HostsOptions): Promise<Hosts> {
  if (hop.kind === "host") {
    const { host, port } = hop;
    return host.startsWith("/")
      ? { kind: "hosts", hosts: [{ name: host, address: host, port }] }
      : addressesOf([host], port, options, false);
  }
  const literal = addressOfLiteral(domain);
  if (literal !== undefined) return addressesOf([literal], options.port, options, false);
  const answer = await options.resolver.mx(domain);
  switch (answer.kind) {
    case "failed":
      return none("delayed", "4.4.3", `DNS did not say where mail for ${domain} goes: ${answer.why}`);
    case "no-domain":
      return none("failed", "5.1.2", `the domain ${domain} does not exist`);
    case "no-data":
      return addressesOf([domain], options.port, options, true);
    case "found":
      return exchangers(domain, answer.records, options);
  }
}

function exchangers(domain: string, records: readonly MxRecord[], options: HostsOptions): Promise<Hosts> | Hosts {
  // RFC 7505 3: a single MX with an empty exchange. Among others it means nothing.
  const named = records.filter((record) => record.exchange !== "");
  if (named.length === 0) return none("failed", "5.1.10", `the domain ${domain} accepts no mail (null MX)`);
  const own = named.filter((record) => options.isOwnName(record.exchange)).map((record) => record.preference);
  const usable = named.filter((record) => record.preference < Math.min(Number.POSITIVE_INFINITY, ...own));
  if (usable.length === 0) {
    return none("failed", "5.4.6", `mail for ${domain} would come back here: its MX names this server, which has no route for it`);
  }
  return addressesOf(inOrder(usable, options.random ?? Math.random), options.port, options, true);
}

/** By preference; equal ones in a random order, to share the load (RFC 5321 5.1). */
function inOrder(records: readonly MxRecord[], random: () => number): string[] {
  return records
    .map((record) => ({ record, chance: random() }))
    .sort((a, b) => a.record.preference - b.record.preference || a.chance - b.chance)
    .map(({ record }) => record.exchange);
}

async function addressesOf(names: readonly string[], port: number, options: HostsOptions, ownNamesToo: boolean): Promise<Hosts> {
  const answers = await Promise.all(names.map((name) => options.resolver.addresses(name, options.families)));
  const hosts: TargetHost[] = [];
  let own = false;
  let failure: string | undefined;
  for (const [i, answer] of answers.entries()) {
    const name = names[i] as string;
    if (answer.kind === "failed") failure ??= `DNS did not give the address of ${name}: ${answer.why}`;
    if (answer.kind !== "found") continue;
    const found = interleave(answer.records).map((address) => ({ name, address, port }));
    if (found.some((host) => options.isOwnEndpoint(host.address, port)) || (ownNamesToo && options.isOwnName(name))) {
      own = true;
      break; // this one is us, and those after it are no better than us
    }
    hosts.push(...found);
  }
  if (hosts.length > 0) return { kind: "hosts", hosts };
  if (failure !== undefined) return none("delayed", "4.4.3", failure);
  if (own) return none("failed", "5.4.6", `${names.join(", ")} is this server itself: mail would go in a circle`);
  return none("failed", "5.4.4", `no address for ${names.map(domainKey).join(", ")}`);
}

/** IPv6 and IPv4 in turn, IPv6 first, so that a family that leads nowhere costs one attempt and not all. */
function interleave(addresses: readonly string[]): string[] {
  const six = addresses.filter((address) => address.includes(":"));
  const four = addresses.filter((address) => !address.includes(":"));
  const mixed: string[] = [];
  for (let i = 0; i < Math.max(six.length, four.length); i++) {
    if (six[i] !== undefined) mixed.push(six[i] as string);
    if (four[i] !== undefined) mixed.push(four[i] as string);
  }
  return mixed;
}

function none(action: "delayed" | "failed", status: EnhancedStatus, text: string): Hosts {
  return { kind: "none", outcome: { action, scope: "host", status, why: { kind: "dns", text } } };
}
