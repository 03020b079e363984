/**
 * What changes the queue in PostgreSQL: messages that come, settlements with what they cause; in groups.
 *
 * Rules
 * 1. Many calls are one statement (database/postgres-group.ts); where settlements cause messages, one transaction.
 * 2. Only what this node's session holds is settled. A bounce about a message of which nothing was settled is not queued: whoever holds that
 *    message makes his own, or an earlier try of this same call has queued it already.
 * 3. The reply to a statement that takes leases may be lost: its ticket is then handed to the node to be freed.
 */

import type { Postgres, Run } from "../database/postgres.ts";
import { PostgresError } from "../database/postgres-error.ts";
import { Group } from "../database/postgres-group.ts";
import { byteaArray, int8Array, textArray } from "../database/postgres-values.ts";
import type { MessageId, QueuedBefore } from "../mail/message.ts";
import { utf8 } from "../util/bytes.ts";
import type { PostgresNode } from "./postgres-node.ts";
import { type Entry, encodeEntries } from "./postgres-schema.ts";
import type { Statements } from "./postgres-statements.ts";
import type { PostgresSubmitted } from "./postgres-submitted.ts";
import type { PostgresSuppressions } from "./postgres-suppressions.ts";
import { type RecipientRef, type Settlement, StoreError } from "./store.ts";

/** Statements that enqueue, or settle, at once. */
const LANES = 2;
/** The reason kept with a recipient, in characters. */
const LAST_LIMIT = 1000;
const KINDS = { finished: 0, deferred: 1, released: 2 } as const;
const DEFERRED_AND_TOLD = 3;

export interface SettleCall {
  readonly settlements: readonly Settlement[];
  readonly caused: readonly Entry[];
}

/** Inserts the messages at hand; returns the ids that were queued. */
type Insert = (run: Run) => Promise<ReadonlySet<MessageId>>;

interface CommitParts {
  readonly postgres: Postgres;
  readonly statements: Statements;
  readonly node: PostgresNode;
  readonly submitted: PostgresSubmitted;
  readonly suppressions: PostgresSuppressions;
}

export class PostgresCommits {
  readonly #postgres: Postgres;
  readonly #sql: Statements;
  readonly #node: PostgresNode;
  readonly #enqueues: Group<Entry, boolean>;
  readonly #settles: Group<SettleCall, readonly MessageId[]>;
  readonly #submitted: PostgresSubmitted;
  readonly #suppressions: PostgresSuppressions;

  constructor({ postgres, statements, node, submitted, suppressions }: CommitParts) {
    this.#postgres = postgres;
    this.#sql = statements;
    this.#node = node;
    this.#submitted = submitted;
    this.#suppressions = suppressions;
    this.#enqueues = new Group({
      run: async (entries) => {
        const queued = await this.#insert(postgres.run, entries);
        return entries.map(({ message }) => queued.has(message.id));
      },
      keyOf: ({ message }) => message.id,
      octetsOf: ({ message }) => message.content.size,
      lanes: LANES,
    });
    this.#settles = new Group({ run: (calls) => this.#settle(calls), lanes: LANES });
  }

  /** False where the id is in the queue already. Large content is claimed. */
  enqueue(entry: Entry): Promise<boolean> {
    if (entry.content !== null) return this.#enqueues.push(entry);
    const insert = (insert: Insert) =>
      this.#postgres.transaction(async (run) => {
        await this.#claim(run, entry);
        return (await insert(run)).has(entry.message.id) || backOut(false);
      });
    return this.#leasing([entry], insert).catch(backedOut);
  }

  /** A transaction of its own: keys are waited for, and nobody else's message should. Never leased. */
  enqueueOnce(entry: Entry, keys: readonly Uint8Array[]): Promise<QueuedBefore | undefined> {
    const { id } = entry.message;
    return this.#postgres.transaction(async (run) => {
      const { entry: left, before } = await this.#submitted.note(run, entry, keys);
      if (left === undefined) return before;
      if (left.content === null) await this.#claim(run, left);
      const queued = await this.#insert(run, [{ ...left, lease: false }]);
      if (!queued.has(id)) throw new StoreError("io", `message ${id}: its id is in the queue already`);
      return before;
    });
  }

  /** Returns the ids of messages that are gone with it. */
  settle(call: SettleCall): Promise<readonly MessageId[]> {
    return this.#settles.push(call);
  }

  /** Makes free again, due then, what this node's session has taken and cannot use. */
  async handBack(recipients: readonly RecipientRef[], due: number): Promise<void> {
    const released = recipients.map(({ id, index }): Settlement => ({ kind: "released", id, index, due }));
    await this.#postgres.run(this.#sql.settle, encodeSettlements(this.#node.session, released));
  }

  /** Resolves when all that was asked for is done. */
  async idle(): Promise<void> {
    await Promise.all([this.#enqueues.idle(), this.#settles.idle()]);
  }

  async #claim(run: Run, { body, message }: Entry): Promise<void> {
    const claimed = await run(this.#sql.claim, [body]);
    if (claimed.length === 0) throw new StoreError("io", `message ${message.id}: its content is gone, as the lease of this node ran out`);
  }

  /** Has messages inserted by what `work` is given, and notes which leases came of it. */
  async #leasing<T>(entries: readonly Entry[], work: (insert: Insert) => Promise<T>): Promise<T> {
    const node = this.#node;
    const session = node.session;
    const ticket = node.nextTicket();
    const leased = entries.filter(({ lease }) => lease);
    const taken: RecipientRef[] = [];
    let over = false;
    try {
      const result = await work(async (run) => {
        const rows = await run<{ id: MessageId; holder: number | null }>(this.#sql.enqueue, [session, ticket, ...encodeEntries(entries)]);
        const queued = new Set(rows.map(({ id }) => id));
        over = leased.length > 0 && rows.length > 0 && rows[0]?.holder !== session;
        for (const { message } of leased) {
          if (queued.has(message.id)) taken.push(...message.envelope.recipients.map((_, index) => ({ id: message.id, index })));
        }
        for (const ref of taken) if (!over) node.take(session, ref.id, ref.index);
        return queued;
      });
      if (over) {
        // What was queued is free for all; the caller has it in hand, and `holdsLease` tells him.
        for (const ref of taken) node.takeStale(ref);
        node.over(session).catch(() => {});
      }
      return result;
    } catch (thrown) {
      if (!over) node.abandon(taken);
      if (leased.length > 0 && thrown instanceof PostgresError && thrown.unknown) node.lost(session, ticket);
      throw thrown;
    }
  }

  #insert(run: Run, entries: readonly Entry[]): Promise<ReadonlySet<MessageId>> {
    return this.#leasing(entries, (insert) => insert(run));
  }

  async #settle(calls: readonly SettleCall[]): Promise<readonly (readonly MessageId[])[]> {
    const all = calls.flatMap(({ settlements }) => settlements);
    const ours = distinct(all.filter((settlement) => !this.#node.isStale(settlement)));
    const about = new Set(all.map(({ id }) => id));
    const caused = calls.flatMap((call) => call.caused);
    const suppressed = ours.flatMap((one) =>
      one.kind === "finished" && one.suppress !== undefined ? [{ ...one.suppress, id: one.id }] : [],
    );
    const values = encodeSettlements(this.#node.session, ours);
    const settle = (run: Run) => run<{ id: MessageId; gone: boolean }>(this.#sql.settle, values);
    const rows =
      caused.length + suppressed.length === 0
        ? await settle(this.#postgres.run)
        : await this.#postgres.transaction(async (run) => {
            const settled = await settle(run);
            const finished = new Set(settled.map(({ id }) => id));
            await this.#cause(
              run,
              caused.filter(
                ({ message: { origin } }) => origin.kind !== "bounce" || !about.has(origin.about) || finished.has(origin.about),
              ),
            );
            const learned = suppressed.filter(({ id }) => finished.has(id));
            if (learned.length > 0) await this.#suppressions.learn(run, learned);
            return settled;
          });
    for (const settlement of all) this.#node.end(settlement);
    const gone = new Set<MessageId>();
    for (const row of rows) if (row.gone) gone.add(row.id);
    // Each id is told once: to the call that named it first.
    return calls.map(({ settlements }) => [...new Set(settlements.map(({ id }) => id))].filter((id) => gone.delete(id)));
  }

  async #cause(run: Run, entries: readonly Entry[]): Promise<void> {
    const left: Entry[] = [];
    for (const entry of entries) {
      const kept = entry.keys === undefined ? entry : (await this.#submitted.note(run, entry, entry.keys)).entry;
      if (kept !== undefined) left.push(kept);
    }
    if (left.length === 0) return;
    for (const entry of left) if (entry.content === null) await this.#claim(run, entry);
    await this.#insert(run, left);
  }
}

/** The first settlement of each recipient: with it the lease is over. */
function distinct(settlements: readonly Settlement[]): Settlement[] {
  const seen = new Set<string>();
  return settlements.filter(({ id, index }) => {
    const key = `${id} ${index}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** The parameters of `statements.settle`. */
function encodeSettlements(session: number, settlements: readonly Settlement[]): (number | Buffer)[] {
  return [
    session,
    textArray(settlements.map(({ id }) => id)),
    int8Array(settlements.map(({ index }) => index)),
    int8Array(settlements.map((one) => (one.kind === "deferred" && one.delayTold ? DEFERRED_AND_TOLD : KINDS[one.kind]))),
    int8Array(settlements.map((settlement) => (settlement.kind === "finished" ? 0 : settlement.due))),
    int8Array(settlements.map((settlement) => (settlement.kind === "deferred" ? settlement.attempts : 0))),
    byteaArray(settlements.map((settlement) => [utf8(settlement.kind === "deferred" ? settlement.last.slice(0, LAST_LIMIT) : "")])),
  ];
}

/** Carries a result out of a transaction that is to be rolled back. */
class BackOut extends Error {
  readonly result: boolean;

  constructor(result: boolean) {
    super("rolled back on purpose");
    this.result = result;
  }
}

function backOut(result: boolean): never {
  throw new BackOut(result);
}

function backedOut(thrown: unknown): boolean {
  if (thrown instanceof BackOut) return thrown.result;
  throw thrown;
}
