/**
 * Keys of submissions in SQLite: rows of `submitted`, in the database thread.
 *
 * Rules
 * 1. Part of the commit of whoever calls.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { QueuedBefore } from "../mail/message.ts";
import { IDEMPOTENCY_WINDOW, SUBMITTED_KEY_OCTETS, type SubmittedKey, sweptWith } from "./idempotency.ts";
import type { Row } from "./sqlite-schema.ts";

export class SubmittedRows {
  readonly #note: StatementSync;
  readonly #find: StatementSync;
  readonly #sweep: StatementSync;
  readonly #page: StatementSync;
  readonly #restore: StatementSync;

  constructor(db: DatabaseSync) {
    this.#note = db.prepare(
      `INSERT INTO submitted (key, message, noted) VALUES (?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET message = excluded.message, noted = excluded.noted WHERE noted <= ?`,
    );
    this.#find = db.prepare("SELECT message FROM submitted WHERE key = ?");
    this.#sweep = db.prepare(
      `DELETE FROM submitted WHERE key IN (SELECT key FROM submitted INDEXED BY submitted_noted WHERE noted <= ? ORDER BY noted LIMIT ?)`,
    );
    this.#page = db.prepare("SELECT key, message, noted FROM submitted WHERE key > ? ORDER BY key LIMIT ?");
    this.#restore = db.prepare("INSERT INTO submitted (key, message, noted) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING");
  }

  /** Notes the keys, one after the other in `keys`, for the message; those that were noted before are its answer. */
  note(message: string, keys: Uint8Array, now: number): QueuedBefore | undefined {
    const since = now - IDEMPOTENCY_WINDOW;
    const before: number[] = [];
    let id: string | undefined;
    for (let i = 0; i * SUBMITTED_KEY_OCTETS < keys.length; i++) {
      const key = keys.subarray(i * SUBMITTED_KEY_OCTETS, (i + 1) * SUBMITTED_KEY_OCTETS);
      if (this.#note.run(key, message, now, since).changes !== 0) continue;
      id ??= this.#find.get(key)?.message as string;
      before.push(i);
    }
    this.#sweep.run(since, sweptWith(keys.length / SUBMITTED_KEY_OCTETS));
    return id === undefined ? undefined : { id, recipients: before };
  }

  page(after: string, limit: number): readonly Row[] {
    return this.#page.all(Buffer.from(after, "hex"), limit) as Row[];
  }

  restore(rows: readonly SubmittedKey[]): void {
    for (const { key, message, noted } of rows) this.#restore.run(Buffer.from(key, "hex"), message, noted);
  }
}

/** A row as it moves from store to store. */
export function decodeSubmitted({ key, message, noted }: Row): SubmittedKey {
  return { key: Buffer.from(key as Uint8Array).toString("hex"), message: message as string, noted: noted as number };
}
