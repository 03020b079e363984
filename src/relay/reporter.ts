/**
 * The reports that outcomes cause (RFC 5321 6.1, RFC 3461 6).
 *
 * Rules
 * 1. One report for all recipients that were settled together, to the reverse-path, from `<>`.
 * 2. Never for `<>`. A failed report goes to our own postmaster instead, once (double bounce): a report on that would go on for ever.
 * 3. The whole message comes back only for a failure, and only where RET=FULL asked for it (RFC 3461 4.3, 6.2).
 */
import { randomBytes } from "node:crypto";
import { type Content, memoryContent, readContent } from "../mail/content.ts";
import type { MailEvent } from "../mail/event.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { type NewMessage, newMessageId, type QueuedMessage } from "../mail/message.ts";
import type { ReportedRecipient } from "../message/delivery-status.ts";
import { contentFacts } from "../message/facts.ts";
import { HeaderReader, type HeaderSection } from "../message/header-section.ts";
import { deliveryReport, RETURNED_LIMIT } from "../message/report.ts";
import { receivedField } from "../message/trace.ts";
import type { StandingMessage } from "../queue/store.ts";
import type { Judged } from "./judge.ts";
import type { Signers } from "./signers.ts";

export interface ReporterOptions {
  /** Our name. */
  readonly hostname: string;
  /** Whom reports are from. */
  readonly postmaster: Mailbox;
  /** Who gets reports that could not be delivered; absent: they are dropped, and that is told. */
  readonly doubleBounces?: Mailbox;
  /** Sign reports. */
  readonly signers?: Signers;
}

export interface MadeReports {
  readonly caused: readonly NewMessage[];
  readonly events: readonly MailEvent[];
}

export class Reporter {
  readonly #options: ReporterOptions;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** What is to be queued and told. Rejects where the message cannot be read. */
  async report(message: QueuedMessage, judged: readonly Judged[], now: number): Promise<MadeReports> {
    const reported = judged.flatMap(({ report }) => (report === undefined ? [] : [report]));
    const failures = judged.filter(({ outcome }) => outcome.action === "failed");
    const failed = failures.map(({ recipient }) => recipient.mailbox);
    const to = this.#addressee(message);
    if (typeof to === "string" || reported.length === 0) {
      if (failed.length === 0) return { caused: [], events: [] };
      const why = typeof to === "string" ? to : "its sender asked for no failure reports (NOTIFY)";
      return { caused: [], events: [{ type: "dropped", id: message.id, why, failed }] };
    }
    const report = await this.make(message, reported, to, now);
    const common = { id: message.id, bounce: report.id, to };
    const events: MailEvent[] = failed.length > 0 ? [{ type: "bounced", ...common, failed }] : [];
    const others = reported.filter(({ outcome }) => outcome.action !== "failed");
    if (others.length > 0) {
      const about = others.map(({ recipient, outcome }) => ({ recipient: recipient.mailbox, action: outcome.action }));
      events.push({ type: "reported", id: message.id, report: report.id, to, about });
    }
    return { caused: [report], events };
  }

  /** The report on a message that an operator removes; `undefined` where nobody is to hear of it. */
  async removed(message: StandingMessage, reason: string, now: number): Promise<NewMessage | undefined> {
    const to = message.envelope.reversePath;
    const reported = message.recipients
      .filter(({ notify }) => notify?.includes("failure") ?? true)
      .map((recipient): ReportedRecipient => {
        const why = { kind: "local", text: recipient.last === "" ? reason : `${reason}; before that: ${recipient.last}` } as const;
        return { recipient, outcome: { action: "failed", scope: "message", status: "5.3.0", why } };
      });
    return to === null || reported.length === 0 ? undefined : this.make(message, reported, to, now);
  }

  /** Whom a report on this message goes to, or why to nobody. */
  #addressee({ envelope, origin }: QueuedMessage): Mailbox | string {
    if (envelope.reversePath !== null) return envelope.reversePath;
    const { doubleBounces } = this.#options;
    if (origin.kind !== "bounce" || doubleBounces === undefined) return "its reverse-path is <>";
    return origin.double === true ? "it is a report on a report already" : doubleBounces;
  }

  async make(message: QueuedMessage, reported: readonly ReportedRecipient[], to: Mailbox, now: number): Promise<NewMessage> {
    const { hostname, postmaster, signers } = this.#options;
    const { envelope } = message;
    const id = newMessageId(now);
    const whole = envelope.ret === "FULL" && reported.some(({ outcome }) => outcome.action === "failed");
    const report = deliveryReport({
      reportingMta: hostname,
      postmaster,
      to,
      id,
      about: message.id,
      arrived: message.arrived,
      ...(envelope.envelopeId === undefined ? {} : { envelopeId: envelope.envelopeId }),
      ...(envelope.deliverBy === undefined ? {} : { deliverBy: envelope.deliverBy.at }),
      recipients: reported,
      original: await originalOf(message.content, message.facts, whole),
      utf8: envelope.smtpUtf8,
      now,
      boundary: randomBytes(18).toString("hex"),
    });
    const received = receivedField({ hostname, id, recipients: [to], now });
    const signature = signers?.for(postmaster.domain)?.sign(report.chunks, { now });
    const chunks = [...(signature === undefined ? [] : [signature]), received, ...report.chunks];
    const facts = contentFacts(chunks);
    const body = facts.eightBit ? "8BITMIME" : "7BIT";
    const double = envelope.reversePath === null ? { double: true } : {};
    return {
      id,
      envelope: { reversePath: null, recipients: [{ mailbox: to }], body, smtpUtf8: report.smtpUtf8 },
      content: memoryContent(chunks),
      facts,
      origin: { kind: "bounce", about: message.id, ...double },
      arrived: now,
    };
  }
}

/** The header section; the whole too, where it was asked for and is small enough to come back. */
async function originalOf(
  content: Content,
  facts: QueuedMessage["facts"],
  wanted: boolean,
): Promise<{ header: HeaderSection; content?: { chunks: readonly Uint8Array[]; facts: QueuedMessage["facts"] } }> {
  const reader = new HeaderReader();
  const whole = wanted && content.size <= RETURNED_LIMIT;
  const chunks: Uint8Array[] = [];
  let reading = true;
  for await (const chunk of readContent(content)) {
    if (reading) reading = !reader.push(chunk);
    if (whole) chunks.push(chunk);
    else if (!reading) break;
  }
  const { section } = reader.finish();
  return whole ? { header: section, content: { chunks, facts } } : { header: section };
}
