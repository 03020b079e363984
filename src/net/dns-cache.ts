/**
 * Answers kept for as long as they may be.
 *
 * Rules
 * 1. Bounded: at the limit the entry that was kept longest goes, used or not; nothing is ever scanned.
 * 2. A value is never handed out past its time.
 */
import type { Clock } from "../util/clock.ts";

/** Answers kept by one resolver; about half a kilobyte each. */
export const CACHE_LIMIT = 20_000;

export class DnsCache<V> {
  readonly #entries = new Map<string, { readonly value: V; readonly until: number }>();
  readonly #clock: Clock;
  readonly #limit: number;

  constructor(clock: Clock, limit = CACHE_LIMIT) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value and the milliseconds that it may still be kept. */
  get(key: string): { readonly value: V; readonly remaining: number } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const remaining = entry.until - this.#clock.now();
    if (remaining > 0) return { value: entry.value, remaining };
    this.#entries.delete(key);
    return undefined;
  }

  /** Keeps the value for `ms`; for none where that is not above zero. */
  set(key: string, value: V, ms: number): void {
    this.#entries.delete(key); // so that it goes to the end of the order
    if (ms <= 0) return;
    if (this.#entries.size >= this.#limit) this.#entries.delete(this.#entries.keys().next().value as string);
    this.#entries.set(key, { value, until: this.#clock.now() + ms });
  }

  clear(): void {
    this.#entries.clear();
  }
}
