/**
 * Reports, bound: what is counted and sent about mail that comes in, and what is read of others'.
 *
 * Rules
 * 1. All of it beside the way of the message: nothing here can fail or delay one, but for reading a report before it is handed on.
 */
import { join } from "node:path";
import type { CheckDns } from "../../authentication/index.ts";
import type { Mailbox } from "../../mail/mailbox.ts";
import type { NewMessage } from "../../mail/message.ts";
import type { Intake } from "../../server/policy.ts";
import type { Clock } from "../../util/clock.ts";
import type { CheckedArrival } from "../inspection/arrival-check.ts";
import type { Signers } from "../signers.ts";
import type { Stores } from "../stores.ts";
import { DailyReports } from "./daily-reports.ts";
import { FailureReports } from "./failure-reports.ts";
import { ReportJournal } from "./journal.ts";
import { ReceivedReports } from "./received-reports.ts";
import { ReportSender } from "./report-sender.ts";

export interface ReportOptions {
  /** Sends aggregate reports. */
  readonly aggregate: boolean;
  readonly failures: boolean;
  readonly organization: string;
  readonly contact?: string;
  /** Whom reports are from. */
  readonly from: Mailbox;
  /** Keys of mailboxes that reports of others come to. */
  readonly inbox: ReadonlySet<string>;
}

export interface ReportingParts {
  readonly stores: Stores;
  readonly signers: Signers;
  readonly dns: CheckDns;
  readonly hostname: string;
  readonly clock: Clock;
  readonly onTrouble: (why: string) => void;
}

/** In the data folder. */
export const REPORTS_FOLDER = "reports";

export class Reporting {
  readonly #journal: ReportJournal | undefined;
  readonly #daily: DailyReports | undefined;
  readonly #failures: FailureReports | undefined;
  readonly #received: ReceivedReports | undefined;

  constructor(options: ReportOptions, { stores, signers, dns, hostname, clock, onTrouble }: ReportingParts) {
    const folder = join(stores.folder, REPORTS_FOLDER);
    const sender = new ReportSender({ queue: stores.queue, signers, hostname, from: options.from, clock });
    if (options.aggregate) {
      const { organization, contact } = options;
      this.#journal = new ReportJournal({ folder, clock, onTrouble });
      const about = { organization, ...(contact === undefined ? {} : { contact }) };
      this.#daily = new DailyReports({ journal: this.#journal, sender, dns, hostname, clock, onTrouble, ...about });
    }
    if (options.failures) this.#failures = new FailureReports({ sender, dns, quota: stores.quota, hostname, clock, onTrouble });
    if (options.inbox.size > 0) this.#received = new ReceivedReports({ folder, mailboxes: options.inbox, onTrouble });
  }

  start(): void {
    this.#daily?.start();
  }

  stop(): Promise<void> {
    return this.#daily?.stop() ?? Promise.resolve();
  }

  /** Hears of each message that was checked. */
  checked(checked: CheckedArrival): void {
    const { arrival, spf, signatures, dmarc, verdict } = checked;
    this.#journal?.add({
      ip: arrival.peer.address,
      dmarc,
      spf: { result: spf.result, domain: spf.domain, identity: spf.identity },
      dkim: signatures.dkim.results.map(({ verdict: result, domain, selector }) => ({ result, domain, selector })),
      action: verdict.action,
      override: verdict.override,
    });
    void this.#failures?.report(checked);
  }

  /** The intake, with reports read that come through it. */
  through(intake: Intake): Intake {
    const received = this.#received;
    if (received === undefined) return intake;
    return {
      receive: (declared) => intake.receive(declared),
      refusal: (error) => intake.refusal(error),
      accept: async (message: NewMessage) => {
        if (received.concerns(message)) await received.read(message); // before it is handed on: it may be gone soon after
        return intake.accept(message);
      },
    };
  }
}
