/**
 * `postrider send`: hands one message over, and says what became of it for each recipient.
 *
 * Rules
 * 1. The exit code is that of the worst recipient: a permanent refusal, then a temporary one.
 * 2. A message that may have been taken (the connection was lost after its end) is `unknown`, and the code is "try again".
 */
import { SmtpError } from "../client/error.ts";
import { SmtpConnection } from "../client/smtp-connection.ts";
import type { Envelope } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import { describeReply, isTemporary } from "../mail/reply.ts";
import { DialError, dial } from "../net/dial.ts";
import type { RecipientResult } from "../protocol/client-session.ts";
import { formatSize } from "../telemetry/event-text.ts";
import { CliError, type ExitCode, exitCodes } from "./exit-codes.ts";
import { type MessageOptions, messageOf, type Outgoing } from "./send-message.ts";
import { type Target, type TargetOptions, targetOf } from "./send-target.ts";
import { painter, print, shown, table } from "./terminal.ts";
import { Transcript } from "./transcript.ts";

export interface SendOptions extends TargetOptions, MessageOptions {
  readonly json?: boolean;
  readonly transcript?: boolean;
}

export async function send(options: SendOptions): Promise<number> {
  const target = await targetOf(options);
  const message = await messageOf(options, senderOf(target));
  const connection = await connect(target, options.transcript === true);
  const results = await transact(connection, message);
  await connection.quit();
  await report(message, results, options.json === true);
  return results.reduce<ExitCode>((worst, result) => worse(worst, codeOf(result)), exitCodes.ok);
}

/** The login name, where it is an address. */
function senderOf({ credentials }: Target): string | undefined {
  return credentials?.user.includes("@") === true ? credentials.user : undefined;
}

async function connect(target: Target, transcript: boolean): Promise<SmtpConnection> {
  const heard = transcript ? new Transcript((line) => console.error(line)).over(dial) : dial;
  try {
    return await SmtpConnection.open({ ...target, dial: heard });
  } catch (error) {
    throw error instanceof SmtpError ? connectionFailure(error) : error;
  }
}

/** Node adds how one would start Node, which nobody does here. */
function withoutNodesAdvice(message: string): string {
  return message.replace(/; if the root CA is installed locally, try running Node\.js with --use-system-ca/, "");
}

function tlsHint(message: string): string {
  if (message.includes("speaks clear text first")) return "Use --tls starttls on this port.";
  if (message.includes("does not offer STARTTLS"))
    return "--tls none goes without TLS, and then without a password; --tls implicit is for port 465.";
  return "Trust its certificate with --ca FILE, or do without checking it: --insecure.";
}

function connectionFailure(error: SmtpError): CliError {
  const because = { cause: error };
  const message = `${shown(error.message)}.`;
  if (error.about === "authentication") {
    const code = error.lasting === "temporary" ? exitCodes.temporary : exitCodes.noPermission;
    return new CliError(code, message, "Check --user and its password, and that the server offers AUTH inside TLS.", because);
  }
  if (error.about === "tls") {
    return new CliError(exitCodes.unavailable, withoutNodesAdvice(message), tlsHint(message), because);
  }
  const dialed = error.cause instanceof DialError ? error.cause.code : "";
  if (dialed === "ENOTFOUND") return new CliError(exitCodes.noHost, message, "Check the name in --server.", because);
  const hint = dialed === "ECONNREFUSED" ? "Nothing listens there: is the server running, and is the port right?" : undefined;
  return new CliError(
    error.lasting === "temporary" && error.reply !== undefined ? exitCodes.temporary : exitCodes.unavailable,
    message,
    hint,
    because,
  );
}

/** From this size on a terminal is shown how far it is. */
const PROGRESS_FROM = 1024 * 1024;

async function transact(connection: SmtpConnection, message: Outgoing): Promise<readonly RecipientResult[]> {
  const { capabilities } = connection;
  const { facts } = message;
  if (message.smtpUtf8 && !capabilities.smtpUtf8) {
    throw await given(connection, "this server does not take UTF-8 addresses or headers (no SMTPUTF8)");
  }
  if (facts.binary && !(capabilities.binaryMime && capabilities.chunking)) {
    throw await given(connection, "the message is binary, which this server does not take (no BINARYMIME)");
  }
  const envelope: Envelope = {
    reversePath: message.from,
    recipients: message.to.map((mailbox) => ({ mailbox })),
    body: facts.binary ? "BINARYMIME" : facts.eightBit ? "8BITMIME" : "7BIT",
    smtpUtf8: message.smtpUtf8,
  };
  const { size } = message.content;
  const visible = process.stderr.isTTY === true && size >= PROGRESS_FROM;
  const progress = (sent: number): void => {
    if (visible) process.stderr.write(`\r${Math.floor((sent / size) * 100)} % of ${formatSize(size)}`);
  };
  const results = await connection.send(envelope, message.content, facts.binary ? "BDAT" : "DATA", progress);
  if (visible) process.stderr.write("\r\x1b[K");
  return results;
}

async function given(connection: SmtpConnection, why: string): Promise<CliError> {
  await connection.quit();
  return new CliError(exitCodes.data, `${why}.`);
}

function codeOf(result: RecipientResult): ExitCode {
  if (result.kind === "accepted") return exitCodes.ok;
  if (result.kind !== "refused" || isTemporary(result.reply)) return exitCodes.temporary;
  const { status, code } = result.reply;
  if (result.state === "rcpt" && (status === undefined || status.startsWith("5.1."))) return exitCodes.noUser;
  if (status?.startsWith("5.7.") === true || code === 530) return exitCodes.noPermission;
  return result.state === "rcpt" ? exitCodes.noUser : exitCodes.data;
}

const order: readonly ExitCode[] = [exitCodes.ok, exitCodes.temporary, exitCodes.noUser, exitCodes.data, exitCodes.noPermission];

function worse(a: ExitCode, b: ExitCode): ExitCode {
  return order.indexOf(b) > order.indexOf(a) ? b : a;
}

async function report(message: Outgoing, results: readonly RecipientResult[], json: boolean): Promise<void> {
  const rows = results.map((result, i) => {
    const to = message.to[i];
    const recipient = to === undefined ? "" : formatMailbox(to);
    const text = "reply" in result ? describeReply(result.reply) : result.why;
    return { recipient, result: result.kind, code: "reply" in result ? result.reply.code : undefined, text };
  });
  if (json)
    return print(`${JSON.stringify({ from: formatMailbox(message.from), size: message.content.size, recipients: rows }, null, 2)}\n`);
  const paint = painter(process.stdout);
  const lines = table(rows.map((row) => [shown(row.recipient), row.result, shown(row.text)]))
    .trimEnd()
    .split("\n");
  const colored = lines.map((line, i) => (rows[i]?.result === "accepted" ? paint("green", line) : paint("red", line)));
  await print(`${colored.join("\n")}\n`);
}
