/**
 * Delivered-To: for whom a message has come to its end here, so that it is known when it comes again.
 *
 * Rules
 * 1. It is written where mail ends here, into a mailbox or on to where its address is forwarded, and nowhere else: neither on submission nor on
 *    the way to other servers. So what a user has written and a list sends back is no loop, for it has not been in the mailbox before.
 * 2. Who has it already for the same address is in a circle (5.4.6). Addresses compare as mailbox keys.
 * 3. Each copy has the field of its own recipient alone: nobody is told of another.
 */
import { type Content, type ContentFacts, memoryContent, readContent } from "../mail/content.ts";
import { formatMailbox, isAsciiMailbox, type Mailbox, mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import type { Unfinished } from "../mail/outcome.ts";
import { fieldText, HeaderReader, type HeaderSection } from "../message/header-section.ts";
import { utf8 } from "../util/bytes.ts";
import { failedHere } from "./outcomes.ts";

const DELIVERED_TO = "Delivered-To";

/** The header section; of large content nothing else is read. */
export async function headerOf(content: Content): Promise<HeaderSection> {
  const reader = new HeaderReader();
  for await (const chunk of readContent(content)) if (reader.push(chunk)) break;
  return reader.finish().section;
}

/** Mailbox keys of those to whom it has been delivered. */
export function deliveredBefore(header: HeaderSection): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const field of header.all(DELIVERED_TO)) {
    const mailbox = parseMailbox(fieldText(field));
    if (mailbox !== undefined) keys.add(mailboxKey(mailbox));
  }
  return keys;
}

/** What becomes of a recipient that is among those. */
export function inCircle(mailbox: Mailbox): Unfinished {
  return failedHere("5.4.6", `this message has been here for ${formatMailbox(mailbox)} before: it goes in a circle`, "recipient");
}

/** The field without its line end. */
export function deliveredToText(mailbox: Mailbox): string {
  return `${DELIVERED_TO}: ${formatMailbox(mailbox)}`;
}

/** The message with the field in front; its content is not copied. */
export function withDeliveredTo<M extends { readonly content: Content; readonly facts: ContentFacts }>(message: M, mailbox: Mailbox): M {
  const { content, facts } = message;
  const field = utf8(`${deliveredToText(mailbox)}\r\n`);
  const eightBit = !isAsciiMailbox(mailbox);
  return {
    ...message,
    content: content.kind === "memory" ? memoryContent([field, ...content.chunks]) : prepended(field, content),
    facts: {
      ...facts,
      size: facts.size + field.length,
      eightBit: facts.eightBit || eightBit,
      eightBitHeader: facts.eightBitHeader || eightBit,
      longestLine: Math.max(facts.longestLine, field.length - 2),
    },
  };
}

function prepended(field: Uint8Array, content: Extract<Content, { kind: "stored" }>): Content {
  async function* open(): AsyncGenerator<Uint8Array> {
    yield field;
    yield* content.open();
  }
  return { kind: "stored", size: field.length + content.size, open };
}
