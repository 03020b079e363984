/**
 * DMARC aggregate reports (RFC 9990): once a day, to the domains that ask for them, about what came in their name.
 *
 * Rules
 * 1. A day is a day of UTC. Its reports go out within the first hour of the next, each server at a time of its own; after a stop, soon.
 * 2. Each report is queued once: which are is written down as they are.
 * 3. A destination elsewhere must agree (RFC 9990 4). Where DNS does not say, it is asked again every hour, for three days.
 */
import { gzipSync } from "node:zlib";
import {
  AggregateCollector,
  aggregateReport,
  aggregateXml,
  type CheckDns,
  type CountedPolicy,
  reportDestinations,
  reportFileName,
  reportSubject,
} from "../../authentication/index.ts";
import { formatMailbox } from "../../mail/mailbox.ts";
import { compose } from "../../message/compose.ts";
import { readDraftContent } from "../../message/draft-content.ts";
import { type Clock, days, hours, minutes } from "../../util/clock.ts";
import { dayOf, type ReportJournal } from "./journal.ts";
import { newBoundary, type ReportSender } from "./report-sender.ts";

export interface DailyReportsOptions {
  readonly journal: ReportJournal;
  readonly sender: ReportSender;
  readonly dns: CheckDns;
  readonly organization: string;
  readonly contact?: string;
  readonly hostname: string;
  readonly clock: Clock;
  readonly onTrouble: (why: string) => void;
  /** In [0, 1). */
  readonly random?: () => number;
}

const GIVE_UP_AFTER = days(3);
const AGAIN = hours(1);

export class DailyReports {
  readonly #options: DailyReportsOptions;
  readonly #random: () => number;
  #stopTimer: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: DailyReportsOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  start(): void {
    this.#later(minutes(1) * this.#random());
  }

  async stop(): Promise<void> {
    this.#stopTimer?.();
    await this.#running;
    await this.#options.journal.flush();
  }

  /** Queues the reports of all days that are over; false where some are left for later. */
  async run(): Promise<boolean> {
    const { journal, clock, onTrouble } = this.#options;
    await journal.flush();
    let done = true;
    for (const day of await journal.finished()) {
      try {
        const complete = await this.#report(day);
        const old = clock.now() - Date.parse(day) > GIVE_UP_AFTER;
        if (complete || old) await journal.remove(day);
        done &&= complete || old;
      } catch (error) {
        done = false;
        onTrouble(`the DMARC reports of ${day}: ${error instanceof Error ? error.message : error}`);
      }
    }
    return done;
  }

  #later(ms: number): void {
    this.#stopTimer = this.#options.clock.after(ms, () => {
      this.#running = this.run().then((done) => this.#later(done ? this.#untilTomorrow() : AGAIN));
    });
  }

  #untilTomorrow(): number {
    const now = this.#options.clock.now();
    return Date.parse(dayOf(now + days(1))) - now + hours(1) * this.#random();
  }

  async #report(day: string): Promise<boolean> {
    const { journal } = this.#options;
    const collector = new AggregateCollector();
    for await (const message of journal.read(day)) collector.add(message);
    const sent = await journal.sent(day);
    let complete = true;
    for (const [i, counted] of collector.take().entries()) complete = (await this.#send(day, counted, i, sent)) && complete;
    return complete;
  }

  async #send(day: string, counted: CountedPolicy, number: number, sent: ReadonlySet<string>): Promise<boolean> {
    const { journal, sender, dns } = this.#options;
    const { domain } = counted.policy;
    let complete = true;
    for (const destination of await reportDestinations(domain, counted.rua, dns)) {
      const name = `${domain} ${number} ${destination.uri}`;
      if (destination.kind === "unknown") complete = false;
      if (destination.kind !== "allowed" || sent.has(name)) continue;
      await sender.send(destination.mailbox, await this.#compose(day, counted, number, formatMailbox(destination.mailbox)));
      await journal.markSent(day, name);
    }
    return complete;
  }

  async #compose(day: string, counted: CountedPolicy, number: number, to: string): Promise<readonly Uint8Array[]> {
    const { organization, contact, hostname, sender, clock } = this.#options;
    const begin = Date.parse(day) / 1000;
    const report = aggregateReport(counted, {
      organization,
      email: formatMailbox(sender.from),
      ...(contact === undefined ? {} : { contact }),
      id: `${day.replaceAll("-", "")}.${number}.${newBoundary().slice(0, 8)}`,
      begin,
      end: begin + 86_399,
      generator: "Postrider",
    });
    const messages = counted.records.reduce((sum, { count }) => sum + count, 0);
    const composed = compose(
      {
        from: { name: organization, address: formatMailbox(sender.from) },
        to,
        subject: reportSubject(report, hostname),
        text: `DMARC aggregate report (RFC 9990) of ${hostname} about ${counted.policy.domain}, ${day} (UTC): ${messages} messages.\nThe attached file has the numbers.\n`,
        headers: { "Auto-Submitted": "auto-generated" },
        attachments: [
          { filename: reportFileName(report, hostname), content: gzipSync(aggregateXml(report)), contentType: "application/gzip" },
        ],
      },
      { now: clock.now(), messageId: `${newBoundary()}@${hostname}`, boundary: newBoundary() },
    );
    const chunks: Uint8Array[] = [];
    for await (const chunk of readDraftContent(composed.content)) chunks.push(chunk);
    return chunks;
  }
}
