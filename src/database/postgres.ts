/**
 * A pool of connections to one PostgreSQL database: statements, transactions, and their errors.
 *
 * Rules
 * 1. A write resolves after the server said that it is committed, with `synchronous_commit` on (or `remote_apply`, where the server has
 *    that): it is set on each connection, whatever the server's default. A server with `fsync = off` is refused.
 * 2. Where the reply to a statement is lost, the error says that its outcome is unknown (PostgresError.unknown). It is never repeated here;
 *    what the server rolled back for a deadlock is.
 * 3. While the server cannot be reached calls fail at once; a connection is tried again after a pause, FIRST_PAUSE at first, LONGEST_PAUSE
 *    at most. Nothing waits for the server to come back.
 * 4. What a session sets is its connection's, so a pooler between us must keep a session to a connection (PgBouncer: pool_mode = session).
 *    Statements are prepared under names, which halves the time of a small one; `prepare: false` does without. A name that the server does
 *    not know, or whose tables have changed, costs a new connection and nothing else.
 * 5. A plan is made once and kept while the tables grow, so it must not depend on how small they were: sequential scans are off.
 */
import pg from "pg";
import { asPostgresError, PostgresError } from "./postgres-error.ts";
import { type PostgresValue, resultTypes } from "./postgres-values.ts";

export interface PostgresOptions {
  /** `postgres://user:password@host/database?sslmode=verify-full`, as libpq has it. */
  readonly url: string;
  /** The schema that holds our tables; made if missing. */
  readonly schema?: string;
  /** Connections at most; one more is used for the doorbell. */
  readonly connections?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  /** Prepare statements under names. On by default. */
  readonly prepare?: boolean;
  /** Milliseconds a statement may take on the server. */
  readonly statementTimeout?: number;
  /** Milliseconds until a connection stands, or a free one is found. */
  readonly connectTimeout?: number;
}

export type Rows<R> = readonly R[];

/** Runs one statement. `R` is what the caller's SQL says its rows are. */
export type Run = <R = Record<string, unknown>>(text: string, values?: readonly PostgresValue[]) => Promise<Rows<R>>;

const CONNECTIONS = 8;
const STATEMENT_TIMEOUT = 30_000;
const CONNECT_TIMEOUT = 5_000;
/** On top of the server's own time-out: by then the connection is dead. */
const REPLY_GRACE = 5_000;
/** A transaction of ours never waits for anything but the server: one that does is cut off from, and holds locks. */
const IDLE_IN_TRANSACTION = 10_000;
const IDLE_CONNECTION = 60_000;
/** Texts that are prepared: ours are a few dozen; what is made up at run time must not fill the server's memory. */
const NAMES = 100;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5_000;
/** Times a statement that the server rolled back for a deadlock is sent again. */
const AGAIN = 5;
/** PostgreSQL 13 is the oldest that is tried; its number as the server writes it. */
const OLDEST_VERSION = 130_000;

export const DEFAULT_SCHEMA = "postrider";

export class Postgres {
  /** The schema's name, quoted and followed by a dot: the beginning of each table's name. */
  readonly prefix: string;
  readonly schema: string;
  readonly settings: pg.ClientConfig;
  readonly #pool: pg.Pool;
  /** Statements by their text; `undefined` where they are not prepared. */
  readonly #names: Map<string, string> | undefined;
  #closed: Promise<void> | undefined;
  #pause = 0;
  #triedAgainAt = 0;
  #why: PostgresError | undefined;

  /** Opens nothing yet: `openPostgres` does. */
  constructor(options: PostgresOptions) {
    this.schema = options.schema ?? DEFAULT_SCHEMA;
    this.prefix = `${pg.escapeIdentifier(this.schema)}.`;
    this.#names = options.prepare === false ? undefined : new Map();
    const statementTimeout = options.statementTimeout ?? STATEMENT_TIMEOUT;
    this.settings = {
      connectionString: options.url,
      application_name: options.applicationName ?? "postrider",
      keepAlive: true,
      query_timeout: statementTimeout + REPLY_GRACE,
      types: { getTypeParser: resultTypes.getTypeParser as pg.CustomTypesConfig["getTypeParser"] },
    };
    this.#pool = new pg.Pool({
      ...this.settings,
      max: options.connections ?? CONNECTIONS,
      connectionTimeoutMillis: options.connectTimeout ?? CONNECT_TIMEOUT,
      idleTimeoutMillis: IDLE_CONNECTION,
      onConnect: (client) => prepareSession(client, statementTimeout),
    });
    this.#pool.on("error", () => {}); // an idle connection was lost; the pool has dropped it
  }

  /** One statement, committed by itself. Rejects with a PostgresError. */
  run: Run = <R>(text: string, values: readonly PostgresValue[] = []) =>
    this.#repeated(() => this.#onConnection((run) => run<R>(text, values)));

  /**
   * Statements in one transaction, committed when `work` resolves, rolled back when it rejects. `work` may be run again from its start
   * after a deadlock, so it must have no effect but through `run`.
   */
  transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    return this.#repeated(() =>
      this.#onConnection(async (run) => {
        await run("BEGIN");
        let result: T;
        try {
          result = await work(run);
        } catch (thrown) {
          if (!(thrown instanceof PostgresError && thrown.lost)) await run("ROLLBACK");
          // Nothing was committed, whatever the statement that failed may have done inside.
          if (thrown instanceof PostgresError && thrown.unknown)
            throw new PostgresError(thrown.code, thrown.message, { lost: true }, thrown);
          throw thrown;
        }
        await run("COMMIT");
        return result;
      }),
    );
  }

  /** Ends all connections; statements under way are waited for. */
  close(): Promise<void> {
    this.#closed ??= this.#pool.end();
    return this.#closed;
  }

  async #repeated<T>(work: () => Promise<T>): Promise<T> {
    for (let left = AGAIN; ; left--) {
      try {
        return await work();
      } catch (thrown) {
        if (!(thrown instanceof PostgresError && thrown.again && left > 0)) throw thrown;
      }
    }
  }

  async #onConnection<T>(work: (run: Run) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let lost = false;
    const run: Run = async <R>(text: string, values: readonly PostgresValue[] = []) => {
      try {
        const { rows } = await client.query<Record<string, unknown>>(this.#statement(text, values));
        return rows as Rows<R>;
      } catch (thrown) {
        const error = asPostgresError(thrown, "PostgreSQL", "sent");
        lost ||= error.lost;
        throw error;
      }
    };
    try {
      return await work(run);
    } finally {
      client.release(lost);
    }
  }

  /** What has no parameters goes by the simple protocol, as BEGIN and COMMIT like it. */
  #statement(text: string, values: readonly PostgresValue[]): pg.QueryConfig {
    if (values.length === 0) return { text };
    const statement = { text, values: values as PostgresValue[] };
    if (this.#names === undefined) return statement;
    let name = this.#names.get(text);
    if (name === undefined) {
      if (this.#names.size >= NAMES) return statement;
      name = `postrider_${this.#names.size}`;
      this.#names.set(text, name);
    }
    return { ...statement, name };
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#closed !== undefined) throw new PostgresError("closed", "the database is closed", {});
    if (this.#why !== undefined && performance.now() < this.#triedAgainAt) throw this.#why;
    try {
      const client = await this.#pool.connect();
      this.#pause = 0;
      this.#why = undefined;
      return client;
    } catch (thrown) {
      const error = asPostgresError(thrown, "cannot connect to PostgreSQL", "connecting");
      if (this.#closed === undefined && error.code !== "unsafe") this.#failed(error);
      throw error;
    }
  }

  #failed(error: PostgresError): void {
    const now = performance.now();
    if (now < this.#triedAgainAt) return; // others that were connecting at the same time
    this.#pause = Math.min(LONGEST_PAUSE, Math.max(FIRST_PAUSE, this.#pause * 2));
    this.#triedAgainAt = now + this.#pause * (0.5 + Math.random() / 2);
    this.#why = error;
  }
}

/** The database, reached once. Rejects with a PostgresError: io, unsafe. */
export async function openPostgres(options: PostgresOptions): Promise<Postgres> {
  const postgres = new Postgres(options);
  try {
    await postgres.run("SELECT 1");
    return postgres;
  } catch (thrown) {
    await postgres.close();
    throw thrown;
  }
}

interface SessionFacts {
  readonly fsync: string | null;
  readonly encoding: string | null;
  readonly version: string | null;
  readonly recovery: string | null;
}

/** Sets what our safety rests on, and refuses a server on which it would rest on nothing. */
export async function prepareSession(client: pg.ClientBase, statementTimeout: number): Promise<void> {
  client.on("error", () => {}); // a connection lost in use: its statement says so
  // A stronger setting of the server's stays: remote_apply waits for the standby as well.
  const { rows } = await client.query<SessionFacts>(`
    SELECT current_setting('fsync', true) AS fsync, current_setting('server_encoding', true) AS encoding,
      current_setting('server_version_num', true) AS version, current_setting('transaction_read_only', true) AS recovery,
      set_config('synchronous_commit',
        CASE current_setting('synchronous_commit', true) WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false) AS commits,
      set_config('statement_timeout', '${Math.floor(statementTimeout)}', false) AS statement,
      set_config('idle_in_transaction_session_timeout', '${IDLE_IN_TRANSACTION}', false) AS idle,
      set_config('bytea_output', 'hex', false) AS bytea, set_config('enable_seqscan', 'off', false) AS scans, set_config('jit', 'off', false) AS jit,
      set_config('default_transaction_isolation', 'read committed', false) AS isolation`);
  const facts = rows[0];
  if (facts === undefined) throw new PostgresError("io", "PostgreSQL answered nothing", {});
  if (facts.fsync === "off") {
    throw new PostgresError("unsafe", "PostgreSQL runs with fsync = off: it would lose mail that was acknowledged. Set fsync = on", {});
  }
  if (facts.encoding !== null && !/^utf-?8$/i.test(facts.encoding)) {
    throw new PostgresError("unsafe", `the database has the encoding ${facts.encoding}: make one with ENCODING 'UTF8'`, {});
  }
  if (facts.version !== null && Number(facts.version) < OLDEST_VERSION) {
    throw new PostgresError("unsafe", `PostgreSQL ${Number(facts.version) / 10_000} is too old: 13 is the oldest that can be used`, {});
  }
  if (facts.recovery === "on") throw new PostgresError("io", "this PostgreSQL server is read-only, such as a standby", { lost: true });
}
