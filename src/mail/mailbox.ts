/**
 * Mailbox = Local-part "@" ( Domain / address-literal ), RFC 5321 4.1.2 with the UTF-8 of RFC 6531.
 *
 * Rules
 * 1. A mailbox keeps the text it came with; comparing goes through `mailboxKey`.
 * 2. Domains compare without case and in their A-label form. Local parts keep their case and are compared exactly by
 *    others; here, where we are the final authority, accounts compare them without case (RFC 5321 2.4 leaves it to us).
 * 3. Linear in the length of the input: no backtracking.
 */
import { isAscii, utf8 } from "../util/bytes.ts";
import { type Domain, domainKey, isAddressLiteral, isDomain } from "./domain.ts";

export interface Mailbox {
  /** As written, quotes included. */
  readonly localPart: string;
  /** A domain or an address literal in brackets. Empty only for the bare `postmaster` of RFC 5321 4.1.1.3. */
  readonly domain: Domain;
}

/** RFC 5321 4.5.3.1.3: a path is 256 octets, its angle brackets included. */
export const PATH_LIMIT = 256;
/** RFC 5321 4.5.3.1.1; held to when we make an address, not when we are given one (VERP and SRS exceed it). */
export const LOCAL_PART_LIMIT = 64;

export interface MailboxOptions {
  /** Takes `a..b@d` and `.a@d` (some mobile carriers). Off by default. */
  readonly looseDots?: boolean;
  /** Refuses what exceeds RFC 5321 4.5.3.1 (local part 64 octets, path 256): for addresses that are made here. Off by default. */
  readonly ownLimits?: boolean;
}

/** The mailbox in a text without angle brackets, or `undefined`. */
export function parseMailbox(text: string, options: MailboxOptions = {}): Mailbox | undefined {
  const end = endOfLocalPart(text, options.looseDots === true);
  if (end <= 0 || text[end] !== "@" || !text.isWellFormed()) return undefined; // half a surrogate pair has no UTF-8
  const domain = text.slice(end + 1);
  if (!isDomain(domain) && !isAddressLiteral(domain)) return undefined;
  const mailbox: Mailbox = { localPart: text.slice(0, end), domain };
  return options.ownLimits === true && exceedsLimits(mailbox) ? undefined : mailbox;
}

function exceedsLimits({ localPart, domain }: Mailbox): boolean {
  const local = utf8(localPart).length;
  return local > LOCAL_PART_LIMIT || local + 1 + utf8(domain).length + 2 > PATH_LIMIT;
}

/** Index of the first character after the local part; 0 where there is none, -1 where it is malformed. */
export function endOfLocalPart(text: string, looseDots = false): number {
  return text[0] === '"' ? endOfQuotedString(text) : endOfDotString(text, looseDots);
}

function endOfDotString(text: string, looseDots: boolean): number {
  let atom = false;
  let i = 0;
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (isAtext(c)) atom = true;
    else if (c === 46) {
      if (!atom && !looseDots) return -1;
      atom = false;
    } else break;
  }
  return i > 0 && !atom && !looseDots ? -1 : i;
}

function endOfQuotedString(text: string): number {
  for (let i = 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 34) return i + 1;
    if (c === 92) {
      const next = text.charCodeAt(++i);
      if (!(next >= 32 && next <= 126)) return -1; // quoted-pairSMTP
    } else if (c < 32 || (c >= 127 && c <= 159)) return -1; // qtextSMTP; C1 controls are no part of a mailbox
  }
  return -1;
}

/** atext of RFC 5322 3.2.3 and RFC 6531 3.3. */
export function isAtext(c: number): boolean {
  if (c > 127) return c > 159; // C1 controls are no part of a mailbox
  return (
    (c >= 97 && c <= 122) ||
    (c >= 64 + 1 && c <= 90) ||
    (c >= 48 && c <= 57) ||
    c === 33 ||
    (c >= 35 && c <= 39) ||
    c === 42 ||
    c === 43 ||
    c === 45 ||
    c === 47 ||
    c === 61 ||
    c === 63 ||
    (c >= 94 && c <= 96) ||
    (c >= 123 && c <= 126)
  );
}

/** `local@domain`, or the bare local part where there is no domain. */
export function formatMailbox(mailbox: Mailbox): string {
  return mailbox.domain === "" ? mailbox.localPart : `${mailbox.localPart}@${mailbox.domain}`;
}

/** Two mailboxes with this key in common are the same to us: quotes that are not needed and case do not count. */
export function mailboxKey(mailbox: Mailbox): string {
  const local = plainLocalPart(mailbox.localPart).normalize("NFC").toLowerCase();
  return mailbox.domain === "" ? local : `${local}@${domainKey(mailbox.domain)}`;
}

/** The local part without its quoting: RFC 5321 4.1.2 has `"a"@d` and `a@d` mean the same. */
export function plainLocalPart(localPart: string): string {
  return localPart.startsWith('"') ? localPart.slice(1, -1).replace(/\\(.)/gs, "$1") : localPart;
}

export function isAsciiMailbox(mailbox: Mailbox): boolean {
  return isAscii(mailbox.localPart) && isAscii(mailbox.domain);
}
