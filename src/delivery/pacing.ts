/**
 * How much each receiving side is sent, as rules: those of the operator, then those that are known of large providers, then what holds for all.
 *
 * Rules
 * 1. The first rule that matches wins, and what it leaves open comes from `[delivery]`.
 * 2. All that a rule matches counts together: a provider's servers have one patience for all of its domains.
 */
import { domainKey } from "../mail/domain.ts";
import { seconds } from "../util/clock.ts";
import { type DomainPattern, matchesDomain } from "./route.ts";
import type { NoSite, Site } from "./site.ts";

/** So many messages in each `per` milliseconds. */
export interface Rate {
  readonly messages: number;
  readonly per: number;
}

export interface PacingLimits {
  /** Connections at once. */
  readonly maxConnections?: number;
  /** Messages through one connection. */
  readonly maxMessagesPerConnection?: number;
  /** Recipients of one transaction. */
  readonly maxRecipients?: number;
  readonly rate?: Rate;
  /** Addresses to come from. */
  readonly sources?: readonly string[];
}

export interface PacingRule extends PacingLimits {
  /** What it is for, in logs. */
  readonly name: string;
  /** Names of the preferred exchangers. */
  readonly mx?: readonly DomainPattern[];
  /** Domains of recipients. */
  readonly domains?: readonly DomainPattern[];
}

export function ruleFor(rules: readonly PacingRule[], site: Site | NoSite, domain: string): PacingRule | undefined {
  const names = site.kind === "site" ? (site.ranks[0] ?? []) : [];
  const key = domainKey(domain);
  return rules.find(
    ({ mx = [], domains = [] }) =>
      domains.some((pattern) => matchesDomain(pattern, key)) ||
      mx.some((pattern) => names.some((name) => matchesDomain(pattern, domainKey(name)))),
  );
}

/** The first that matches by the domain alone. */
export function ruleForDomain(rules: readonly PacingRule[], domain: string): PacingRule | undefined {
  const key = domainKey(domain);
  return rules.find(({ domains = [] }) => domains.some((pattern) => matchesDomain(pattern, key)));
}

const below = (...domains: readonly string[]): readonly DomainPattern[] => domains.map((domain) => ({ kind: "below", domain }));

/**
 * Quiet figures for large providers, for a sender that they do not know well. They publish few, and none of these was measured against them:
 * each can be set by a rule of one's own. Recipients: several of them count the recipients of a message against its sender's reputation.
 */
export const providerRules: readonly PacingRule[] = [
  { name: "google", mx: below("google.com", "googlemail.com"), maxConnections: 20, maxMessagesPerConnection: 100, maxRecipients: 50 },
  {
    name: "microsoft",
    mx: below("protection.outlook.com", "mx.microsoft", "hotmail.com"),
    maxConnections: 20,
    maxMessagesPerConnection: 100,
    maxRecipients: 50,
  },
  { name: "yahoo", mx: below("yahoodns.net"), maxConnections: 10, maxMessagesPerConnection: 20, maxRecipients: 30 },
  { name: "apple", mx: below("mail.icloud.com"), maxConnections: 10, maxMessagesPerConnection: 50, maxRecipients: 30 },
  { name: "gmx", mx: below("gmx.net", "web.de", "kundenserver.de"), maxConnections: 5, maxMessagesPerConnection: 50, maxRecipients: 30 },
  { name: "t-online", mx: below("t-online.de"), maxConnections: 3, maxMessagesPerConnection: 20, maxRecipients: 30 },
  { name: "comcast", mx: below("comcast.net"), maxConnections: 10, maxMessagesPerConnection: 100, maxRecipients: 50 },
  { name: "mail.ru", mx: below("mail.ru"), maxConnections: 10, maxMessagesPerConnection: 50, maxRecipients: 30 },
  { name: "yandex", mx: below("yandex.ru", "yandex.net"), maxConnections: 10, maxMessagesPerConnection: 20, maxRecipients: 30 },
  { name: "qq", mx: below("qq.com"), maxConnections: 3, maxMessagesPerConnection: 20, maxRecipients: 20 },
  { name: "orange", mx: below("orange.fr"), maxConnections: 2, maxMessagesPerConnection: 50, maxRecipients: 30 },
];

const MOST_SLICES = 60;

/** A rate in shorter windows with the same average, so that an hour's mail does not leave in its first second. */
export function slices({ messages, per }: Rate): { readonly limit: number; readonly window: number } {
  const most = Math.min(MOST_SLICES, messages, Math.floor(per / seconds(1)));
  for (let count = most; count > 1; count--)
    if (messages % count === 0 && per % count === 0) return { limit: messages / count, window: per / count };
  return { limit: messages, window: per };
}
