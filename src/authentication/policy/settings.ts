/**
 * What an operator can say about mail from port 25 that was checked: values, to be bound to the configuration.
 *
 * Rules
 * 1. The defaults are those of issue 5 and RFC 9989: a published "reject" is treated as "quarantine" unless other knowledge
 *    agrees; an SPF fail alone refuses nothing; a check that crashed answers 451.
 * 2. Settings of a domain are those of the author domain; they hold for the names below it, and the longest name counts.
 * 3. A setting that a domain does not have is the default's.
 */
import { domainKey } from "../../mail/domain.ts";

/** What may speak for refusing beside a domain's policy. */
export type Knowledge =
  /** SPF says that the peer may not send for MAIL FROM. */
  | "spf-fail"
  /** No list and no forwarder answers for the message: no DKIM signature of anyone passes, no ARC chain does, and no list names itself. */
  | "no-forwarder"
  /** The peer's address has no name that leads back to it. */
  | "no-reverse-name"
  /** The peer or the domain is on a block list. */
  | "listed";

export interface CheckSettings {
  /** `report-only`: everything is checked, told and reported, and nothing is refused, deferred or marked. */
  readonly mode: "enforce" | "report-only";
  /** Where DMARC fails and the domain asks for "reject": `agreed` rejects where `agreement` is met and quarantines elsewhere. */
  readonly onReject: "accept" | "quarantine" | "agreed" | "reject";
  /** Any of these groups is enough; all members of a group must be true. An empty group is never met. */
  readonly agreement: readonly (readonly Knowledge[])[];
  /** Where DMARC fails and the domain asks for "quarantine". */
  readonly onQuarantine: "accept" | "quarantine";
  /** Where SPF says fail, and DMARC neither passed nor asks for more. */
  readonly onSpfFail: "accept" | "quarantine" | "reject";
  /** Where From is missing, cannot be read or names too many domains. */
  readonly onMalformedAuthor: "accept" | "quarantine" | "reject";
  /** Where DNS did not answer, the answer could change the verdict, and nothing aligned has passed. */
  readonly onDnsFailure: "defer" | "accept";
  /** Domains (d= of the seal, A-labels in lower case) whose ARC seals are believed. */
  readonly trustedSealers: ReadonlySet<string>;
}

export interface AuthenticationSettings {
  readonly defaults: CheckSettings;
  /** By domain key. */
  readonly domains: ReadonlyMap<string, Partial<CheckSettings>>;
}

export const defaultCheckSettings: CheckSettings = {
  mode: "enforce",
  onReject: "agreed",
  agreement: [["spf-fail", "no-forwarder"], ["listed"]],
  onQuarantine: "quarantine",
  onSpfFail: "accept",
  onMalformedAuthor: "quarantine",
  onDnsFailure: "defer",
  trustedSealers: new Set(),
};

export const defaultAuthenticationSettings: AuthenticationSettings = { defaults: defaultCheckSettings, domains: new Map() };

/** What holds for an author domain. */
export function settingsFor(author: string | undefined, { defaults, domains }: AuthenticationSettings): CheckSettings {
  if (author === undefined || domains.size === 0) return defaults;
  for (let name = domainKey(author); name !== ""; name = name.includes(".") ? name.slice(name.indexOf(".") + 1) : "") {
    const own = domains.get(name);
    if (own !== undefined) return { ...defaults, ...own };
  }
  return defaults;
}
