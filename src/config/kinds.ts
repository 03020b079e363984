/**
 * The kinds of value that a key may have: each a zod schema that knows in words what it expects.
 *
 * Rules
 * 1. A kind reads the value as TOML gives it, and yields what the program works with (milliseconds, octets, parsed addresses).
 * 2. `expected` stands in the problem and in the reference alike, so that they cannot differ.
 */

import { z } from "zod";
import { accountName } from "../accounts/index.ts";
import { type Knowledge, parseNetwork } from "../authentication/index.ts";
import type { DomainPattern, NextHop, SenderPattern } from "../delivery/route.ts";
import { domainKey, isDomain, toAscii } from "../mail/domain.ts";
import { type Mailbox, mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import { canonicalAddress, type Endpoint, formatEndpoint, isLoopback, parseEndpoint } from "../net/address.ts";
import { isAscii } from "../util/bytes.ts";
import { parseDuration } from "../util/duration.ts";
import { parseRate, parseSize } from "./units.ts";

/** A kind by what it expects, in words, and a reader that says `undefined` to what is not of it. */
export function kind<T>(expected: string, read: (value: unknown) => T | undefined) {
  return z
    .unknown()
    .transform((value, context): T => {
      const result = read(value);
      if (result !== undefined) return result;
      context.addIssue({ code: "custom", message: expected });
      return z.NEVER;
    })
    .meta({ expected });
}

const ofText = <T>(read: (text: string) => T | undefined) => {
  return (value: unknown): T | undefined => (typeof value === "string" ? read(value) : undefined);
};

/** A list of one kind; each element that is wrong is a problem of its own. */
export function list<T extends z.ZodType>(element: T, expected: string) {
  return z.array(element).meta({ expected });
}

export const text = kind(
  "a text that is not empty",
  ofText((value) => (value.trim() === "" ? undefined : value)),
);

const knowledge: readonly Knowledge[] = ["spf-fail", "no-forwarder", "no-reverse-name", "listed"];

export const agreement = kind(
  `one or several of ${knowledge.join(", ")}, with spaces between`,
  ofText((value): readonly Knowledge[] | undefined => {
    const words = value.trim().split(/\s+/);
    const known = knowledge.filter((one) => words.includes(one));
    return known.length === words.length ? known : undefined;
  }),
);

export const network = kind('an address or a network such as "192.0.2.0/24"', ofText(parseNetwork));

/** As libpq has it: with the host in the query (a unix socket) the place of the host may be empty, which no other URL may be. */
export function isPostgresUrl(value: string): boolean {
  return /^postgres(ql)?:\/\//.test(value) && URL.canParse(value.replace("@/", "@localhost/"));
}

/** Where a database is. */
export const postgresUrl = kind(
  'a URL such as "postgres://postrider@db.example.test/mail?sslmode=verify-full"',
  ofText((value) => (isPostgresUrl(value) ? value : undefined)),
);

export const flag = kind("true or false", (value) => (typeof value === "boolean" ? value : undefined));

export function choice<const C extends readonly string[]>(...choices: C) {
  const words = choices.map((word) => JSON.stringify(word));
  const expected = words.length === 1 ? words[0] : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  return kind(expected as string, (value): C[number] | undefined => choices.find((word) => word === value));
}

export function whole(least: number, most: number) {
  return kind(`a whole number from ${least} to ${most}`, (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= most ? value : undefined,
  );
}

export const duration = kind('a duration such as "30s", "5m", "4h" or "5d"', ofText(parseDuration));

/** Greater than nothing: what waits for such a time-out must get a chance. */
export const timeout = kind(
  'a duration above zero such as "30s", "5m", "4h" or "5d"',
  ofText((value) => parseDuration(value) || undefined),
);

export const rate = kind('messages in a time of a day at most, such as "10/s", "600/m" or "500/15m"', ofText(parseRate));

export const size = kind('a number of octets, or a size such as "50MB"', parseSize);

/** A-labels in lower case. */
export const domain = kind(
  'a domain name such as "example.test"',
  ofText((value) =>
    isDomain(value) && (isAscii(value) || toAscii(value) !== undefined) && !isAddress(value) ? domainKey(value) : undefined,
  ),
);

/** `http` only to this machine: what goes there is worth a login. */
export const webAddress = kind(
  'an "https://" URL ("http://" only to this machine)',
  ofText((value) => webUrl(value)),
);

/** `undefined` where the text is no URL that may be used. */
export function webUrl(value: string): URL | undefined {
  const url = URL.parse(value);
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  const here = isLoopback(url.hostname.replace(/^\[|\]$/g, "")) || url.hostname === "localhost";
  return url.protocol === "https:" || (url.protocol === "http:" && here) ? url : undefined;
}

export const address = kind('an IP address such as "192.0.2.1" or "2001:db8::1"', ofText(canonicalAddress));

export const mailbox = kind(
  'an address such as "alice@example.test"',
  ofText<Mailbox>((value) => parseMailbox(value)),
);

/** Who is taken in: one address, or all of a domain. */
export type RecipientPattern =
  | { readonly kind: "mailbox"; readonly key: string; readonly domain: string }
  | { readonly kind: "domain"; readonly domain: string };

/** An account's name in its one form; "*" is every account. */
export const accountPattern = kind(
  'the name of an account, or "*" for all',
  ofText((value) => (value === "*" ? value : accountName(value))),
);

export const recipientPattern = kind(
  'an address such as "info@example.test", or "*@example.test" for any',
  ofText((value): RecipientPattern | undefined => {
    if (value.startsWith("*@")) return isDomain(value.slice(2)) ? { kind: "domain", domain: domainKey(value.slice(2)) } : undefined;
    const parsed = parseMailbox(value);
    return parsed === undefined ? undefined : { kind: "mailbox", key: mailboxKey(parsed), domain: domainKey(parsed.domain) };
  }),
);

/** An endpoint to listen on. `optional`: not asked for by name, so a machine without that family does without it. */
export interface ListenEndpoint extends Endpoint {
  readonly optional: boolean;
}

export const listenEndpoints = kind(
  '"address:port" such as "127.0.0.1:587", "[::]:587", or "*:587" for all interfaces',
  ofText((value): readonly ListenEndpoint[] | undefined => {
    const endpoint = parseEndpoint(value);
    if (endpoint === undefined) return undefined;
    if (endpoint.host === "*") return everywhere(endpoint.port);
    if (endpoint.host === "localhost") return [{ host: "127.0.0.1", port: endpoint.port, optional: false }];
    const host = endpoint.host.includes(":") ? endpoint.host : canonicalAddress(endpoint.host);
    return host === undefined ? undefined : [{ host, port: endpoint.port, optional: false }];
  }),
);

/** All interfaces, IPv4 and IPv6. */
export function everywhere(port: number): readonly ListenEndpoint[] {
  return [
    { host: "0.0.0.0", port, optional: false },
    { host: "::", port, optional: true },
  ];
}

/** As the resolver takes it. */
export const dnsServer = kind(
  'the IP address of a DNS server, with a port if that is not 53: "192.0.2.53", "127.0.0.1:5353"',
  ofText((value) => {
    const server = parseEndpoint(value, 53);
    return server === undefined || server.port === 0 || canonicalAddress(server.host) === undefined ? undefined : formatEndpoint(server);
  }),
);

export const domainPattern = kind(
  'a domain name, "*.example.test" for all below it, or "*" for any',
  ofText((value): DomainPattern | undefined => {
    if (value === "*") return { kind: "any" };
    const below = value.startsWith("*.");
    const name = below ? value.slice(2) : value;
    if (!isDomain(name) || (below && isAddress(name))) return undefined;
    return { kind: below ? "below" : "exact", domain: domainKey(name) };
  }),
);

export const routeTarget = kind(
  '"mx", "smtp://host:port", "smtps://host:port", "lmtp://host:port", "lmtp:///socket", "maildir:/folder", "discard" or "hold"',
  ofText((value): NextHop | undefined => {
    if (value === "mx" || value === "discard" || value === "hold") return { kind: value };
    if (value.startsWith("maildir:/")) return { kind: "maildir", folder: value.slice("maildir:".length) };
    const [, scheme = "", rest = ""] = /^(smtp|smtps|lmtp):\/\/(.+)$/.exec(value) ?? [];
    const terms = scheme === "smtps" ? { tls: "implicit" as const } : scheme === "lmtp" ? { protocol: "lmtp" as const } : {};
    if (rest.startsWith("/")) return scheme === "lmtp" ? { kind: "host", host: rest, port: 0, protocol: "lmtp", tls: "none" } : undefined;
    const endpoint = parseEndpoint(rest, scheme === "smtps" ? 465 : scheme === "lmtp" ? 24 : 25);
    if (endpoint === undefined || endpoint.port === 0) return undefined;
    const address = canonicalAddress(endpoint.host);
    if (address === undefined && (!isDomain(endpoint.host) || isAddressLike(endpoint.host))) return undefined;
    return { kind: "host", host: address ?? domainKey(endpoint.host), port: endpoint.port, ...terms };
  }),
);

export const senderPattern = kind(
  'an address, a domain name, "*.example.test", "*" for any, or "<>"',
  ofText((value): SenderPattern | undefined => {
    if (value === "<>") return { kind: "null" };
    if (value === "*") return { kind: "any" };
    if (value.includes("@")) {
      const parsed = parseMailbox(value);
      return parsed === undefined ? undefined : { kind: "mailbox", key: mailboxKey(parsed) };
    }
    const below = value.startsWith("*.");
    const name = below ? value.slice(2) : value;
    return isDomain(name) ? { kind: below ? "below" : "exact", domain: domainKey(name) } : undefined;
  }),
);

function isAddress(value: string): boolean {
  return canonicalAddress(value) !== undefined;
}

/** `1.2.3`, `1.2.3.256`: digits and dots alone are a mistyped address, no name. */
function isAddressLike(value: string): boolean {
  return /^[\d.]+$/.test(value);
}
