/**
 * Failed logins by peer: each makes the next answer slower, and too many close the door for a while.
 *
 * Rules
 * 1. Counted by address, not by account: nobody can lock an account's owner out from elsewhere.
 * 2. Bounded: the peer that failed longest ago is forgotten first.
 */
import { type Clock, minutes, seconds } from "../util/clock.ts";
import { peerKey } from "./peer-key.ts";

/** Failures after which a peer is refused. */
export const FAILURE_LIMIT = 10;
export const REFUSED_MS = minutes(10);
/** Failures are forgotten when none came for so long. */
export const FORGOTTEN_MS = minutes(15);
/** Added to the answer after the first failure; doubled by each one more. */
export const FIRST_DELAY_MS = 500;
export const LONGEST_DELAY_MS = seconds(10);
const PEER_LIMIT = 10_000;

interface Failures {
  readonly count: number;
  readonly last: number;
}

export class GuessLimit {
  #clock: Clock;
  #peers = new Map<string, Failures>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a peer has failed too often to be heard now. */
  isRefused(peer: string): boolean {
    const failures = this.#failuresOf(peerKey(peer));
    return failures !== undefined && failures.count >= FAILURE_LIMIT && this.#clock.now() - failures.last < REFUSED_MS;
  }

  /** Counts a failure; the milliseconds by which its answer is to be held back. */
  failed(peer: string): number {
    const key = peerKey(peer);
    const before = this.#failuresOf(key);
    const served = before !== undefined && before.count >= FAILURE_LIMIT && this.#clock.now() - before.last >= REFUSED_MS;
    const count = before === undefined || served ? 1 : before.count + 1;
    this.#peers.delete(key); // to the end of the map: the newest
    this.#peers.set(key, { count, last: this.#clock.now() });
    if (this.#peers.size > PEER_LIMIT) this.#peers.delete(this.#peers.keys().next().value as string);
    return Math.min(FIRST_DELAY_MS * 2 ** (count - 1), LONGEST_DELAY_MS);
  }

  #failuresOf(key: string): Failures | undefined {
    const failures = this.#peers.get(key);
    if (failures === undefined || this.#clock.now() - failures.last < FORGOTTEN_MS) return failures;
    this.#peers.delete(key);
    return undefined;
  }
}
