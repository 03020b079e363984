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

export interface Envelope {
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
