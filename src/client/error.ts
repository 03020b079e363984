/**
 * Why a connection could not be made or used.
 *
 * Rules
 * 1. The message says what happened, where, and while doing what; it never bears a password.
 */
import { describeReply, type Reply } from "../mail/reply.ts";
import type { SessionFailure } from "../protocol/client-session.ts";
import { type ClientState, clientStates } from "../protocol/client-states.ts";

export class SmtpError extends Error {
  override readonly name = "SmtpError";
  /** What was being done. */
  readonly phase: ClientState;
  readonly about: SessionFailure["about"];
  /** temporary: worth another try; permanent: not; unknown: the message may have been taken. */
  readonly lasting: SessionFailure["lasting"];
  /** The reply that ended it. */
  readonly reply: Reply | undefined;
  /** What happened, without the host's name. */
  readonly why: string;

  constructor(host: string, failure: SessionFailure, options?: { cause?: unknown }) {
    const said = failure.reply === undefined ? "" : `: ${describeReply(failure.reply)}`;
    super(`${host}: ${failure.why}${said} (while ${clientStates[failure.state].doing})`, options);
    this.phase = failure.state;
    this.about = failure.about;
    this.lasting = failure.lasting;
    this.reply = failure.reply;
    this.why = failure.why;
  }

  /** The reply's code, such as 535. */
  get code(): number | undefined {
    return this.reply?.code;
  }
}
