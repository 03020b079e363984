/**
 * The queue in PostgreSQL: many nodes share one.
 *
 * Rules
 * 1. What the interface promises (store.ts). A commit is on disk when PostgreSQL says so (database/postgres.ts, rule 1).
 * 2. Leases: postgres-node.ts. No transaction is ever held over SMTP.
 * 3. Enqueuing and settling go in groups, many messages in a round trip (database/postgres-group.ts). The outcome of a statement whose reply
 *    was lost is not known: the call rejects with `io`, so that nothing is acknowledged, and the message may come twice (row 3 of the table).
 * 4. Only the holder settles: what was taken over meanwhile is left as it is, and no bounce about it is queued.
 * 5. Other nodes are told of work by the doorbell, and look by themselves every POLL_MS besides.
 * 6. A message whose body cannot be read is put off for a day and said, again each day; it is never handed out and never deleted.
 */

import { openPostgres, type Postgres, type PostgresOptions } from "../database/postgres.ts";
import { Doorbell } from "../database/postgres-doorbell.ts";
import { migrate } from "../database/postgres-migrations.ts";
import { textArray } from "../database/postgres-values.ts";
import type { Content } from "../mail/content.ts";
import type { EventSink } from "../mail/event.ts";
import type { MessageId, NewMessage, QueuedBefore, QueuedMessage } from "../mail/message.ts";
import { type Clock, seconds, systemClock } from "../util/clock.ts";
import { type SubmittedKey, submittedKeys } from "./idempotency.ts";
import { asStoreError, PostgresBodies, PostgresBody } from "./postgres-bodies.ts";
import { PostgresCommits } from "./postgres-commits.ts";
import { PostgresContents } from "./postgres-contents.ts";
import { PostgresLeases } from "./postgres-leases.ts";
import { PostgresNode } from "./postgres-node.ts";
import { PostgresQuota } from "./postgres-quota.ts";
import { type Entry, PART_OCTETS, plainRow, queueModule } from "./postgres-schema.ts";
import { queueStatements, type Statements } from "./postgres-statements.ts";
import { PostgresSubmitted } from "./postgres-submitted.ts";
import { PostgresSuppressions } from "./postgres-suppressions.ts";
import type { Quota } from "./quota.ts";
import { decodeStanding, decodeSummary, type Row } from "./sqlite-schema.ts";
import { decodeSuspension, encodeSuspension } from "./sqlite-suspensions.ts";
import {
  type ContentWriter,
  type EnqueueOptions,
  type Hold,
  type QueuedSummary,
  type QueueStats,
  type QueueStore,
  type RecipientRef,
  type Settlement,
  type StandingMessage,
  StoreError,
  type Suspension,
} from "./store.ts";

export interface PostgresStoreOptions extends PostgresOptions {
  /** What this node is called in the table of nodes, for operators. */
  readonly node?: string;
  /** Milliseconds that a lease lasts without being renewed: a dead node's mail is taken over within four thirds of it. */
  readonly lease?: number;
  /** Milliseconds between two looks at what others may have left to do. */
  readonly poll?: number;
  readonly clock?: Clock;
  /** Told of bodies that cannot be read, of leases lost and taken over. */
  readonly onTrouble?: EventSink;
}

export interface PostgresQueueStore extends QueueStore {
  /** Counters for pacing, shared by all nodes. */
  readonly quota: Quota;
}

const LEASE_MS = seconds(30);
const POLL_MS = seconds(5);
/** Messages listed in one call. */
const LIST_LIMIT = 10_000;
/** Rows that one statement of `retry` changes. */
const RETRY_ROWS = 5000;

/**
 * The queue in the database that `url` names; tables are made where they are missing. Rejects with a StoreError: io where it cannot be reached,
 * newer, unsafe.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<PostgresQueueStore> {
  try {
    const postgres = await openPostgres(options);
    try {
      await migrate(postgres, queueModule);
      return await openOn(postgres, options);
    } catch (thrown) {
      await postgres.close();
      throw thrown;
    }
  } catch (thrown) {
    throw asStoreError(thrown);
  }
}

async function openOn(postgres: Postgres, options: PostgresStoreOptions): Promise<PostgresQueueStore> {
  const statements = queueStatements(postgres.prefix);
  const bell = { ring: () => {} };
  const node = await PostgresNode.join({
    postgres,
    statements,
    name: options.node ?? "",
    lease: options.lease ?? LEASE_MS,
    onFreed: () => bell.ring(),
    onTrouble: (why) => options.onTrouble?.({ type: "trouble", where: "queue in PostgreSQL", why }),
  });
  const store = new PostgresStore(postgres, statements, node, options);
  bell.ring = () => store.ring();
  await store.ready;
  return store;
}

class PostgresStore implements PostgresQueueStore {
  readonly quota: Quota;
  readonly suppressionList: PostgresSuppressions;
  readonly #postgres: Postgres;
  readonly #sql: Statements;
  readonly #node: PostgresNode;
  readonly #bodies: PostgresBodies;
  readonly #commits: PostgresCommits;
  readonly #leases: PostgresLeases;
  readonly #contents: PostgresContents;
  readonly #submitted: PostgresSubmitted;
  readonly #bell: Doorbell;
  readonly #poll: NodeJS.Timeout;
  readonly #clock: Clock;
  #due: () => void = () => {};
  #suspended: () => void = () => {};
  #closed: Promise<void> | undefined;

  constructor(postgres: Postgres, statements: Statements, node: PostgresNode, options: PostgresStoreOptions) {
    this.quota = new PostgresQuota(postgres);
    this.#postgres = postgres;
    this.#sql = statements;
    this.#node = node;
    this.#bodies = new PostgresBodies(postgres, statements, () => node.session);
    this.suppressionList = new PostgresSuppressions(postgres);
    this.#submitted = new PostgresSubmitted(postgres);
    this.#commits = new PostgresCommits({ postgres, statements, node, submitted: this.#submitted, suppressions: this.suppressionList });
    this.#contents = new PostgresContents(postgres, statements, this.#bodies);
    this.#leases = new PostgresLeases({
      ...{ postgres, statements, node, commits: this.#commits, contents: this.#contents },
      clock: options.clock ?? systemClock,
      trouble: options.onTrouble ?? (() => {}),
    });
    this.#clock = options.clock ?? systemClock;
    this.#bell = new Doorbell(postgres, "queue", () => this.ring());
    this.#poll = setInterval(() => this.ring(), options.poll ?? POLL_MS);
    this.#poll.unref();
  }

  /** The doorbell has been tried. */
  get ready(): Promise<void> {
    return this.#bell.ready;
  }

  /** Something may be due. */
  ring(): void {
    this.#due();
  }

  /** Something is due, and whoever has room may take it. */
  #dueForAll(): void {
    this.#due();
    this.#bell.ring();
  }

  receive(): ContentWriter {
    this.#mustBeOpen();
    return this.#bodies.receive();
  }

  async enqueue(message: NewMessage, { lease }: EnqueueOptions): Promise<QueuedBefore | undefined> {
    const keys = submittedKeys(message);
    if (keys !== undefined) return this.#enqueueOnce(message, keys);
    if (!(await this.#queue(message, { lease }))) throw new StoreError("io", `message ${message.id}: its id is in the queue already`);
    if (!lease) this.#dueForAll();
    return undefined;
  }

  async #enqueueOnce(message: NewMessage, keys: readonly Uint8Array[]): Promise<QueuedBefore | undefined> {
    const { entry, undo } = await this.#entry(message, { lease: false });
    try {
      const before = await this.#asked(() => this.#commits.enqueueOnce(entry, keys));
      if (before?.recipients.length === keys.length) undo();
      else this.#dueForAll();
      return before;
    } catch (thrown) {
      undo();
      throw thrown;
    }
  }

  async restore({ recipients, envelope, ...rest }: StandingMessage): Promise<boolean> {
    const queued = await this.#queue({ ...rest, envelope: { ...envelope, recipients } }, { lease: false, standing: recipients });
    if (queued && rest.hold !== undefined) await this.hold([rest.id], rest.hold);
    if (queued) this.#due();
    return queued;
  }

  /** False where the id is in the queue already. */
  async #queue(message: NewMessage, how: Pick<Entry, "lease" | "standing">): Promise<boolean> {
    const { entry, undo } = await this.#entry(message, how);
    try {
      const queued = await this.#asked(() => this.#commits.enqueue(entry));
      if (!queued) undo();
      return queued;
    } catch (thrown) {
      undo();
      throw thrown;
    }
  }

  /** The message with its content where a commit can have it: in memory, or in parts that are to be claimed. */
  async #entry(message: NewMessage, how: Pick<Entry, "lease" | "standing">): Promise<{ entry: Entry; undo: () => void }> {
    this.#mustBeOpen();
    const { content, id } = message;
    if (content.kind === "memory" && content.size <= PART_OCTETS) {
      return { entry: { message, body: id, content: content.chunks, ...how }, undo: () => {} };
    }
    const own = content instanceof PostgresBody && content.bodies === this.#bodies && !content.claimed;
    const body = own ? content : await this.#asked(() => this.#bodies.copy(content));
    body.claimed = true;
    const undo = () => {
      body.claimed = false; // where the outcome is unknown, discarding touches only what no commit has claimed
      if (!own) this.#bodies.remove(body.key);
    };
    return { entry: { message, body: body.key, content: null, ...how }, undo };
  }

  lease(now: number, limit: number): Promise<QueuedMessage[]> {
    return this.#asked(() => this.#leases.lease(now, limit));
  }

  holdsLease(recipient: RecipientRef): boolean {
    return this.#closed === undefined && this.#node.holds(recipient);
  }

  async nextDue(): Promise<number | undefined> {
    const [row] = await this.#rows<{ due: number }>(this.#sql.nextDue);
    return row?.due;
  }

  async settle(settlements: readonly Settlement[], caused: readonly NewMessage[]): Promise<readonly MessageId[]> {
    this.#mustBeOpen();
    const entries: Entry[] = [];
    const undos: (() => void)[] = [];
    try {
      for (const message of caused) {
        const { entry, undo } = await this.#entry(message, { lease: false });
        const keys = submittedKeys(message);
        entries.push(keys === undefined ? entry : { ...entry, keys });
        undos.push(undo);
      }
      const gone = await this.#asked(() => this.#commits.settle({ settlements, caused: entries }));
      if (entries.length > 0 || settlements.some(({ kind }) => kind !== "finished")) this.#due();
      return gone;
    } catch (thrown) {
      for (const undo of undos) undo();
      throw thrown;
    }
  }

  async list({ limit, after }: { readonly limit: number; readonly after?: MessageId }): Promise<QueuedSummary[]> {
    const rows = await this.#rows(this.#sql.list, [after ?? "", Math.min(limit, LIST_LIMIT)]);
    const recipients = await this.#recipientsOf(rows);
    return rows.map((row) => decodeSummary(row, recipients.get(row.id as MessageId) ?? [], this.#clock.now()));
  }

  async show(id: MessageId): Promise<QueuedSummary | undefined> {
    const [row] = await this.#rows(this.#sql.message, [id]);
    return row === undefined ? undefined : decodeSummary(row, (await this.#recipientsOf([row])).get(id) ?? [], this.#clock.now());
  }

  async content(id: MessageId): Promise<Content | undefined> {
    const [row] = await this.#rows(this.#sql.message, [id]);
    return row === undefined ? undefined : this.#readable(row);
  }

  async read(id: MessageId): Promise<StandingMessage | undefined> {
    const [row] = await this.#rows(this.#sql.message, [id]);
    if (row === undefined) return undefined;
    const recipients = (await this.#recipientsOf([row])).get(id) ?? [];
    return { ...decodeStanding(row, recipients), content: await this.#readable(row) };
  }

  async #readable(row: Row): Promise<Content> {
    const content = await this.#asked(() => this.#contents.of([row]));
    const found = content.get(row.id as MessageId);
    if (found === undefined || typeof found === "string") throw new StoreError("corrupt", `message ${row.id}: ${found}`);
    return found;
  }

  async #recipientsOf(messages: readonly Row[]): Promise<ReadonlyMap<MessageId, Row[]>> {
    const found = new Map<MessageId, Row[]>(messages.map(({ id }) => [id as MessageId, []]));
    if (messages.length === 0) return found;
    const rows = await this.#rows(this.#sql.recipients, [textArray([...found.keys()])]);
    for (const row of rows) found.get(row.message as MessageId)?.push(row);
    return found;
  }

  async stats(): Promise<QueueStats> {
    const [row] = await this.#rows<QueueStats>(this.#sql.stats);
    const { messages = 0, recipients = 0, active = 0 } = row ?? {};
    return { messages, recipients, active };
  }

  async retry(now: number, ids?: readonly MessageId[]): Promise<number> {
    let count = 0;
    if (ids !== undefined) count = await this.#counted(this.#sql.retry, [now, textArray(ids)]);
    else for (let some = -1; some !== 0; count += some) some = await this.#counted(this.#sql.retrySome, [now, RETRY_ROWS]);
    if (count > 0) this.#dueForAll();
    return count;
  }

  async hold(ids: readonly MessageId[], { reason, until }: Hold): Promise<number> {
    const count = await this.#counted(this.#sql.hold, [textArray(ids), reason, until ?? null]);
    if (count > 0) this.ring();
    return count;
  }

  async unhold(now: number, ids: readonly MessageId[]): Promise<number> {
    const count = await this.#counted(this.#sql.unhold, [now, textArray(ids)]);
    if (count > 0) this.#dueForAll();
    return count;
  }

  async suspensions(now: number): Promise<readonly Suspension[]> {
    return (await this.#rows(this.#sql.suspensions, [now])).map(decodeSuspension);
  }

  async suspend(suspension: Suspension): Promise<void> {
    await this.#rows(this.#sql.suspend, encodeSuspension(suspension));
    this.#suspended();
  }

  async resume(kind: Suspension["kind"], value: string): Promise<boolean> {
    const found = await this.#rows(this.#sql.resume, [kind, value]);
    this.#suspended();
    return found.length > 0;
  }

  onSuspension(listener: () => void): void {
    this.#suspended = listener;
  }

  submittedKeys({ limit, after = "" }: { readonly limit: number; readonly after?: string }): Promise<readonly SubmittedKey[]> {
    return this.#asked(() => this.#submitted.page(after, Math.min(limit, LIST_LIMIT)));
  }

  restoreSubmittedKeys(keys: readonly SubmittedKey[]): Promise<void> {
    return this.#asked(() => this.#submitted.restore(keys));
  }

  async remove(ids: readonly MessageId[]): Promise<readonly MessageId[]> {
    const rows = await this.#rows<{ id: MessageId }>(this.#sql.remove, [textArray(ids)]);
    const gone = new Set(rows.map(({ id }) => id));
    return ids.filter((id) => gone.delete(id));
  }

  onDue(listener: () => void): void {
    this.#due = listener;
  }

  onFatal(): void {
    // A sync that fails is PostgreSQL's to deal with: it ends, recovers from its log, and we connect again.
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#poll);
    await this.#commits.idle();
    await this.#bodies.close();
    await this.#bell.close();
    await this.#node.leave();
    await this.#postgres.close();
  }

  async #counted(text: string, values: Parameters<Postgres["run"]>[1]): Promise<number> {
    return (await this.#rows<{ n: number }>(text, values))[0]?.n ?? 0;
  }

  async #rows<R = Row>(text: string, values: Parameters<Postgres["run"]>[1] = []): Promise<readonly R[]> {
    const rows = await this.#asked(() => this.#postgres.run(text, values));
    return rows.map((row) => plainRow(row) as R);
  }

  /** Every call to the database goes through here: refused after `close`, its errors said as a StoreError. */
  async #asked<T>(call: () => Promise<T>): Promise<T> {
    this.#mustBeOpen();
    try {
      return await call();
    } catch (thrown) {
      throw asStoreError(thrown);
    }
  }

  #mustBeOpen(): void {
    if (this.#closed !== undefined) throw new StoreError("closed", "the queue is closed");
  }
}
