/**
 * Things that come in one after the other, and tests that wait for one of them.
 *
 * Rules
 * 1. Waiting is for an event, never for time; the limit is there so that what never comes is named.
 * 2. What came before the wait counts.
 */

/** For one wait, in milliseconds. */
const WAIT_LIMIT = 30_000;

export class Arrivals<T> {
  readonly all: T[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #describe: () => string;

  /** `describe` says what came instead, for the error of a wait in vain. */
  constructor(describe: () => string = () => "") {
    this.#describe = describe;
  }

  push(item: T): void {
    this.all.push(item);
    for (const look of [...this.#waiting]) look();
  }

  /** Looks again although nothing came: such as after an end. */
  wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** The first item that `matches`. Rejects after WAIT_LIMIT, or once `failed` gives an error. */
  first(what: string, matches: (item: T) => boolean, failed: () => Error | undefined = () => undefined): Promise<T> {
    return this.atLeast(1, what, matches, failed).then(([item]) => item as T);
  }

  /** The first `count` items that match. */
  atLeast(count: number, what: string, matches: (item: T) => boolean, failed: () => Error | undefined = () => undefined): Promise<T[]> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        const found = this.all.filter(matches);
        const error = failed();
        if (found.length < count && error === undefined) return;
        done();
        if (found.length >= count) resolve(found.slice(0, count));
        else reject(error);
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`waited ${WAIT_LIMIT / 1000} s in vain for ${what}\n${this.#describe()}`));
      }, WAIT_LIMIT);
      this.#waiting.add(look);
      look();
    });
  }
}
