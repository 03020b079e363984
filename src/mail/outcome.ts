/**
 * What became of one recipient in one attempt, in the words of RFC 3464 2.3.3.
 *
 * Rules
 * 1. Every attempt ends in exactly one outcome for each recipient; delivery returns it, relay settles it.
 * 2. Unknown is `delayed`: what is not known to have failed is tried again, never bounced.
 */
import { describeReply, type Reply } from "./reply.ts";
import type { EnhancedStatus } from "./status.ts";

/** Whose trouble it is: a 421 greeting is the host's, a 552 after the final dot the message's. */
export type Scope = "session" | "host" | "message" | "recipient";

/** The server that spoke, or was to speak. */
export interface RemoteHost {
  readonly name: string;
  readonly address?: string;
  readonly port: number;
  /** Set once the session runs inside TLS, such as "TLSv1.3 TLS_AES_256_GCM_SHA384". */
  readonly tls?: string;
}

/** The cause of a delay or a failure. */
export type Reason =
  /** The remote host answered. */
  | { readonly kind: "reply"; readonly reply: Reply; readonly doing: string; readonly at: RemoteHost }
  /** No connection, a lost one, a time-out, a TLS failure: `text` says what happened, `doing` meanwhile. */
  | { readonly kind: "connection"; readonly text: string; readonly doing: string; readonly at?: RemoteHost }
  /** DNS did not answer, or answered that there is nothing. */
  | { readonly kind: "dns"; readonly text: string }
  /** Decided here, such as a conversion that is not possible or an age that is reached. */
  | { readonly kind: "local"; readonly text: string }
  /** The connection was lost between the final dot and its reply: it may have been delivered. */
  | { readonly kind: "unknown"; readonly text: string; readonly at?: RemoteHost };

export type Outcome =
  /** `final`: into a mailbox, so that nobody after us will report it; else to a server that takes over the duty to report (RFC 3461).
   * `deliverBy`: it keeps to BY (RFC 2852). */
  | { readonly action: "delivered"; readonly at: RemoteHost; readonly reply: Reply; readonly final?: true; readonly deliverBy?: true }
  /** Passed on to a host that gives no DSN. */
  | { readonly action: "relayed"; readonly at: RemoteHost; readonly reply: Reply; readonly final?: never; readonly deliverBy?: true }
  | { readonly action: "expanded"; readonly to: readonly string[] }
  | { readonly action: "delayed"; readonly scope: Scope; readonly status: EnhancedStatus; readonly why: Reason; readonly untried?: Untried }
  | { readonly action: "failed"; readonly scope: Scope; readonly status: EnhancedStatus; readonly why: Reason; readonly untried?: never };

/** It was put off before anything was tried: no attempt is counted. */
export interface Untried {
  /** When it is looked at again. */
  readonly due: number;
  /** False: on purpose, by whoever runs this; it is not given up for it. */
  readonly ages: boolean;
}

export type Unfinished = Extract<Outcome, { action: "delayed" | "failed" }>;

/** A server has taken it. */
export type Done = Extract<Outcome, { action: "delivered" | "relayed" }>;

export function isUnfinished(outcome: Outcome): outcome is Unfinished {
  return outcome.action === "delayed" || outcome.action === "failed";
}

/** `mx1.example.net[192.0.2.1]:25`; without a port where there is none, as for a unix socket. */
export function describeHost(at: RemoteHost): string {
  return `${at.name}${at.address === undefined || at.address === at.name ? "" : `[${at.address}]`}${at.port === 0 ? "" : `:${at.port}`}`;
}

/** One line for the queue's listing, the log and the report. */
export function describeReason(why: Reason): string {
  const where = "at" in why && why.at !== undefined ? `${describeHost(why.at)}: ` : "";
  switch (why.kind) {
    case "reply":
      return `${where}${describeReply(why.reply)} (${why.doing})`;
    case "connection":
      return `${where}${why.text} (${why.doing})`;
    default:
      return `${where}${why.text}`;
  }
}
