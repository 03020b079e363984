/**
 * What a message needs of the next hop, and what is done where the next hop lacks it.
 *
 * Rules
 * 1. Declared 8BITMIME and BINARYMIME are converted where the RFCs allow it (RFC 6152 3, RFC 3030 3), else the message fails with 5.6.x.
 * 2. Eight-bit content that was never declared passes as it came.
 * 3. Without SMTPUTF8 a domain becomes its A-labels; a UTF-8 local part or header fails with 5.6.7 (RFC 6531 3.2).
 */
import type { ContentFacts } from "../mail/content.ts";
import { toAscii } from "../mail/domain.ts";
import type { BodyType, Envelope, Recipient } from "../mail/envelope.ts";
import { isAsciiMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { Unfinished } from "../mail/outcome.ts";
import type { Capabilities } from "../protocol/capabilities.ts";
import { isAscii } from "../util/bytes.ts";
import { failedHere } from "./outcomes.ts";

export type Plan =
  | {
      readonly kind: "send";
      readonly envelope: Omit<Envelope, "recipients">;
      readonly via: "DATA" | "BDAT";
      /** What the content has to be made into first. */
      readonly convert: "7bit" | "8bit" | undefined;
    }
  | { readonly kind: "fail"; readonly outcome: Unfinished };

/** A line beyond this cannot go by DATA (RFC 5321 4.5.3.1.6). */
export const LINE_LIMIT = 998;

export function planFor(envelope: Omit<Envelope, "recipients">, facts: ContentFacts, peer: Capabilities): Plan {
  if (peer.size !== undefined && peer.size > 0 && facts.size > peer.size) {
    return fail("5.3.4", `the message has ${facts.size} octets, the next hop takes ${peer.size}`);
  }
  let { reversePath } = envelope;
  if (envelope.smtpUtf8 && !peer.smtpUtf8) {
    if (facts.eightBitHeader) return fail("5.6.7", "the header is in UTF-8 and the next hop does not take SMTPUTF8");
    const ascii = reversePath === null ? null : asciiMailbox(reversePath);
    if (ascii === undefined) return fail("5.6.7", "the sender's address is in UTF-8 and the next hop does not take SMTPUTF8");
    reversePath = ascii;
  }
  const { body, via, convert } = bodyPlan(envelope.body, facts, peer);
  return { kind: "send", envelope: { ...envelope, reversePath, smtpUtf8: envelope.smtpUtf8 && peer.smtpUtf8, body }, via, convert };
}

type BodyPlan = { readonly body: BodyType; readonly via: "DATA" | "BDAT"; readonly convert: "7bit" | "8bit" | undefined };

function bodyPlan(declared: BodyType, facts: ContentFacts, peer: Capabilities): BodyPlan {
  const asText = { body: declared, via: "DATA", convert: undefined } as const;
  if (declared === "BINARYMIME" && (facts.binary || facts.longestLine > LINE_LIMIT)) {
    if (peer.binaryMime && peer.chunking) return { body: "BINARYMIME", via: "BDAT", convert: undefined };
    if (peer.eightBitMime) return { body: "8BITMIME", via: "DATA", convert: "8bit" };
    return { body: "7BIT", via: "DATA", convert: "7bit" };
  }
  if (declared === "7BIT") return asText;
  if (!facts.eightBit) return { ...asText, body: "7BIT" };
  if (peer.eightBitMime) return { ...asText, body: "8BITMIME" };
  return { body: "7BIT", via: "DATA", convert: "7bit" };
}

/** The recipient as the next hop can take it, or why it cannot. */
export function recipientFor(recipient: Recipient, smtpUtf8: boolean): Recipient | Unfinished {
  if (smtpUtf8) return recipient;
  const mailbox = asciiMailbox(recipient.mailbox);
  if (mailbox === undefined) return failedHere("5.6.7", "the address is in UTF-8 and the next hop does not take SMTPUTF8", "recipient");
  return mailbox === recipient.mailbox ? recipient : { ...recipient, mailbox };
}

function asciiMailbox(mailbox: Mailbox): Mailbox | undefined {
  if (isAsciiMailbox(mailbox)) return mailbox;
  const domain = toAscii(mailbox.domain);
  return isAscii(mailbox.localPart) && domain !== undefined ? { ...mailbox, domain } : undefined;
}

function fail(status: "5.3.4" | "5.6.7", text: string): Plan {
  return { kind: "fail", outcome: failedHere(status, text) };
}
