/**
 * What the operator decides for the server's side of a session.
 *
 * Rules
 * 1. Every limit of the session is named here, with its unit.
 */
import type { FutureReleaseLimits } from "./parameters.ts";
import { defaultLeniencies, type PathLeniencies } from "./path.ts";

export interface ServerSessionOptions {
  /** The name in the greeting and in the reply to EHLO. */
  readonly hostname: string;
  /** none: not offered; offered: STARTTLS if the client likes; required: nothing of a transaction without it. */
  readonly tls: "none" | "offered" | "required";
  /** TLS from the first byte (port 465). */
  readonly secured: boolean;
  /** required: submission. none: AUTH is not known here (port 25). */
  readonly authentication: "none" | "required";
  /** What may be logged in with inside TLS, unless `offer` says otherwise. In the order in which EHLO lists them. */
  readonly mechanisms: readonly string[];
  /** Octets of content; announced as SIZE. */
  readonly maxSize: number;
  /** Recipients of one transaction; RFC 5321 4.5.3.1.8 wants at least 100. */
  readonly maxRecipients: number;
  /** Protocol errors without a message accepted between them, then 421. */
  readonly maxErrors: number;
  /** Failed AUTH commands in one session, then 421. */
  readonly maxAuthenticationFailures: number;
  readonly leniencies: PathLeniencies;
  /** FUTURERELEASE where logins are required; absent: not offered. */
  readonly futureRelease?: FutureReleaseLimits;
  /** The least BY time that may be asked for with mode R; seconds, 0: no least (RFC 2852 3). */
  readonly minDeliverBy: number;
  /** The highest MT-PRIORITY that is given where logins are required; a higher one is lowered (RFC 6710). Absent: not offered. */
  readonly maxPriority?: number;
}

export const defaultServerSessionOptions: Omit<ServerSessionOptions, "hostname"> = {
  tls: "none",
  secured: false,
  authentication: "none",
  mechanisms: ["PLAIN", "LOGIN"],
  maxSize: 35_882_577,
  maxRecipients: 1000,
  maxErrors: 20,
  maxAuthenticationFailures: 5,
  leniencies: defaultLeniencies,
  minDeliverBy: 0,
};
