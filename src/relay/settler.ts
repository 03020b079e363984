/**
 * From outcomes to the queue: what is done leaves it, what failed causes a report, what was delayed waits.
 *
 * Rules
 * 1. Outcomes and the reports they cause are one commit; events are told after it.
 * 2. What comes in meanwhile shares the next commit.
 * 3. A commit that fails is tried again: what was sent must not be sent again for want of a note.
 */
import type { Attempted } from "../delivery/delivery.ts";
import type { EventSink, MailEvent } from "../mail/event.ts";
import type { NewMessage, QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import { type QueueStore, type Settlement, StoreError } from "../queue/store.ts";
import { type Clock, seconds } from "../util/clock.ts";
import type { Judge, Judged } from "./judge.ts";
import type { Reporter } from "./reporter.ts";
import type { Suppressing } from "./suppressing.ts";

export interface SettlerOptions {
  readonly store: QueueStore;
  readonly judge: Judge;
  readonly reporter: Reporter;
  readonly clock: Clock;
  readonly events: EventSink;
  /** What of an outcome is held against later submissions. */
  readonly suppressing?: Pick<Suppressing, "learned">;
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
/** Milliseconds until a failure is looked at again of which no report could be made. */
const POSTPONED_FOR = seconds(300);

export class Settler {
  readonly #options: SettlerOptions;
  #waiting: Entry[] = [];
  #writing = false;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /** Takes the outcomes of one attempt. */
  settle(message: QueuedMessage, attempted: readonly Attempted[]): void {
    const now = this.#options.clock.now();
    const judged = attempted.map((each) => this.#learn(message, this.#options.judge.judge(message, each, now), now));
    if (judged.some(({ report, outcome }) => report !== undefined || outcome.action === "failed"))
      void this.#reportAndAdd(message, judged, now);
    else this.#add(message, judged, [], []);
  }

  #learn(message: QueuedMessage, judged: Judged, now: number): Judged {
    const suppress = this.#options.suppressing?.learned(message, judged.recipient, judged.outcome, now);
    if (suppress === undefined || judged.settlement.kind !== "finished") return judged;
    return { ...judged, settlement: { ...judged.settlement, suppress } };
  }

  /** Hands recipients back untried, to be due then. */
  release(message: QueuedMessage, recipients: readonly QueuedRecipient[], due: number): void {
    const settlements = recipients.map(({ index }): Settlement => ({ kind: "released", id: message.id, index, due }));
    this.#push({ settlements, caused: [], events: [], settled: () => this.#options.onSettled(message, recipients.length) });
  }

  async #reportAndAdd(message: QueuedMessage, judged: readonly Judged[], now: number): Promise<void> {
    const { reporter, judge, events } = this.#options;
    try {
      const made = await reporter.report(message, judged, now);
      this.#add(message, judged, made.caused, made.events);
    } catch (error) {
      // Such as for a body that cannot be read: nothing may be lost, so it stays in the queue.
      const why = error instanceof Error ? error.message : String(error);
      events({ type: "trouble", where: `report on ${message.id}`, why });
      const kept = judged.map((each) => (each.report === undefined ? each : postponed(each)));
      this.#add(message, kept, [], []);

      function postponed(each: Judged): Judged {
        if (each.outcome.action === "failed") return judge.postpone(message, each, why, now + POSTPONED_FOR);
        const { report: _, settlement, ...rest } = each;
        return { ...rest, settlement: settlement.kind === "deferred" ? { ...settlement, delayTold: false } : settlement };
      }
    }
  }

  #add(message: QueuedMessage, judged: readonly Judged[], caused: readonly NewMessage[], extra: readonly MailEvent[]): void {
    const settlements = judged.map(({ settlement }) => settlement);
    const age = this.#options.clock.now() - message.arrived;
    const events = judged
      // Where its destination is left alone, that was told once for all.
      .filter(({ outcome }) => outcome.action !== "delayed" || outcome.untried?.ages !== true)
      .map(({ recipient, outcome, next }): MailEvent => {
        const again = next === undefined ? {} : { next };
        return {
          type: "attempted",
          id: message.id,
          recipient: recipient.mailbox,
          outcome,
          attempts: recipient.attempts + 1,
          age,
          ...again,
        };
      });
    const suppressed = settlements.flatMap((one): MailEvent[] =>
      one.kind === "finished" && one.suppress !== undefined ? [{ type: "suppressed", id: message.id, ...one.suppress }] : [],
    );
    this.#push({
      settlements,
      caused,
      events: [...events, ...suppressed, ...extra],
      settled: () => this.#options.onSettled(message, judged.length),
    });
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
