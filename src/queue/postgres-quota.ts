/**
 * Quotas that all nodes on one database share.
 *
 * Rules
 * 1. Windows are those of the database's clock.
 * 2. Requests that come together are one statement; keys are locked in order.
 */
import type { Postgres } from "../database/postgres.ts";
import { Group } from "../database/postgres-group.ts";
import { int8Array, textArray } from "../database/postgres-values.ts";
import { asStoreError } from "./postgres-bodies.ts";
import type { Quota, QuotaRequest } from "./quota.ts";

/** Requests between two removals of windows that are over. */
const REMOVE_EVERY = 1000;
/** No window is longer, in milliseconds: a week. */
export const LONGEST_WINDOW = 7 * 86_400_000;

export class PostgresQuota implements Quota {
  readonly #postgres: Postgres;
  readonly #group: Group<QuotaRequest, number>;
  readonly #take: string;
  readonly #remove: string;
  readonly #nodes: string;
  #taken = 0;

  constructor(postgres: Postgres) {
    const p = postgres.prefix;
    this.#postgres = postgres;
    this.#group = new Group({ run: (requests) => this.#run(requests), keyOf: ({ key }) => key, lanes: 1 });
    // `used` may go past the limit: what was granted is what was left of it before.
    this.#take = `
      INSERT INTO ${p}quota AS q (key, window_start, used)
      SELECT r.key, floor(extract(epoch FROM clock_timestamp()) * 1000 / r.length)::int8 * r.length, r.want
      FROM unnest($1::text[], $2::int8[], $3::int8[]) AS r (key, want, length) ORDER BY r.key
      ON CONFLICT (key, window_start) DO UPDATE SET used = q.used + excluded.used RETURNING key, used`;
    this.#remove = `DELETE FROM ${p}quota WHERE window_start < extract(epoch FROM clock_timestamp())::int8 * 1000 - ${LONGEST_WINDOW}`;
    this.#nodes = `SELECT count(*) AS n FROM ${p}node WHERE until >= clock_timestamp()`;
  }

  async take(request: QuotaRequest): Promise<number> {
    if (++this.#taken % REMOVE_EVERY === 0) this.#postgres.run(this.#remove).catch(() => {});
    try {
      return await this.#group.push(request);
    } catch (thrown) {
      throw asStoreError(thrown);
    }
  }

  async nodes(): Promise<number> {
    try {
      const [row] = await this.#postgres.run<{ n: number }>(this.#nodes);
      return Math.max(1, row?.n ?? 1);
    } catch (thrown) {
      throw asStoreError(thrown);
    }
  }

  async #run(requests: readonly QuotaRequest[]): Promise<readonly number[]> {
    const rows = await this.#postgres.run<{ key: string; used: number }>(this.#take, [
      textArray(requests.map(({ key }) => key)),
      int8Array(requests.map(({ want }) => want)),
      int8Array(requests.map(({ window }) => Math.min(window, LONGEST_WINDOW))),
    ]);
    const used = new Map(rows.map((row) => [row.key, row.used]));
    return requests.map(({ key, want, limit }) => Math.max(0, Math.min(want, limit - ((used.get(key) ?? 0) - want))));
  }
}
