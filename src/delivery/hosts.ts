/**
 * The hosts of a site with their addresses, in the order in which they are tried (RFC 5321 5.1).
 *
 * Rules
 * 1. Hosts by preference, equal ones shuffled; of each host IPv6 and IPv4 in turn.
 * 2. Never ourselves: a host that has an address of ours ends the list, for those after it are no better than us.
 * 3. DNS that does not answer delays; only an answer of DNS fails.
 */
import { domainKey } from "../mail/domain.ts";
import type { Unfinished } from "../mail/outcome.ts";
import type { EnhancedStatus } from "../mail/status.ts";
import type { Families, Resolver } from "../net/resolver.ts";
import type { Site } from "./site.ts";

/** One server, under all of its addresses. */
export interface TargetHost {
  readonly name: string;
  /** At least one; the path of a unix socket is its own. */
  readonly addresses: readonly string[];
  readonly port: number;
}

export type Hosts =
  | { readonly kind: "hosts"; readonly hosts: readonly TargetHost[] }
  | { readonly kind: "none"; readonly outcome: Unfinished };

export interface HostsOptions {
  readonly resolver: Pick<Resolver, "addresses">;
  readonly families: Families;
  /** Whether this name is ours. */
  isOwnName(name: string): boolean;
  /** Whether we listen there. */
  isOwnEndpoint(address: string, port: number): boolean;
  readonly random?: () => number;
}

export async function hostsOf({ ranks, port, byDns }: Site, options: HostsOptions): Promise<Hosts> {
  const { random = Math.random } = options;
  const names = ranks.flatMap((equal) => shuffled(equal, random));
  const [first] = names;
  if (first?.startsWith("/")) return { kind: "hosts", hosts: [{ name: first, addresses: [first], port }] };
  const answers = await Promise.all(names.map((name) => options.resolver.addresses(name, options.families)));
  const hosts: TargetHost[] = [];
  let own = false;
  let failure: string | undefined;
  for (const [i, answer] of answers.entries()) {
    const name = names[i] as string;
    if (answer.kind === "failed") failure ??= `DNS did not give the address of ${name}: ${answer.why}`;
    if (answer.kind !== "found") continue;
    own = answer.records.some((address) => options.isOwnEndpoint(address, port)) || (byDns && options.isOwnName(name));
    if (own) break;
    hosts.push({ name, addresses: interleaved(answer.records), port });
  }
  if (hosts.length > 0) return { kind: "hosts", hosts };
  if (failure !== undefined) return none("delayed", "4.4.3", failure);
  if (own) return none("failed", "5.4.6", `${names.join(", ")} is this server itself: mail would go in a circle`);
  return none("failed", "5.4.4", `no address for ${names.map(domainKey).join(", ")}`);
}

/** To share the load (RFC 5321 5.1). */
function shuffled(names: readonly string[], random: () => number): readonly string[] {
  if (names.length < 2) return names;
  return names
    .map((name) => ({ name, chance: random() }))
    .sort((a, b) => a.chance - b.chance)
    .map(({ name }) => name);
}

/** IPv6 and IPv4 in turn, IPv6 first, so that a family that leads nowhere costs one attempt and not all (RFC 8305 4). */
function interleaved(addresses: readonly string[]): string[] {
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
