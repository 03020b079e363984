/**
 * Variable envelope return paths: each recipient of a list gets a reverse-path that names it, so that a bounce tells by its own address whose
 * it is, whatever it says.
 *
 * Rules
 * 1. `list@lists.test` for `user@example.org` is `list+user=example.org@lists.test`, the form that Postfix and qmail's successors use.
 * 2. What is no such address is told apart, never guessed at.
 */
import { isDomain } from "./domain.ts";
import type { Mailbox } from "./mailbox.ts";
import { parseMailbox } from "./mailbox.ts";

const DELIMITER = "+";

/** The reverse-path for this recipient; `undefined` where it cannot be written so: quoted local parts, address literals. */
export function verpAddress(list: Mailbox, recipient: Mailbox): Mailbox | undefined {
  if (list.localPart.startsWith('"') || recipient.localPart.startsWith('"') || !isDomain(recipient.domain)) return undefined;
  const localPart = `${list.localPart}${DELIMITER}${recipient.localPart}=${recipient.domain}`;
  return parseMailbox(`${localPart}@${list.domain}`);
}

/** The list and the recipient of such an address; `undefined` where it is none. */
export function parseVerpAddress({ localPart, domain }: Mailbox): { readonly list: Mailbox; readonly recipient: Mailbox } | undefined {
  const plus = localPart.indexOf(DELIMITER);
  const equals = localPart.lastIndexOf("=");
  if (plus < 1 || equals < plus || localPart.startsWith('"')) return undefined;
  const recipient = parseMailbox(`${localPart.slice(plus + 1, equals)}@${localPart.slice(equals + 1)}`);
  return recipient === undefined ? undefined : { list: { localPart: localPart.slice(0, plus), domain }, recipient };
}
