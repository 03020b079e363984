/**
 * One destination: the connections to it, and the messages that wait for one.
 *
 * Rules
 * 1. A message waits for its own destination alone; destinations do not share anything here.
 * 2. A connection serves one message after the other and is kept for a moment when there is none.
 * 3. Where no connection can be had, all that wait here hear it at once: each would only find out the same.
 * 4. A reused connection that turns out dead before the content was complete is tried once more on a fresh one.
 */
import type { RemoteHost, Unfinished } from "../mail/outcome.ts";
import type { Clock } from "../util/clock.ts";
import { Fifo } from "../util/fifo.ts";

/** A session at a host of the destination. */
export interface Link<Job> {
  readonly at: RemoteHost;
  /** Another message can go through it. */
  readonly usable: boolean;
  /** Sends the job's message and settles it; false where the link was dead from the start and nothing was settled. */
  send(job: Job, reused: boolean): Promise<boolean>;
  quit(): Promise<void>;
}

export interface DestinationOptions<Job> {
  readonly clock: Clock;
  readonly maxConnections: number;
  readonly initialConnections: number;
  readonly maxMessagesPerConnection: number;
  readonly keepIdle: number;
  /** A new session, or what every waiting job comes to without one. */
  open(): Promise<Link<Job> | Unfinished>;
  /** Ends a job without an attempt to send it. */
  fail(job: Job, outcome: Unfinished): void;
  /** Nothing waits, nothing is open. */
  onEmpty(): void;
}

export class Destination<Job> {
  readonly #options: DestinationOptions<Job>;
  readonly #waiting = new Fifo<Job>();
  #idle: { readonly link: Link<Job>; readonly used: number; readonly off: () => void }[] = [];
  /** Lanes that work: each has a connection or opens one. */
  #lanes = 0;
  #limit: number;
  #stopped = false;
  /** When something came to an end here. */
  #progress: number;

  constructor(options: DestinationOptions<Job>) {
    this.#options = options;
    this.#limit = Math.min(options.initialConnections, options.maxConnections);
    this.#progress = options.clock.now();
  }

  get busy(): boolean {
    return this.#lanes > 0 || this.#waiting.length > 0;
  }

  add(job: Job): void {
    if (!this.busy) this.#progress = this.#options.clock.now();
    this.#waiting.push(job);
    this.#work();
  }

  /** Takes back all that waits where nothing has moved since `before`: it would only keep others from the hand. */
  shed(before: number): Job[] {
    return this.#progress < before ? this.#waiting.drain() : [];
  }

  /** Lets the connection go that has been idle for longest; false where none is. */
  dropIdle(): boolean {
    const idle = this.#idle.shift();
    if (idle === undefined) return false;
    idle.off();
    void idle.link.quit();
    return true;
  }

  /** Takes back what has not been begun and lets idle connections go; what is under way goes on. */
  stop(): Job[] {
    this.#stopped = true;
    for (const { link, off } of this.#idle.splice(0)) {
      off();
      void link.quit();
    }
    return this.#waiting.drain();
  }

  #work(): void {
    while (this.#waiting.length > 0 && this.#lanes < this.#limit) {
      const idle = this.#takeIdle();
      this.#lanes++;
      void this.#lane(idle?.link, idle?.used ?? 0); // takes its first job before it returns here
    }
  }

  #takeIdle(): { link: Link<Job>; used: number } | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.off();
      if (idle.link.usable) return idle;
    }
    return undefined;
  }

  async #lane(first: Link<Job> | undefined, firstUsed: number): Promise<void> {
    let link = first;
    let used = firstUsed;
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      if (link === undefined || !link.usable || used >= this.#options.maxMessagesPerConnection) {
        if (link?.usable) void link.quit();
        link = await this.#open(job);
        used = 0;
        if (link === undefined) break;
      }
      const sent = await link.send(job, used > 0);
      this.#progress = this.#options.clock.now();
      used++;
      if (sent) this.#limit = Math.min(this.#options.maxConnections, this.#limit + 1);
      else this.#waiting.unshift(job);
    }
    this.#lanes--;
    if (link?.usable) this.#keep(link, used);
    if (this.#waiting.length > 0) this.#work();
    else if (!this.busy && this.#idle.length === 0) this.#options.onEmpty();
  }

  /** A session for this job and those behind it; where there is none, it and they are over. */
  async #open(job: Job): Promise<Link<Job> | undefined> {
    const opened = await this.#options.open();
    this.#progress = this.#options.clock.now();
    if (!("action" in opened)) return opened;
    this.#limit = Math.max(1, this.#limit >> 1);
    this.#options.fail(job, opened);
    // Another lane may still get through: then those who wait have a chance.
    if (this.#lanes === 1) for (const waiting of this.#waiting.drain()) this.#options.fail(waiting, opened);
    return undefined;
  }

  #keep(link: Link<Job>, used: number): void {
    if (this.#stopped || used >= this.#options.maxMessagesPerConnection) {
      void link.quit();
      return;
    }
    const off = this.#options.clock.after(this.#options.keepIdle, () => {
      this.#idle = this.#idle.filter((idle) => idle.link !== link);
      void link.quit();
      if (!this.busy && this.#idle.length === 0) this.#options.onEmpty();
    });
    this.#idle.push({ link, used, off });
  }
}
