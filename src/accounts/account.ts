/**
 * An account: a login name and the addresses it may send as and receives for.
 *
 * Rules
 * 1. Names compare in NFC without case; the stored name is already in that form.
 * 2. An address is a mailbox, or `*@domain` for all of a domain.
 * 3. Here we are the final authority, so local parts compare without case (mailboxKey).
 */
import { domainKey, isDomain } from "../mail/domain.ts";
import { LOCAL_PART_LIMIT, type Mailbox, mailboxKey, PATH_LIMIT, parseMailbox } from "../mail/mailbox.ts";

export interface Account {
  readonly name: string;
  /** Mailboxes and `*@domain`, as they were given. */
  readonly addresses: readonly string[];
  /** What `owns` compares with. */
  readonly keys: ReadonlySet<string>;
}

/** In characters. A login name is often a mailbox, which is no longer than this. */
export const NAME_LIMIT = 254;
/** Addresses an account may have. */
export const ADDRESS_LIMIT = 1000;

/** An account from what is stored or was checked; addresses that are none are left out of its keys. */
export function makeAccount(name: string, addresses: readonly string[]): Account {
  const keys = new Set<string>();
  for (const address of addresses) {
    const key = addressKey(address);
    if (key !== undefined) keys.add(key);
  }
  return { name, addresses, keys };
}

/** Whether the account may send as this mailbox. */
export function owns(account: Account, mailbox: Mailbox): boolean {
  return covers(account.keys, mailbox);
}

/** Whether keys of addresses hold this mailbox, or all of its domain. */
export function covers(keys: { has(key: string): boolean }, mailbox: Mailbox): boolean {
  return keys.has(mailboxKey(mailbox)) || (mailbox.domain !== "" && keys.has(`*@${domainKey(mailbox.domain)}`));
}

/** The name in its one form; `undefined` where it is none: empty, too long, or with spaces or control characters. */
export function accountName(text: string): string | undefined {
  const name = text.normalize("NFC").toLowerCase();
  return name === "" || name.length > NAME_LIMIT || /[\p{C}\p{Z}]/u.test(name) ? undefined : name;
}

/** The one form of a mailbox or `*@domain`; `undefined` where the text is neither. */
export function addressKey(address: string): string | undefined {
  if (address.length > PATH_LIMIT - 2) return undefined;
  if (address.startsWith("*@")) {
    const domain = address.slice(2);
    return isDomain(domain) ? `*@${domainKey(domain)}` : undefined;
  }
  const mailbox = parseMailbox(address);
  // RFC 5321 4.5.3.1.1: an address that we make keeps to 64.
  return mailbox === undefined || mailbox.localPart.length > LOCAL_PART_LIMIT ? undefined : mailboxKey(mailbox);
}
