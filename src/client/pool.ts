/**
 * Connections to one destination, used by one message after the other.
 *
 * Rules
 * 1. At most `maxConnections` at a time; who finds none free waits in line.
 * 2. A free connection is taken before one is opened: the one used last, as it is the least likely to have been closed.
 * 3. One that was idle for longer than `probeAfter` is asked (RSET) before it is used; one that was idle for `idleTimeout`, or served
 *    `maxMessages` or all that its server takes in a session (LIMITS), is ended by QUIT.
 * 4. A connection that cannot be had is told to the one it was opened for; those in line try for themselves.
 */
import type { Clock } from "../util/clock.ts";
import { Fifo } from "../util/fifo.ts";
import type { SmtpConnection } from "./smtp-connection.ts";

export interface PoolOptions {
  readonly maxConnections: number;
  readonly maxMessages: number;
  /** Milliseconds. */
  readonly idleTimeout: number;
  readonly probeAfter: number;
}

export const defaultPool: PoolOptions = { maxConnections: 5, maxMessages: 100, idleTimeout: 10_000, probeAfter: 5_000 };

/** Milliseconds that an idle connection has to answer. */
const PROBE_TIMEOUT = 5_000;

/** A connection that is one message's until it is given back. */
export interface Lease {
  readonly connection: SmtpConnection;
  /** Messages that went through it before. */
  readonly used: number;
}

interface Idle {
  readonly lease: Lease;
  readonly since: number;
  readonly off: () => void;
}

interface Waiter {
  resolve(lease: Lease): void;
  reject(error: unknown): void;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  readonly #open: () => Promise<SmtpConnection>;
  #idle: Idle[] = [];
  readonly #waiting = new Fifo<Waiter>();
  /** Open, or being opened, idle ones too. */
  #connections = 0;
  #closing = false;
  #leaving = new Set<Promise<void>>();

  constructor(options: PoolOptions, clock: Clock, open: () => Promise<SmtpConnection>) {
    this.#options = options;
    this.#clock = clock;
    this.#open = open;
  }

  get connections(): number {
    return this.#connections;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** A connection; `fresh`: not one that was used before. Rejects as the opening does. */
  async take(fresh = false): Promise<Lease> {
    if (!fresh) {
      const lease = await this.#takeIdle();
      if (lease !== undefined) return lease;
    }
    if (this.#connections < this.#options.maxConnections) return this.#openOne();
    // All are in use, or idle ones must make room for a fresh one.
    const idle = fresh ? this.#idle.shift() : undefined;
    if (idle === undefined) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    idle.off();
    this.#end(idle.lease);
    return this.#openOne();
  }

  give({ connection, used }: Lease): void {
    const lease = { connection, used: used + 1 };
    if (!connection.idle || lease.used >= this.#options.maxMessages || connection.allowance.spent) {
      this.#end(lease);
      return this.#serveNext();
    }
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) return waiter.resolve(lease);
    if (this.#closing) return this.#end(lease);
    const off = this.#clock.after(this.#options.idleTimeout, () => {
      this.#idle = this.#idle.filter((idle) => idle.lease !== lease);
      this.#end(lease);
    });
    this.#idle.push({ lease, since: this.#clock.now(), off });
  }

  /** Ends idle connections by QUIT now, and others when they are given back; resolves when those that were idle are gone. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const { lease, off } of this.#idle.splice(0)) {
      off();
      this.#end(lease);
    }
    while (this.#leaving.size > 0) await Promise.all(this.#leaving);
  }

  async #takeIdle(): Promise<Lease | undefined> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.off();
      const { lease } = idle;
      const fine = lease.connection.idle && (this.#clock.now() - idle.since < this.#options.probeAfter || (await this.#answers(lease)));
      if (fine) return lease;
      this.#end(lease);
    }
    return undefined;
  }

  /** The server still listens; RSET harms nothing. */
  async #answers({ connection }: Lease): Promise<boolean> {
    const off = this.#clock.after(PROBE_TIMEOUT, () => connection.destroy());
    try {
      return (await connection.command("RSET")).code === 250;
    } catch {
      return false;
    } finally {
      off();
    }
  }

  async #openOne(): Promise<Lease> {
    this.#connections++;
    try {
      return { connection: await this.#open(), used: 0 };
    } catch (error) {
      this.#connections--;
      this.#serveNext();
      throw error;
    }
  }

  #serveNext(): void {
    if (this.#connections >= this.#options.maxConnections) return;
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) this.#openOne().then(waiter.resolve, waiter.reject);
  }

  #end({ connection }: Lease): void {
    this.#connections--;
    const gone = connection.quit().finally(() => this.#leaving.delete(gone));
    this.#leaving.add(gone);
  }
}
