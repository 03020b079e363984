/**
 * `postrider send`: hands one message over, and says what became of it for each recipient.
 *
 * Rules
 * 1. The exit code is that of the worst recipient: a permanent refusal, then a temporary one.
 * 2. A message that may have been taken (the connection was lost after its end) is `unknown`, and the code is "try again".
 */
import { AuthenticationError, NotSupportedError, SmtpError, TlsError } from "../client/error.ts";
import type { ClientMessage } from "../client/message-input.ts";
import { createTransport } from "../client/node.ts";
import type { RecipientReport, SendResult } from "../client/send-result.ts";
import { formatTranscriptLine } from "../client/transcript.ts";
import { ComposeError } from "../message/compose-error.ts";
import { DialError } from "../net/dial.ts";
import { formatSize } from "../telemetry/event-text.ts";
import { CliError, type ExitCode, exitCodes } from "./exit-codes.ts";
import { type MessageOptions, messageOf } from "./send-message.ts";
import { type Target, type TargetOptions, targetOf } from "./send-target.ts";
import { type TransferOptions, transferOf } from "./send-transfer.ts";
import { painter, print, shown, table } from "./terminal.ts";

export interface SendOptions extends TargetOptions, MessageOptions, TransferOptions {
  readonly json?: boolean;
  readonly transcript?: boolean;
}

export async function send(options: SendOptions): Promise<number> {
  const transfer = transferOf(options);
  const target = await targetOf(options);
  const message = { ...(await messageOf(options, senderOf(target))), ...transfer };
  const result = await transmit(target, message, options.transcript === true);
  await report(result, options.json === true);
  return result.recipients.reduce<ExitCode>((worst, each) => worse(worst, codeOf(each)), exitCodes.ok);
}

/** The login name, where it is an address. */
function senderOf({ credentials }: Target): string | undefined {
  return credentials?.user.includes("@") === true ? credentials.user : undefined;
}

/** What became of it, recipient by recipient; a CliError where no server was asked about them. */
async function transmit(target: Target, message: ClientMessage, transcript: boolean): Promise<SendResult> {
  const { host, port, tls, verify, authorities, credentials, name } = target;
  await using transport = createTransport({
    host,
    port,
    tlsMode: tls,
    tls: { ...(verify === undefined ? {} : { verify }), ...(authorities === undefined ? {} : { authorities }) },
    ...(credentials === undefined ? {} : { auth: credentials }),
    name,
    retry: false,
    ...(transcript ? { transcript: (line) => console.error(formatTranscriptLine(line)) } : {}),
  });
  const progress = progressLine();
  try {
    return await transport.send(message, { progress: progress.show });
  } catch (error) {
    if (error instanceof ComposeError && error.field === "raw") {
      throw new CliError(exitCodes.data, `${error.message}.`, "Name the envelope with --from and --to.", { cause: error });
    }
    if (!(error instanceof SmtpError)) throw error;
    if (error.result?.recipients.some(({ status }) => status !== "failed")) return error.result;
    throw connectionFailure(error);
  } finally {
    progress.clear();
  }
}

function tlsHint(message: string): string {
  if (message.includes("speaks STARTTLS")) return "Use --tls starttls on this port.";
  if (message.includes("does not offer STARTTLS"))
    return "--tls none goes without TLS, and then without a password; --tls implicit is for port 465.";
  return "Trust its certificate with --ca FILE, or do without checking it: --insecure.";
}

function connectionFailure(error: SmtpError): CliError {
  const because = { cause: error };
  const message = `${shown(error.message)}.`;
  if (error instanceof AuthenticationError) {
    const code = error.lasting === "temporary" ? exitCodes.temporary : exitCodes.noPermission;
    return new CliError(code, message, "Check --user and its password, and that the server offers AUTH inside TLS.", because);
  }
  if (error instanceof TlsError) return new CliError(exitCodes.unavailable, message, tlsHint(message), because);
  if (error instanceof NotSupportedError) return new CliError(exitCodes.data, message, undefined, because);
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

/** From so many octets on a terminal is shown how far it is. */
const PROGRESS_FROM = 1024 * 1024;

/** What has been handed over, on a line of its own that is written over. */
function progressLine() {
  let shownOnce = false;
  return {
    show: (sent: number): void => {
      if (process.stderr.isTTY !== true || sent < PROGRESS_FROM) return;
      shownOnce = true;
      process.stderr.write(`\r\x1b[Ksent ${formatSize(sent)}`);
    },
    clear: (): void => {
      if (shownOnce) process.stderr.write("\r\x1b[K");
    },
  };
}

function codeOf({ status, lasting, code, enhancedCode }: RecipientReport): ExitCode {
  if (status === "accepted") return exitCodes.ok;
  if (lasting !== "permanent") return exitCodes.temporary;
  if (enhancedCode?.startsWith("5.7.") === true || code === 530) return exitCodes.noPermission;
  return enhancedCode === undefined || enhancedCode.startsWith("5.1.") ? exitCodes.noUser : exitCodes.data;
}

const order: readonly ExitCode[] = [exitCodes.ok, exitCodes.temporary, exitCodes.noUser, exitCodes.data, exitCodes.noPermission];

function worse(a: ExitCode, b: ExitCode): ExitCode {
  return order.indexOf(b) > order.indexOf(a) ? b : a;
}

async function report({ envelope, size, recipients }: SendResult, json: boolean): Promise<void> {
  const rows = recipients.map(({ address, status, code, enhancedCode, text }) => {
    const said = [code, enhancedCode, text.replaceAll("\n", " ")].filter((word) => word !== undefined).join(" ");
    return { recipient: address, result: status, code, text: said };
  });
  if (json) return print(`${JSON.stringify({ from: envelope.from, size, recipients: rows }, null, 2)}\n`);
  const paint = painter(process.stdout);
  const lines = table(rows.map((row) => [shown(row.recipient), row.result, shown(row.text)]))
    .trimEnd()
    .split("\n");
  const colored = lines.map((line, i) => (rows[i]?.result === "accepted" ? paint("green", line) : paint("red", line)));
  await print(`${colored.join("\n")}\n`);
}
