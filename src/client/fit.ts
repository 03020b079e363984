/**
 * What a message needs of the server it is sent to, and what is done where that server lacks it.
 *
 * Rules
 * 1. Declared 8BITMIME and BINARYMIME are converted where the RFCs allow it (RFC 6152 3, RFC 3030 3), else the message does not fit, with 5.6.x.
 * 2. Eight-bit content that was never declared passes as it came.
 * 3. Without SMTPUTF8 a domain becomes its A-labels; a UTF-8 local part or header does not fit, with 5.6.7 (RFC 6531 3.2).
 */
import type { ContentFacts } from "../mail/content.ts";
import { toAscii } from "../mail/domain.ts";
import type { BodyType, Envelope, Recipient } from "../mail/envelope.ts";
import { isAsciiMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { Capabilities } from "../protocol/capabilities.ts";
import { isAscii } from "../util/bytes.ts";

/** Why it cannot be sent there. */
export interface Misfit {
  readonly kind: "misfit";
  readonly status: "5.3.4" | "5.6.7";
  readonly text: string;
}

export type Fit =
  | {
      readonly kind: "send";
      readonly envelope: Omit<Envelope, "recipients">;
      readonly via: "DATA" | "BDAT";
      /** What the content has to be made into first. */
      readonly convert: "7bit" | "8bit" | undefined;
    }
  | Misfit;

/** A line beyond this cannot go by DATA (RFC 5321 4.5.3.1.6). */
export const LINE_LIMIT = 998;

export function fitMessage(envelope: Omit<Envelope, "recipients">, facts: ContentFacts, peer: Capabilities): Fit {
  if (peer.size !== undefined && peer.size > 0 && facts.size > peer.size) {
    return misfit("5.3.4", `the message has ${facts.size} octets, the server takes ${peer.size}`);
  }
  let { reversePath } = envelope;
  if (envelope.smtpUtf8 && !peer.smtpUtf8) {
    if (facts.eightBitHeader) return misfit("5.6.7", "the header is in UTF-8 and the server does not take SMTPUTF8");
    const ascii = reversePath === null ? null : asciiMailbox(reversePath);
    if (ascii === undefined) return misfit("5.6.7", "the sender's address is in UTF-8 and the server does not take SMTPUTF8");
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

/** The recipient as the server can take it, or why it cannot. */
export function fitRecipient(recipient: Recipient, smtpUtf8: boolean): Recipient | Misfit {
  if (smtpUtf8) return recipient;
  const mailbox = asciiMailbox(recipient.mailbox);
  if (mailbox === undefined) return misfit("5.6.7", "the address is in UTF-8 and the server does not take SMTPUTF8");
  return mailbox === recipient.mailbox ? recipient : { ...recipient, mailbox };
}

function asciiMailbox(mailbox: Mailbox): Mailbox | undefined {
  if (isAsciiMailbox(mailbox)) return mailbox;
  const domain = toAscii(mailbox.domain);
  return isAscii(mailbox.localPart) && domain !== undefined ? { ...mailbox, domain } : undefined;
}

function misfit(status: Misfit["status"], text: string): Misfit {
  return { kind: "misfit", status, text };
}
