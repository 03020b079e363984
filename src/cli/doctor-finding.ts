/** What `postrider doctor` finds: one value a fact, which the command shows and counts. */
import type { CheckDns } from "../authentication/index.ts";

/**
 * ok: as it should be. info: neither good nor bad. warning: it works, and could be better. problem: to be mended.
 * unknown: DNS or a server did not answer.
 */
export type Level = "ok" | "info" | "warning" | "problem" | "unknown";

export type Area = "MX" | "SPF" | "DKIM" | "DMARC" | "PTR" | "HELO" | "TLS" | "MTA-STS" | "TLS-RPT";

export interface Finding {
  readonly area: Area;
  readonly level: Level;
  /** A sentence without a full stop. */
  readonly text: string;
  /** What to do about it: a sentence. */
  readonly todo?: string;
  /** As a zone file takes it: to be published, or to take the place of what is there. */
  readonly record?: string;
}

/** What is known of the server that sends for the domain. */
export interface SendingServer {
  /** Canonical addresses that mail comes from. */
  readonly addresses: readonly string[];
  /** What it says in EHLO. */
  readonly helo: string | undefined;
  /** Where the addresses come from, for people. */
  readonly origin: string;
}

/** A host of the domain's MX that has addresses. */
export interface MailHost {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** What every part is given. */
export interface Examination {
  /** A-labels, lower case. */
  readonly domain: string;
  readonly dns: CheckDns;
  readonly server: SendingServer | undefined;
}

/** `why` names what was asked for. */
export const unknown = (area: Area, what: string, why: string): Finding => ({
  area,
  level: "unknown",
  text: `no answer about ${what}: ${why}`,
});
