/**
 * The embedded queue: rows in SQLite, large bodies in files beside it.
 *
 * Rules
 * 1. What the interface promises (store.ts), with one process on the data folder: leases live in memory and last as long as the process.
 * 2. The way of a small message has no `await` and no copy but the one into the arena of its commit.
 * 3. What is taken in finds its room first (disk-room.ts); what settles takes the last there is.
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
import { DiskRoom, PromisedWriter } from "./disk-room.ts";
import { SUBMITTED_KEY_OCTETS, type SubmittedKey, submittedKeys } from "./idempotency.ts";
import type { CausedList, FoundMessage, Gone, QueueProcedures } from "./sqlite-procedures.ts";
import { decodeStanding, decodeSummary, decodeSuspension, encodeMessage, readMessage } from "./sqlite-schema.ts";
import { decodeSubmitted } from "./sqlite-submitted.ts";
import { encodeSuppression, sqliteSuppressions } from "./sqlite-suppressions.ts";
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
/** The reason kept with a recipient. */
const LAST_LIMIT = 1000;
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

  enqueue(message: NewMessage, options: EnqueueOptions): Promise<QueuedBefore | undefined> {
    const { content } = message;
    const keys = keysOf(message);
    if (keys !== undefined) return this.#enqueueOnce(message, keys);
    if (content.kind === "memory" && content.size <= BODY_FILE_THRESHOLD) {
      try {
        this.#room.take(content.size);
      } catch (thrown) {
        return Promise.reject(thrown);
      }
      const queued = this.#call("enqueue", encodeMessage(message, null, options.lease), content.chunks);
      return options.lease ? queued : queued.then(() => void this.#due());
    }
    return this.#enqueueLarge(message, options);
  }

  async #enqueueOnce(message: NewMessage, keys: Uint8Array): Promise<QueuedBefore | undefined> {
    const { content } = message;
    const small = content.kind === "memory" && content.size <= BODY_FILE_THRESHOLD;
    this.#room.take(small ? content.size : 0);
    const { file, front, undo } = small ? { file: null, front: content.chunks, undo: () => {} } : await this.#claim(content);
    try {
      const before = await this.#call("enqueueOnce", [encodeMessage(message, file, false), keys], front);
      if (before?.recipients.length === message.envelope.recipients.length) undo(undefined);
      else this.#due();
      return before;
    } catch (thrown) {
      undo(thrown);
      throw thrown;
    }
  }

  async #enqueueLarge(message: NewMessage, { lease }: EnqueueOptions): Promise<undefined> {
    this.#room.take(0);
    const { file, front, undo } = await this.#claim(message.content);
    try {
      await this.#call("enqueue", encodeMessage(message, file, lease), front);
    } catch (thrown) {
      undo(thrown);
      throw thrown;
    }
    if (!lease) this.#due();
  }

  /** A file for the row to name: the writer's own, or a copy of content that comes from elsewhere; and what goes before it. */
  async #claim(content: Content): Promise<{ file: string; front: readonly Uint8Array[]; undo: (thrown: unknown) => void }> {
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
    return { file: body.name, front: body.front, undo };
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
        const { content } = message;
        if (content.kind === "memory" && content.size <= BODY_FILE_THRESHOLD) {
          for (const chunk of content.chunks) chunks.push(chunk);
          list.push(causedOf(message, null, content.size));
        } else {
          const { file, front, undo } = await this.#claim(content);
          undos.push(undo);
          for (const chunk of front) chunks.push(chunk);
          list.push(causedOf(message, file, octetsIn(front)));
        }
      }
      const flat: (string | number)[] = [];
      const dueLater = encodeSettlements(settlements, flat);
      const gone = this.#gone(await this.#call("settle", [flat, list], chunks));
      if (dueLater || caused.length > 0) this.#due();
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
    if (found === undefined) return undefined;
    const content = this.#contentOf(found);
    if (typeof content === "string") throw new StoreError("corrupt", `message ${id}: ${content}`);
    return content;
  }

  async read(id: MessageId): Promise<StandingMessage | undefined> {
    const found = await this.#call("content", id);
    if (found === undefined) return undefined;
    const content = this.#contentOf(found);
    if (typeof content === "string") throw new StoreError("corrupt", `message ${id}: ${content}`);
    return { ...decodeStanding(found.row, found.recipients), content };
  }

  async restore(message: StandingMessage): Promise<boolean> {
    const { content, envelope, recipients } = message;
    const standing = recipients.flatMap(({ index, attempts, due, last, delayTold }) => [index, attempts, due, last, Number(delayTold)]);
    const whole: NewMessage = { ...message, envelope: { ...envelope, recipients } };
    this.#room.take(content.kind === "memory" ? content.size : 0);
    if (content.kind === "memory" && content.size <= BODY_FILE_THRESHOLD) {
      const restored = await this.#call("restore", [encodeMessage(whole, null, false), standing], content.chunks);
      if (restored) await this.#restored(message);
      return restored;
    }
    const { file, front, undo } = await this.#claim(content);
    try {
      const restored = await this.#call("restore", [encodeMessage(whole, file, false), standing], front);
      if (restored) await this.#restored(message);
      else undo(undefined);
      return restored;
    } catch (thrown) {
      undo(thrown);
      throw thrown;
    }
  }

  /** It is not due before it is held again: its recipients stand as they stood. */
  async #restored({ id, hold }: StandingMessage): Promise<void> {
    if (hold !== undefined) await this.hold([id], hold);
    this.#due();
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

  async suspend({ kind, value, reason, until, made }: Suspension): Promise<void> {
    await this.#call("suspend", [kind, value, reason, until ?? null, made]);
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

/** The keys of its recipients, one after the other. */
function keysOf(message: NewMessage): Uint8Array | undefined {
  const keys = submittedKeys(message);
  return keys === undefined ? undefined : concat([...keys], keys.length * SUBMITTED_KEY_OCTETS);
}

function causedOf(message: NewMessage, file: string | null, octets: number): CausedList[number] {
  const keys = keysOf(message);
  return keys === undefined ? [encodeMessage(message, file, false), octets] : [encodeMessage(message, file, false), octets, keys];
}

/** As the thread reads them; true where something falls due again. */
function encodeSettlements(settlements: readonly Settlement[], flat: (string | number)[]): boolean {
  let dueLater = false;
  for (const settlement of settlements) {
    if (settlement.kind === "finished") {
      const { id, index, suppress } = settlement;
      if (suppress === undefined) flat.push("finished", id, index);
      else flat.push("suppressed", id, index, ...encodeSuppression(suppress));
      continue;
    }
    flat.push(settlement.kind, settlement.id, settlement.index);
    dueLater = true;
    flat.push(settlement.due);
    if (settlement.kind === "deferred")
      flat.push(settlement.attempts, settlement.last.slice(0, LAST_LIMIT), Number(settlement.delayTold ?? false));
  }
  return dueLater;
}

function asStoreError(error: DatabaseError): StoreError {
  return new StoreError(error.code === "failed" ? "io" : error.code, error.message, { cause: error });
}
