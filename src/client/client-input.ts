/**
 * What programs hand to a client, read strictly: addresses, parameters and whole messages.
 *
 * Rules
 * 1. What cannot stand in a command throws a TypeError before a byte is written.
 * 2. Lines of a message end in CRLF when it leaves, however they ended before.
 */
import type { Content } from "../mail/content.ts";
import { endOfLocalPart, type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { parseAddressList } from "../message/address.ts";
import { mendedLineEnds } from "../message/crlf.ts";
import { totalSize, utf8 } from "../util/bytes.ts";

/** An address as a path: `a@b`, `<a@b>`, `Ann <a@b>`, or a bare local part; null for "" and "<>". Throws a TypeError. */
export function parsePath(text: string): Mailbox | null {
  const plain = text.trim();
  if (plain === "" || plain === "<>") return null;
  const inner = /^<([^<>]*)>$/.exec(plain)?.[1] ?? plain;
  const mailbox = parseMailbox(inner);
  if (mailbox !== undefined) return mailbox;
  if (endOfLocalPart(inner) === inner.length) return { localPart: inner, domain: "" };
  const list = parseAddressList(plain);
  const only = list.ok && list.addresses.length === 1 ? list.addresses[0]?.mailbox : undefined;
  if (only === undefined) throw new TypeError(`not an address: ${JSON.stringify(text)}`);
  return only;
}

/** As `parsePath`, but somebody. Throws a TypeError. */
export function parseRecipient(text: string): Mailbox {
  const mailbox = parsePath(text);
  if (mailbox === null) throw new TypeError("a recipient needs an address");
  return mailbox;
}

export function hasSmtpUtf8(options: readonly string[]): boolean {
  return options.some((option) => option.toUpperCase() === "SMTPUTF8");
}

/** The domain of an address, possibly with a name before it, where a Message-ID can end in it. */
export function domainOfAddress(text: string): string | undefined {
  return /@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)>?\s*$/.exec(text.slice(-260))?.[1]?.toLowerCase();
}

/** A message that is complete, as content. */
export function bytesOfMessage(message: string | Uint8Array): Extract<Content, { kind: "memory" }> {
  if (typeof message === "string") return inMemory([utf8(message.replace(/\r\n|\r|\n/g, "\r\n").toWellFormed())]);
  return inMemory([mendedLineEnds(message)]);
}

function inMemory(chunks: readonly Uint8Array[]): Extract<Content, { kind: "memory" }> {
  return { kind: "memory", chunks, size: totalSize(chunks) };
}
