/**
 * A deadline that moves: one timer serves as long as it only moves on, since a connection sets it at every step.
 */
import type { Clock } from "../util/clock.ts";

export class Deadline {
  readonly #clock: Clock;
  readonly #passed: () => void;
  #at = Number.POSITIVE_INFINITY;
  #armedFor = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | undefined;

  /** `passed` is called when the deadline is over; it may set another. */
  constructor(clock: Clock, passed: () => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** `ms` from now. */
  set(ms: number): void {
    this.#at = this.#clock.now() + ms;
    if (this.#at < this.#armedFor) this.#arm();
  }

  clear(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** No timer is left. */
  end(): void {
    this.clear();
    this.#disarm?.();
  }

  #arm(): void {
    this.#disarm?.();
    this.#armedFor = this.#at;
    this.#disarm = this.#clock.after(Math.max(0, this.#at - this.#clock.now()), () => {
      this.#armedFor = Number.POSITIVE_INFINITY;
      if (this.#at === Number.POSITIVE_INFINITY) return;
      if (this.#clock.now() < this.#at) return this.#arm();
      this.clear();
      this.#passed();
    });
  }
}
