/**
 * What nodes share of a destination's patience: so many messages, or connections, in a window of time.
 *
 * Rules
 * 1. Taken in advance and in handfuls: asking is a round trip where several nodes share the count, and who takes ten asks a tenth as often.
 * 2. What was taken and not used is lost with its window. Errs towards too little.
 */
import { type Clock, systemClock } from "../util/clock.ts";

export interface QuotaRequest {
  /** What is limited, such as `mx:example.net`. */
  readonly key: string;
  readonly want: number;
  /** In each window, for all nodes together. */
  readonly limit: number;
  /** Milliseconds. Requests for one key name the same window. */
  readonly window: number;
}

export interface Quota {
  /** How many of those wanted may be used in the window that is on now. Rejects with a StoreError. */
  take(request: QuotaRequest): Promise<number>;
  /** Nodes at work, this one included: what is limited at any one time, such as connections, is divided among them. */
  nodes(): Promise<number>;
}

/** Windows that are kept in memory; beyond that those that are over are forgotten. */
const WINDOWS = 10_000;

/** For a process that has the queue to itself. */
export class LocalQuota implements Quota {
  readonly #clock: Clock;
  readonly #windows = new Map<string, { begun: number; window: number; used: number }>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async take({ key, want, limit, window }: QuotaRequest): Promise<number> {
    const now = this.#clock.now();
    const begun = now - (now % window);
    let current = this.#windows.get(key);
    if (current === undefined || current.begun !== begun) {
      if (this.#windows.size >= WINDOWS) this.#forget(now);
      current = { begun, window, used: 0 };
      this.#windows.set(key, current);
    }
    const granted = Math.max(0, Math.min(want, limit - current.used));
    current.used += granted;
    return granted;
  }

  async nodes(): Promise<number> {
    return 1;
  }

  #forget(now: number): void {
    for (const [key, { begun, window }] of this.#windows) if (begun + window <= now) this.#windows.delete(key);
  }
}
