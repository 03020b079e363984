/**
 * The suppression list in SQLite: rows of `suppression` in the database thread, and the list as others see it.
 *
 * Rules
 * 1. `until` is NEVER_DUE where there is no end, so that one comparison answers.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Caller } from "../database/index.ts";
import type { Row } from "./sqlite-schema.ts";
import { NEVER_DUE } from "./store.ts";
import {
  EXPIRED_AT_ONCE,
  SUPPRESSION_PAGE_LIMIT,
  SUPPRESSION_REASON_LIMIT,
  type Suppression,
  type SuppressionKey,
  type SuppressionList,
} from "./suppression.ts";

/** account, mailbox, reason, made, until. */
export type SuppressionColumns = readonly [account: string, mailbox: string, reason: string, made: number, until: number];

export interface SuppressionProcedures {
  suppressed(args: readonly [account: string, mailboxes: readonly string[], now: number]): readonly Row[];
  /** `account` NULL: of all. After account and mailbox. */
  suppressions(args: readonly [now: number, limit: number, account: string | null, after: readonly [string, string]]): readonly Row[];
  suppress(row: SuppressionColumns): void;
  unsuppress(key: readonly [account: string, mailbox: string]): boolean;
  restoreSuppressions(rows: readonly SuppressionColumns[]): void;
}

export function sqliteSuppressions(call: Caller<SuppressionProcedures>): SuppressionList {
  return {
    find: async (account, mailboxes, now) => (await call("suppressed", [account, mailboxes, now])).map(decodeSuppression),
    page: async ({ now, limit, account, after }) => {
      const from = [after?.account ?? "", after?.mailbox ?? ""] as const;
      return (await call("suppressions", [now, Math.min(limit, SUPPRESSION_PAGE_LIMIT), account ?? null, from])).map(decodeSuppression);
    },
    put: (suppression) => call("suppress", encodeSuppression(suppression)),
    remove: ({ account, mailbox }) => call("unsuppress", [account, mailbox]),
    restore: (all) => call("restoreSuppressions", all.map(encodeSuppression)),
  };
}

export function encodeSuppression({ account, mailbox, reason, made, until = NEVER_DUE }: Suppression): SuppressionColumns {
  return [account, mailbox, reason.slice(0, SUPPRESSION_REASON_LIMIT), made, until];
}

export function decodeSuppression({ account, mailbox, reason, made, until }: Row): Suppression {
  const key: SuppressionKey = { account: account as string, mailbox: mailbox as string };
  const common = { ...key, reason: reason as string, made: made as number };
  return until === NEVER_DUE ? common : { ...common, until: until as number };
}

export class SuppressionRows {
  readonly #find: StatementSync;
  readonly #page: StatementSync;
  readonly #pageOf: StatementSync;
  readonly #put: StatementSync;
  readonly #learn: StatementSync;
  readonly #restore: StatementSync;
  readonly #remove: StatementSync;
  readonly #sweep: StatementSync;

  constructor(db: DatabaseSync) {
    const insert = "INSERT INTO suppression (account, mailbox, reason, made, until) VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, mailbox)";
    const update = "DO UPDATE SET reason = excluded.reason, made = excluded.made, until = excluded.until";
    this.#find = db.prepare("SELECT * FROM suppression WHERE account = ? AND mailbox = ? AND until > ?");
    this.#page = db.prepare("SELECT * FROM suppression WHERE (account, mailbox) > (?, ?) AND until > ? ORDER BY account, mailbox LIMIT ?");
    this.#pageOf = db.prepare("SELECT * FROM suppression WHERE account = ? AND mailbox > ? AND until > ? ORDER BY mailbox LIMIT ?");
    this.#put = db.prepare(`${insert} ${update}`);
    this.#learn = db.prepare(`${insert} ${update} WHERE until < excluded.until`);
    this.#restore = db.prepare(`${insert} DO NOTHING`);
    this.#remove = db.prepare("DELETE FROM suppression WHERE account = ? AND mailbox = ?");
    this.#sweep = db.prepare(
      `DELETE FROM suppression WHERE (account, mailbox) IN (
        SELECT account, mailbox FROM suppression INDEXED BY suppression_until WHERE until <= ? ORDER BY until LIMIT ${EXPIRED_AT_ONCE})`,
    );
  }

  /** What an attempt has found out. */
  learn(row: SuppressionColumns): void {
    this.#learn.run(...row);
    this.#sweep.run(row[3]);
  }

  reads(): Pick<SuppressionProcedures, "suppressed" | "suppressions"> {
    return {
      suppressed: ([account, mailboxes, now]) => mailboxes.flatMap((mailbox) => this.#find.all(account, mailbox, now) as Row[]),
      suppressions: ([now, limit, account, [afterAccount, afterMailbox]]) => {
        if (account === null) return this.#page.all(afterAccount, afterMailbox, now, limit) as Row[];
        return this.#pageOf.all(account, afterAccount === account ? afterMailbox : "", now, limit) as Row[];
      },
    };
  }

  writes(): Omit<SuppressionProcedures, "suppressed" | "suppressions"> {
    return {
      suppress: (row) => void this.#put.run(...row),
      unsuppress: (key) => this.#remove.run(...key).changes !== 0,
      restoreSuppressions: (rows) => {
        for (const row of rows) this.#restore.run(...row);
      },
    };
  }
}
