import type { Clock } from "./clock.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands until it is told to go on. */
export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now: number;

  constructor(now = 1_000_000) {
    this.#now = now;
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** At once, with what is due by then; what follows from it is not waited for. */
  advance(ms: number): void {
    this.#now += ms;
    for (let next = this.#next(); next !== undefined; next = this.#next()) this.#fire(next);
  }

  /** Lets time pass timer by timer, and everything that follows from each. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#now = next.at;
      this.#fire(next);
      await settle();
    }
    this.#now = until;
  }

  #next(until = this.#now): Timer | undefined {
    return [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    timer.callback();
  }
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
