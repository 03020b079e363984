/**
 * The envelope that a message's own headers stand for: what a mail program means who hands over a message without an envelope.
 *
 * Rules
 * 1. For clients and the command line. A server never does this: routing looks at the envelope alone.
 * 2. The newest Resent- block counts where there is one (RFC 5322 3.6.6), else Sender or From, and To, Cc and Bcc.
 * 3. An address that cannot be read is an error: a recipient left out would go unnoticed.
 */
import { domainKey } from "../mail/domain.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { parseAddressList } from "./address.ts";
import { fieldText, type HeaderField, type HeaderSection } from "./header-section.ts";

export type HeaderEnvelope =
  | { readonly ok: true; readonly from: Mailbox; readonly to: readonly Mailbox[] }
  | { readonly ok: false; readonly error: string };

/** The envelope, each recipient once; or what is wrong, as a sentence: a field that cannot be read, no sender, no recipient, two Resent- blocks. */
export function envelopeFromHeaders(header: HeaderSection): HeaderEnvelope {
  const resent = header.all("resent-date").length;
  // As smtplib has it: which of several blocks is meant cannot be told when others have edited them.
  if (resent > 1) return { ok: false, error: "the message has several Resent- blocks" };
  const prefix = resent === 1 ? "resent-" : "";
  const from = addressesOf(header.all(header.has(`${prefix}sender`) ? `${prefix}sender` : `${prefix}from`));
  if (typeof from === "string") return { ok: false, error: from };
  const [sender] = from;
  if (sender === undefined) return { ok: false, error: "the message has no From" };
  const to = addressesOf(["to", "cc", "bcc"].flatMap((name) => header.all(prefix + name)));
  if (typeof to === "string") return { ok: false, error: to };
  if (to.length === 0) return { ok: false, error: "the message has no recipients in To, Cc or Bcc" };
  return { ok: true, from: sender, to: distinct(to) };
}

function addressesOf(fields: readonly HeaderField[]): Mailbox[] | string {
  const mailboxes: Mailbox[] = [];
  for (const field of fields) {
    const list = parseAddressList(fieldText(field));
    if (!list.ok) return `${field.name}: ${list.error}`;
    for (const { mailbox } of list.addresses) mailboxes.push(mailbox);
  }
  return mailboxes;
}

/** Each mailbox once, at its first place. Local parts are compared exactly: only their own server knows better (RFC 5321 2.4). */
export function distinct(mailboxes: readonly Mailbox[]): Mailbox[] {
  const byKey = new Map<string, Mailbox>();
  for (const mailbox of mailboxes) {
    const key = `${mailbox.localPart}@${domainKey(mailbox.domain)}`;
    if (!byKey.has(key)) byKey.set(key, mailbox);
  }
  return [...byKey.values()];
}
