/** What a server offers: its reply to EHLO, read (RFC 5321 4.1.1.1). */
import type { Reply } from "../mail/reply.ts";
import { parseDateTime } from "./date-time.ts";
import type { FutureReleaseLimits } from "./parameters.ts";

/** RFC 9422: what one session may bring; absent: not limited. All are at least 1. */
export interface SessionLimits {
  /** RCPT commands of one transaction. */
  readonly rcptMax?: number;
  /** MAIL commands of one session. */
  readonly mailMax?: number;
  /** Domains of recipients in one session. */
  readonly rcptDomainMax?: number;
}

export interface Capabilities {
  /** EHLO was understood; false after HELO. */
  readonly extended: boolean;
  /** What the server calls itself; "" where it did not say. */
  readonly name: string;
  /** Keyword in upper case -> parameters as written, "" where there are none. */
  readonly keywords: ReadonlyMap<string, string>;
  /** Octets; `undefined`: SIZE is not offered, 0: offered without a limit (RFC 1870 4). */
  readonly size: number | undefined;
  /** SASL mechanisms in upper case; empty: AUTH is not offered. */
  readonly mechanisms: readonly string[];
  readonly startTls: boolean;
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly chunking: boolean;
  readonly binaryMime: boolean;
  readonly dsn: boolean;
  /** The least BY time in seconds that mode R may ask for, 0: any; `undefined`: DELIVERBY is not offered. */
  readonly deliverBy: number | undefined;
  readonly mtPriority: boolean;
  /** `undefined`: FUTURERELEASE is not offered, or not as RFC 4865 has it. */
  readonly futureRelease: FutureReleaseLimits | undefined;
  readonly limits: SessionLimits;
}

export const noCapabilities: Capabilities = parseCapabilities(undefined);

/** `undefined`: the server knows only HELO. */
export function parseCapabilities(reply: Reply | undefined): Capabilities {
  const keywords = new Map<string, string>();
  for (const line of reply?.text.split("\n").slice(1) ?? []) {
    // "AUTH=LOGIN PLAIN" is how some old servers say it beside the standard form.
    const [, keyword, parameters] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =](.*))?$/.exec(line.trim()) ?? [];
    if (keyword === undefined) continue;
    const known = keywords.get(keyword.toUpperCase());
    keywords.set(keyword.toUpperCase(), `${known ?? ""} ${parameters ?? ""}`.trim());
  }
  const words = keywords.get("AUTH")?.toUpperCase().split(/\s+/) ?? [];
  const size = keywords.get("SIZE");
  return {
    extended: reply !== undefined,
    name: reply?.text.split(/[ \n]/, 1)[0] ?? "",
    keywords,
    size: size === undefined ? undefined : /^\d{1,15}$/.test(size) ? Number(size) : 0,
    mechanisms: [...new Set(words)].filter((word) => word !== ""),
    startTls: keywords.has("STARTTLS"),
    pipelining: keywords.has("PIPELINING"),
    eightBitMime: keywords.has("8BITMIME"),
    smtpUtf8: keywords.has("SMTPUTF8"),
    chunking: keywords.has("CHUNKING"),
    binaryMime: keywords.has("BINARYMIME"),
    dsn: keywords.has("DSN"),
    deliverBy: parseDeliverBy(keywords.get("DELIVERBY")),
    mtPriority: keywords.has("MT-PRIORITY"),
    futureRelease: parseFutureRelease(keywords.get("FUTURERELEASE")),
    limits: parseLimits(keywords.get("LIMITS")),
  };
}

/** RFC 2852 3: the least by-time, perhaps with extensions behind a comma. */
function parseDeliverBy(parameters: string | undefined): number | undefined {
  return parameters === undefined ? undefined : Number(/^\d{1,9}(?=,|$)/.exec(parameters)?.[0] ?? 0);
}

/** RFC 4865 3: both limits. */
function parseFutureRelease(parameters: string | undefined): FutureReleaseLimits | undefined {
  const [, seconds, date] = /^([1-9]\d{0,8}) (\S+)$/.exec(parameters ?? "") ?? [];
  const until = date === undefined ? undefined : parseDateTime(date);
  return until === undefined ? undefined : { seconds: Number(seconds), until };
}

const limitNames = { RCPTMAX: "rcptMax", MAILMAX: "mailMax", RCPTDOMAINMAX: "rcptDomainMax" } as const;

/** RFC 9422 4: what is unknown or malformed counts as not said; of two, the lower. */
function parseLimits(parameters: string | undefined): SessionLimits {
  const limits: { -readonly [K in keyof SessionLimits]: SessionLimits[K] } = {};
  for (const word of parameters?.split(/\s+/) ?? []) {
    const [, name = "", value] = /^(RCPTMAX|MAILMAX|RCPTDOMAINMAX)=([1-9]\d{0,5})$/i.exec(word) ?? [];
    if (value === undefined) continue;
    const limit = limitNames[name.toUpperCase() as keyof typeof limitNames];
    limits[limit] = Math.min(Number(value), limits[limit] ?? Number(value));
  }
  return limits;
}
