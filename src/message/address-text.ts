/**
 * Addresses written as headers have them (RFC 5322 3.4, RFC 6532).
 *
 * Rules
 * 1. A name is written as atoms where it can be, else in quotes, else as encoded words: read back it is the same name.
 * 2. A domain outside ASCII is written in A-labels where the local part is ASCII, so that no SMTPUTF8 is needed for it.
 */
import { toAscii } from "../mail/domain.ts";
import { formatMailbox, isAtext, type Mailbox } from "../mail/mailbox.ts";
import { isAscii } from "../util/bytes.ts";
import type { NamedMailbox } from "./address.ts";
import { encodeWords, type HeaderStyle, needsEncodedWord } from "./encoded-word.ts";

/** Columns for the first word of an encoded name, so that it fits on the line after `Resent-From: `. */
const NAME_ROOM = 62;
/** Characters of a name, or of a word of it, that stands without being encoded: lines are broken between words only. */
const PLAIN_NAME_LIMIT = 200;

/** The mailbox with its domain in A-labels where it does not need SMTPUTF8 by its local part. */
export function withAsciiDomain(mailbox: Mailbox): Mailbox {
  if (isAscii(mailbox.domain) || !isAscii(mailbox.localPart)) return mailbox;
  const domain = toAscii(mailbox.domain);
  return domain === undefined ? mailbox : { localPart: mailbox.localPart, domain };
}

/** The address in pieces that a line may be broken between. */
export function formatNamedMailbox(address: NamedMailbox, style: HeaderStyle = "ascii"): string[] {
  const { name, mailbox } = address;
  const text = formatMailbox(withAsciiDomain(mailbox));
  if (name === undefined || name === "") return [text];
  return [...formatPhrase(name, style), `<${text}>`];
}

/** A display name in pieces. */
export function formatPhrase(name: string, style: HeaderStyle = "ascii"): string[] {
  if (needsEncodedWord(name, style)) return encodeWords(name, NAME_ROOM);
  const words = name.split(" ");
  if (words.every(isAtom)) return words;
  const quoted = `"${name.replace(/["\\]/g, "\\$&")}"`;
  return quoted.length > PLAIN_NAME_LIMIT ? encodeWords(name, NAME_ROOM) : [quoted];
}

function isAtom(word: string): boolean {
  if (word === "" || word.length > PLAIN_NAME_LIMIT) return false;
  for (let i = 0; i < word.length; i++) if (!isAtext(word.charCodeAt(i))) return false;
  return true;
}
