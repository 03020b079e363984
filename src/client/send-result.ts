/**
 * What became of a message that was sent, recipient by recipient.
 *
 * Rules
 * 1. `unknown` means that the connection was lost between the end of the content and its reply: the message may have been taken. It is
 *    never sent again by itself.
 */
import type { EnhancedStatus } from "../mail/status.ts";

export interface RecipientReport {
  /** As it stood in RCPT TO. */
  readonly address: string;
  readonly status: "accepted" | "refused" | "failed" | "lost" | "unknown";
  /** The reply's code, such as 250 or 550; absent where there was none. */
  readonly code?: number;
  /** Such as "5.1.1" (RFC 3463); absent where the server gave none. */
  readonly enhancedCode?: EnhancedStatus;
  /** The reply's text, its lines parted by "\n"; else what happened. */
  readonly text: string;
  /** Whether another try is worth it; absent where the recipient was accepted. */
  readonly lasting?: "temporary" | "permanent" | "unknown";
  /** `host:port` of the server that said so. */
  readonly host: string;
  /** Attempts that were made for it. */
  readonly attempts: number;
}

export interface SendResult {
  /** With its angle brackets; "" where the message has none. */
  readonly messageId: string;
  readonly envelope: { readonly from: string; readonly to: readonly string[] };
  /** Octets of the content as it was sent last; absent where it was never read. */
  readonly size?: number;
  /** In the order of the envelope. */
  readonly recipients: readonly RecipientReport[];
  /** Milliseconds that all of it took. */
  readonly elapsed: number;
}
