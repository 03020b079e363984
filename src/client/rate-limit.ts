/** So many messages in so much time, in the order in which they were asked for. */
import type { Clock } from "../util/clock.ts";

export interface RateLimitOptions {
  /** How many in each interval; they may come at once. */
  readonly messages: number;
  /** Milliseconds. */
  readonly interval: number;
}

export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #clock: Clock;
  /** When the last `messages` turns were given, or will be, oldest first; `#next` is the oldest. */
  readonly #turns: number[];
  #next = 0;

  /** Throws a RangeError for a limit that lets nothing through. */
  constructor(options: RateLimitOptions, clock: Clock) {
    if (!(Number.isInteger(options.messages) && options.messages > 0 && options.interval > 0)) {
      throw new RangeError("a rate needs at least one message in an interval of at least a millisecond");
    }
    this.#options = options;
    this.#clock = clock;
    this.#turns = new Array(options.messages).fill(Number.NEGATIVE_INFINITY);
  }

  /** Milliseconds to wait until one more may go; it counts as gone then. */
  take(): number {
    const now = this.#clock.now();
    const at = Math.max(now, (this.#turns[this.#next] as number) + this.#options.interval);
    this.#turns[this.#next] = at;
    this.#next = (this.#next + 1) % this.#turns.length;
    return at - now;
  }
}
