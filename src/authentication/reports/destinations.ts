/**
 * Where reports may be sent (RFC 9990 3, RFC 9991 5): a domain cannot have others flooded with reports about itself.
 *
 * Rules
 * 1. An address of the policy domain's own organization needs no leave; any other must have given it in DNS.
 * 2. Whoever gives leave may name another address, at the same host alone.
 * 3. Only `mailto:` is served; a failure of DNS is neither leave nor refusal: to be tried again.
 */
import { domainKey, isDomain } from "../../mail/domain.ts";
import { formatMailbox, type Mailbox, parseMailbox } from "../../mail/mailbox.ts";
import { isDmarcRecord, parseDmarcRecord } from "../dmarc/record.ts";
import { TreeWalks } from "../dmarc/tree-walk.ts";
import type { CheckDns } from "../dns.ts";
import { Steps, shown } from "../step.ts";

export type Destination =
  | { readonly kind: "allowed"; readonly uri: string; readonly mailbox: Mailbox }
  | { readonly kind: "refused"; readonly uri: string; readonly why: string }
  /** To be asked again later. */
  | { readonly kind: "unknown"; readonly uri: string; readonly why: string };

/** `uris` are those of `rua` or, with that name, of `ruf`; as many as the record keeps (URI_LIMIT). */
export async function reportDestinations(
  policyDomain: string,
  uris: readonly string[],
  dns: CheckDns,
  tag: "rua" | "ruf" = "rua",
): Promise<Destination[]> {
  const walks = new TreeWalks(dns, new Steps());
  const destinations: Destination[] = [];
  for (const uri of uris) destinations.push(await destination(policyDomain, uri, dns, tag, walks));
  return destinations;
}

async function destination(policyDomain: string, uri: string, dns: CheckDns, tag: "rua" | "ruf", walks: TreeWalks): Promise<Destination> {
  const mailbox = mailtoMailbox(uri);
  if (mailbox === undefined) return { kind: "refused", uri, why: `${shown(uri)} is no mailto: with an address` };
  const host = domainKey(mailbox.domain);
  const own = domainKey(policyDomain);
  if (host === own) return { kind: "allowed", uri, mailbox };
  const [ours, theirs] = [await walks.walk(own), await walks.walk(host)];
  if (ours.kind === "failed") return { kind: "unknown", uri, why: ours.why };
  if (theirs.kind === "failed") return { kind: "unknown", uri, why: theirs.why };
  if (ours.organizational === theirs.organizational) return { kind: "allowed", uri, mailbox };
  const name = `${own}._report._dmarc.${host}`;
  if (name.length > 253) return { kind: "refused", uri, why: `${shown(name)} is too long a name for DNS` };
  const answer = await dns.txt(name);
  if (answer.kind === "failed") return { kind: "unknown", uri, why: `${shown(name)} could not be asked for: ${answer.why}` };
  const records = answer.kind === "found" ? answer.records.filter(isDmarcRecord) : [];
  if (records.length === 0) {
    return {
      kind: "refused",
      uri,
      why: `${shown(host)} has not agreed to take reports about ${shown(own)} (no TXT record at ${shown(name)})`,
    };
  }
  const instead = records.flatMap((text) => parseDmarcRecord(text)?.[tag] ?? []);
  if (instead.length === 0) return { kind: "allowed", uri, mailbox };
  for (const other of instead) {
    const named = mailtoMailbox(other);
    if (named !== undefined && domainKey(named.domain) === host) return { kind: "allowed", uri: other, mailbox: named };
  }
  return { kind: "refused", uri, why: `${shown(name)} leads reports on to another host, which is not allowed` };
}

/** The mailbox of `mailto:reports@example.org`; header fields after "?" are left out. */
export function mailtoMailbox(uri: string): Mailbox | undefined {
  const [, encoded] = /^mailto:([^?]*)/i.exec(uri) ?? [];
  if (encoded === undefined) return undefined;
  let text: string;
  try {
    text = decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
  const mailbox = parseMailbox(text, { ownLimits: true });
  return mailbox !== undefined && isDomain(mailbox.domain) && formatMailbox(mailbox).length > 0 ? mailbox : undefined;
}
