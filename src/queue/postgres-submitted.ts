/**
 * Keys of submissions in PostgreSQL: shared, so that of two servers that hear the same key at the same moment one queues.
 *
 * Rules
 * 1. Part of the transaction of whoever calls. A key that another transaction has just noted is waited for, and is known then; where that
 *    one is rolled back, it is ours.
 * 2. Keys are noted in order: two messages with several in common wait for one another, never crosswise.
 */
import type { Postgres, Run } from "../database/postgres.ts";
import { byteaArray, int8Array, textArray } from "../database/postgres-values.ts";
import type { QueuedBefore } from "../mail/message.ts";
import { IDEMPOTENCY_WINDOW, type SubmittedKey, sweptWith } from "./idempotency.ts";
import type { Entry } from "./postgres-schema.ts";
import type { Row } from "./sqlite-schema.ts";
import { decodeSubmitted } from "./sqlite-submitted.ts";

/** What is to be queued of a message, and what was before. */
interface Noted {
  /** `undefined` where nothing is left. */
  readonly entry: Entry | undefined;
  readonly before: QueuedBefore | undefined;
}

export class PostgresSubmitted {
  readonly #postgres: Postgres;
  readonly #sql: ReturnType<typeof statements>;

  constructor(postgres: Postgres) {
    this.#postgres = postgres;
    this.#sql = statements(postgres.prefix);
  }

  /** Notes the keys of the entry's recipients. */
  async note(run: Run, entry: Entry, keys: readonly Uint8Array[]): Promise<Noted> {
    const { message } = entry;
    const since = message.arrived - IDEMPOTENCY_WINDOW;
    const byHex = new Map(keys.map((key) => [hex(key), key]));
    const rows = await run<{ key: Buffer }>(this.#sql.note, [
      byteaArray([...byHex.values()].map((key) => [key])),
      message.id,
      message.arrived,
      since,
    ]);
    await run(this.#sql.sweep, [since, sweptWith(keys.length)]);
    const ours = new Set(rows.map(({ key }) => hex(key)));
    const fresh = keys.flatMap((key, index) => (ours.delete(hex(key)) ? [index] : []));
    if (fresh.length === keys.length) return { entry, before: undefined };
    const recipients = keys.map((_, index) => index).filter((index) => !fresh.includes(index));
    const first = keys[recipients[0] as number] as Uint8Array;
    const [found] = await run<{ message: string }>(this.#sql.find, [Buffer.from(first)]);
    return { entry: fresh.length === 0 ? undefined : withOnly(entry, fresh), before: { id: found?.message ?? message.id, recipients } };
  }

  async page(after: string, limit: number): Promise<readonly SubmittedKey[]> {
    return (await this.#postgres.run<Row>(this.#sql.page, [Buffer.from(after, "hex"), limit])).map(decodeSubmitted);
  }

  async restore(rows: readonly SubmittedKey[]): Promise<void> {
    await this.#postgres.run(this.#sql.restore, [
      byteaArray(rows.map(({ key }) => [Buffer.from(key, "hex")])),
      textArray(rows.map(({ message }) => message)),
      int8Array(rows.map(({ noted }) => noted)),
    ]);
  }
}

/** The entry for some of its recipients, which keep their places. */
function withOnly({ message, ...entry }: Entry, indexes: readonly number[]): Entry {
  const { envelope } = message;
  const recipients = envelope.recipients.filter((_, index) => indexes.includes(index));
  return { ...entry, message: { ...message, envelope: { ...envelope, recipients } }, indexes };
}

function hex(key: Uint8Array): string {
  return Buffer.from(key).toString("hex");
}

function statements(p: string) {
  return {
    /** $1 keys, $2 message, $3 now, $4 the end of what is too old. A row for each key that is the message's now. */
    note: `
      INSERT INTO ${p}submitted AS s (key, message, noted) SELECT k.key, $2::text, $3::int8 FROM unnest($1::bytea[]) AS k (key) ORDER BY k.key
      ON CONFLICT (key) DO UPDATE SET message = excluded.message, noted = excluded.noted WHERE s.noted <= $4::int8 RETURNING key`,
    find: `SELECT message FROM ${p}submitted WHERE key = $1::bytea`,
    /** $1 the end of what is too old, $2 limit. What others are removing is left to them. */
    sweep: `
      DELETE FROM ${p}submitted WHERE key IN (
        SELECT key FROM ${p}submitted WHERE noted <= $1::int8 ORDER BY noted LIMIT $2::int8 FOR UPDATE SKIP LOCKED)`,
    /** $1 after this key, $2 limit. */
    page: `SELECT key, message, noted FROM ${p}submitted WHERE key > $1::bytea ORDER BY key LIMIT $2::int8`,
    restore: `
      INSERT INTO ${p}submitted (key, message, noted) SELECT * FROM unnest($1::bytea[], $2::text[], $3::int8[]) AS k (key, message, noted) ORDER BY 1
      ON CONFLICT (key) DO NOTHING`,
  };
}
