/**
 * This node among the others that share the queue: its session, what it holds, and what the dead have left.
 *
 * Rules
 * 1. A session is a row of `node` with a time on the database's clock, put forward every RENEWALS-th part of the lease. All that is held is
 *    held by the session: renewing a million leases is one row.
 * 2. Past that time others may take over. Whether ours still stands is known here without asking: counted from when the last renewal that
 *    succeeded was sent, on the clock that no one sets and on the one that runs on while the machine sleeps, whichever is later.
 * 3. A session that was taken over never comes back: a new one begins. What was held by the old one is `stale` here until its attempt ends:
 *    it is not settled, and not handed out a second time by this node meanwhile.
 * 4. A node takes over from others only once it has itself been in touch for a whole lease: after the database was away it gives the others
 *    as long to say that they live. What ended long ago is taken over at once.
 * 5. A statement whose reply was lost may have taken recipients that nobody here knows of. Its ticket is freed again and again for a while,
 *    as the statement itself may still be on its way to be committed.
 */
import type { Postgres, Rows } from "../database/postgres.ts";
import { PostgresError } from "../database/postgres-error.ts";
import { int8Array } from "../database/postgres-values.ts";
import type { MessageId } from "../mail/message.ts";
import type { Statements } from "./postgres-statements.ts";
import type { RecipientRef } from "./store.ts";

export interface PostgresNodeOptions {
  readonly postgres: Postgres;
  readonly statements: Statements;
  readonly name: string;
  /** Milliseconds. */
  readonly lease: number;
  /** Recipients may have come free. */
  readonly onFreed: () => void;
  readonly onTrouble: (why: string) => void;
}

const RENEWALS = 3;
/** The part of a lease that must be left for an attempt to send its final dot: the reply to it takes time, too. */
const MARGIN = 1 / 6;
/** Times that a lost ticket is freed, once in each renewal. */
const STRAY_ROUNDS = 30;

type Held = Map<MessageId, Set<number>>;

export class PostgresNode {
  readonly #options: PostgresNodeOptions;
  #session = 0;
  #tickets = 0;
  #validUntil = { steady: 0, wall: 0 };
  /** Since when the session has stood without a gap. */
  #since = 0;
  #held: Held = new Map();
  #stale: Held = new Map();
  #strays = new Map<number, { readonly session: number; left: number }>();
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | undefined;
  #joining: Promise<void> | undefined;
  #closed = false;

  private constructor(options: PostgresNodeOptions) {
    this.#options = options;
  }

  /** Joins the others. Rejects with a PostgresError. */
  static async join(options: PostgresNodeOptions): Promise<PostgresNode> {
    const node = new PostgresNode(options);
    await node.#join();
    await node.#sweep();
    node.#later();
    return node;
  }

  get session(): number {
    return this.#session;
  }

  nextTicket(): number {
    return ++this.#tickets;
  }

  /** The lease stands, and for long enough to end an attempt. */
  get stands(): boolean {
    const margin = this.#options.lease * MARGIN;
    return performance.now() < this.#validUntil.steady - margin && Date.now() < this.#validUntil.wall - margin;
  }

  holds({ id, index }: RecipientRef): boolean {
    return has(this.#held, id, index) && this.stands;
  }

  /** Notes what a statement of `session` took; false where that session is over: it is not ours any more. */
  take(session: number, id: MessageId, index: number): boolean {
    if (session !== this.#session) return false;
    add(this.#held, id, index);
    return true;
  }

  /** Notes what an attempt will be made for though its lease is over. */
  takeStale({ id, index }: RecipientRef): void {
    add(this.#stale, id, index);
  }

  isStale({ id, index }: RecipientRef): boolean {
    return has(this.#stale, id, index);
  }

  /** The attempt has ended; false where it was stale. */
  end({ id, index }: RecipientRef): boolean {
    if (drop(this.#stale, id, index)) return false;
    drop(this.#held, id, index);
    return true;
  }

  /** What was taken cannot be used, and is handed back. */
  abandon(recipients: readonly RecipientRef[]): void {
    for (const { id, index } of recipients) drop(this.#held, id, index);
  }

  /** The reply to a statement that may have taken something was lost. */
  lost(session: number, ticket: number): void {
    this.#strays.set(ticket, { session, left: STRAY_ROUNDS });
  }

  /** A statement found that `session` is gone. */
  async over(session: number): Promise<void> {
    if (session === this.#session && !this.#closed) await this.#join();
  }

  /** Frees all that is held. The database may be away: then others take over in time. */
  async leave(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#renewing;
    this.#validUntil = { steady: 0, wall: 0 };
    await this.#options.postgres.run(this.#options.statements.leave, [this.#session]).catch(() => {});
  }

  #join(): Promise<void> {
    this.#joining ??= this.#joinAnew().finally(() => {
      this.#joining = undefined;
    });
    return this.#joining;
  }

  async #joinAnew(): Promise<void> {
    const { postgres, statements, name, lease } = this.#options;
    const begun = this.#moment();
    const [row] = await postgres.run<{ session: number }>(statements.join, [name, lease]);
    if (row === undefined) throw new PostgresError("io", "PostgreSQL gave no session", {});
    for (const [id, indexes] of this.#held) for (const index of indexes) add(this.#stale, id, index);
    const lost = this.#held.size;
    this.#held = new Map();
    this.#session = row.session;
    this.#since = begun.steady;
    this.#validUntil = { steady: begun.steady + lease, wall: begun.wall + lease };
    if (lost > 0) this.#options.onTrouble(`the lease ran out and others took over: ${lost} messages were in hand`);
  }

  #moment() {
    return { steady: performance.now(), wall: Date.now() };
  }

  #later(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#renewing = this.#renew().finally(() => this.#later());
    }, this.#options.lease / RENEWALS);
    this.#timer.unref();
  }

  async #renew(): Promise<void> {
    const { postgres, statements, lease } = this.#options;
    try {
      const begun = this.#moment();
      const hadEnded = begun.steady > this.#validUntil.steady;
      const session = this.#session;
      const [row] = await postgres.run(statements.renew, [session, lease]);
      if (session !== this.#session) return;
      if (row === undefined) await this.#join();
      else {
        this.#validUntil = { steady: begun.steady + lease, wall: begun.wall + lease };
        if (hadEnded) this.#since = begun.steady;
      }
      await this.#freeStrays();
      await this.#sweep();
    } catch (thrown) {
      // A defect would be one of ours; what the database says by being away is told by whoever has work for it.
      if (!(thrown instanceof PostgresError) || thrown.code === "failed") this.#options.onTrouble(String(thrown));
    }
  }

  /** Takes over from the dead. */
  async #sweep(): Promise<void> {
    const { postgres, statements, lease, onFreed, onTrouble } = this.#options;
    const young = performance.now() - this.#since < lease;
    const [found] = await postgres.run<{ nodes: number; recipients: number }>(statements.takeOver, [young ? lease : 0]);
    if (found === undefined || found.nodes === 0) return;
    if (found.recipients > 0) onTrouble(`${found.recipients} recipients taken over from ${found.nodes} nodes whose lease ran out`);
    await postgres.run(statements.removeOrphans);
    onFreed();
  }

  async #freeStrays(): Promise<void> {
    if (this.#strays.size === 0) return;
    const { postgres, statements, onFreed } = this.#options;
    const bySession = new Map<number, number[]>();
    for (const [ticket, { session }] of this.#strays) {
      const tickets = bySession.get(session);
      if (tickets === undefined) bySession.set(session, [ticket]);
      else tickets.push(ticket);
    }
    for (const [session, tickets] of bySession) {
      const freed: Rows<unknown> = await postgres.run(statements.freeTickets, [session, int8Array(tickets)]);
      if (freed.length > 0) onFreed();
      for (const ticket of tickets) {
        const stray = this.#strays.get(ticket);
        if (stray !== undefined && --stray.left <= 0) this.#strays.delete(ticket);
      }
    }
  }
}

function has(held: Held, id: MessageId, index: number): boolean {
  return held.get(id)?.has(index) ?? false;
}

function add(held: Held, id: MessageId, index: number): void {
  const indexes = held.get(id);
  if (indexes === undefined) held.set(id, new Set([index]));
  else indexes.add(index);
}

function drop(held: Held, id: MessageId, index: number): boolean {
  const indexes = held.get(id);
  if (indexes === undefined || !indexes.delete(index)) return false;
  if (indexes.size === 0) held.delete(id);
  return true;
}
