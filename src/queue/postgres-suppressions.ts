/**
 * The suppression list in PostgreSQL, shared by all nodes.
 *
 * Rules
 * 1. Read where it is asked: what one node finds out holds on all with its commit.
 */
import type { Postgres, Run } from "../database/postgres.ts";
import { byteaArray, int8Array, type PostgresValue, textArray } from "../database/postgres-values.ts";
import { utf8 } from "../util/bytes.ts";
import { asStoreError } from "./postgres-bodies.ts";
import { plainRow } from "./postgres-schema.ts";
import { decodeSuppression, encodeSuppression } from "./sqlite-suppressions.ts";
import {
  EXPIRED_AT_ONCE,
  SUPPRESSION_PAGE_LIMIT,
  type Suppression,
  type SuppressionKey,
  type SuppressionList,
  type SuppressionPage,
} from "./suppression.ts";

export class PostgresSuppressions implements SuppressionList {
  readonly #postgres: Postgres;
  readonly #sql: ReturnType<typeof statements>;

  constructor(postgres: Postgres) {
    this.#postgres = postgres;
    this.#sql = statements(postgres.prefix);
  }

  find(account: string, mailboxes: readonly string[], now: number): Promise<readonly Suppression[]> {
    return this.#rows(this.#sql.find, [account, textArray(mailboxes), now]);
  }

  page({ now, limit, account, after }: SuppressionPage): Promise<readonly Suppression[]> {
    const at = [now, Math.min(limit, SUPPRESSION_PAGE_LIMIT), after?.account ?? "", after?.mailbox ?? ""] as const;
    return account === undefined ? this.#rows(this.#sql.page, at) : this.#rows(this.#sql.pageOf, [...at, account]);
  }

  async put(suppression: Suppression): Promise<void> {
    await this.#rows(this.#sql.put, columns([suppression]));
  }

  async remove({ account, mailbox }: SuppressionKey): Promise<boolean> {
    return (await this.#rows(this.#sql.remove, [account, mailbox])).length > 0;
  }

  async restore(suppressions: readonly Suppression[]): Promise<void> {
    await this.#rows(this.#sql.restore, columns(suppressions));
  }

  /** What attempts have found out, in the transaction that settles them. */
  async learn(run: Run, suppressions: readonly Suppression[]): Promise<void> {
    const byKey = new Map(suppressions.map((each) => [`${each.account} ${each.mailbox}`, each]));
    await run(this.#sql.learn, columns([...byKey.values()]));
    await run(this.#sql.sweep, [Math.min(...suppressions.map(({ made }) => made))]);
  }

  async #rows(text: string, values: readonly PostgresValue[]): Promise<readonly Suppression[]> {
    try {
      const rows = await this.#postgres.run<Record<string, unknown>>(text, values);
      return rows.map((row) => decodeSuppression(plainRow(row)));
    } catch (thrown) {
      throw asStoreError(thrown);
    }
  }
}

function columns(suppressions: readonly Suppression[]): PostgresValue[] {
  const rows = suppressions.map(encodeSuppression);
  return [
    textArray(rows.map(([account]) => account)),
    textArray(rows.map(([, mailbox]) => mailbox)),
    byteaArray(rows.map(([, , reason]) => [utf8(reason)])),
    int8Array(rows.map(([, , , made]) => made)),
    int8Array(rows.map(([, , , , until]) => until)),
  ];
}

function statements(p: string) {
  // Locked in order; what others have written is bytes.
  const insert = `
    INSERT INTO ${p}suppression AS s (account, mailbox, reason, made, until)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int8[], $5::int8[]) AS n (account, mailbox, reason, made, until) ORDER BY 1, 2
    ON CONFLICT (account, mailbox)`;
  const update = "DO UPDATE SET reason = excluded.reason, made = excluded.made, until = excluded.until";
  return {
    /** $1 account, $2 mailboxes, $3 now. */
    find: `SELECT * FROM ${p}suppression WHERE account = $1::text AND mailbox = ANY ($2::text[]) AND until > $3::int8`,
    /** $1 now, $2 limit, $3 and $4 after. */
    page: `
      SELECT * FROM ${p}suppression WHERE (account, mailbox) > ($3::text, $4::text) AND until > $1::int8
      ORDER BY account, mailbox LIMIT $2::int8`,
    /** Likewise; $5 account. */
    pageOf: `
      SELECT * FROM ${p}suppression WHERE account = $5::text AND (account, mailbox) > ($3::text, $4::text) AND until > $1::int8
      ORDER BY account, mailbox LIMIT $2::int8`,
    put: `${insert} ${update}`,
    learn: `${insert} ${update} WHERE s.until < excluded.until`,
    restore: `${insert} DO NOTHING`,
    remove: `DELETE FROM ${p}suppression WHERE account = $1::text AND mailbox = $2::text RETURNING *`,
    /** $1 now. What others are removing is left to them. */
    sweep: `
      DELETE FROM ${p}suppression WHERE (account, mailbox) IN (
        SELECT account, mailbox FROM ${p}suppression WHERE until <= $1::int8 ORDER BY until LIMIT ${EXPIRED_AT_ONCE} FOR UPDATE SKIP LOCKED)`,
  };
}
