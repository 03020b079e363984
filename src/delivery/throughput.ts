/** How many messages a destination takes in a second, lately. */

/** Less is too little to tell. */
const SHORTEST_SAMPLE_MS = 500;
const SAMPLE_MS = 2000;

export class Throughput {
  #since: number;
  #count = 0;
  #perSecond: number | undefined;

  constructor(now: number) {
    this.#since = now;
  }

  /** It had nothing to do until now. */
  begin(now: number): void {
    this.#since = now;
    this.#count = 0;
  }

  add(now: number): void {
    this.#count++;
    if (now - this.#since < SAMPLE_MS) return;
    this.#perSecond = this.perSecond(now);
    this.begin(now);
  }

  /** `undefined`: it has not been at work for long enough. */
  perSecond(now: number): number | undefined {
    const elapsed = now - this.#since;
    if (elapsed < SHORTEST_SAMPLE_MS) return this.#perSecond;
    const current = (this.#count * 1000) / elapsed;
    return this.#perSecond === undefined ? current : (this.#perSecond + current) / 2;
  }
}
