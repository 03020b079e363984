/**
 * Trace fields: Received and Return-Path (RFC 5321 4.4), and the date-time they bear (RFC 5322 3.3).
 *
 * Rules
 * 1. A peer says its own EHLO name and DNS says its host name: neither can leave its place in the line, whatever it holds.
 * 2. A Received line is ASCII: an address that is not is left out, so that our line never makes a message need SMTPUTF8.
 * 3. `for` stands only where there is one recipient: it would tell of a Bcc.
 */
import { addressLiteral, addressOfLiteral, isDomain } from "../mail/domain.ts";
import { formatReversePath, type ReversePath } from "../mail/envelope.ts";
import { formatMailbox, isAsciiMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { MessageId } from "../mail/message.ts";
import { isAscii, utf8 } from "../util/bytes.ts";

/** RFC 5322 2.1.1: lines should have no more characters than this, CRLF not counted. */
export const FOLD_AT = 78;

export interface ReceivedPeer {
  /** What the peer called itself in EHLO, as it came. */
  readonly helo: string;
  /** IPv4 or IPv6, as the socket gives it. */
  readonly address: string;
  /** The name that DNS gives its address. */
  readonly name?: string;
}

export interface ReceivedOptions {
  /** Absent: the submitter is not shown, and there is no `from` clause. */
  readonly peer?: ReceivedPeer;
  /** Our own name. */
  readonly hostname: string;
  /** Absent for what was made here: no protocol carried it. */
  readonly protocol?: ProtocolFacts;
  /** Set inside TLS: `TLSv1.3`, `TLS_AES_256_GCM_SHA384`. */
  readonly tls?: { readonly version: string; readonly cipher: string };
  readonly id: MessageId;
  /** Every recipient of the transaction; named only if it is one. */
  readonly recipients: readonly Mailbox[];
  /** What MT-PRIORITY gave it. */
  readonly priority?: number;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** Minutes east of UTC to write the time in; 0 by default. */
  readonly offset?: number;
}

/** The whole field, folded, with its CRLF. */
export function receivedField(options: ReceivedOptions): Uint8Array {
  const parts: string[] = [];
  if (options.peer !== undefined) parts.push(`from ${heloText(options.peer.helo)}`, peerComment(options.peer));
  parts.push(`by ${hostText(options.hostname)} (Postrider)`);
  if (options.protocol !== undefined) parts.push(`with ${withProtocol(options.protocol)}`);
  if (options.tls !== undefined) parts.push(`(using ${plain(options.tls.version)} with cipher ${plain(options.tls.cipher)})`);
  const only = options.recipients.length === 1 ? options.recipients[0] : undefined;
  parts.push(`id ${options.id}`);
  if (only !== undefined && isPrintableMailbox(only)) parts.push(`for <${formatMailbox(only)}>`);
  if (options.priority !== undefined) parts.push(`PRIORITY ${options.priority}`); // RFC 6710 4: a registered clause
  const last = parts.pop();
  parts.push(`${last};`, formatDate(options.now, options.offset));
  return utf8(foldParts("Received:", parts));
}

/** Joins by spaces, and by a fold where the line would pass `FOLD_AT`. */
function foldParts(name: string, parts: readonly string[]): string {
  let text = name;
  let width = name.length;
  for (const part of parts) {
    if (width + 1 + part.length > FOLD_AT && width > name.length) {
      text += `\r\n\t${part}`;
      width = 1 + part.length;
    } else {
      text += ` ${part}`;
      width += 1 + part.length;
    }
  }
  return `${text}\r\n`;
}

/** RFC 5321 4.4, Extended-Domain: a name or literal as it was said; what could be neither is shown with its odd characters replaced. */
function heloText(helo: string): string {
  return addressOfLiteral(helo) === undefined ? hostText(helo) : helo;
}

function hostText(name: string): string {
  if (isAscii(name) && isDomain(name)) return name;
  return plain(name.slice(0, 255)) || "unknown";
}

function peerComment(peer: ReceivedPeer): string {
  const zone = peer.address.indexOf("%");
  const literal = addressLiteral(zone < 0 ? peer.address : peer.address.slice(0, zone));
  const address = addressOfLiteral(literal) === undefined ? "[unknown]" : literal;
  return peer.name === undefined ? `(${address})` : `(${hostText(peer.name)} ${address})`;
}

/** What can stand in a comment or as an atom: everything else becomes "?". */
function plain(text: string): string {
  return text.replace(/[^A-Za-z0-9._:-]/g, "?");
}

function isPrintableMailbox(mailbox: Mailbox): boolean {
  return isAsciiMailbox(mailbox) && !/[\x00-\x1f\x7f]/.test(formatMailbox(mailbox));
}

export interface ProtocolFacts {
  /** The session began with EHLO. */
  readonly esmtp: boolean;
  readonly tls: boolean;
  readonly authenticated: boolean;
  /** The message came with SMTPUTF8. */
  readonly utf8: boolean;
  readonly lmtp?: boolean;
}

/** The `with` keyword: RFC 3848, and RFC 6531 4.3 for the UTF8 forms. */
export function withProtocol(facts: ProtocolFacts): string {
  // No keyword says "HELO inside TLS": RFC 3848's S and A begin at ESMTP.
  if (!facts.esmtp && facts.lmtp !== true) return "SMTP";
  const base = facts.lmtp === true ? (facts.utf8 ? "UTF8LMTP" : "LMTP") : facts.utf8 ? "UTF8SMTP" : "ESMTP";
  return `${base}${facts.tls ? "S" : ""}${facts.authenticated ? "A" : ""}`;
}

const dayNames = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const monthNames = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const two = (n: number): string => (n < 10 ? `0${n}` : `${n}`);

/** date-time of RFC 5322 3.3, such as `Tue, 1 Jul 2025 10:52:37 +0200`; `offset` in minutes east of UTC. */
export function formatDate(ms: number, offset = 0): string {
  const at = new Date(ms + offset * 60_000);
  const day = `${dayNames[at.getUTCDay()]}, ${at.getUTCDate()} ${monthNames[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
  const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  const east = Math.abs(offset);
  return `${day} ${time} ${offset < 0 ? "-" : "+"}${two(Math.floor(east / 60))}${two(east % 60)}`;
}

/** `Return-Path: <a@b>` with its CRLF, for final delivery (RFC 5321 4.4). A control in the path becomes "?". */
export function returnPathField(reversePath: ReversePath): Uint8Array {
  return utf8(`Return-Path: ${formatReversePath(reversePath).replace(/[\x00-\x1f\x7f]/g, "?")}\r\n`);
}
