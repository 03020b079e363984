/** Lets a few through at a time; the rest wait in order. */
import { Fifo } from "./fifo.ts";

export class Gate {
  readonly #places: number;
  readonly #waiting = new Fifo<() => void>();
  #taken = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get full(): boolean {
    return this.#taken >= this.#places;
  }

  /** How many wait for a place. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves when a place is ours; `leave` gives it back. */
  enter(): Promise<void> {
    if (this.#taken < this.#places) {
      this.#taken++;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken--;
    else next(); // the place passes on
  }
}
