/**
 * Why something could not be sent, or a connection not made or used: one class for each situation.
 *
 * Rules
 * 1. The message says what happened, where, and while doing what; it never bears a password or a token.
 * 2. `lasting` says whether another try is worth it; where it is `unknown`, the message may have been taken already.
 */
import { describeReply, type Reply } from "../mail/reply.ts";
import type { EnhancedStatus } from "../mail/status.ts";
import { type ClientState, clientStates } from "../protocol/client-states.ts";
import type { SessionFailure } from "../protocol/session-failure.ts";
import type { SendResult } from "./send-result.ts";

export type Lasting = SessionFailure["lasting"];

export interface SmtpErrorOptions {
  readonly cause?: unknown;
}

/** Any failure of a session or of a message. All others extend it. */
export class SmtpError extends Error {
  override readonly name: string = "SmtpError";
  /** `mx1.example.net:25` */
  readonly host: string;
  /** What was being done. */
  readonly phase: ClientState;
  readonly about: SessionFailure["about"];
  /** temporary: worth another try; permanent: not; unknown: the message may have been taken. */
  readonly lasting: Lasting;
  /** The reply that ended it. */
  readonly reply: Reply | undefined;
  /** What happened, without the host's name. */
  readonly why: string;
  /** Of a transport's `send`: what became of each recipient. */
  result: SendResult | undefined;

  constructor(host: string, failure: SessionFailure, options?: SmtpErrorOptions) {
    const said = failure.reply === undefined ? "" : `: ${describeReply(failure.reply)}`;
    super(`${host}: ${failure.why}${said} (while ${clientStates[failure.state].doing})`, options);
    this.host = host;
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

  /** The reply's enhanced status code, such as "5.7.8" (RFC 3463). */
  get status(): EnhancedStatus | undefined {
    return this.reply?.status;
  }
}

/** No connection, or a greeting that is no 220. */
export class ConnectError extends SmtpError {
  override readonly name = "ConnectError";
}

/** EHLO, or HELO after it, was refused. */
export class HelloError extends SmtpError {
  override readonly name = "HelloError";
}

/** TLS was asked for and could not be had: not offered, refused, or the handshake or the certificate failed. */
export class TlsError extends SmtpError {
  override readonly name = "TlsError";
}

/** The login was refused, could not be tried, or the server could not prove itself. */
export class AuthenticationError extends SmtpError {
  override readonly name = "AuthenticationError";
}

/** The message needs what the server does not offer, such as SMTPUTF8 or a larger SIZE. */
export class NotSupportedError extends SmtpError {
  override readonly name = "NotSupportedError";
}

/** The connection was lost before anything was taken, or is closed. */
export class DisconnectedError extends SmtpError {
  override readonly name: string = "DisconnectedError";
}

/** No answer in time; the connection is then closed. */
export class SmtpTimeoutError extends DisconnectedError {
  override readonly name = "SmtpTimeoutError";
}

/** The caller's AbortSignal ended it. */
export class CancelledError extends DisconnectedError {
  override readonly name = "CancelledError";
}

/** The server said what SMTP does not allow. */
export class ProtocolError extends SmtpError {
  override readonly name = "ProtocolError";
}

/** MAIL FROM was refused. */
export class SenderRefusedError extends SmtpError {
  override readonly name = "SenderRefusedError";
  /** The reverse-path, without angle brackets. */
  readonly sender: string;

  constructor(host: string, failure: SessionFailure, sender: string, options?: SmtpErrorOptions) {
    super(host, failure, options);
    this.sender = sender;
  }
}

/** Each recipient was refused at RCPT TO. */
export class RecipientsRefusedError extends SmtpError {
  override readonly name = "RecipientsRefusedError";
  /** Each recipient's reply, by the address as it was given. */
  readonly recipients: ReadonlyMap<string, Reply>;

  constructor(host: string, failure: SessionFailure, recipients: ReadonlyMap<string, Reply>, options?: SmtpErrorOptions) {
    super(host, failure, options);
    this.recipients = recipients;
  }
}

/** The content was refused: at DATA, in its middle, or after its end. */
export class DataError extends SmtpError {
  override readonly name = "DataError";
}

/** The connection was lost after the end of the content and before the reply: the message may have been taken. */
export class OutcomeUnknownError extends SmtpError {
  override readonly name = "OutcomeUnknownError";
}

/** What ended a connection, where it was neither the server nor the network. */
export type EndedBy = "timeout" | "cancel" | undefined;

/** The error of a session's failure. */
export function errorOf(host: string, failure: SessionFailure, endedBy: EndedBy, cause?: unknown): SmtpError {
  const options = cause === undefined ? {} : { cause };
  return new (classOf(failure, endedBy))(host, failure, options);
}

function classOf({ about, state, lasting }: SessionFailure, endedBy: EndedBy): typeof SmtpError {
  if (endedBy === "cancel") return CancelledError;
  if (endedBy === "timeout") return SmtpTimeoutError;
  if (lasting === "unknown") return OutcomeUnknownError;
  switch (about) {
    case "greeting":
      return ConnectError;
    case "hello":
      return HelloError;
    case "tls":
      return TlsError;
    case "authentication":
      return AuthenticationError;
    case "protocol":
      return ProtocolError;
    case "connection":
      return state === "connect" ? ConnectError : DisconnectedError;
  }
}
