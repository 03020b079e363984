/**
 * What one receiving side bears at a time, shared by all destinations that belong to it.
 *
 * Rules
 * 1. Slow start: a few connections at first, one more with each success. Trouble halves them; from there it takes ROUNDS successes of each to add one.
 * 2. Places are given in turn: no destination waits for another's whole queue, and an idle connection gives way to one that is wanted.
 * 3. A rate is counted by a Quota, which all who share a queue share; who cannot ask it waits.
 */

import type { Quota } from "../queue/quota.ts";
import type { Clock } from "../util/clock.ts";
import { type Rate, slices } from "./pacing.ts";

export interface PaceOptions {
  readonly name: string;
  readonly maxConnections: number;
  readonly initialConnections: number;
  readonly rate?: Rate;
  readonly quota: Quota;
  readonly clock: Clock;
}

/** A destination, as its pace sees it. */
export interface PaceMember {
  /** There may be a place. */
  work(): void;
  /** Lets an idle connection go, with its place; false where there is none. */
  dropIdle(): boolean;
}

/** A server that turned a connection away is not asked for another after each message. */
const ROUNDS = 10;
/** Messages that are asked for at once where there is a rate. */
const HANDFUL = 10;
/** Milliseconds until a quota that could not be asked is asked again. */
const QUOTA_RETRY_MS = 1000;
/** How often the number of nodes that share the limit is asked for. */
const NODES_MS = 30_000;

export class Pace {
  readonly #options: PaceOptions;
  readonly #members = new Set<PaceMember>();
  readonly #waiting = new Set<PaceMember>();
  #taken = 0;
  #window: number;
  /** Up to here the window grows by one with each success. */
  #threshold: number;
  #share: number;
  #nodesAsked = Number.NEGATIVE_INFINITY;
  #permits = 0;
  #permitsUntil = 0;
  #asking: Promise<number> | undefined;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#window = Math.min(options.initialConnections, options.maxConnections);
    this.#threshold = options.maxConnections;
    this.#share = options.maxConnections;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Connections that may be open now. */
  get limit(): number {
    return Math.max(1, Math.min(Math.floor(this.#window), this.#share));
  }

  get taken(): number {
    return this.#taken;
  }

  join(member: PaceMember): void {
    this.#members.add(member);
  }

  part(member: PaceMember): void {
    this.#members.delete(member);
    this.#waiting.delete(member);
  }

  /** Takes a place for a connection; false: `work` is called when there may be one. */
  enter(member: PaceMember): boolean {
    this.#askForNodes();
    if (this.#taken >= this.limit) for (const other of this.#members) if (other !== member && other.dropIdle()) break;
    if (this.#taken < this.limit) {
      this.#taken++;
      return true;
    }
    this.#waiting.add(member);
    return false;
  }

  leave(): void {
    this.#taken--;
    this.#admit();
  }

  /** Another destination waits for a place. */
  isWantedByOthers(member: PaceMember): boolean {
    return this.#waiting.size > (this.#waiting.has(member) ? 1 : 0);
  }

  succeeded(): void {
    const grown = this.#window + (this.#window < this.#threshold ? 1 : 1 / (ROUNDS * this.#window));
    this.#window = Math.min(this.#options.maxConnections, grown);
    if (this.#waiting.size > 0) this.#admit();
  }

  slowDown(): void {
    this.#window = Math.max(1, this.#window / 2);
    this.#threshold = this.#window;
  }

  /** Milliseconds from one message to the next at its rate; 0 where there is none. */
  get interval(): number {
    const { rate } = this.#options;
    return rate === undefined ? 0 : rate.per / rate.messages;
  }

  /** Milliseconds until a message may go; 0: one goes now, and is counted. */
  permit(): number | Promise<number> {
    const { rate, clock } = this.#options;
    if (rate === undefined) return 0;
    if (this.#permits > 0 && clock.now() < this.#permitsUntil) {
      this.#permits--;
      return 0;
    }
    this.#asking ??= this.#ask(rate).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking.then((wait) => {
      if (wait > 0) return wait;
      if (this.#permits === 0) return this.permit(); // others who asked were quicker
      this.#permits--;
      return 0;
    });
  }

  async #ask(rate: Rate): Promise<number> {
    const { name, quota, clock } = this.#options;
    const { limit, window } = slices(rate);
    const asked = clock.now(); // what is granted is of this window, however late the answer comes
    try {
      this.#permits = await quota.take({ key: name, want: Math.min(HANDFUL, limit), limit, window });
    } catch {
      return QUOTA_RETRY_MS; // the store is away: it says so itself
    }
    this.#permitsUntil = asked - (asked % window) + window;
    return this.#permits > 0 ? 0 : Math.max(1, this.#permitsUntil - clock.now());
  }

  #admit(): void {
    for (const member of this.#waiting) {
      if (this.#taken >= this.limit) return;
      this.#waiting.delete(member);
      member.work();
    }
  }

  /** What is open at one time cannot be counted by windows: it is divided among the nodes at work. */
  #askForNodes(): void {
    const now = this.#options.clock.now();
    if (now - this.#nodesAsked < NODES_MS) return;
    this.#nodesAsked = now;
    this.#options.quota.nodes().then(
      (nodes) => {
        this.#share = Math.max(1, Math.floor(this.#options.maxConnections / Math.max(1, nodes)));
      },
      () => {}, // the store is away: it says so itself
    );
  }
}
