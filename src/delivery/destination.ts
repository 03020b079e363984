/**
 * One destination: the connections to it, and the messages that wait for one.
 *
 * Rules
 * 1. A message waits for its own destination alone; what destinations of one provider share is their pace.
 * 2. A connection serves one message after the other and is kept for a moment when there is none.
 * 3. Where no connection can be had, all that wait here hear it at once: each would only find out the same. Then it is left alone, longer each
 *    time, and what comes meanwhile is put off untried; the next look is a single connection's.
 * 4. A reused connection that turns out dead before the content was complete is tried once more on a fresh one.
 */
import { describeHost, type Reason, type RemoteHost, type Unfinished } from "../mail/outcome.ts";
import type { EnhancedStatus } from "../mail/status.ts";
import type { Clock } from "../util/clock.ts";
import { Fifo } from "../util/fifo.ts";
import { delayedHere, untried, untriedHere } from "./outcomes.ts";
import type { Pace, PaceMember } from "./pace.ts";
import { Throughput } from "./throughput.ts";

/**
 * done: settled, the server is well. slow: settled, and the server would rather have less at a time. trouble: settled, and the server said that it has enough, or hung up. dead: not settled, the connection was
 * gone from the start.
 */
export type Sent = "done" | "slow" | "trouble" | "dead";

/** A session at a host of the destination. */
export interface Link<Job> {
  readonly at: RemoteHost;
  /** Another message can go through it. */
  readonly usable: boolean;
  /** Sends the job's message and settles it, but for `dead`. */
  send(job: Job, reused: boolean): Promise<Sent>;
  quit(): Promise<void>;
}

export interface DestinationOptions<Job> {
  readonly clock: Clock;
  readonly pace: Pace;
  readonly maxMessagesPerConnection: number;
  readonly keepIdle: number;
  /** Milliseconds for which it is left alone after a failure: at first, and at most. */
  readonly backOff: { readonly first: number; readonly longest: number };
  readonly random: () => number;
  /** A new session for this job and those behind it, or what every waiting job comes to without one. */
  open(job: Job): Promise<Link<Job> | Unfinished>;
  /** Somebody waits for a connection, of all that there may be. */
  isPlaceWanted?(): boolean;
  /** Ends a job without an attempt to send it. */
  settle(job: Job, outcome: Unfinished): void;
  /** It is left alone from now on, or no longer (`undefined`). */
  onClosed(closed: Closed | undefined): void;
  /** Nothing waits, nothing is open, nothing is to be remembered. */
  onEmpty(): void;
}

/** Left alone. */
export interface Closed {
  readonly until: number;
  readonly status: EnhancedStatus;
  readonly why: Reason;
  /** False: its rate is used up. That is our own will, and nothing is given up for it. */
  readonly ages: boolean;
}

interface ClosedFor extends Closed {
  off(): void;
  /** Milliseconds from one message to the next once it is open again; 0: all may come. */
  readonly interval: number;
  /** Messages put off for it. */
  putOff: number;
}

/** What is told of it to operators. */
export interface DestinationState {
  readonly waiting: number;
  readonly connections: number;
  readonly closed?: Closed;
}

/** Where it is left alone for longer, what waits goes back to the queue. */
const PATIENCE_MS = 5000;
/** Messages through one connection before another destination has its turn, where one waits for it. */
const TURN = 20;
/** What can be sent within this time is no burden. */
const SOON_MS = 2000;
/** What a slow destination cannot take soon is put off by how long it is likely to take, within these bounds. */
const SHORTEST_PUT_OFF_MS = 5000;
const LONGEST_PUT_OFF_MS = 15 * 60_000;

export class Destination<Job> implements PaceMember {
  readonly #options: DestinationOptions<Job>;
  readonly #waiting = new Fifo<Job>();
  readonly #throughput: Throughput;
  #idle: { readonly link: Link<Job>; readonly used: number; readonly off: () => void }[] = [];
  /** Lanes that work: each has a connection or opens one. */
  #lanes = 0;
  #stopped = false;
  /** `onEmpty` was called: another may be in its place by now. */
  #ended = false;
  #callOffForget: () => void = () => {};
  /** When something came to an end here. */
  #progress: number;
  #closed: ClosedFor | undefined;
  /** How often it was left alone since the last success. */
  #backOffs = 0;
  /** Failures in a row. */
  #failures = 0;

  constructor(options: DestinationOptions<Job>) {
    this.#options = options;
    this.#progress = options.clock.now();
    this.#throughput = new Throughput(this.#progress);
    options.pace.join(this);
  }

  get #busy(): boolean {
    return this.#lanes > 0 || this.#waiting.length > 0;
  }

  get state(): DestinationState {
    const closed = this.#closed === undefined ? {} : { closed: plain(this.#closed) };
    return { waiting: this.#waiting.length, connections: this.#lanes + this.#idle.length, ...closed };
  }

  add(job: Job): void {
    const now = this.#options.clock.now();
    if (this.#closed !== undefined && this.#closed.until - now > PATIENCE_MS) return this.#putOff(job, this.#closed);
    if (!this.#busy) {
      this.#progress = now;
      this.#throughput.begin(now);
    }
    this.#waiting.push(job);
    this.work();
  }

  /** Takes back all that waits where nothing has moved since `before`: it would only keep others from the hand. */
  shed(before: number): Job[] {
    return this.#progress < before ? this.#waiting.drain() : [];
  }

  /** Puts off what cannot be sent soon, by how long it is likely to take. */
  relieve(): void {
    const now = this.#options.clock.now();
    const perSecond = this.#throughput.perSecond(now);
    if (perSecond === undefined) return;
    const soon = Math.ceil((perSecond * SOON_MS) / 1000);
    if (this.#waiting.length <= soon) return;
    const all = this.#waiting.drain();
    for (const job of all.slice(0, soon)) this.#waiting.push(job);
    for (const [i, job] of all.slice(soon).entries()) {
      const wait = Math.max(SHORTEST_PUT_OFF_MS, ((soon + i) / Math.max(perSecond, 0.001)) * 1000);
      const text = `${all.length} messages wait for this destination, which takes ${perSecond.toFixed(1)} a second`;
      this.#options.settle(job, untriedHere("4.4.5", text, Math.round(now + this.#bounded(wait))));
    }
  }

  /** Lets the connection go that has been idle for longest; false where none is. */
  dropIdle(): boolean {
    const idle = this.#idle.shift();
    if (idle === undefined) return false;
    idle.off();
    this.#letGo(idle.link);
    this.#endIfEmpty();
    return true;
  }

  /** It is not left alone any longer. */
  reopen(): void {
    this.#backOffs = 0;
    this.#failures = 0;
    this.#open();
  }

  /** Takes back what has not been begun and lets idle connections go; what is under way goes on. */
  stop(): Job[] {
    this.#stopped = true;
    this.#closed?.off();
    while (this.dropIdle());
    return this.#waiting.drain();
  }

  work(): void {
    // Whoever did not answer last time is asked by one connection.
    while (this.#waiting.length > 0 && this.#closed === undefined && (this.#backOffs === 0 || this.#lanes === 0)) {
      const idle = this.#takeIdle();
      if (idle === undefined && !this.#options.pace.enter(this)) return;
      this.#lanes++;
      void this.#lane(idle?.link, idle?.used ?? 0); // takes its first job before it returns here
    }
  }

  #takeIdle(): { link: Link<Job>; used: number } | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.off();
      if (idle.link.usable) return idle;
      this.#letGo(idle.link);
    }
    return undefined;
  }

  async #lane(first: Link<Job> | undefined, firstUsed: number): Promise<void> {
    let link = first;
    let used = firstUsed;
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      const permit = this.#options.pace.permit();
      if (permit !== 0 && !(await this.#mayGo(permit))) {
        this.#handBack(job);
        break;
      }
      if (link === undefined || !link.usable || used >= this.#options.maxMessagesPerConnection) {
        void link?.quit();
        link = await this.#connect(job);
        used = 0;
        if (link === undefined) break;
      }
      const sent = await this.#send(job, link, used++ > 0);
      if (sent !== undefined) this.#sent(job, link, sent);
      if (this.#closed !== undefined || (used >= TURN && this.#isWantedByOthers)) break;
    }
    this.#lanes--;
    this.#leaveLane(link, used);
    if (this.#waiting.length > 0) this.work();
    else this.#endIfEmpty();
  }

  /** `undefined`: what is to be sent could not be made, such as from content that cannot be read. That is ours, not the server's. */
  async #send(job: Job, link: Link<Job>, reused: boolean): Promise<Sent | undefined> {
    try {
      return await link.send(job, reused);
    } catch (error) {
      this.#options.settle(job, delayedHere("4.3.0", error instanceof Error ? error.message : String(error), "message"));
      return undefined;
    }
  }

  /** Whether the rate allows another message. */
  async #mayGo(permit: number | Promise<number>): Promise<boolean> {
    const wait = await permit;
    const { name, interval } = this.#options.pace;
    const why = { kind: "local", text: `the rate set for ${name} is used up` } as const;
    if (wait > 0 && this.#closed === undefined) this.#close({ wait, status: "4.4.5", why, ages: false, interval });
    return wait === 0;
  }

  #handBack(job: Job): void {
    if (this.#stopped) this.#options.settle(job, untriedHere("4.3.2", "the server stops", this.#options.clock.now()));
    else if (this.#closed !== undefined && this.#closed.until - this.#options.clock.now() > PATIENCE_MS) this.#putOff(job, this.#closed);
    else this.#waiting.unshift(job);
  }

  #sent(job: Job, link: Link<Job>, sent: Sent): void {
    const now = this.#options.clock.now();
    this.#progress = now;
    if (sent === "dead") return this.#handBack(job);
    this.#throughput.add(now);
    if (sent === "done") {
      this.#failures = 0;
      this.#backOffs = 0;
      this.#options.pace.succeeded();
    } else if (sent === "slow") this.#options.pace.slowDown();
    else this.#trouble("4.4.5", { kind: "local", text: `${describeHost(link.at)} wants no more for now` });
  }

  /** A session for this job and those behind it; where there is none, it and they are over. */
  async #connect(job: Job): Promise<Link<Job> | undefined> {
    const opened = await this.#options.open(job);
    this.#progress = this.#options.clock.now();
    if (!("action" in opened)) return opened;
    // Another lane may still get through: then this job and those that wait have a chance.
    if (this.#mayRecover) this.#handBack(job);
    else for (const waiting of [job, ...this.#waiting.drain()]) this.#options.settle(waiting, opened);
    if (opened.action === "delayed") this.#trouble(opened.status, opened.why);
    else this.#failures++; // lanes that hope for one another come to an end
    return undefined;
  }

  /** Another lane is at work, and not each of them has failed since the last success. */
  get #mayRecover(): boolean {
    return this.#closed === undefined && this.#lanes > 1 && this.#failures < this.#lanes;
  }

  #trouble(status: EnhancedStatus, why: Reason): void {
    this.#options.pace.slowDown();
    const mayRecover = this.#mayRecover;
    this.#failures++;
    if (mayRecover || this.#closed !== undefined) return;
    const { first, longest } = this.#options.backOff;
    const wait = Math.min(longest, first * 2 ** Math.min(this.#backOffs++, 30));
    this.#close({ wait: wait * (0.9 + this.#options.random() / 5), status, why, ages: true });
    if (this.#closed !== undefined) this.#options.onClosed(plain(this.#closed));
  }

  #close({ wait, interval = 0, ...what }: Omit<Closed, "until"> & { readonly wait: number; readonly interval?: number }): void {
    if (this.#stopped) return;
    const until = Math.ceil(this.#options.clock.now() + wait);
    const closed = { until, ...what, interval, putOff: 0, off: this.#options.clock.after(wait, () => this.#open()) };
    this.#closed = closed;
    if (wait > PATIENCE_MS) for (const job of this.#waiting.drain()) this.#putOff(job, closed);
  }

  /** Spread, so that they do not all come back at once: a little, or as its rate can take them. */
  #putOff(job: Job, closed: ClosedFor): void {
    const { until, status, why, ages, interval } = closed;
    const spread = Math.max(1000, (until - this.#options.clock.now()) / 4);
    const wait = Math.max(this.#options.random() * spread, this.#bounded(closed.putOff++ * interval));
    this.#options.settle(job, untried({ status, why, due: Math.round(until + wait), ages }));
  }

  /** Beyond the bound they would all come back at once. */
  #bounded(wait: number): number {
    return wait < LONGEST_PUT_OFF_MS ? wait : LONGEST_PUT_OFF_MS * (0.5 + this.#options.random() / 2);
  }

  #open(): void {
    this.#closed?.off();
    const wasLeftAlone = this.#closed !== undefined && this.#backOffs > 0;
    this.#closed = undefined;
    if (wasLeftAlone) this.#options.onClosed(undefined);
    this.work();
    this.#endIfEmpty();
  }

  #endIfEmpty(forget = false): void {
    this.#callOffForget();
    if (this.#busy || this.#idle.length > 0 || this.#closed !== undefined || this.#stopped || this.#ended) return;
    if (this.#backOffs > 0 && !forget) {
      // How often it failed is remembered until what was put off has come back.
      this.#callOffForget = this.#options.clock.after(this.#options.backOff.longest, () => this.#endIfEmpty(true));
      return;
    }
    this.#ended = true;
    this.#options.pace.part(this);
    this.#options.onEmpty();
  }

  get #isWantedByOthers(): boolean {
    const { pace, isPlaceWanted } = this.#options;
    return pace.isWantedByOthers(this) || isPlaceWanted?.() === true;
  }

  #leaveLane(link: Link<Job> | undefined, used: number): void {
    if (link === undefined) return this.#options.pace.leave();
    const { maxMessagesPerConnection } = this.#options;
    if (!link.usable || this.#stopped || used >= maxMessagesPerConnection || this.#isWantedByOthers) return this.#letGo(link);
    const off = this.#options.clock.after(this.#options.keepIdle, () => {
      this.#idle = this.#idle.filter((idle) => idle.link !== link);
      this.#letGo(link);
      this.#endIfEmpty();
    });
    this.#idle.push({ link, used, off });
  }

  #letGo(link: Link<Job>): void {
    void link.quit();
    this.#options.pace.leave();
  }
}

function plain({ until, status, why, ages }: Closed): Closed {
  return { until, status, why, ages };
}
