/**
 * A connection to whichever of a host's addresses answers first (RFC 8305 5, in spirit).
 *
 * Rules
 * 1. One address after the other, each a moment after the one before, or as soon as that one has failed.
 * 2. The first that connects wins; the others are called off.
 */
import type { ClientStream, Dial, DialTarget } from "../util/byte-stream.ts";
import type { Clock } from "../util/clock.ts";

/** RFC 8305 5: the Connection Attempt Delay, 250 ms recommended. */
export const ATTEMPT_DELAY_MS = 250;

export interface RaceOptions {
  readonly dial: Dial;
  readonly clock: Clock;
  /** The address to come from. */
  sourceFor(address: string): string | undefined;
}

export interface Race {
  /** To be dialled in place of a single address. Rejects with an Error that names each address and what became of it. */
  readonly dial: Dial;
  /** The address that won. */
  readonly winner: string | undefined;
}

export function raceTo(addresses: readonly string[], options: RaceOptions): Race {
  let winner: string | undefined;
  return {
    dial: async (target) => {
      const { address, stream } = await new Attempts(addresses, target, options).run();
      winner = address;
      return stream;
    },
    get winner() {
      return winner;
    },
  };
}

interface Won {
  readonly address: string;
  readonly stream: ClientStream;
}

class Attempts {
  readonly #addresses: readonly string[];
  readonly #target: DialTarget;
  readonly #options: RaceOptions;
  readonly #callOff = new AbortController();
  readonly #failures: string[] = [];
  readonly #result = Promise.withResolvers<Won>();
  #begun = 0;
  #won = false;
  #stopTimer: () => void = () => {};

  constructor(addresses: readonly string[], target: DialTarget, options: RaceOptions) {
    this.#addresses = addresses;
    this.#target = target;
    this.#options = options;
  }

  run(): Promise<Won> {
    const { signal } = this.#target;
    const stop = (): void => this.#callOff.abort();
    signal?.addEventListener("abort", stop, { once: true });
    this.#next();
    return this.#result.promise.finally(() => {
      this.#stopTimer();
      signal?.removeEventListener("abort", stop);
    });
  }

  #next(): void {
    this.#stopTimer();
    const address = this.#addresses[this.#begun];
    if (address === undefined || this.#won || this.#callOff.signal.aborted) return;
    this.#begun++;
    void this.#attempt(address);
    if (this.#begun < this.#addresses.length) this.#stopTimer = this.#options.clock.after(ATTEMPT_DELAY_MS, () => this.#next());
  }

  async #attempt(address: string): Promise<void> {
    const source = this.#options.sourceFor(address);
    const { localAddress: _, ...target } = this.#target;
    try {
      const from = source === undefined ? {} : { localAddress: source };
      const stream = await this.#options.dial({ ...target, host: address, signal: this.#callOff.signal, ...from });
      if (this.#won) return stream.destroy();
      this.#won = true;
      this.#result.resolve({ address, stream });
      this.#callOff.abort();
    } catch (error) {
      this.#failed(address, error);
    }
  }

  #failed(address: string, error: unknown): void {
    if (this.#won) return;
    const why = error instanceof Error ? error.message : String(error);
    this.#failures.push(this.#addresses.length === 1 ? why : `${address}: ${why}`);
    if (this.#begun < this.#addresses.length && !this.#callOff.signal.aborted) this.#next();
    else if (this.#failures.length === this.#begun) this.#result.reject(new Error(this.#failures.join("; ")));
  }
}
