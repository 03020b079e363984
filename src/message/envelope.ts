/**
 * The envelope that a message's own headers stand for: what a mail program means who hands over a message without an envelope.
 *
 * Rules
 * 1. For clients and the command line. A server never does this: routing looks at the envelope alone.
 * 2. The newest Resent- block counts where there is one (RFC 5322 3.6.6), else Sender or From, and To, Cc and Bcc. Of several blocks the first is the
 *    newest; where they are not parted by other fields nobody can tell which field is whose, and that is an error.
 * 3. An address that cannot be read is an error: a recipient left out would go unnoticed.
 */
import { domainKey } from "../mail/domain.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { parseAddressList } from "./address.ts";
import { fieldText, type HeaderField, type HeaderSection } from "./header-section.ts";

export type HeaderEnvelope =
  | { readonly ok: true; readonly from: Mailbox; readonly to: readonly Mailbox[] }
  | { readonly ok: false; readonly error: string };

/** The envelope, each recipient once; or what is wrong, as a sentence: a field that cannot be read, no sender, no recipient, mixed Resent- blocks. */
export function envelopeFromHeaders(header: HeaderSection): HeaderEnvelope {
  const from = senderFromHeaders(header);
  if (typeof from === "string") return { ok: false, error: from };
  const to = recipientsFromHeaders(header);
  return typeof to === "string" ? { ok: false, error: to } : { ok: true, from, to };
}

/** Where bounces go; or what is wrong. */
export function senderFromHeaders(header: HeaderSection): Mailbox | string {
  const block = blockOf(header);
  if (typeof block === "string") return block;
  const sender = block.all("sender");
  const from = addressesOf(sender.length > 0 ? sender : block.all("from"));
  return typeof from === "string" ? from : (from[0] ?? "the message has no From");
}

/** The recipients, each once, at least one; or what is wrong. */
export function recipientsFromHeaders(header: HeaderSection): readonly Mailbox[] | string {
  const block = blockOf(header);
  if (typeof block === "string") return block;
  const to = addressesOf(["to", "cc", "bcc"].flatMap((name) => block.all(name)));
  if (typeof to === "string") return to;
  return to.length === 0 ? "the message has no recipients in To, Cc or Bcc" : distinct(to);
}

/** The fields that say who sends, by their names without `Resent-`. */
interface Block {
  all(name: string): readonly HeaderField[];
}

function blockOf(header: HeaderSection): Block | string {
  const count = header.count("resent-date");
  // As smtplib has it: without a Resent-Date nothing was resent (RFC 5322 3.6.6 requires one).
  if (count === 0) return header;
  if (count === 1) return { all: (name) => header.all(`resent-${name}`) };
  const newest = firstBlock(header.fields);
  const dates = newest.filter(({ name }) => name.toLowerCase() === "resent-date").length;
  if (dates !== 1) return "the message has several Resent- blocks that cannot be told apart";
  return { all: (name) => newest.filter((field) => field.name.toLowerCase() === `resent-${name}`) };
}

/** The first Resent- fields in a row: what the last to send it on has put in front (RFC 5322 3.6.6). */
function firstBlock(fields: readonly HeaderField[]): readonly HeaderField[] {
  const isResent = ({ name }: HeaderField) => name.toLowerCase().startsWith("resent-");
  const start = fields.findIndex(isResent);
  const length = fields.slice(start).findIndex((field) => !isResent(field));
  return length < 0 ? fields.slice(start) : fields.slice(start, start + length);
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
