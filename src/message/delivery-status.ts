/**
 * The machine's part of a report: message/delivery-status (RFC 3464 2) or message/global-delivery-status (RFC 6533 4).
 *
 * Rules
 * 1. What a remote server said comes from a stranger: it is one field's text here, folded, without controls, of bounded length.
 * 2. Without UTF-8 every octet is ASCII: addresses are then written as `utf-8-addr-xtext` (RFC 6533 3), other text with "?".
 */
import { isAddressLiteral } from "../mail/domain.ts";
import type { OriginalRecipient, Recipient } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import type { MessageId } from "../mail/message.ts";
import type { Done, Reason, RemoteHost, Unfinished } from "../mail/outcome.ts";
import { describeReply } from "../mail/reply.ts";
import { isAscii } from "../util/bytes.ts";
import { FOLD_AT, formatDate } from "./trace.ts";

/** Characters of a remote server's reply, or of any other text from outside, that a report repeats. */
export const DIAGNOSTIC_LIMIT = 2000;
/** RFC 5322 2.1.1 allows 998 octets a line; a word longer than this is cut apart, at most four octets a character. */
const WORD_LIMIT = 240;

/** A recipient that a report tells about. */
export interface ReportedRecipient {
  readonly recipient: Recipient;
  readonly outcome: Unfinished | Done;
  /** When it was last tried; absent where it never was. Milliseconds since 1970 UTC, as are all times here. */
  readonly attempted?: number;
  /** Why its sender hears that it was passed on (RFC 2852): the next server does not keep to the time, or each step is told. */
  readonly passedOn?: "untimed" | "traced";
  /** Until when it is tried, where the outcome is `delayed`. */
  readonly retryUntil?: number;
}

export interface StatusOptions {
  /** Our name, in A-labels. */
  readonly reportingMta: string;
  /** The id of the message that this is about: it is in our Received line and in our log. */
  readonly about: MessageId;
  readonly envelopeId?: string;
  readonly arrived: number;
  /** By when its sender wanted it delivered (RFC 2852). */
  readonly deliverBy?: number;
  readonly recipients: readonly ReportedRecipient[];
  readonly utf8: boolean;
}

/** Both groups of fields, ended by CRLF. */
export function deliveryStatus(options: StatusOptions): string {
  const groups = [messageFields(options)];
  for (const recipient of options.recipients) groups.push(recipientFields(recipient, options.utf8));
  return groups.join("\r\n");
}

function messageFields(options: StatusOptions): string {
  let text = "";
  if (options.envelopeId !== undefined) text += field("Original-Envelope-Id", options.envelopeId, options.utf8);
  text += field("Reporting-MTA", `dns; ${options.reportingMta}`, options.utf8);
  text += field("X-Postrider-Id", options.about, options.utf8);
  text += field("Arrival-Date", formatDate(options.arrived), options.utf8);
  if (options.deliverBy !== undefined) text += field("Deliver-By-Date", formatDate(options.deliverBy), options.utf8); // RFC 2852 5
  return text;
}

function recipientFields(reported: ReportedRecipient, utf8: boolean): string {
  const { recipient, outcome } = reported;
  const address = formatMailbox(recipient.mailbox);
  let text = "";
  if (recipient.originalRecipient !== undefined) text += field("Original-Recipient", typed(recipient.originalRecipient, utf8), utf8);
  const type = isAscii(address) ? "rfc822" : "utf-8";
  text += field("Final-Recipient", typed({ type, address }, utf8), utf8);
  text += field("Action", outcome.action, utf8);
  const done = "reply" in outcome;
  text += field("Status", done ? (outcome.reply.status ?? "2.0.0") : outcome.status, utf8);
  const host = done ? outcome.at : hostOf(outcome.why);
  if (host !== undefined) text += field("Remote-MTA", `dns; ${remoteName(host)}`, utf8);
  text += field("Diagnostic-Code", done ? `smtp; ${describeReply(outcome.reply)}` : diagnosticCode(outcome.why), utf8);
  if (reported.attempted !== undefined) text += field("Last-Attempt-Date", formatDate(reported.attempted), utf8);
  if (outcome.action === "delayed" && reported.retryUntil !== undefined) {
    text += field("Will-Retry-Until", formatDate(reported.retryUntil), utf8);
  }
  return text;
}

/** The server that the trouble was with. */
export function hostOf(why: Reason): RemoteHost | undefined {
  return "at" in why ? why.at : undefined;
}

/** RFC 3464 2.3.5: `dns` names are domains; an address stands in brackets. */
function remoteName(host: RemoteHost): string {
  if (isAddressLiteral(host.name) || !/^[0-9.]+$|:/.test(host.name)) return host.name;
  return host.name.includes(":") ? `[IPv6:${host.name}]` : `[${host.name}]`;
}

/** RFC 3464 2.3.6: `smtp` only for what an SMTP server answered. */
function diagnosticCode(why: Reason): string {
  return why.kind === "reply" ? `smtp; ${describeReply(why.reply)}` : `x-postrider; ${why.text}`;
}

function typed(recipient: OriginalRecipient, utf8: boolean): string {
  return `${recipient.type}; ${utf8 ? recipient.address : addressXtext(recipient.address)}`;
}

/** RFC 6533 3: an ASCII address as it is; else `\x{E9}` for what is not ASCII and for what the form itself uses. */
function addressXtext(address: string): string {
  if (isAscii(address)) return address;
  let text = "";
  for (const character of address) {
    const code = character.codePointAt(0) as number;
    text += code > 126 || code < 33 || "\\+=".includes(character) ? `\\x{${code.toString(16).toUpperCase().padStart(2, "0")}}` : character;
  }
  return text;
}

function field(name: string, value: string, utf8: boolean): string {
  return foldText(`${name}: ${safeText(value, utf8)}`, FOLD_AT, " ");
}

/** Text from outside as part of a line: no controls, no line separators, bounded, and ASCII where there is no UTF-8. */
export function safeText(text: string, utf8: boolean): string {
  const shown = text.length > DIAGNOSTIC_LIMIT ? `${text.slice(0, DIAGNOSTIC_LIMIT)}...` : text;
  const clean = shown.toWellFormed().replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ");
  return utf8 ? clean : clean.replace(/[^\x20-\x7e]/gu, "?");
}

/** Lines of at most `width` characters where spaces allow it, each ended by CRLF; `first` begins the first, `indent` the others. */
export function foldText(text: string, width: number, indent: string, first = ""): string {
  let out = "";
  let line = first;
  let empty = true;
  for (const word of text.split(" ").flatMap(pieces)) {
    if (word === "") continue;
    if (empty) line += word;
    else if (line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      out += `${line}\r\n`;
      line = indent + word;
    }
    empty = false;
  }
  return empty ? out : `${out}${line}\r\n`;
}

function pieces(word: string): string[] {
  if (word.length <= WORD_LIMIT) return [word];
  const characters = [...word];
  const cut: string[] = [];
  for (let i = 0; i < characters.length; i += WORD_LIMIT) cut.push(characters.slice(i, i + WORD_LIMIT).join(""));
  return cut;
}
