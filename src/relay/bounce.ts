/**
 * The report that a failure causes (RFC 5321 6.1, RFC 3461 6).
 *
 * Rules
 * 1. Never for `<>`: a report on a report would go on for ever.
 * 2. NOTIFY without FAILURE asks for none.
 */
import { randomBytes } from "node:crypto";
import { type Content, memoryContent, readContent } from "../mail/content.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { type NewMessage, newMessageId, type QueuedMessage } from "../mail/message.ts";
import type { ReportedRecipient } from "../message/delivery-status.ts";
import { contentFacts } from "../message/facts.ts";
import { HeaderReader, type HeaderSection } from "../message/header-section.ts";
import { deliveryReport, RETURNED_LIMIT } from "../message/report.ts";
import { receivedField } from "../message/trace.ts";
import type { Signers } from "./signers.ts";

export interface BounceOptions {
  /** Our name. */
  readonly hostname: string;
  /** Whom the report is from. */
  readonly postmaster: Mailbox;
  /** Signs the report where there is a key for its author. */
  readonly signers?: Signers;
  readonly now: number;
}

/** The report to the sender, or why there is none. */
export type Bounce =
  | { readonly kind: "bounce"; readonly message: NewMessage; readonly to: Mailbox }
  | { readonly kind: "none"; readonly why: string };

export async function bounceFor(message: QueuedMessage, failed: readonly ReportedRecipient[], options: BounceOptions): Promise<Bounce> {
  const to = message.envelope.reversePath;
  if (to === null) return { kind: "none", why: "its reverse-path is <>" };
  const wanted = failed.filter(({ recipient }) => recipient.notify?.includes("failure") ?? true);
  if (wanted.length === 0) return { kind: "none", why: "its sender asked for no failure reports (NOTIFY)" };
  const { now, hostname } = options;
  const id = newMessageId(now);
  const { envelope } = message;
  const report = deliveryReport({
    reportingMta: hostname,
    postmaster: options.postmaster,
    to,
    id,
    about: message.id,
    arrived: message.arrived,
    ...(envelope.envelopeId === undefined ? {} : { envelopeId: envelope.envelopeId }),
    recipients: wanted,
    original: await originalOf(message),
    utf8: envelope.smtpUtf8,
    now,
    boundary: randomBytes(18).toString("hex"),
  });
  const received = receivedField({
    hostname,
    id,
    recipients: [to],
    now,
  });
  const signature = options.signers?.for(options.postmaster.domain)?.sign(report.chunks, { now });
  const content = memoryContent([...(signature === undefined ? [] : [signature]), received, ...report.chunks]);
  const facts = contentFacts(content.kind === "memory" ? content.chunks : []);
  return {
    kind: "bounce",
    to,
    message: {
      id,
      envelope: {
        reversePath: null,
        recipients: [{ mailbox: to }],
        body: facts.eightBit ? "8BITMIME" : "7BIT",
        smtpUtf8: report.smtpUtf8,
      },
      content,
      facts,
      origin: { kind: "bounce", about: message.id },
      arrived: now,
    },
  };
}

/** The header section, and with RET=FULL the whole if it is small enough to come back. */
async function originalOf(
  message: QueuedMessage,
): Promise<{ header: HeaderSection; content?: { chunks: readonly Uint8Array[]; facts: QueuedMessage["facts"] } }> {
  const reader = new HeaderReader();
  const whole = message.envelope.ret === "FULL" && message.content.size <= RETURNED_LIMIT;
  const chunks = await firstChunks(message.content, whole ? RETURNED_LIMIT : 0, reader);
  const { section } = reader.finish();
  return whole ? { header: section, content: { chunks, facts: message.facts } } : { header: section };
}

async function firstChunks(content: Content, keep: number, reader: HeaderReader): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let reading = true;
  for await (const chunk of readContent(content)) {
    if (reading) reading = !reader.push(chunk);
    if (keep > 0) chunks.push(chunk);
    else if (!reading) break;
  }
  return chunks;
}
