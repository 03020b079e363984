/**
 * Turns outcomes into settlements, with the bounces they cause, and has them written.
 *
 * Rules
 * 1. An outcome and the bounce that it causes go into one commit.
 * 2. What came while the last commit was under way goes into the next one.
 * 3. A commit that fails is tried again until it succeeds; meanwhile the recipients stay leased. Only a fatal store ends that.
 * 4. Events are told after the commit.
 */

import type { Attempted } from "../delivery/delivery.ts";
import type { EventSink, MailEvent } from "../mail/event.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { NewMessage, QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import { describeReason, isUnfinished, type Outcome, type Unfinished } from "../mail/outcome.ts";
import { inClass } from "../mail/status.ts";
import type { RetrySchedule } from "../queue/retry-schedule.ts";
import { type QueueStore, type Settlement, StoreError } from "../queue/store.ts";
import { type Clock, seconds } from "../util/clock.ts";
import { bounceFor } from "./bounce.ts";
import type { Signers } from "./signers.ts";

export interface SettlerOptions {
  readonly store: QueueStore;
  readonly schedule: RetrySchedule;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly hostname: string;
  readonly postmaster: Mailbox;
  /** Sign reports. */
  readonly signers?: Signers;
  /** Recipients of a message have left the hand. */
  onSettled(message: QueuedMessage, recipients: number): void;
}

interface Entry {
  readonly settlements: readonly Settlement[];
  readonly caused: readonly NewMessage[];
  readonly events: readonly MailEvent[];
  settled(): void;
}

const RETRY_AFTER = seconds(1);

export class Settler {
  readonly #options: SettlerOptions;
  #waiting: Entry[] = [];
  #writing = false;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /** Takes the outcomes of one attempt. */
  settle(message: QueuedMessage, attempted: readonly Attempted[]): void {
    const judged = attempted.map((each) => this.#judge(message, each));
    if (judged.some(({ kind }) => kind === "failed")) void this.#bounceAndAdd(message, judged);
    else this.#add(message, judged, [], []);
  }

  /** Hands recipients back untried, to be due then. */
  release(message: QueuedMessage, recipients: readonly QueuedRecipient[], due: number): void {
    const settlements = recipients.map(({ index }): Settlement => ({ kind: "released", id: message.id, index, due }));
    this.#push({ settlements, caused: [], events: [], settled: () => this.#options.onSettled(message, recipients.length) });
  }

  async #bounceAndAdd(message: QueuedMessage, judged: readonly Judged[]): Promise<void> {
    const { clock, hostname, postmaster, signers } = this.#options;
    const now = clock.now();
    const failures = judged.filter((each): each is Extract<Judged, { kind: "failed" }> => each.kind === "failed");
    const failed = failures.map(({ attempted }) => attempted.recipient.mailbox);
    try {
      const reported = failures.map(({ attempted, outcome }) => ({ recipient: attempted.recipient, outcome, attempted: now }));
      const bounce = await bounceFor(message, reported, { hostname, postmaster, now, ...(signers === undefined ? {} : { signers }) });
      if (bounce.kind === "none") return this.#add(message, judged, [], [{ type: "dropped", id: message.id, why: bounce.why, failed }]);
      this.#add(message, judged, [bounce.message], [{ type: "bounced", id: message.id, bounce: bounce.message.id, to: bounce.to, failed }]);
    } catch (error) {
      // The report could not be made, such as for a body that cannot be read: nothing may be lost, so it stays in the queue.
      const text = error instanceof Error ? error.message : String(error);
      this.#options.events({ type: "trouble", where: `bounce of ${message.id}`, why: text });
      this.#add(
        message,
        judged.map((each) => (each.kind === "failed" ? this.#postpone(message, each, text) : each)),
        [],
        [],
      );
    }
  }

  #postpone(message: QueuedMessage, failed: Extract<Judged, { kind: "failed" }>, why: string): Judged {
    const { attempted } = failed;
    const next = this.#options.clock.now() + seconds(300);
    const last = `${describeReason(failed.outcome.why)}; no report could be made: ${why}`;
    return { kind: "deferred", attempted, settlement: this.#deferral(message, attempted, next, last), next };
  }

  #judge(message: QueuedMessage, attempted: Attempted): Judged {
    const { recipient, outcome } = attempted;
    if (!isUnfinished(outcome)) return { kind: "finished", attempted };
    if (outcome.action === "failed") return { kind: "failed", attempted, outcome };
    const attempts = recipient.attempts + 1;
    const next = this.#options.schedule.nextAttempt({
      arrived: message.arrived,
      attempts,
      now: this.#options.clock.now(),
      random: Math.random(),
    });
    if (next.kind === "expired") return { kind: "failed", attempted, outcome: expired(outcome) };
    return {
      kind: "deferred",
      attempted,
      settlement: this.#deferral(message, attempted, next.at, describeReason(outcome.why)),
      next: next.at,
    };
  }

  #deferral(message: QueuedMessage, { recipient }: Attempted, due: number, last: string): Settlement {
    return { kind: "deferred", id: message.id, index: recipient.index, due, attempts: recipient.attempts + 1, last };
  }

  #add(message: QueuedMessage, judged: readonly Judged[], caused: readonly NewMessage[], extra: readonly MailEvent[]): void {
    const settlements = judged.map(
      (each): Settlement =>
        each.kind === "deferred" ? each.settlement : { kind: "finished", id: message.id, index: each.attempted.recipient.index },
    );
    const age = this.#options.clock.now() - message.arrived;
    const events = judged.map((each): MailEvent => {
      const { recipient } = each.attempted;
      const outcome: Outcome = each.kind === "failed" ? each.outcome : each.attempted.outcome;
      const next = each.kind === "deferred" ? { next: each.next } : {};
      return { type: "attempted", id: message.id, recipient: recipient.mailbox, outcome, attempts: recipient.attempts + 1, age, ...next };
    });
    this.#push({ settlements, caused, events: [...events, ...extra], settled: () => this.#options.onSettled(message, judged.length) });
  }

  #push(entry: Entry): void {
    this.#waiting.push(entry);
    if (!this.#writing) void this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    await undefined; // what this turn still brings goes along
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      const gone = await this.#commit(batch);
      if (gone === undefined) return; // the store is lost, and the process with it
      for (const entry of batch) {
        for (const event of entry.events) this.#options.events(event);
        entry.settled();
      }
      for (const id of gone) this.#options.events({ type: "done", id });
    }
    this.#writing = false;
  }

  async #commit(batch: readonly Entry[]): Promise<readonly string[] | undefined> {
    const settlements = batch.flatMap((entry) => entry.settlements);
    const caused = batch.flatMap((entry) => entry.caused);
    for (;;) {
      try {
        return await this.#options.store.settle(settlements, caused);
      } catch (error) {
        if (error instanceof StoreError && (error.code === "fatal" || error.code === "closed")) return undefined;
        this.#options.events({ type: "trouble", where: "settling", why: error instanceof Error ? error.message : String(error) });
        await new Promise<void>((resolve) => {
          this.#options.clock.after(RETRY_AFTER, resolve);
        });
      }
    }
  }
}

type Judged =
  | { readonly kind: "finished"; readonly attempted: Attempted }
  | { readonly kind: "deferred"; readonly attempted: Attempted; readonly settlement: Settlement; readonly next: number }
  | { readonly kind: "failed"; readonly attempted: Attempted; readonly outcome: Unfinished };

/** RFC 3463 3.5: x.4.7, delivery time expired; the last reason stays. */
function expired(outcome: Unfinished): Unfinished {
  const status = outcome.status.endsWith(".0.0") ? "5.4.7" : inClass(5, outcome.status);
  return { ...outcome, action: "failed", status };
}
