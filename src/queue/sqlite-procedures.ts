/**
 * The queue's procedures, run in the database thread.
 *
 * Rules
 * 1. Each call is whole: it changes rows and leases together or throws.
 * 2. No statement's cost grows with the length of the queue, but for the first `stats`.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ProcedureHost, ProcedureSet } from "../database/index.ts";
import type { MessageId, QueuedBefore } from "../mail/message.ts";
import type { SubmittedKey } from "./idempotency.ts";
import { Leases } from "./leases.ts";
import { HELD_UNTIL, HeldRows, type HoldProcedures, RELEASE } from "./sqlite-holds.ts";
import { type MessageArguments, migrations, type Row } from "./sqlite-schema.ts";
import type { SettlementList } from "./sqlite-settlements.ts";
import { SubmittedRows } from "./sqlite-submitted.ts";
import { type SuppressionColumns, type SuppressionProcedures, SuppressionRows } from "./sqlite-suppressions.ts";
import { type SuspensionProcedures, SuspensionRows } from "./sqlite-suspensions.ts";
import { NEVER_DUE, type QueueStats } from "./store.ts";

export const name = "queue";
export { migrations };

/** What a lease or a look at content brings: rows, and the body where it is kept in the database. */
export interface FoundMessage {
  readonly row: Row;
  readonly recipients: readonly Row[];
  /** The content, or what goes before that of its file; `undefined` where there is none, or it is missing. */
  readonly body: Uint8Array | undefined;
  /** There is no row: `row` is but the id. */
  readonly missing?: true;
}

export interface FoundSummary {
  readonly row: Row;
  readonly recipients: readonly Row[];
}

/** A message that is gone, with the file of its body if it had one. */
export type Gone = readonly [id: MessageId, file: string | null];

/** `keys`: of its recipients, one after the other, where it has an idempotency key. */
export type CausedList = readonly (readonly [message: MessageArguments, bytes: number, keys?: Uint8Array])[];

export interface QueueProcedures extends HoldProcedures, SuspensionProcedures, SuppressionProcedures {
  enqueue(args: MessageArguments, bytes: Uint8Array): undefined;
  /** As `enqueue`, with the keys of its recipients, one after the other; those that were noted before are left out. */
  enqueueOnce(args: readonly [message: MessageArguments, keys: Uint8Array], bytes: Uint8Array): QueuedBefore | undefined;
  lease(args: readonly [now: number, limit: number]): readonly FoundMessage[];
  nextDue(): number | undefined;
  settle(args: readonly [settlements: SettlementList, caused: CausedList], bytes: Uint8Array): readonly Gone[];
  list(args: readonly [limit: number, after: MessageId | null]): readonly FoundSummary[];
  show(id: MessageId): FoundSummary | undefined;
  /** With all of its recipients. */
  content(id: MessageId): FoundMessage | undefined;
  /** As `enqueue`, unleased; `standing` is index, attempts, due, last and delayTold of each recipient. False where the id is there already. */
  restore(args: readonly [message: MessageArguments, standing: readonly (string | number)[]], bytes: Uint8Array): boolean;
  stats(): QueueStats;
  retry(args: readonly [now: number, ids: readonly MessageId[]]): number;
  /** Some of what is not due yet; call again until it is 0. */
  retrySome(now: number): number;
  remove(ids: readonly MessageId[]): readonly Gone[];
  submitted(args: readonly [limit: number, after: string]): readonly Row[];
  restoreSubmitted(rows: readonly SubmittedKey[]): void;
  files(): readonly string[];
}

/** Of MessageArguments, for each recipient. */
const RECIPIENT_VALUES = 5;
/** Of what `restore` is told of each recipient. */
const STANDING_VALUES = 5;
/** Of SuppressionColumns. */
const SUPPRESSION_VALUES = 5;
/** A lease brings no more once its bodies hold this much. */
const LEASE_BYTES = 8 * 1024 * 1024;
/** Rows that one call of `retrySome` changes: commits of others go in between. */
const RETRY_ROWS = 5000;

type Reads =
  | keyof ReturnType<SuspensionRows["reads"]>
  | keyof ReturnType<SuppressionRows["reads"]>
  | "lease"
  | "nextDue"
  | "list"
  | "show"
  | "content"
  | "stats"
  | "files"
  | "submitted";

export function procedures(host: ProcedureHost): ProcedureSet {
  const queue = new QueueRows(host);
  const reads: Pick<QueueProcedures, Reads> = {
    lease: ([now, limit]) => queue.lease(now, limit),
    nextDue: () => queue.nextDue(),
    list: ([limit, after]) => queue.list(limit, after),
    show: (id) => queue.show(id),
    content: (id) => queue.content(id),
    stats: () => queue.stats(),
    files: () => queue.files(),
    ...queue.suspensions.reads(),
    ...queue.suppressions.reads(),
    submitted: ([limit, after]) => queue.submitted.page(after, limit),
  };
  const writes: Omit<QueueProcedures, keyof typeof reads> = {
    enqueue: (message, bytes) => queue.insert(message, bytes),
    enqueueOnce: ([message, keys], bytes) => queue.insertOnce(message, keys, bytes),
    restoreSubmitted: (rows) => queue.submitted.restore(rows),
    settle: ([settlements, caused], bytes) => queue.settle(settlements, caused, bytes),
    restore: ([message, standing], bytes) => queue.restore(message, standing, bytes),
    retry: ([now, ids]) => queue.retry(now, ids),
    retrySome: (now) => queue.retrySome(now),
    remove: (ids) => queue.remove(ids),
    ...queue.held.writes(),
    ...queue.suspensions.writes(),
    ...queue.suppressions.writes(),
  };
  return {
    reads: { ...reads },
    writes: { ...writes },
    committed: () => queue.leases.committed(),
    rolledBack: () => queue.rolledBack(),
  };
}

class QueueRows {
  readonly leases = new Leases();
  readonly submitted: SubmittedRows;
  readonly held: HeldRows;
  readonly suspensions: SuspensionRows;
  readonly suppressions: SuppressionRows;
  #host: ProcedureHost;
  /** Unknown until someone asks: counting a million rows takes a moment. */
  #counts: { messages: number; recipients: number } | undefined;
  #sql: Statements;

  constructor(host: ProcedureHost) {
    this.#host = host;
    this.#sql = prepare(host.db);
    this.submitted = new SubmittedRows(host.db);
    this.held = new HeldRows(host.db, this.leases);
    this.suspensions = new SuspensionRows(host.db);
    this.suppressions = new SuppressionRows(host.db);
  }

  rolledBack(): void {
    this.leases.rolledBack();
    this.#counts = undefined;
  }

  /** Without those of its recipients that are queued already under the same key. */
  insertOnce(message: MessageArguments, keys: Uint8Array, bytes: Uint8Array): QueuedBefore | undefined {
    const [[id, arrived], recipients] = message;
    const before = this.submitted.note(id as MessageId, keys, arrived as number);
    const leftOut = new Set(before?.recipients);
    if (leftOut.size * RECIPIENT_VALUES < recipients.length) this.insert(message, bytes, leftOut);
    return before;
  }

  insert([columns, recipients, due, lease]: MessageArguments, bytes: Uint8Array, leftOut?: ReadonlySet<number>): undefined {
    const id = columns[0] as MessageId;
    const inFile = columns[14] !== null;
    const body = inFile && bytes.length === 0 ? null : (this.#sql.insertBody.run(bytes).lastInsertRowid as number);
    this.#sql.insertMessage.run(...columns, body);
    let index = 0;
    for (let i = 0; i < recipients.length; i += RECIPIENT_VALUES, index++) {
      if (leftOut?.has(index)) continue;
      this.#sql.insertRecipient.run(
        id,
        index,
        recipients[i] as string,
        recipients[i + 1] as string,
        recipients[i + 2] as string | null,
        recipients[i + 3] as string | null,
        recipients[i + 4] as string | null,
        due,
      );
      if (lease) this.leases.add(id, index);
    }
    if (!lease) this.leases.free(due);
    if (this.#counts !== undefined) {
      this.#counts.messages++;
      this.#counts.recipients += index - (leftOut?.size ?? 0);
    }
  }

  restore(message: MessageArguments, standing: readonly (string | number)[], bytes: Uint8Array): boolean {
    const id = message[0][0] as MessageId;
    if (this.#sql.message.get(id) !== undefined) return false;
    this.insert(message, bytes);
    // Highest first: an index is never below its place, so none is moved onto one that is still to be moved.
    for (let i = standing.length - STANDING_VALUES; i >= 0; i -= STANDING_VALUES) {
      const [index, attempts, due, last, told] = standing.slice(i, i + STANDING_VALUES) as [number, number, number, string, number];
      this.#sql.stand.run(index, attempts, due, last, told, id, i / STANDING_VALUES);
      this.leases.free(due);
    }
    return true;
  }

  lease(now: number, limit: number): readonly FoundMessage[] {
    const found = new Map<MessageId, FoundMessage & { readonly recipients: Row[] }>();
    let room = limit;
    let bytes = 0;
    for (const next of this.#free(now)) {
      if (room-- <= 0 || bytes >= LEASE_BYTES) break;
      const { message, idx } = next as { message: MessageId; idx: number };
      let whole = found.get(message);
      if (whole === undefined) {
        whole = this.#find(message);
        bytes += whole.body?.length ?? 0;
        found.set(message, whole);
      }
      whole.recipients.push(this.#sql.recipient.get(message, idx) as Row);
    }
    for (const [id, { recipients }] of found) for (const { idx } of recipients) this.leases.add(id, idx as number);
    return [...found.values()];
  }

  #find(id: MessageId): FoundMessage & { readonly recipients: Row[] } {
    const row = this.#sql.message.get(id) as Row | undefined;
    if (row === undefined) return { row: { id }, recipients: [], body: undefined, missing: true };
    return { row, recipients: [], body: this.#body(row) };
  }

  nextDue(): number | undefined {
    for (const { due } of this.#free(NEVER_DUE - 1)) return due as number;
    return undefined;
  }

  /** Rows of what is not leased and due at `now`, by due; moves `scanFrom` on. */
  *#free(now: number): Generator<Row> {
    let passed = this.leases.scanFrom;
    for (const row of this.#sql.due.iterate(passed, now)) {
      passed = row.due as number;
      if (this.leases.has(row.message as string, row.idx as number)) continue;
      this.leases.scanned(passed);
      yield row as Row;
    }
    this.leases.scanned(passed);
  }

  settle(settlements: SettlementList, caused: CausedList, bytes: Uint8Array): readonly Gone[] {
    const gone: Gone[] = [];
    let finished: MessageId | undefined; // had a recipient finished, and may have been the last
    let i = 0;
    while (i < settlements.length) {
      const kind = settlements[i++];
      const id = settlements[i++] as MessageId;
      const index = settlements[i++] as number;
      if (finished !== undefined && finished !== id) {
        this.#deleteIfSettled(finished, gone);
        finished = undefined;
      }
      this.leases.end(id, index);
      if (kind === "finished" || kind === "suppressed") {
        const { changes } = this.#sql.deleteRecipient.run(id, index);
        const learned = i;
        if (kind === "suppressed") i += SUPPRESSION_VALUES;
        if (changes === 0) continue;
        if (kind === "suppressed") this.suppressions.learn(settlements.slice(learned, i) as unknown as SuppressionColumns);
        if (this.#counts !== undefined) this.#counts.recipients--;
        finished = id;
      } else {
        const due = settlements[i++] as number;
        if (kind === "deferred") {
          this.#sql.defer.run(due, settlements[i++] as number, settlements[i++] as string, settlements[i++] as number, id, index);
        } else this.#sql.release.run(due, id, index);
        this.leases.free(due);
      }
    }
    if (finished !== undefined) this.#deleteIfSettled(finished, gone);
    let at = 0;
    for (const [message, length, keys] of caused) {
      const content = bytes.subarray(at, at + length);
      if (keys === undefined) this.insert(message, content);
      else this.insertOnce(message, keys, content);
      at += length;
    }
    return gone;
  }

  #deleteIfSettled(id: MessageId, gone: Gone[]): void {
    const row = this.#sql.deleteMessageIfSettled.get(id);
    if (row === undefined) return;
    if (row.body !== null) this.#sql.deleteBody.run(row.body as number);
    if (this.#counts !== undefined) this.#counts.messages--;
    gone.push([id, row.file as string | null]);
  }

  list(limit: number, after: MessageId | null): readonly FoundSummary[] {
    return this.#sql.list.all(after ?? "", limit).map((row) => ({ row: row as Row, recipients: this.#recipientsOf(row.id as string) }));
  }

  show(id: MessageId): FoundSummary | undefined {
    const row = this.#sql.message.get(id) as Row | undefined;
    return row === undefined ? undefined : { row, recipients: this.#recipientsOf(id) };
  }

  content(id: MessageId): FoundMessage | undefined {
    const row = this.#sql.message.get(id) as Row | undefined;
    return row === undefined ? undefined : { row, recipients: this.#sql.recipients.all(id) as Row[], body: this.#body(row) };
  }

  stats(): QueueStats {
    this.#counts ??= {
      messages: this.#sql.countMessages.get()?.n as number,
      recipients: this.#sql.countRecipients.get()?.n as number,
    };
    return { ...this.#counts, active: this.leases.size };
  }

  retry(now: number, ids: readonly MessageId[]): number {
    let count = 0;
    for (const id of ids) {
      for (const { idx } of this.#sql.recipients.all(id)) {
        if (!this.leases.has(id, idx as number)) count += Number(this.#sql.retry.run(now, id, idx as number, now).changes);
      }
    }
    if (count > 0) this.leases.free(now);
    return count;
  }

  retrySome(now: number): number {
    const count = Number(this.#sql.retrySome.run(now, now, now, now, RETRY_ROWS).changes);
    if (count > 0) this.leases.free(now);
    return count;
  }

  remove(ids: readonly MessageId[]): readonly Gone[] {
    const gone: Gone[] = [];
    for (const id of ids) {
      for (const { idx } of this.#sql.recipients.all(id)) this.leases.end(id, idx as number);
      const { changes } = this.#sql.deleteRecipients.run(id);
      if (this.#counts !== undefined) this.#counts.recipients -= Number(changes);
      this.#deleteIfSettled(id, gone);
    }
    return gone;
  }

  files(): readonly string[] {
    return this.#sql.files.all().map((row) => row.file as string);
  }

  #recipientsOf(id: MessageId): Row[] {
    return this.#sql.recipients.all(id).map((row) => ({ ...(row as Row), active: Number(this.leases.has(id, row.idx as number)) }));
  }

  #body(row: Row): Uint8Array | undefined {
    if (row.body === null) return undefined;
    const content = this.#sql.body.get(row.body as number)?.content as Uint8Array | undefined;
    if (content !== undefined && content.length > 0) this.#host.transfer(content);
    return content;
  }
}

/** In the order of MessageColumns. */
const MESSAGE_COLUMNS =
  "id, arrived, from_local, from_domain, body_type, smtp_utf8, ret, envelope_id, size, eight_bit, eight_bit_header, binary_content, longest_line, origin, file, extras";
const RECIPIENT_COLUMNS = "message, idx, local_part, domain, notify, orcpt_type, orcpt_address";

type Statements = { readonly [name in keyof ReturnType<typeof prepare>]: StatementSync };

function prepare(db: DatabaseSync) {
  const p = (sql: string) => db.prepare(sql);
  return {
    insertBody: p("INSERT INTO body (content) VALUES (?)"),
    insertMessage: p(`INSERT INTO message (${MESSAGE_COLUMNS}, body) VALUES (${MESSAGE_COLUMNS.replace(/\w+/g, "?")}, ?)`),
    insertRecipient: p(`INSERT INTO recipient (${RECIPIENT_COLUMNS}, attempts, due, last) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, '')`),
    message: p("SELECT * FROM message WHERE id = ?"),
    body: p("SELECT content FROM body WHERE key = ?"),
    recipient: p("SELECT * FROM recipient WHERE message = ? AND idx = ?"),
    recipients: p("SELECT * FROM recipient WHERE message = ? ORDER BY idx"),
    due: p("SELECT due, message, idx FROM recipient INDEXED BY recipient_due WHERE due >= ? AND due <= ? ORDER BY due, message, idx"),
    defer: p(
      `UPDATE recipient SET due = max(?, ${HELD_UNTIL}), attempts = ?, last = ?, delay_told = max(delay_told, ?) WHERE message = ? AND idx = ?`,
    ),
    release: p(`UPDATE recipient SET due = max(?, ${HELD_UNTIL}) WHERE message = ? AND idx = ?`),
    retry: p(`UPDATE recipient SET due = ? WHERE message = ? AND idx = ? AND ${HELD_UNTIL} <= ?`),
    stand: p("UPDATE recipient SET idx = ?, attempts = ?, due = ?, last = ?, delay_told = ? WHERE message = ? AND idx = ?"),
    retrySome: p(
      `UPDATE recipient SET due = ? WHERE (message, idx) IN (SELECT message, idx FROM recipient INDEXED BY recipient_due
        WHERE due > ? AND due < ${NEVER_DUE} AND ${HELD_UNTIL} <= ? AND ${RELEASE} <= ? LIMIT ?)`,
    ),
    deleteRecipient: p("DELETE FROM recipient WHERE message = ? AND idx = ?"),
    deleteRecipients: p("DELETE FROM recipient WHERE message = ?"),
    deleteMessageIfSettled: p(
      "DELETE FROM message WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM recipient WHERE message = ?1) RETURNING body, file",
    ),
    deleteBody: p("DELETE FROM body WHERE key = ?"),
    list: p("SELECT * FROM message WHERE id > ? ORDER BY id LIMIT ?"),
    countMessages: p("SELECT count(*) AS n FROM message"),
    countRecipients: p("SELECT count(*) AS n FROM recipient"),
    files: p("SELECT file FROM message WHERE file IS NOT NULL"),
  };
}
