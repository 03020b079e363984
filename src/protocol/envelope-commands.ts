/**
 * MAIL and RCPT as a client writes them, with the parameters that the server takes.
 *
 * Rules
 * 1. What cannot stand in a command throws a TypeError: nothing here lets a CR, an LF, a ">" or a space of an address end it.
 * 2. UTF-8 in an address goes out under SMTPUTF8 alone; else its domain goes as A-labels, and a UTF-8 local part throws.
 * 3. A parameter whose extension is not offered is left out; whether the message may go without it is decided elsewhere.
 * 4. `holdUntil` is not written: who relays has held the message already. Who submits asks for it in `others` (`holdParameter`).
 */
import { toAscii } from "../mail/domain.ts";
import type { DeliverBy, Envelope, OriginalRecipient, Recipient } from "../mail/envelope.ts";
import { endOfLocalPart, formatMailbox, isAsciiMailbox, type Mailbox } from "../mail/mailbox.ts";
import { isAscii } from "../util/bytes.ts";
import type { Capabilities } from "./capabilities.ts";
import { formatDateTime } from "./date-time.ts";
import type { HoldRequest } from "./parameters.ts";
import { encodeUtf8Address, encodeXtext } from "./xtext.ts";

/**
 * MAIL without its CRLF; `size` in octets, where it is known; `others`: parameters as they are to be written; `now`: the time, which BY
 * needs.
 */
export function mailCommand(
  envelope: Envelope,
  size: number | undefined,
  capabilities: Capabilities,
  others: readonly string[] = [],
  now?: number,
): string {
  const { extended, size: limit, eightBitMime, binaryMime, smtpUtf8, dsn, mtPriority } = capabilities;
  const { reversePath, body, ret, envelopeId, deliverBy, priority } = envelope;
  let line = `MAIL FROM:<${reversePath === null ? "" : formatPath(reversePath, envelope.smtpUtf8 && smtpUtf8)}>`;
  if (extended && limit !== undefined && size !== undefined) line += ` SIZE=${size}`;
  if (body === "BINARYMIME" ? binaryMime : body === "8BITMIME" && eightBitMime) line += ` BODY=${body}`;
  if (envelope.smtpUtf8 && smtpUtf8) line += " SMTPUTF8";
  if (dsn && ret !== undefined) line += ` RET=${ret}`;
  if (dsn && envelopeId !== undefined) line += ` ENVID=${formatEnvelopeId(envelopeId)}`;
  if (capabilities.deliverBy !== undefined && deliverBy !== undefined && now !== undefined)
    line += ` BY=${formatDeliverBy(deliverBy, now)}`;
  if (mtPriority && priority !== undefined) line += ` MT-PRIORITY=${priority}`;
  for (const parameter of others) line += ` ${parameter}`;
  assertLine(line, "MAIL");
  return line;
}

/** RCPT without its CRLF; `smtpUtf8`: the envelope asks for it. */
export function rcptCommand(recipient: Recipient, smtpUtf8: boolean, capabilities: Capabilities, others: readonly string[] = []): string {
  const { mailbox, notify, originalRecipient } = recipient;
  let line = `RCPT TO:<${formatPath(mailbox, smtpUtf8 && capabilities.smtpUtf8)}>`;
  if (capabilities.dsn && notify !== undefined) line += ` NOTIFY=${notify.length === 0 ? "NEVER" : notify.join(",").toUpperCase()}`;
  if (capabilities.dsn && originalRecipient !== undefined) line += ` ORCPT=${formatOriginalRecipient(originalRecipient)}`;
  for (const parameter of others) line += ` ${parameter}`;
  assertLine(line, "RCPT");
  return line;
}

/** Throws a TypeError for what would end a line or is no text. */
export function assertLine(text: string, what: string): void {
  if (/[\x00-\x1f\x7f]/.test(text)) throw new TypeError(`${what} holds a control character: ${JSON.stringify(text)}`);
}

function formatPath(mailbox: Mailbox, smtpUtf8: boolean): string {
  const { localPart, domain } = mailbox;
  const whole = localPart !== "" && endOfLocalPart(localPart, true) === localPart.length;
  if (!whole || /[\x00-\x20\x7f<>@]/.test(domain)) throw new TypeError(`not a mailbox: ${JSON.stringify(formatMailbox(mailbox))}`);
  if (smtpUtf8 || isAsciiMailbox(mailbox)) return formatMailbox(mailbox);
  const ascii = toAscii(domain);
  if (ascii === undefined || !isAscii(localPart)) throw new TypeError(`${formatMailbox(mailbox)} can be sent with SMTPUTF8 only`);
  return formatMailbox({ localPart, domain: ascii });
}

/** HOLDFOR or HOLDUNTIL. */
export function holdParameter(hold: HoldRequest): string {
  return hold.kind === "for" ? `HOLDFOR=${hold.seconds}` : `HOLDUNTIL=${formatDateTime(hold.at)}`;
}

/** RFC 2852 4: nine digits. */
const BY_MOST = 999_999_999;

/** What is left of the time; with mode R never nothing, for that would be no request (RFC 2852 4.1.1). */
function formatDeliverBy({ at, mode, trace }: DeliverBy, now: number): string {
  const left = secondsLeft(at, now);
  const seconds = Math.max(mode === "return" ? 1 : -BY_MOST, Math.min(left, BY_MOST));
  return `${seconds};${mode === "return" ? "R" : "N"}${trace ? "T" : ""}`;
}

/** Whole seconds until then, rounded down: a next hop must not have more time than there is. */
export function secondsLeft(at: number, now: number): number {
  return Math.floor((at - now) / 1000);
}

/** RFC 3461 4.4: printable ASCII before it is encoded. */
function formatEnvelopeId(id: string): string {
  if (!/^[\x20-\x7e]*$/.test(id)) throw new TypeError(`envelope id is not printable ASCII: ${JSON.stringify(id)}`);
  return encodeXtext(id);
}

function formatOriginalRecipient({ type, address }: OriginalRecipient): string {
  if (!/^[A-Za-z0-9-]+$/.test(type)) throw new TypeError(`not an address type: ${JSON.stringify(type)}`);
  assertLine(address, "original recipient");
  return `${type};${type.toLowerCase() === "utf-8" ? encodeUtf8Address(address) : encodeXtext(address)}`;
}
