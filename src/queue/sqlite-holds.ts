/**
 * Held messages in SQLite: columns of `message`, in the database thread.
 *
 * Rules
 * 1. Part of the commit of whoever calls.
 * 2. A recipient of a held message falls due no earlier than the hold ends, whoever writes its `due` (HELD_UNTIL).
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MessageId } from "../mail/message.ts";
import type { Leases } from "./leases.ts";
import { NEVER_DUE } from "./store.ts";

/** SQL: until when the row's message is held; 0 where it is not. */
export const HELD_UNTIL = `coalesce((SELECT coalesce(m.hold_until, ${NEVER_DUE}) FROM message m WHERE m.id = recipient.message AND m.hold_reason IS NOT NULL), 0)`;

/** SQL: when the sender of the row's message wants it released (RFC 4865); 0 where it is not said. */
export const RELEASE = "coalesce((SELECT json_extract(m.extras, '$.holdUntil') FROM message m WHERE m.id = recipient.message), 0)";

export interface HoldProcedures {
  hold(args: readonly [ids: readonly MessageId[], reason: string, until: number | null]): number;
  unhold(args: readonly [now: number, ids: readonly MessageId[]]): number;
}

export class HeldRows {
  readonly #leases: Leases;
  readonly #hold: StatementSync;
  readonly #unhold: StatementSync;
  readonly #release: StatementSync;
  readonly #recipients: StatementSync;
  readonly #postpone: StatementSync;

  constructor(db: DatabaseSync, leases: Leases) {
    this.#leases = leases;
    this.#hold = db.prepare("UPDATE message SET hold_reason = ?, hold_until = ? WHERE id = ?");
    this.#unhold = db.prepare("UPDATE message SET hold_reason = NULL, hold_until = NULL WHERE id = ? AND hold_reason IS NOT NULL");
    this.#release = db.prepare("SELECT coalesce(json_extract(extras, '$.holdUntil'), 0) AS at FROM message WHERE id = ?");
    this.#recipients = db.prepare("SELECT idx FROM recipient WHERE message = ?");
    this.#postpone = db.prepare("UPDATE recipient SET due = ? WHERE message = ? AND idx = ?");
  }

  writes(): HoldProcedures {
    return {
      hold: ([ids, reason, until]) => this.#each(ids, (id) => this.#hold.run(reason, until, id), until ?? NEVER_DUE),
      unhold: ([now, ids]) => this.#each(ids, (id) => this.#unhold.run(id), now),
    };
  }

  /** What its sender wants held for longer falls due then only. Returns how many were changed. */
  #each(ids: readonly MessageId[], change: (id: MessageId) => { readonly changes: number | bigint }, due: number): number {
    let count = 0;
    for (const id of ids) {
      if (change(id).changes === 0) continue;
      count++;
      this.#makeDue(id, Math.max(due, this.#release.get(id)?.at as number));
    }
    return count;
  }

  #makeDue(id: MessageId, due: number): void {
    for (const { idx } of this.#recipients.all(id)) if (!this.#leases.has(id, idx as number)) this.#postpone.run(due, id, idx as number);
    this.#leases.free(due);
  }
}
