/**
 * What the server's session tells its caller.
 *
 * Rules
 * 1. An event marked "decide" wants exactly one decision; the others want none.
 * 2. Text and bytes of the client stand in an event as they were read: nothing here was looked up or believed.
 */
import type { BodyType, Recipient, ReversePath } from "../mail/envelope.ts";
import type { Reply } from "../mail/reply.ts";
import type { DeliverByRequest, HoldRequest } from "./parameters.ts";
import type { LoginClaim } from "./sasl/mechanism.ts";
import type { SaslHash } from "./sasl/question.ts";

/** What MAIL said. */
export interface MailCommand {
  readonly reversePath: ReversePath;
  readonly size: number | undefined;
  readonly body: BodyType;
  readonly smtpUtf8: boolean;
  readonly ret?: "FULL" | "HDRS";
  readonly envelopeId?: string;
  readonly hold?: HoldRequest;
  readonly deliverBy?: DeliverByRequest;
  /** RFC 6710; never higher than is given here. */
  readonly priority?: number;
}

export type ServerEvent =
  /** Decide: `upgraded` after the handshake. The 220 is in the output; nothing else may be sent in clear. */
  | { readonly type: "starttls" }
  /** What the user's key was derived with; also for a user that there is none of. Decide: `salted` or `refuse`. */
  | { readonly type: "salt"; readonly mechanism: string; readonly hash: SaslHash; readonly user: string }
  /** Who the client says it is, and how it proves it. `authorization`: whom to act as, "" for itself. Decide: `authenticated` or `refuse`. */
  | { readonly type: "auth"; readonly mechanism: string; readonly authorization: string; readonly claim: LoginClaim }
  /** Decide: `accept` or `refuse`. */
  | { readonly type: "mail"; readonly mail: MailCommand }
  /** Decide: `accept` or `refuse`. */
  | { readonly type: "rcpt"; readonly recipient: Recipient }
  /** Content is about to come (354, or the first BDAT). Decide: `accept` or `refuse`. */
  | { readonly type: "data"; readonly via: "DATA" | "BDAT" }
  /** A piece of the content; no decision. */
  | { readonly type: "content"; readonly chunk: Uint8Array }
  /** The content is complete. Decide: `accept` (with the text that names the message) or `refuse`. */
  | { readonly type: "content-end"; readonly size: number }
  /** The transaction is gone (RSET, EHLO, a refusal of its content): forget it. No decision. */
  | { readonly type: "reset" }
  /** The session itself refused a command; no decision. `why`: what the operator may know beside the reply. */
  | { readonly type: "refused"; readonly command: string; readonly reply: Reply; readonly why?: string };
