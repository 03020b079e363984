/**
 * A delivery report: multipart/report (RFC 6522) of words for the sender, a delivery status (RFC 3464) and what came back of
 * the message. Its UTF-8 forms are those of RFC 6533.
 *
 * Rules
 * 1. A report goes to the reverse-path and from `<>` (RFC 3464 2); who calls sees to it that there is none for `<>`.
 * 2. Everything in it came from outside but our own sentences: nothing of it can end a line, a part or the header.
 * 3. Lines stay within 998 octets, and without `utf8` every octet of the header and the status is ASCII.
 * 4. The whole message comes back only with RET=FULL, up to `RETURNED_LIMIT`, and only where it can stand in a MIME part as it is.
 */
import type { ContentFacts } from "../mail/content.ts";
import { formatMailbox, isAsciiMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { MessageId } from "../mail/message.ts";
import { concat, isAscii, utf8 } from "../util/bytes.ts";
import { deliveryStatus, type ReportedRecipient, safeText } from "./delivery-status.ts";
import type { HeaderSection } from "./header-section.ts";
import { encodeQuotedPrintable, endWithLine } from "./quoted-printable.ts";
import { reportText } from "./report-text.ts";
import { messageIdText } from "./submission.ts";
import { FOLD_AT, formatDate } from "./trace.ts";

/** Octets of the original that come back; a longer header section is cut after a field, a longer content comes back as its header. */
export const RETURNED_LIMIT = 64 * 1024;
const LINE_LIMIT = 998;

export interface DeliveryReport {
  /** Our name, in A-labels. */
  readonly reportingMta: string;
  /** The address in From: the postmaster, not the reverse-path (which is `<>`). */
  readonly postmaster: Mailbox;
  /** The reverse-path of the message. */
  readonly to: Mailbox;
  /** The id of the report itself, for its Message-ID. */
  readonly id: MessageId;
  /** The message that it is about. */
  readonly about: MessageId;
  readonly arrived: number;
  readonly envelopeId?: string;
  readonly deliverBy?: number;
  /** At least one. */
  readonly recipients: readonly ReportedRecipient[];
  readonly original: {
    readonly header: HeaderSection;
    /** Given where RET=FULL was asked for and the content is at hand. */
    readonly content?: { readonly chunks: readonly Uint8Array[]; readonly facts: ContentFacts };
  };
  /** Whether the way back takes UTF-8: the message came with SMTPUTF8. A reverse-path that is not ASCII implies it. */
  readonly utf8: boolean;
  readonly now: number;
  /** Parts the MIME parts: up to 60 letters and digits that no sender can foretell. */
  readonly boundary: string;
}

export interface MadeReport {
  readonly chunks: readonly Uint8Array[];
  /** A header holds UTF-8: the report's own envelope needs SMTPUTF8. */
  readonly smtpUtf8: boolean;
}

/** The report as a content. */
export function deliveryReport(options: DeliveryReport): MadeReport {
  const smtpUtf8 = !isAsciiMailbox(options.to);
  const withUtf8 = options.utf8 || smtpUtf8;
  const original = returnedPart(options, withUtf8);
  const words = utf8(
    reportText({ ...options, postmaster: formatMailbox(options.postmaster), returned: original.whole ? "content" : "headers" }),
  );
  const type = withUtf8 ? "message/global-delivery-status" : "message/delivery-status";
  const status = utf8(deliveryStatus({ ...options, utf8: withUtf8 }));
  const parts = [
    textPart(words, withUtf8),
    part([`Content-Type: ${type}`, "Content-Description: Delivery status"], eightBit(status) ? "8bit" : "7bit", [status]),
    original.part,
  ];
  const encoding = parts.some((p) => p.encoding === "8bit") ? "8bit" : "7bit";
  const chunks = [utf8(reportHeader(options, encoding, smtpUtf8))];
  for (const p of parts) chunks.push(utf8(`--${options.boundary}\r\n${p.header}\r\n`), ...p.body, utf8("\r\n"));
  chunks.push(utf8(`--${options.boundary}--\r\n`));
  return { chunks, smtpUtf8 };
}

interface Part {
  readonly header: string;
  readonly encoding: string;
  readonly body: readonly Uint8Array[];
}

function part(header: readonly string[], encoding: string, body: readonly Uint8Array[]): Part {
  const lines = encoding === "7bit" ? header : [...header, `Content-Transfer-Encoding: ${encoding}`];
  return { header: `${lines.join("\r\n")}\r\n`, encoding, body };
}

function textPart(words: Uint8Array, withUtf8: boolean): Part {
  const wide = eightBit(words);
  const header = [`Content-Type: text/plain; charset=${wide ? "utf-8" : "us-ascii"}`, "Content-Description: Notification"];
  if (!wide) return part(header, "7bit", [words]);
  return withUtf8 ? part(header, "8bit", [words]) : part(header, "quoted-printable", [encodeQuotedPrintable(words)]);
}

/** The whole content where it was asked for and can stand as it is, else the header. */
function returnedPart(options: DeliveryReport, withUtf8: boolean): { readonly part: Part; readonly whole: boolean } {
  const { header, content } = options.original;
  const description = "Content-Description: Undelivered message";
  if (content !== undefined && returnable(content.facts, withUtf8)) {
    const type = content.facts.eightBitHeader ? "message/global" : "message/rfc822";
    const encoding = content.facts.eightBit ? "8bit" : "7bit";
    return { part: part([`Content-Type: ${type}`, description], encoding, [endWithLine(concat(content.chunks))]), whole: true };
  }
  const bytes = endWithLine(leadingFields(header));
  const headers = `${description} headers`;
  if (!needsEncoding(bytes)) {
    const wide = eightBit(bytes);
    if (!wide) return { part: part(["Content-Type: text/rfc822-headers", headers], "7bit", [bytes]), whole: false };
    if (withUtf8) return { part: part(["Content-Type: message/global-headers", headers], "8bit", [bytes]), whole: false };
  }
  // RFC 6522 4: headers that are no legal 7-bit text may be sent as quoted-printable.
  const encoded = encodeQuotedPrintable(bytes);
  return { part: part(["Content-Type: text/rfc822-headers", headers], "quoted-printable", [encoded]), whole: false };
}

/** RFC 2046 5.2.1: message/rfc822 takes no encoding but 7bit and 8bit, so that its content must be a legal one. */
function returnable(facts: ContentFacts, withUtf8: boolean): boolean {
  const legal = !facts.binary && facts.longestLine <= LINE_LIMIT && (withUtf8 || !facts.eightBitHeader);
  return legal && facts.size <= RETURNED_LIMIT;
}

/** The fields from the first on that stay within the limit. */
function leadingFields(header: HeaderSection): Uint8Array {
  if (header.bytes.length <= RETURNED_LIMIT) return header.bytes;
  let size = 0;
  for (const { raw } of header.fields) {
    if (size + raw.length > RETURNED_LIMIT) break;
    size += raw.length;
  }
  return header.bytes.subarray(0, size);
}

/** A NUL, a CR or LF alone, or a line over 998. */
function needsEncoding(bytes: Uint8Array): boolean {
  let start = 0;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i];
    if (c === 0 || c === 10 || (c === 13 && bytes[i + 1] !== 10)) return true;
    if (c !== 13) continue;
    if (i - start > LINE_LIMIT) return true;
    i++;
    start = i + 1;
  }
  return bytes.length - start > LINE_LIMIT;
}

function eightBit(bytes: Uint8Array): boolean {
  return bytes.some((c) => c > 127);
}

function reportHeader(options: DeliveryReport, encoding: string, smtpUtf8: boolean): string {
  const lines = [
    `From: Mail Delivery System <${formatMailbox(options.postmaster)}>`,
    `To: <${safeText(formatMailbox(options.to), smtpUtf8)}>`,
    subjectField(options.recipients, smtpUtf8),
    `Date: ${formatDate(options.now)}`,
    `Message-ID: <${messageIdText(options.id, options.reportingMta)}>`,
  ];
  const answered = originalMessageId(options.original.header);
  if (answered !== undefined) lines.push(`In-Reply-To: ${answered}`, `References: ${answered}`);
  lines.push(
    "Auto-Submitted: auto-replied", // RFC 3834 5.1
    "MIME-Version: 1.0",
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${options.boundary}"`,
  );
  if (encoding !== "7bit") lines.push(`Content-Transfer-Encoding: ${encoding}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function subjectField(recipients: readonly ReportedRecipient[], smtpUtf8: boolean): string {
  const title = titleOf(new Set(recipients.map(({ outcome }) => outcome.action)));
  const [first] = recipients;
  const address = first === undefined ? "" : safeText(formatMailbox(first.recipient.mailbox), true);
  const shown = recipients.length === 1 && (smtpUtf8 || isAscii(address));
  const about = shown ? address : `${recipients.length} ${recipients.length === 1 ? "address" : "addresses"}`;
  const text = `Subject: ${title}: ${about}`;
  return text.length > FOLD_AT ? `Subject: ${title}:\r\n ${about}` : text;
}

function titleOf(actions: ReadonlySet<string>): string {
  if (actions.has("failed")) return "Undelivered Mail";
  if (actions.has("delayed")) return "Delayed Mail";
  return actions.has("relayed") ? "Relayed Mail" : "Delivered Mail";
}

/** Only a Message-ID that is one is repeated: it came from outside. */
function originalMessageId(header: HeaderSection): string | undefined {
  const text = header.value("message-id");
  return text !== undefined && /^<[!-;=?-~]{3,250}>$/.test(text) ? text : undefined;
}
