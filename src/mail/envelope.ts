/**
 * The envelope: what MAIL FROM and RCPT TO said (RFC 5321 2.3.1). Routing and delivery look at nothing else.
 *
 * Rules
 * 1. Headers never reach an envelope, and an envelope never reaches a header but for Return-Path and Received.
 * 2. DSN parameters (RFC 3461) are kept decoded and relayed.
 */
import { formatMailbox, type Mailbox } from "./mailbox.ts";

/** Where bounces go; `null` is `MAIL FROM:<>`, which never gets one. */
export type ReversePath = Mailbox | null;

export type BodyType = "7BIT" | "8BITMIME" | "BINARYMIME";

/** RFC 3461 4.1. An empty list is NOTIFY=NEVER. */
export type NotifyOn = "success" | "failure" | "delay";

/** RFC 3461 4.2: the type, as a rule `rfc822`, and the address, xtext decoded. */
export interface OriginalRecipient {
  readonly type: string;
  readonly address: string;
}

export interface Recipient {
  readonly mailbox: Mailbox;
  /** Absent where RCPT named no NOTIFY: failures are then reported, delays may be. */
  readonly notify?: readonly NotifyOn[];
  readonly originalRecipient?: OriginalRecipient;
}

/** RFC 2852 BY: when it should be there, and what becomes of it where it is not. */
export interface DeliverBy {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** return: sent back with 5.4.7. notify: a delay is reported, and delivery goes on. */
  readonly mode: "return" | "notify";
  /** Each relay that hands it on where BY is not known reports that (4.1.2). */
  readonly trace: boolean;
}

/** What few messages ask for: kept in the queue as one value. */
export interface EnvelopeExtras {
  /** RFC 6710 MT-PRIORITY, -9 to 9; 0 where it was not named. */
  readonly priority?: number;
  readonly deliverBy?: DeliverBy;
  /** RFC 4865 HOLDFOR and HOLDUNTIL: not tried before, in milliseconds since 1970. Retries and expiry count from here. */
  readonly holdUntil?: number;
}

export interface Envelope extends EnvelopeExtras {
  readonly reversePath: ReversePath;
  readonly recipients: readonly Recipient[];
  readonly body: BodyType;
  /** SMTPUTF8 was asked for (RFC 6531): addresses or headers may be UTF-8. */
  readonly smtpUtf8: boolean;
  /** RFC 3461 4.3: what a failure report should bring back. */
  readonly ret?: "FULL" | "HDRS";
  /** RFC 3461 4.4: xtext decoded, at most 100 octets. */
  readonly envelopeId?: string;
}

/** `<a@b>` or `<>`, for logs and for the wire. */
export function formatReversePath(path: ReversePath): string {
  return path === null ? "<>" : `<${formatMailbox(path)}>`;
}
