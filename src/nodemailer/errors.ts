/**
 * Errors as Nodemailer's callers know them: `code`, `command`, `response`, `responseCode`.
 *
 * Rules
 * 1. The words are ours; ours is also the `cause`, with everything that Nodemailer's fields cannot say.
 * 2. What fails before a connection is asked for has the command "API".
 */
import {
  AuthenticationError,
  CancelledError,
  ConnectError,
  DataError,
  HelloError,
  NotSupportedError,
  OutcomeUnknownError,
  ProtocolError,
  RecipientsRefusedError,
  SenderRefusedError,
  SmtpError,
  SmtpTimeoutError,
  TlsError,
} from "../client/error.ts";
import { describeReply, type Reply } from "../mail/reply.ts";
import { ComposeError } from "../message/index.ts";
import { DialError } from "../net/dial.ts";

export type ErrorCode =
  | "EAUTH"
  | "ECONFIG"
  | "ECONNECTION"
  | "EDNS"
  | "EENVELOPE"
  | "EFILEACCESS"
  | "EABORT"
  | "EMAXRECIPIENTS"
  | "EMESSAGE"
  | "EOAUTH2"
  | "EPROTOCOL"
  | "ESOCKET"
  | "ESTREAM"
  | "ETIMEDOUT"
  | "ETLS"
  | "EURLACCESS";

export interface ErrorFields {
  readonly command?: string;
  readonly reply?: Reply | undefined;
  readonly cause?: unknown;
}

export class NodemailerError extends Error {
  readonly code: ErrorCode;
  /** Such as "CONN", "EHLO", "AUTH PLAIN", "MAIL FROM", "RCPT TO", "DATA" or "API". */
  declare readonly command?: string;
  /** The server's reply in one line. */
  declare readonly response?: string;
  declare readonly responseCode?: number;
  /** The reply, where there is one, is for good. */
  declare readonly permanent?: boolean;
  /** Of an entry of `rejectedErrors`. */
  declare recipient?: string;
  /** Where every recipient was refused. */
  declare rejected?: string[];
  declare rejectedErrors?: NodemailerError[];

  constructor(code: ErrorCode, message: string, { command, reply, cause }: ErrorFields = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
    if (code === "EABORT") this.name = "AbortError";
    if (command !== undefined) this.command = command;
    if (reply === undefined) return;
    this.response = describeReply(reply);
    this.responseCode = reply.code;
    this.permanent = reply.code >= 500 && reply.code !== 503;
  }
}

/** What this configuration, or this message, asks for is not here. */
export function unsupported(what: string, instead = "see docs/nodemailer.md"): NodemailerError {
  return new NodemailerError("ECONFIG", `${what} is not supported: ${instead}`, { command: "API" });
}

/** The error of one recipient that was refused, or not reached. */
export function recipientError(recipient: string, message: string, reply: Reply | undefined, command: string): NodemailerError {
  const error = new NodemailerError(command === "DATA" ? "EMESSAGE" : "EENVELOPE", message, { command, reply });
  error.recipient = recipient;
  return error;
}

/** What of the settings an error needs to be told well. */
export interface ErrorContext {
  /** The mechanism that was asked for. */
  readonly mechanism?: string | undefined;
  /** The password may not go outside TLS, and TLS is not required. */
  readonly keepsPassword?: boolean;
}

/** Any error of sending as Nodemailer's. */
export function toNodemailerError(error: unknown, context: ErrorContext = {}): Error {
  if (error instanceof NodemailerError) return error;
  if (error instanceof ComposeError) return ofCompose(error);
  if (error instanceof SmtpError) return ofSmtp(error, context);
  if (error instanceof TypeError || error instanceof RangeError) {
    return new NodemailerError("EMESSAGE", error.message, { command: "API", cause: error });
  }
  return error instanceof Error ? error : new Error(String(error));
}

const envelopeFields = /^(?:from|sender|to|cc|bcc|envelope)\b/i;

function ofCompose(error: ComposeError): NodemailerError {
  const code = envelopeFields.test(error.field) ? "EENVELOPE" : "EMESSAGE";
  return new NodemailerError(code, error.message, { command: "API", cause: error });
}

function ofSmtp(error: SmtpError, { mechanism, keepsPassword = false }: ErrorContext): NodemailerError {
  const { code, command } = kindOf(error, mechanism);
  const keptBack = keepsPassword && error instanceof AuthenticationError && error.reply === undefined;
  const hint = keptBack ? "; a password goes in clear to this machine alone, or with allowPasswordInClear" : "";
  const made = new NodemailerError(code, error.message + hint, { command, reply: error.reply, cause: error });
  if (error instanceof RecipientsRefusedError) {
    made.rejected = [...error.recipients.keys()];
    made.rejectedErrors = [...error.recipients].map(([recipient, reply]) =>
      recipientError(recipient, `<${recipient}> was refused: ${describeReply(reply)}`, reply, "RCPT TO"),
    );
  }
  return made;
}

function kindOf(error: SmtpError, mechanism: string | undefined): { readonly code: ErrorCode; readonly command: string } {
  if (error instanceof CancelledError) return { code: "EABORT", command: "CONN" };
  if (error instanceof SmtpTimeoutError) return { code: "ETIMEDOUT", command: "CONN" };
  if (error instanceof TlsError) return ofTls(error);
  if (error instanceof AuthenticationError) return { code: "EAUTH", command: mechanism === undefined ? "AUTH" : `AUTH ${mechanism}` };
  if (error instanceof HelloError) return { code: "EPROTOCOL", command: error.phase === "helo" ? "HELO" : "EHLO" };
  if (error instanceof SenderRefusedError) return { code: "EENVELOPE", command: "MAIL FROM" };
  if (error instanceof RecipientsRefusedError) return { code: "EENVELOPE", command: "RCPT TO" };
  if (error instanceof DataError) return { code: error.phase === "data" ? "EENVELOPE" : "EMESSAGE", command: "DATA" };
  if (error instanceof NotSupportedError) return { code: "EMESSAGE", command: "MAIL FROM" };
  if (error instanceof ProtocolError) return { code: "EPROTOCOL", command: "CONN" };
  if (error instanceof ConnectError) return { code: ofConnect(error), command: "CONN" };
  if (error instanceof OutcomeUnknownError) return { code: "ECONNECTION", command: "DATA" };
  return { code: "ECONNECTION", command: "CONN" };
}

/** Nodemailer calls a failed handshake ESOCKET, and only a STARTTLS that cannot be had ETLS; so do we. */
function ofTls(error: TlsError): { readonly code: ErrorCode; readonly command: string } {
  return error.phase === "handshake" ? { code: "ESOCKET", command: "CONN" } : { code: "ETLS", command: "STARTTLS" };
}

function ofConnect(error: ConnectError): ErrorCode {
  if (error.reply !== undefined) return "EPROTOCOL";
  const code = error.cause instanceof DialError ? error.cause.code : "";
  if (code === "ETIMEDOUT") return "ETIMEDOUT";
  return code === "ENOTFOUND" || code === "EAI_AGAIN" ? "EDNS" : "ESOCKET";
}
