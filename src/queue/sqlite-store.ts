/**
 * The embedded queue: rows in SQLite, large bodies in files beside it.
 *
 * Rules
 * 1. What the interface promises (store.ts), with one process on the data folder: leases live in memory and last as long as the process.
 * 2. The way of a small message has no `await` and no copy but the one into the arena of its commit.
 * 3. What is taken in finds its room first (disk-room.ts, promised-writer.ts); what settles takes the last there is.
 * 4. A message whose row or body cannot be read is put off for a day and said, again each day; it is never handed out and never deleted.
 */
import { join } from "node:path";
import type { Caller, Database, DatabaseError } from "../database/index.ts";
import { type Content, memoryContent } from "../mail/content.ts";
import type { EventSink } from "../mail/event.ts";
import type { MessageId, NewMessage, QueuedBefore, QueuedMessage } from "../mail/message.ts";
import { concat } from "../util/bytes.ts";
import { type Clock, days, systemClock } from "../util/clock.ts";
import { BODIES_FOLDER, BODY_FILE_THRESHOLD, BodyFiles, fileError, octetsIn, StoredBody } from "./body-files.ts";
import { DiskRoom } from "./disk-room.ts";
import { SUBMITTED_KEY_OCTETS, type SubmittedKey, submittedKeys } from "./idempotency.ts";
import { PromisedWriter } from "./promised-writer.ts";
import type { CausedList, FoundMessage, Gone, QueueProcedures } from "./sqlite-procedures.ts";
import { decodeStanding, decodeSummary, encodeMessage, readMessage } from "./sqlite-schema.ts";
import { encodeSettlements } from "./sqlite-settlements.ts";
import { decodeSubmitted } from "./sqlite-submitted.ts";
import { sqliteSuppressions } from "./sqlite-suppressions.ts";
import { decodeSuspension, encodeSuspension } from "./sqlite-suspensions.ts";
import {
  type ContentWriter,
  type EnqueueOptions,
  type Hold,
  type QueuedSummary,
  type QueueStats,
  type QueueStore,
  type Settlement,
  type StandingMessage,
  StoreError,
  type Suspension,
} from "./store.ts";
import type { SuppressionList } from "./suppression.ts";

/** To be given to `openDatabase` with the file the queue lives in. */
export const queueProcedures = new URL(
  import.meta.url.endsWith(".ts") ? "./sqlite-procedures.ts" : "./sqlite-procedures.js",
  import.meta.url,
);

export interface SqliteStoreOptions {
  /** Opened with `queueProcedures`. The store closes it. */
  readonly database: Database;
  /** The data folder, the one the database holds: bodies go to `bodies` in it. */
  readonly folder: string;
  /** Octets that must be free on the disk for anything to be taken in. */
  readonly minimumFree?: number;
  readonly clock?: Clock;
  /** Told of bodies that cannot be read. */
  readonly onTrouble?: EventSink;
}

export const MINIMUM_FREE = 64 * 1024 * 1024;
const UNREADABLE_HOLD_MS = days(1);
/** Recipients or messages listed in one call. */
const LIST_LIMIT = 10_000;

/** The queue in a database. Orphaned body files are removed first. Rejects with a StoreError. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<QueueStore> {
  const call = options.database.caller<QueueProcedures>("queue", asStoreError);
  const known = new Set(await call("files", undefined));
  try {
    const files = new BodyFiles(join(options.folder, BODIES_FOLDER));
    files.removeOrphans(known);
    return new SqliteStore(options, call, files);
  } catch (thrown) {
    throw fileError(thrown);
  }
}

/** Where a commit has content from: octets it is given, and a file for the row to name. */
interface Placed {
  readonly file: string | null;
  /** All of it, or what goes before that of the file. */
  readonly octets: readonly Uint8Array[];
  /** No row names it. */
  undo(thrown: unknown): void;
}

class SqliteStore implements QueueStore {
  readonly suppressionList: SuppressionList;
  #database: Database;
  #call: Caller<QueueProcedures>;
  #files: BodyFiles;
  #room: DiskRoom;
  #clock: Clock;
  #trouble: EventSink;
  #due: () => void = () => {};
  #suspended: () => void = () => {};

  constructor(options: SqliteStoreOptions, call: Caller<QueueProcedures>, files: BodyFiles) {
    this.#database = options.database;
    this.#call = call;
    this.suppressionList = sqliteSuppressions(options.database.caller("queue", asStoreError));
    this.#files = files;
    const { folder, minimumFree = MINIMUM_FREE, clock = systemClock } = options;
    this.#room = new DiskRoom({ folder, minimumFree, clock });
    this.#clock = clock;
    this.#trouble = options.onTrouble ?? (() => {});
  }

  receive(sizeHint = 0): ContentWriter {
    return new PromisedWriter(this.#room, () => this.#files.receive(), sizeHint);
  }

  enqueue(message: NewMessage, { lease }: EnqueueOptions): Promise<QueuedBefore | undefined> {
    const { content } = message;
    const keys = keysOf(message);
    if (keys !== undefined) return this.#enqueueOnce(message, keys);
    if (!isSmall(content)) return this.#enqueueLarge(message, lease);
    try {
      this.#room.take(content.size);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    const queued = this.#call("enqueue", encodeMessage(message, null, lease), content.chunks);
    return lease ? queued : queued.then(() => void this.#due());
  }

  async #enqueueOnce(message: NewMessage, keys: Uint8Array): Promise<QueuedBefore | undefined> {
    const all = message.envelope.recipients.length;
    const isNew = (before: QueuedBefore | undefined): boolean => before?.recipients.length !== all;
    const before = await this.#takeIn(
      message.content,
      (file, octets) => this.#call("enqueueOnce", [encodeMessage(message, file, false), keys], octets),
      isNew,
    );
    if (isNew(before)) this.#due();
    return before;
  }

  async #enqueueLarge(message: NewMessage, lease: boolean): Promise<undefined> {
    await this.#takeIn(message.content, (file, octets) => this.#call("enqueue", encodeMessage(message, file, lease), octets));
    if (!lease) this.#due();
  }

  /** Finds room and a place for the content, then commits; where nothing was queued by that, the place is given up again. */
  async #takeIn<T>(
    content: Content,
    commit: (file: string | null, octets: readonly Uint8Array[]) => Promise<T>,
    isQueued: (result: T) => boolean = () => true,
  ): Promise<T> {
    this.#room.take(content.kind === "memory" ? content.size : 0);
    const { file, octets, undo } = await this.#place(content);
    try {
      const result = await commit(file, octets);
      if (!isQueued(result)) undo(undefined);
      return result;
    } catch (thrown) {
      undo(thrown);
      throw thrown;
    }
  }

  /** Small content goes into the commit; for other content there is a file: the writer's own, or a copy of what comes from elsewhere. */
  async #place(content: Content): Promise<Placed> {
    if (isSmall(content)) return { file: null, octets: content.chunks, undo: () => {} };
    const own = content instanceof StoredBody && content.files === this.#files && !content.claimed;
    let body: StoredBody;
    try {
      body = own ? content : await this.#files.copy(content);
    } catch (thrown) {
      throw fileError(thrown);
    }
    body.claimed = true;
    const undo = (thrown: unknown) => {
      if (thrown instanceof StoreError && thrown.code === "fatal") return; // nobody knows whether a row names it
      body.claimed = false;
      if (!own) this.#files.remove(body.name);
    };
    return { file: body.name, octets: body.front, undo };
  }

  async lease(now: number, limit: number): Promise<QueuedMessage[]> {
    for (;;) {
      const found = await this.#call("lease", [now, limit]);
      const messages: QueuedMessage[] = [];
      const unreadable: Settlement[] = [];
      for (const one of found) {
        const message = this.#messageOf(one);
        if (typeof message === "string") this.#putOff(one, message, Math.max(now, this.#clock.now()) + UNREADABLE_HOLD_MS, unreadable);
        else messages.push(message);
      }
      if (unreadable.length > 0) await this.settle(unreadable, []);
      if (messages.length > 0 || found.length === 0) return messages;
    }
  }

  #putOff({ row, recipients }: FoundMessage, why: string, due: number, settlements: Settlement[]): void {
    const id = row.id as MessageId;
    this.#trouble({ type: "trouble", where: `message ${id}`, why });
    for (const { idx, attempts } of recipients) {
      settlements.push({ kind: "deferred", id, index: idx as number, due, attempts: attempts as number, last: why });
    }
  }

  /** The message, or what is wrong with it. */
  #messageOf(found: FoundMessage): QueuedMessage | string {
    if (found.missing === true) return "row missing: only its recipients are left";
    const content = this.#contentOf(found);
    if (typeof content === "string") return content;
    const message = readMessage(found.row, found.recipients);
    return typeof message === "string" ? message : { ...message, content };
  }

  /** Its content, or what is wrong with it. */
  #contentOf({ row, body }: FoundMessage): Content | string {
    const size = row.size as number;
    if (row.file === null) {
      if (body === undefined) return "body missing from the database";
      return body.length === size ? memoryContent([body]) : `body damaged: ${body.length} of ${size} octets`;
    }
    const front = body === undefined ? [] : [body];
    const file = row.file as string;
    return this.#files.trouble(file, size - octetsIn(front)) ?? new StoredBody(this.#files, file, size, true, front);
  }

  holdsLease(): boolean {
    return true; // rule 1: nobody else can have it
  }

  async nextDue(): Promise<number | undefined> {
    return this.#call("nextDue", undefined);
  }

  settle(settlements: readonly Settlement[], caused: readonly NewMessage[]): Promise<readonly MessageId[]> {
    return this.#withLastRoom(() => this.#settle(settlements, caused));
  }

  /** Once more where the ballast can make room for it. */
  async #withLastRoom<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof StoreError) || thrown.code !== "full" || !this.#room.giveUpBallast()) throw thrown;
      const why = `no space left: the ballast is given up so that what is delivered can be settled (${thrown.message})`;
      this.#trouble({ type: "trouble", where: "queue", why });
      return work();
    }
  }

  async #settle(settlements: readonly Settlement[], caused: readonly NewMessage[]): Promise<readonly MessageId[]> {
    const chunks: Uint8Array[] = [];
    const list: CausedList[number][] = [];
    const undos: ((thrown: unknown) => void)[] = [];
    try {
      for (const message of caused) {
        const { file, octets, undo } = await this.#place(message.content);
        undos.push(undo);
        for (const chunk of octets) chunks.push(chunk);
        list.push(causedOf(message, file, octetsIn(octets)));
      }
      const gone = this.#gone(await this.#call("settle", [encodeSettlements(settlements), list], chunks));
      if (caused.length > 0 || settlements.some(({ kind }) => kind !== "finished")) this.#due();
      return gone;
    } catch (thrown) {
      for (const undo of undos) undo(thrown);
      throw thrown;
    }
  }

  #gone(gone: readonly Gone[]): readonly MessageId[] {
    const ids: MessageId[] = [];
    for (const [id, file] of gone) {
      ids.push(id);
      if (file !== null) this.#files.remove(file);
    }
    return ids;
  }

  async list({ limit, after }: { readonly limit: number; readonly after?: MessageId }): Promise<QueuedSummary[]> {
    const found = await this.#call("list", [Math.min(limit, LIST_LIMIT), after ?? null]);
    return found.map(({ row, recipients }) => decodeSummary(row, recipients, this.#clock.now()));
  }

  async show(id: MessageId): Promise<QueuedSummary | undefined> {
    const found = await this.#call("show", id);
    return found === undefined ? undefined : decodeSummary(found.row, found.recipients, this.#clock.now());
  }

  async content(id: MessageId): Promise<Content | undefined> {
    const found = await this.#call("content", id);
    return found === undefined ? undefined : this.#readable(found);
  }

  async read(id: MessageId): Promise<StandingMessage | undefined> {
    const found = await this.#call("content", id);
    return found === undefined ? undefined : { ...decodeStanding(found.row, found.recipients), content: this.#readable(found) };
  }

  #readable(found: FoundMessage): Content {
    const content = this.#contentOf(found);
    if (typeof content === "string") throw new StoreError("corrupt", `message ${found.row.id}: ${content}`);
    return content;
  }

  async restore(message: StandingMessage): Promise<boolean> {
    const { content, envelope, recipients } = message;
    const standing = recipients.flatMap(({ index, attempts, due, last, delayTold }) => [index, attempts, due, last, Number(delayTold)]);
    const whole: NewMessage = { ...message, envelope: { ...envelope, recipients } };
    const restored = await this.#takeIn(
      content,
      (file, octets) => this.#call("restore", [encodeMessage(whole, file, false), standing], octets),
      (found) => found,
    );
    if (!restored) return false;
    // Its recipients stand as they stood: it is held again before it is due.
    if (message.hold !== undefined) await this.hold([message.id], message.hold);
    this.#due();
    return true;
  }

  stats(): Promise<QueueStats> {
    return this.#call("stats", undefined);
  }

  async retry(now: number, ids?: readonly MessageId[]): Promise<number> {
    let count = 0;
    if (ids !== undefined) count = await this.#call("retry", [now, ids]);
    else for (let some = -1; some !== 0; count += some) some = await this.#call("retrySome", now);
    if (count > 0) this.#due();
    return count;
  }

  async hold(ids: readonly MessageId[], { reason, until }: Hold): Promise<number> {
    const count = await this.#call("hold", [ids, reason, until ?? null]);
    if (count > 0) this.#due();
    return count;
  }

  async unhold(now: number, ids: readonly MessageId[]): Promise<number> {
    const count = await this.#call("unhold", [now, ids]);
    if (count > 0) this.#due();
    return count;
  }

  async suspensions(now: number): Promise<readonly Suspension[]> {
    return (await this.#call("suspensions", now)).map(decodeSuspension);
  }

  async suspend(suspension: Suspension): Promise<void> {
    await this.#call("suspend", encodeSuspension(suspension));
    this.#suspended();
  }

  async resume(kind: Suspension["kind"], value: string): Promise<boolean> {
    const found = await this.#call("resume", [kind, value]);
    this.#suspended();
    return found;
  }

  onSuspension(listener: () => void): void {
    this.#suspended = listener;
  }

  async submittedKeys({ limit, after = "" }: { readonly limit: number; readonly after?: string }): Promise<readonly SubmittedKey[]> {
    return (await this.#call("submitted", [Math.min(limit, LIST_LIMIT), after])).map(decodeSubmitted);
  }

  restoreSubmittedKeys(keys: readonly SubmittedKey[]): Promise<void> {
    return this.#call("restoreSubmitted", keys);
  }

  async remove(ids: readonly MessageId[]): Promise<readonly MessageId[]> {
    return this.#gone(await this.#withLastRoom(() => this.#call("remove", ids)));
  }

  onDue(listener: () => void): void {
    this.#due = listener;
  }

  onFatal(listener: (error: StoreError) => void): void {
    let told = false;
    const tell = (error: StoreError): void => {
      if (!told) listener(error);
      told = true;
    };
    this.#database.onFatal((error) => tell(asStoreError(error)));
    this.#files.onFatal(tell);
  }

  async close(): Promise<void> {
    await this.#database.close();
    await this.#files.close();
  }
}

function isSmall(content: Content): content is Extract<Content, { kind: "memory" }> {
  return content.kind === "memory" && content.size <= BODY_FILE_THRESHOLD;
}

/** The keys of its recipients, one after the other. */
function keysOf(message: NewMessage): Uint8Array | undefined {
  const keys = submittedKeys(message);
  return keys === undefined ? undefined : concat([...keys], keys.length * SUBMITTED_KEY_OCTETS);
}

function causedOf(message: NewMessage, file: string | null, octets: number): CausedList[number] {
  const keys = keysOf(message);
  return keys === undefined ? [encodeMessage(message, file, false), octets] : [encodeMessage(message, file, false), octets, keys];
}

function asStoreError(error: DatabaseError): StoreError {
  return new StoreError(error.code === "failed" ? "io" : error.code, error.message, { cause: error });
}
