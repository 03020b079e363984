/**
 * What the client's session tells its caller.
 *
 * Rules
 * 1. After "failed" and "closed" nothing comes any more.
 * 2. Every transaction that was begun ends in one "done".
 */
import type { Reply } from "../mail/reply.ts";
import type { Capabilities } from "./capabilities.ts";
import type { RecipientResult } from "./recipient-result.ts";
import type { ClientQuestion } from "./sasl/question.ts";
import type { SessionFailure } from "./session-failure.ts";

export type ClientEvent =
  /** Make the handshake, then call `upgraded`; if it fails, give the stream up. */
  | { readonly type: "starttls" }
  /** The login wants an answer: call `answer`, or `lost` where there is none. */
  | { readonly type: "ask"; readonly question: ClientQuestion }
  /** A login that was called for stepwise failed; the session goes on. */
  | { readonly type: "login-failed"; readonly failure: SessionFailure }
  | { readonly type: "ready"; readonly capabilities: Capabilities }
  /** Call `content` for each chunk, then `endContent`. */
  | { readonly type: "send-content" }
  /** The transaction is over: one result a recipient, in the order of the envelope. */
  | { readonly type: "done"; readonly results: readonly RecipientResult[] }
  /** The reply to `command`, or to a step of the opening; replies come in the order of what they answer. */
  | { readonly type: "reply"; readonly reply: Reply }
  /** The session is of no more use; where it can, it says QUIT. */
  | { readonly type: "failed"; readonly failure: SessionFailure }
  /** QUIT was answered, or the server closed an idle session: close the stream. */
  | { readonly type: "closed" };
