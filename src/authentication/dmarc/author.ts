/**
 * The author domain: what the From field says (RFC 9989 5.3.1, 11.5).
 *
 * Rules
 * 1. One domain is what DMARC is made for, in one address or in several.
 * 2. No domain, or a From that cannot be read, leaves nothing to check; that is told, and never taken for a pass.
 * 3. Several domains, in one field or in several fields: each of them is checked, up to AUTHOR_LIMIT, and the strictest policy
 *    among those that fail counts (11.5). So nobody escapes a domain's policy by naming a second one.
 */
import { domainKey, isDomain } from "../../mail/domain.ts";
import { parseAddressList } from "../../message/address.ts";
import { fieldText, type HeaderSection } from "../../message/header-section.ts";

/** Author domains that are checked for one message (RFC 9989 11.5); more than that is no message to be checked. */
export const AUTHOR_LIMIT = 4;

export type Author =
  /** A-labels, lower case. */
  | { readonly kind: "one"; readonly domain: string }
  /** Or one of them beside a From field that cannot be read. */
  | { readonly kind: "several"; readonly domains: readonly string[]; readonly why: string }
  /** Nothing that DMARC could be applied to; `malformed` where the message is none of RFC 5322. */
  | { readonly kind: "none"; readonly malformed: boolean; readonly why: string };

/** Whose message it says it is. */
export function authorOf(section: HeaderSection): Author {
  if (section.ending === "limit") return { kind: "none", malformed: true, why: "the header section is too long to be read" };
  return authorOfFields(section.all("from").map(fieldText));
}

/** The same for the values of all From fields, unfolded. */
export function authorOfFields(values: readonly string[]): Author {
  if (values.length === 0) return { kind: "none", malformed: true, why: "the message has no From field" };
  const domains = new Set<string>();
  let unreadable: string | undefined;
  let addresses = 0;
  for (const value of values) {
    const list = parseAddressList(value);
    if (!list.ok) {
      unreadable ??= list.error;
      continue;
    }
    for (const { mailbox } of list.addresses) {
      addresses++;
      if (isDomain(mailbox.domain)) domains.add(domainKey(mailbox.domain));
      else unreadable ??= `${mailbox.domain} is no domain`;
    }
  }
  const [domain] = domains;
  const fields = values.length > 1 ? `the message has ${values.length} From fields` : undefined;
  if (domain === undefined) {
    const why = unreadable === undefined ? "the From field names nobody" : `the From field cannot be read: ${unreadable}`;
    return { kind: "none", malformed: addresses > 0 || unreadable !== undefined || values.length > 1, why: fields ?? why };
  }
  if (domains.size === 1 && unreadable === undefined) return { kind: "one", domain };
  const all = [...domains];
  if (all.length > AUTHOR_LIMIT) {
    return { kind: "none", malformed: true, why: `From names ${all.length} domains, more than the ${AUTHOR_LIMIT} that are checked` };
  }
  const unread = unreadable === undefined ? undefined : `a part of From cannot be read (${unreadable})`;
  return { kind: "several", domains: all, why: fields ?? unread ?? `the From field names ${all.length} domains` };
}
