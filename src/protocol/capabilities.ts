/** What a server offers: its reply to EHLO, read (RFC 5321 4.1.1.1). */
import type { Reply } from "../mail/reply.ts";

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
  };
}
