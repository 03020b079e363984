/**
 * What a message needs of the server it is sent to, and what is done where that server lacks it.
 *
 * Rules
 * 1. Declared 8BITMIME and BINARYMIME are converted where the RFCs allow it (RFC 6152 3, RFC 3030 3), else the message does not fit, with 5.6.x.
 * 2. Eight-bit content that was never declared passes as it came.
 * 3. What must be there by its time or come back (RFC 2852) goes to no server that does not keep to that, and to none once it is over.
 * 4. Without SMTPUTF8 a domain becomes its A-labels; a UTF-8 local part or header does not fit, with 5.6.7 (RFC 6531 3.2).
 */
import type { ContentFacts } from "../mail/content.ts";
import { toAscii } from "../mail/domain.ts";
import type { BodyType, DeliverBy, Envelope, Recipient } from "../mail/envelope.ts";
import { isAsciiMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { Capabilities } from "../protocol/capabilities.ts";
import { formatDateTime } from "../protocol/date-time.ts";
import { secondsLeft } from "../protocol/envelope-commands.ts";
import type { HoldRequest } from "../protocol/parameters.ts";
import { isAscii } from "../util/bytes.ts";

/** Why it cannot be sent there. */
export interface Misfit {
  readonly kind: "misfit";
  readonly status: "5.3.3" | "5.3.4" | "5.4.7" | "5.5.4" | "5.6.7";
  readonly text: string;
}

export interface FitOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** It is the recipient's mailbox that it goes to, not another relay. */
  readonly final?: boolean;
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

export function fitMessage(envelope: Omit<Envelope, "recipients">, facts: ContentFacts, peer: Capabilities, options: FitOptions): Fit {
  if (peer.size !== undefined && peer.size > 0 && facts.size > peer.size) {
    return misfit("5.3.4", `the message has ${facts.size} octets, the server takes ${peer.size}`);
  }
  const late = timeMisfit(envelope.deliverBy, peer, options);
  if (late !== undefined) return late;
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

/** Why the server will not hold it so (RFC 4865): it would send it at once, or refuse it. */
export function holdMisfit(hold: HoldRequest | undefined, { futureRelease }: Capabilities): Misfit | undefined {
  if (hold === undefined) return undefined;
  if (futureRelease === undefined) return misfit("5.3.3", "the message is to be held and the server does not offer FUTURERELEASE");
  if (hold.kind === "for" && hold.seconds > futureRelease.seconds)
    return misfit(
      "5.5.4",
      `the message is to be held for ${hold.seconds} seconds, the server does so for ${futureRelease.seconds} at most`,
    );
  if (hold.kind === "until" && hold.at > futureRelease.until)
    return misfit(
      "5.5.4",
      `the message is to be held until ${formatDateTime(hold.at)}, the server does so until ${formatDateTime(futureRelease.until)} at most`,
    );
  return undefined;
}

/** RFC 2852 4.1.4. With mode N it goes on in any case: where BY is not known its sender hears that (relay/judge.ts). */
function timeMisfit(deliverBy: DeliverBy | undefined, peer: Capabilities, { now, final = false }: FitOptions): Misfit | undefined {
  if (deliverBy === undefined || deliverBy.mode === "notify") return undefined;
  const left = secondsLeft(deliverBy.at, now);
  if (now >= deliverBy.at) return misfit("5.4.7", "the time is over by which it had to be delivered");
  if (final && peer.deliverBy === undefined) return undefined;
  if (peer.deliverBy === undefined)
    return misfit("5.4.7", "it must be delivered by a certain time or come back, and the server does not offer DELIVERBY");
  if (left >= Math.max(1, peer.deliverBy)) return undefined;
  return misfit("5.4.7", `${left} seconds are left to deliver it, and the server asks for at least ${Math.max(1, peer.deliverBy)}`);
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
