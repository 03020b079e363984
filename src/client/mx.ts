/**
 * Where mail for a domain goes when no server is given: its MX, as the caller's resolver knows them (RFC 5321 5.1).
 */
import { addressOfLiteral } from "../mail/domain.ts";

/** `none`: the domain takes no mail (it does not exist, or null MX); `failed`: DNS did not answer. */
export type MxAnswer =
  | { readonly kind: "found"; readonly hosts: readonly string[] }
  | { readonly kind: "none"; readonly why: string }
  | { readonly kind: "failed"; readonly why: string };

/** The hosts of a domain, in the order in which they are to be tried. */
export type MxLookup = (domain: string) => Promise<MxAnswer>;

/** Hosts tried in one attempt. */
export const HOSTS_LIMIT = 5;

export async function hostsOf(domain: string, lookUp: MxLookup): Promise<MxAnswer> {
  const literal = addressOfLiteral(domain);
  if (literal !== undefined) return { kind: "found", hosts: [literal] };
  if (domain === "") return { kind: "none", why: "an address without a domain has no server" };
  const answer = await lookUp(domain);
  return answer.kind === "found" ? { kind: "found", hosts: answer.hosts.slice(0, HOSTS_LIMIT) } : answer;
}
