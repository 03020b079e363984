/**
 * Reports as messages of our own: signed, and queued like any other.
 *
 * Rules
 * 1. They are from an address that can take what comes back, in the name of a domain that signs where it has a key.
 */
import { randomBytes } from "node:crypto";
import { memoryContent } from "../../mail/content.ts";
import type { Mailbox } from "../../mail/mailbox.ts";
import { newMessageId } from "../../mail/message.ts";
import { contentFacts } from "../../message/facts.ts";
import { receivedField } from "../../message/trace.ts";
import type { QueueStore } from "../../queue/store.ts";
import type { Clock } from "../../util/clock.ts";
import type { Signers } from "../signers.ts";

export interface ReportSenderOptions {
  readonly queue: Pick<QueueStore, "enqueue">;
  readonly signers: Signers;
  readonly hostname: string;
  readonly from: Mailbox;
  readonly clock: Clock;
}

export class ReportSender {
  readonly #options: ReportSenderOptions;

  constructor(options: ReportSenderOptions) {
    this.#options = options;
  }

  get from(): Mailbox {
    return this.#options.from;
  }

  /** Rejects as the store does. */
  async send(to: Mailbox, report: readonly Uint8Array[]): Promise<void> {
    const { queue, signers, hostname, from, clock } = this.#options;
    const now = clock.now();
    const id = newMessageId(now);
    const signature = signers.for(from.domain)?.sign(report, { now });
    const received = receivedField({ hostname, id, recipients: [to], now });
    const chunks = [...(signature === undefined ? [] : [signature]), received, ...report];
    const facts = contentFacts(chunks);
    await queue.enqueue(
      {
        id,
        envelope: { reversePath: from, recipients: [{ mailbox: to, notify: [] }], body: "7BIT", smtpUtf8: false },
        content: memoryContent(chunks),
        facts,
        origin: { kind: "local" },
        arrived: now,
      },
      { lease: false },
    );
  }
}

/** Nobody can foretell it. */
export const newBoundary = (): string => randomBytes(15).toString("hex");
