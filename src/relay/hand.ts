/**
 * What is in hand: leased, in memory, on its way out.
 *
 * Rules
 * 1. Beyond the limits messages stay in the store until there is room: memory does not grow with the queue.
 */
export interface HandLimits {
  /** Recipients. */
  readonly recipients: number;
  /** Octets of content in memory. */
  readonly octets: number;
}

export const defaultHandLimits: HandLimits = { recipients: 5000, octets: 64 * 1024 * 1024 };

export class Hand {
  readonly #limits: HandLimits;
  #recipients = 0;
  #octets = 0;
  #onEmpty: (() => void) | undefined;

  constructor(limits: HandLimits = defaultHandLimits) {
    this.#limits = limits;
  }

  get recipients(): number {
    return this.#recipients;
  }

  /** How many more recipients may be taken; 0 where memory is used up. */
  get room(): number {
    return this.#octets >= this.#limits.octets ? 0 : Math.max(0, this.#limits.recipients - this.#recipients);
  }

  take(recipients: number, octets: number): void {
    this.#recipients += recipients;
    this.#octets += octets;
  }

  give(recipients: number, octets: number): void {
    this.#recipients -= recipients;
    this.#octets -= octets;
    if (this.#recipients === 0) this.#onEmpty?.();
  }

  /** Resolves when nothing is in hand. */
  empty(): Promise<void> {
    if (this.#recipients === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }
}
