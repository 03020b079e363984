/** Reverse-paths that name the recipient (mail/verp.ts), as texts. */
import { formatMailbox, type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { parseVerpAddress as parse, verpAddress as write } from "../mail/verp.ts";

/** `list+user=example.org@lists.test`. Throws a TypeError for what is no address, or cannot be written so (a quoted local part). */
export function verpAddress(list: string, recipient: string): string {
  const made = write(mailboxOf(list), mailboxOf(recipient));
  if (made === undefined) throw new TypeError(`${recipient} cannot be written into ${list}`);
  return formatMailbox(made);
}

/** What such an address was made of; `undefined` where it is none. */
export function parseVerpAddress(address: string): { readonly list: string; readonly recipient: string } | undefined {
  const mailbox = parseMailbox(address);
  const parsed = mailbox === undefined ? undefined : parse(mailbox);
  return parsed === undefined ? undefined : { list: formatMailbox(parsed.list), recipient: formatMailbox(parsed.recipient) };
}

function mailboxOf(address: string): Mailbox {
  const mailbox = parseMailbox(address);
  if (mailbox === undefined) throw new TypeError(`${address} is no address`);
  return mailbox;
}
