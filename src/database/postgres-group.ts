/**
 * Group commit over a network: what comes while a statement is under way goes into the next one, many calls in one round trip.
 *
 * Rules
 * 1. Calls keep their order; a batch holds each key once (two calls for one message are never in the same statement).
 * 2. A batch of which one call is at fault is run again call by call, so that the others do not pay for it. That is done only where the
 *    server rolled it back: never where its outcome is unknown.
 * 3. What waits is bounded; beyond that a call is refused at once.
 */
import { DatabaseError } from "./error.ts";
import { PostgresError } from "./postgres-error.ts";

export interface GroupOptions<I, O> {
  /** Runs calls in one statement or transaction; one result for each, in order. */
  readonly run: (calls: readonly I[]) => Promise<readonly O[]>;
  /** What it is about: unique in a batch. */
  readonly keyOf?: (call: I) => string;
  /** Octets that it brings along. */
  readonly octetsOf?: (call: I) => number;
  /** Batches under way at once. */
  readonly lanes: number;
}

/** Calls in one statement. */
const BATCH_CALLS = 500;
/** A statement takes in no more calls once it holds this much. */
const BATCH_OCTETS = 4 * 1024 * 1024;
/** Calls that wait. */
export const BACKLOG_CALLS = 20_000;

interface Waiting<I, O> {
  readonly call: I;
  resolve(result: O): void;
  reject(error: unknown): void;
}

export class Group<I, O> {
  readonly #options: GroupOptions<I, O>;
  #waiting: Waiting<I, O>[] = [];
  #head = 0;
  #busy = 0;
  #scheduled = false;
  #idle: (() => void) | undefined;

  constructor(options: GroupOptions<I, O>) {
    this.#options = options;
  }

  /** Resolves with the call's result once its batch is committed. Rejects with what the batch failed with. */
  push(call: I): Promise<O> {
    if (this.#waiting.length - this.#head >= BACKLOG_CALLS) {
      return Promise.reject(new PostgresError("io", `${BACKLOG_CALLS} calls wait for PostgreSQL already`, {}));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, resolve, reject });
      if (this.#scheduled || this.#busy >= this.#options.lanes) return;
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false; // what this turn still brings goes along
        this.#next();
      });
    });
  }

  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void> {
    if (this.#busy === 0 && this.#head === this.#waiting.length) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  #next(): void {
    while (this.#busy < this.#options.lanes && this.#head < this.#waiting.length) {
      this.#busy++;
      void this.#runBatch(this.#take()).finally(() => {
        this.#busy--;
        this.#next();
      });
    }
    if (this.#busy === 0 && this.#head === this.#waiting.length) this.#idle?.();
  }

  #take(): Waiting<I, O>[] {
    const { keyOf, octetsOf } = this.#options;
    const batch: Waiting<I, O>[] = [];
    const keys = new Set<string>();
    let octets = 0;
    while (this.#head < this.#waiting.length && batch.length < BATCH_CALLS && octets < BATCH_OCTETS) {
      const next = this.#waiting[this.#head] as Waiting<I, O>;
      const key = keyOf?.(next.call);
      if (key !== undefined && keys.has(key)) break;
      if (key !== undefined) keys.add(key);
      octets += octetsOf?.(next.call) ?? 0;
      batch.push(next);
      this.#head++;
    }
    if (this.#head === this.#waiting.length || this.#head > 1024) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return batch;
  }

  async #runBatch(batch: readonly Waiting<I, O>[]): Promise<void> {
    try {
      const results = await this.#options.run(batch.map(({ call }) => call));
      for (const [i, { resolve }] of batch.entries()) resolve(results[i] as O);
    } catch (thrown) {
      if (batch.length > 1 && isOneCallsFault(thrown)) for (const one of batch) await this.#runBatch([one]);
      else for (const { reject } of batch) reject(thrown);
    }
  }
}

function isOneCallsFault(thrown: unknown): boolean {
  return !(thrown instanceof DatabaseError) || (thrown.code === "failed" && !(thrown instanceof PostgresError && thrown.unknown));
}
