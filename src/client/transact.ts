/**
 * One message through one connection: made as the server can take it, signed, sent.
 *
 * Rules
 * 1. The message is written as what the server offers allows, and converted where it was complete already.
 * 2. It is signed last: nothing changes it any more.
 * 3. What this server cannot take is each recipient's failure, and nothing was sent for it.
 */
import type { ContentFacts } from "../mail/content.ts";
import type { Envelope, NotifyOn, Recipient } from "../mail/envelope.ts";
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { Accepted } from "../message/draft.ts";
import { type DraftContent, sizedContent } from "../message/draft-content.ts";
import type { Capabilities } from "../protocol/capabilities.ts";
import { holdParameter } from "../protocol/envelope-commands.ts";
import type { HoldRequest } from "../protocol/parameters.ts";
import { isAscii } from "../util/bytes.ts";
import type { AttemptResult } from "./attempt-result.ts";
import { NotSupportedError } from "./error.ts";
import { type Fit, fitMessage, fitRecipient, holdMisfit, type Misfit } from "./fit.ts";
import type { MadeMessage, Written } from "./message-input.ts";
import type { SmtpConnection } from "./smtp-connection.ts";
import type { TransportOptions } from "./transport-options.ts";

export interface TransactOptions {
  readonly signal?: AbortSignal;
  readonly progress?: (sent: number) => void;
}

type Fitting = Extract<Fit, { kind: "send" }>;

export interface Transacted {
  readonly results: readonly AttemptResult[];
  /** Octets of the content, where it was sent. */
  readonly size?: number;
}

export async function transact(
  connection: SmtpConnection,
  made: MadeMessage,
  to: readonly Mailbox[],
  how: Pick<TransportOptions, "encoding" | "sign">,
  options: TransactOptions,
): Promise<Transacted> {
  const { capabilities } = connection;
  const written = made.write(isPortable(how) ? {} : acceptedBy(capabilities));
  const needsUtf8 = written.facts.eightBitHeader || [...(made.from === null ? [] : [made.from]), ...to].some(isUtf8Local);
  const asked = { reversePath: made.from, body: bodyOf(written.facts), smtpUtf8: needsUtf8, ...dsnOf(made), ...made.transfer.extras };
  const { hold } = made.transfer;
  const fit = holdMisfit(hold, capabilities) ?? fitMessage(asked, written.facts, capabilities, { now: connection.now });
  if (fit.kind === "misfit") return { results: to.map(() => misfit(connection, fit)) };
  const recipients = to.map((mailbox) => fitRecipient({ mailbox, ...notifyOf(made, mailbox) }, fit.envelope.smtpUtf8));
  const sendable = recipients.filter((recipient): recipient is Recipient => !isMisfit(recipient));
  if (sendable.length === 0) return { results: recipients.map((each) => misfit(connection, each as Misfit)) };
  const content = await contentFor(written, fit, connection);
  if (content instanceof NotSupportedError) return { results: to.map(() => ({ kind: "failed", error: content })) };
  const signed = how.sign === undefined ? content : await how.sign(sizedContent(content));
  const results = await send(connection, { ...fit.envelope, recipients: sendable }, signed, { via: fit.via, hold }, options);
  let next = 0;
  return {
    results: recipients.map((each) => (isMisfit(each) ? misfit(connection, each) : (results[next++] as AttemptResult))),
    ...(signed.size === undefined ? {} : { size: signed.size }),
  };
}

async function send(
  connection: SmtpConnection,
  envelope: Envelope,
  content: DraftContent,
  { via, hold }: { readonly via: "DATA" | "BDAT"; readonly hold: HoldRequest | undefined },
  { signal, progress }: TransactOptions,
): Promise<readonly AttemptResult[]> {
  const stop = (): void => connection.destroy();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    // BDAT saves the dots, but it needs the size, and DATA goes in one flight with MAIL and RCPT.
    return await connection.send(envelope, content, {
      via,
      ...(hold === undefined ? {} : { mailParameters: [holdParameter(hold)] }),
      ...(progress === undefined ? {} : { progress }),
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The content, converted where this server needs it. */
async function contentFor(written: Written, fit: Fitting, connection: SmtpConnection): Promise<DraftContent | NotSupportedError> {
  const { content, facts } = written;
  if (fit.convert === undefined) return content;
  if (content.kind === "streamed") return unfit(connection, "5.6.3", "the message cannot be converted while it streams");
  const { convertedContent } = await import("./convert-content.ts"); // few need it
  const converted = await convertedContent(content, facts, fit.convert);
  if (converted.kind === "converted") return converted.content;
  return unfit(connection, "5.6.3", `the server does not take this content, and it cannot be converted: ${converted.why}`);
}

/** What is signed goes as nobody on the way has to change it. */
export function isPortable({ encoding, sign }: Pick<TransportOptions, "encoding" | "sign">): boolean {
  return (encoding ?? (sign === undefined ? "offered" : "portable")) === "portable";
}

/** BINARYMIME is of use with CHUNKING alone (RFC 3030 3). */
export function acceptedBy({ eightBitMime, binaryMime, chunking }: Capabilities): Accepted {
  return { eightBitMime, binaryMime: binaryMime && chunking };
}

function bodyOf({ eightBit, binary, longestLine }: ContentFacts): Envelope["body"] {
  if (binary || longestLine > 998) return "BINARYMIME";
  return eightBit ? "8BITMIME" : "7BIT";
}

function dsnOf({ dsn }: MadeMessage): Pick<Envelope, "ret" | "envelopeId"> {
  return {
    ...(dsn?.ret === undefined ? {} : { ret: dsn.ret === "full" ? "FULL" : "HDRS" }),
    ...(dsn?.envelopeId === undefined ? {} : { envelopeId: dsn.envelopeId }),
  };
}

/** Each recipient has its own NOTIFY, and its own address as ORCPT (RFC 3461 4.1, 4.2). */
function notifyOf({ dsn }: MadeMessage, mailbox: Mailbox): Pick<Recipient, "notify" | "originalRecipient"> {
  if (dsn?.notify === undefined) return {};
  const notify: readonly NotifyOn[] = dsn.notify === "never" ? [] : dsn.notify;
  const address = formatMailbox(mailbox);
  return { notify, ...(isAscii(address) ? { originalRecipient: { type: "rfc822", address } } : {}) };
}

const isUtf8Local = ({ localPart }: Mailbox): boolean => !isAscii(localPart);

function isMisfit(value: Recipient | Misfit): value is Misfit {
  return "kind" in value;
}

function misfit(connection: SmtpConnection, { status, text }: Misfit): AttemptResult {
  return { kind: "failed", error: unfit(connection, status, text) };
}

function unfit({ place }: SmtpConnection, status: string, why: string): NotSupportedError {
  return new NotSupportedError(place, { state: "mail", why: `${why} (${status})`, lasting: "permanent", about: "protocol" });
}
