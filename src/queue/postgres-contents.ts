/**
 * The content of messages in PostgreSQL, looked at before it is handed out.
 *
 * Rules
 * 1. What fits comes along in memory, for all messages of a lease in one statement; what does not is read when it is sent.
 * 2. Each is as long as its message says, or is said to be damaged.
 */
import type { Postgres } from "../database/postgres.ts";
import { textArray } from "../database/postgres-values.ts";
import { type Content, memoryContent } from "../mail/content.ts";
import type { MessageId } from "../mail/message.ts";
import { type PostgresBodies, PostgresBody } from "./postgres-bodies.ts";
import { PART_OCTETS } from "./postgres-schema.ts";
import type { Statements } from "./postgres-statements.ts";
import type { Row } from "./sqlite-schema.ts";

/** Bodies brought along in memory. */
const MEMORY_OCTETS = 8 * 1024 * 1024;

export class PostgresContents {
  readonly #postgres: Postgres;
  readonly #sql: Statements;
  readonly #bodies: PostgresBodies;

  constructor(postgres: Postgres, statements: Statements, bodies: PostgresBodies) {
    this.#postgres = postgres;
    this.#sql = statements;
    this.#bodies = bodies;
  }

  /** The content of each message by id, or what is wrong with it. Rows of `message`. */
  async of(rows: readonly Row[]): Promise<ReadonlyMap<MessageId, Content | string>> {
    const small: string[] = [];
    const large: string[] = [];
    let octets = 0;
    for (const { body, size } of rows) {
      octets += size as number;
      (octets <= MEMORY_OCTETS && (size as number) <= PART_OCTETS ? small : large).push(body as string);
    }
    const parts = new Map<string, Buffer>();
    const sizes = new Map<string, number>();
    const { run } = this.#postgres;
    if (small.length > 0) {
      const found = await run<{ id: string; content: Buffer }>(this.#sql.firstParts, [textArray(small)]);
      for (const { id, content } of found) parts.set(id, content);
    }
    if (large.length > 0) {
      const found = await run<{ id: string; octets: number }>(this.#sql.sizes, [textArray(large)]);
      for (const one of found) sizes.set(one.id, one.octets);
    }
    return new Map(rows.map((row) => [row.id as MessageId, this.#contentOf(row, parts, sizes)]));
  }

  #contentOf(row: Row, parts: ReadonlyMap<string, Buffer>, sizes: ReadonlyMap<string, number>): Content | string {
    const key = row.body as string;
    const size = row.size as number;
    const part = parts.get(key);
    const octets = part?.length ?? sizes.get(key);
    if (octets === undefined) return `body missing: ${key}`;
    if (octets !== size) return `body damaged: ${key} has ${octets} of ${size} octets`;
    return part === undefined ? new PostgresBody(this.#bodies, key, size, true) : memoryContent([part]);
  }
}
