/**
 * Decides when to take from the queue what is due, and hands it out.
 *
 * Rules
 * 1. One lease at a time; none while there is no room.
 * 2. It sleeps until the next recipient falls due, and is woken when an earlier one may have come.
 * 3. After an error it waits, 1 s at first and 60 s at most, whoever rings meanwhile.
 * 4. Ringing is cheap: `wake` costs a look at the store at most once in REST_MS, `room` nothing unless room was what was missing.
 */
import type { QueuedMessage } from "../mail/message.ts";
import { type Clock, hours, seconds } from "../util/clock.ts";
import type { QueueStore, Settlement } from "./store.ts";

export interface SchedulerOptions {
  readonly store: Pick<QueueStore, "lease" | "nextDue" | "settle">;
  readonly clock: Clock;
  /** Recipients in one lease. */
  readonly batch?: number;
  /** How many recipients may be handed out now. */
  readonly capacity: () => number;
  /** Takes a message; it is the callee's until settled. Must not throw: what it throws is reported, and the message handed back. */
  readonly deliver: (message: QueuedMessage) => void;
  readonly onTrouble: (error: unknown) => void;
}

const BATCH = 100;
const FIRST_BACK_OFF = seconds(1);
const LONGEST_BACK_OFF = seconds(60);
/** Between two looks at a queue that had nothing due. */
const REST_MS = 10;
/** How often it asks for room that nobody has told of: whoever has the room may have to make it. */
const FULL_LOOK_MS = 250;
/** It looks at least this often: a clock that was set back or forth does no lasting harm. */
const LONGEST_SLEEP = hours(1);
/** When a message that could not be handed out is due again. */
const HAND_BACK_MS = seconds(60);

export class Scheduler {
  #options: SchedulerOptions;
  #batch: number;
  /**
   * stopped | looking: a call to the store is under way | asleep: a timer runs, ringing ends it | resting: a timer runs, ringing is kept
   * for its end | full: waiting for room.
   */
  #state: "stopped" | "looking" | "asleep" | "resting" | "full" = "stopped";
  #rung = false;
  #backOff = 0;
  #callOff: () => void = () => {};
  #back: Settlement[] = [];
  #idle = Promise.withResolvers<void>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#batch = options.batch ?? BATCH;
    this.#idle.resolve();
  }

  /** Begins to lease. Once. */
  start(): void {
    if (this.#state === "stopped") this.#look();
  }

  /** Something may be due earlier than was known. */
  wake(): void {
    if (this.#state === "asleep") this.#look();
    else this.#rung = true;
  }

  /** There is room again. */
  room(): void {
    if (this.#state === "full" && this.#options.capacity() > 0) this.#look();
  }

  /** Leases no more; resolves when a lease under way has been handed out or given back. */
  stop(): Promise<void> {
    this.#callOff();
    this.#state = "stopped";
    return this.#idle.promise;
  }

  #look(): void {
    this.#callOff();
    this.#state = "looking";
    this.#idle = Promise.withResolvers();
    void this.#run().finally(() => this.#idle.resolve());
  }

  async #run(): Promise<void> {
    try {
      while (this.#isLooking()) {
        await this.#giveBack();
        const capacity = this.#options.capacity();
        if (capacity <= 0) {
          this.#state = "full";
          this.#callOff = this.#options.clock.after(FULL_LOOK_MS, () => this.#look());
          return;
        }
        this.#rung = false;
        const messages = await this.#options.store.lease(this.#options.clock.now(), Math.min(this.#batch, capacity));
        this.#backOff = 0;
        for (const message of messages) this.#handOut(message);
        if (messages.length > 0) continue;
        const due = await this.#options.store.nextDue();
        if (this.#isLooking()) this.#sleep(due);
        return;
      }
      await this.#giveBack();
    } catch (thrown) {
      this.#options.onTrouble(thrown);
      this.#backOff = Math.min(Math.max(FIRST_BACK_OFF, this.#backOff * 2), LONGEST_BACK_OFF);
      if (this.#isLooking()) this.#rest(this.#backOff);
    }
  }

  #handOut(message: QueuedMessage): void {
    let due = this.#options.clock.now(); // where it was stopped meanwhile: due at the next start
    if (this.#isLooking()) {
      try {
        this.#options.deliver(message);
        return;
      } catch (thrown) {
        this.#options.onTrouble(thrown);
        due += HAND_BACK_MS;
      }
    }
    for (const { index } of message.recipients) this.#back.push({ kind: "released", id: message.id, index, due });
  }

  /** What could not be handed out is released; it is kept here until the store has taken it. */
  async #giveBack(): Promise<void> {
    if (this.#back.length === 0) return;
    await this.#options.store.settle(this.#back, []);
    this.#back = [];
  }

  #isLooking(): boolean {
    return this.#state === "looking"; // `stop` may come during any await
  }

  #sleep(due: number | undefined): void {
    const { clock } = this.#options;
    const wait = due === undefined ? LONGEST_SLEEP : Math.min(due - clock.now(), LONGEST_SLEEP);
    // Rung while looking, or due by now: soon, but not at once, so that nothing can make it spin.
    if (this.#rung || wait <= REST_MS) return this.#rest(REST_MS);
    this.#state = "resting";
    const until = clock.now() + wait;
    this.#callOff = clock.after(REST_MS, () => {
      if (this.#rung) return this.#look();
      this.#state = "asleep";
      this.#callOff = clock.after(Math.max(0, until - clock.now()), () => this.#look()); // the clock may have been set meanwhile
    });
  }

  #rest(ms: number): void {
    this.#state = "resting";
    this.#callOff = this.#options.clock.after(ms, () => this.#look());
  }
}
