/**
 * Leasing from the queue in PostgreSQL.
 *
 * Rules
 * 1. A lease is one statement, and one or two more for the contents. What was taken and cannot be handed out is freed again.
 * 2. A message whose body cannot be read is put off for a day and said.
 * 3. A recipient whose attempt under an earlier session still goes on in this process is put off for a minute.
 */
import type { Postgres } from "../database/postgres.ts";
import { PostgresError } from "../database/postgres-error.ts";
import type { EventSink } from "../mail/event.ts";
import type { MessageId, QueuedMessage } from "../mail/message.ts";
import { type Clock, days, seconds } from "../util/clock.ts";
import type { PostgresCommits } from "./postgres-commits.ts";
import type { PostgresContents } from "./postgres-contents.ts";
import type { PostgresNode } from "./postgres-node.ts";
import { plainRow } from "./postgres-schema.ts";
import type { Statements } from "./postgres-statements.ts";
import { type Row, readMessage } from "./sqlite-schema.ts";
import type { RecipientRef, Settlement } from "./store.ts";

const UNREADABLE_HOLD_MS = days(1);
const STALE_HOLD_MS = seconds(60);

interface FoundMessage {
  /** The message's columns, and the first recipient's. */
  readonly row: Row;
  readonly recipients: Row[];
  readonly refs: RecipientRef[];
  /** Of an attempt under a session that is over, which still goes on here. */
  readonly stale: RecipientRef[];
}

interface Taken {
  readonly session: number;
  readonly ticket: number;
  readonly found: readonly FoundMessage[];
}

export interface LeaseParts {
  readonly postgres: Postgres;
  readonly statements: Statements;
  readonly node: PostgresNode;
  readonly commits: PostgresCommits;
  readonly contents: PostgresContents;
  readonly clock: Clock;
  readonly trouble: EventSink;
}

export class PostgresLeases {
  readonly #parts: LeaseParts;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
  }

  /** Up to `limit` recipients that are due, as messages. Rejects with what the database said; nothing stays taken. */
  async lease(now: number, limit: number): Promise<QueuedMessage[]> {
    for (;;) {
      const taken = await this.#take(now, limit);
      if (taken === "session over") continue;
      if (taken.found.length === 0) return [];
      try {
        const messages = await this.#handOut(taken, now);
        if (messages.length > 0) return messages;
      } catch (thrown) {
        // Taken and not handed out: free again once the database says so.
        this.#parts.node.abandon(taken.found.flatMap(({ refs }) => refs));
        this.#parts.node.lost(taken.session, taken.ticket);
        throw thrown;
      }
    }
  }

  /** Leases what is due: rows by message, in order. */
  async #take(now: number, limit: number): Promise<Taken | "session over"> {
    const { node, postgres, statements } = this.#parts;
    const session = node.session;
    const ticket = node.nextTicket();
    let rows: readonly Record<string, unknown>[];
    try {
      rows = await postgres.run(statements.lease, [session, now, limit, ticket]);
    } catch (thrown) {
      if (thrown instanceof PostgresError && thrown.unknown) node.lost(session, ticket);
      throw thrown;
    }
    if (rows.length === 0) {
      await node.over(session);
      return "session over";
    }
    const found = new Map<MessageId, FoundMessage>();
    for (const raw of rows) {
      if (raw.message === null) break; // nothing was due
      const row = plainRow(raw);
      const id = row.message as MessageId;
      const ref: RecipientRef = { id, index: row.idx as number };
      let message = found.get(id);
      if (message === undefined) {
        message = { row, recipients: [], refs: [], stale: [] };
        found.set(id, message);
      }
      if (node.isStale(ref)) message.stale.push(ref);
      else if (node.take(session, id, ref.index)) {
        message.recipients.push(row);
        message.refs.push(ref);
      }
    }
    return { session, ticket, found: [...found.values()] };
  }

  /** What of it can be sent; puts off what cannot be read, and what an earlier attempt of this node still has in hand. */
  async #handOut({ found }: Taken, now: number): Promise<QueuedMessage[]> {
    const messages: QueuedMessage[] = [];
    const unreadable: Settlement[] = [];
    const stale = found.flatMap((message) => message.stale);
    if (stale.length > 0) await this.#parts.commits.handBack(stale, now + STALE_HOLD_MS);
    const ours = found.filter(({ recipients }) => recipients.length > 0);
    const contents = await this.#parts.contents.of(ours.map(({ row }) => row));
    for (const { row, recipients } of ours) {
      const content = contents.get(row.id as MessageId);
      if (content === undefined) continue;
      const message = typeof content === "string" ? content : readMessage(row, recipients);
      if (typeof message !== "string" && typeof content !== "string") messages.push({ ...message, content });
      else this.#putOff(row, recipients, String(message), Math.max(now, this.#parts.clock.now()) + UNREADABLE_HOLD_MS, unreadable);
    }
    if (unreadable.length > 0) await this.#parts.commits.settle({ settlements: unreadable, caused: [] });
    return messages;
  }

  #putOff(row: Row, recipients: readonly Row[], why: string, due: number, settlements: Settlement[]): void {
    const id = row.id as MessageId;
    this.#parts.trouble({ type: "trouble", where: `message ${id}`, why });
    for (const { idx, attempts } of recipients) {
      settlements.push({ kind: "deferred", id, index: idx as number, due, attempts: attempts as number, last: why });
    }
  }
}
