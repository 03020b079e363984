/**
 * When a recipient whose attempt was delayed is tried again, and when it is given up.
 *
 * Rules
 * 1. RFC 5321 4.5.4.1: the interval SHOULD be at least 30 minutes once it has failed a few times, and giving up takes at least 4 to 5 days.
 *    The first attempts come sooner, as greylisting and restarts are over in minutes.
 * 2. Jitter spreads what failed together, so that a host that comes back is not met by all of it at once.
 * 3. There is one last attempt at the end of the life: no message is given up because its next interval was too long.
 */
import { days, hours, minutes } from "../util/clock.ts";

export interface RetryScheduleOptions {
  /** Milliseconds between attempts; the last one goes on. At least one, each at least a second. */
  readonly intervals?: readonly number[];
  /** Share of an interval by which it is lengthened or shortened at random, 0 to 1. */
  readonly jitter?: number;
  /** Milliseconds from arrival until a recipient is given up. */
  readonly giveUpAfter?: number;
}

export const DEFAULT_INTERVALS: readonly number[] = [
  minutes(5),
  minutes(10),
  minutes(20),
  minutes(40),
  hours(1),
  hours(1),
  hours(2),
  hours(2),
  hours(4),
];
export const DEFAULT_JITTER = 0.1;
export const DEFAULT_GIVE_UP_AFTER = days(5);
const SHORTEST_INTERVAL = 1000;

export interface Attempted {
  readonly arrived: number;
  /** Attempts that have ended, the one that just failed included: at least 1. */
  readonly attempts: number;
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
}

export type NextAttempt = { readonly kind: "retry"; readonly at: number } | { readonly kind: "expired" };

export class RetrySchedule {
  readonly giveUpAfter: number;
  #intervals: readonly number[];
  #jitter: number;

  /** Throws a RangeError for intervals, a jitter or a life that make no schedule. */
  constructor(options: RetryScheduleOptions = {}) {
    this.#intervals = options.intervals ?? DEFAULT_INTERVALS;
    this.#jitter = options.jitter ?? DEFAULT_JITTER;
    this.giveUpAfter = options.giveUpAfter ?? DEFAULT_GIVE_UP_AFTER;
    if (this.#intervals.length === 0 || !this.#intervals.every((ms) => Number.isFinite(ms) && ms >= SHORTEST_INTERVAL)) {
      throw new RangeError("a retry schedule has at least one interval, each of a second or more");
    }
    if (!(this.#jitter >= 0 && this.#jitter <= 1)) throw new RangeError("the jitter of a retry schedule is 0 to 1");
    if (!(this.giveUpAfter >= 0)) throw new RangeError("the life of a message is not negative");
  }

  nextAttempt({ arrived, attempts, now, random }: Attempted): NextAttempt {
    const end = arrived + this.giveUpAfter;
    if (now >= end) return { kind: "expired" };
    const place = Math.min(Math.max(attempts, 1), this.#intervals.length) - 1;
    const interval = this.#intervals[place] as number;
    const wait = Math.max(SHORTEST_INTERVAL, Math.round(interval * (1 + this.#jitter * (2 * random - 1))));
    return { kind: "retry", at: Math.min(now + wait, Math.max(end, now + SHORTEST_INTERVAL)) };
  }
}
