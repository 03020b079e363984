/**
 * The tables of a module in PostgreSQL, brought to this version.
 *
 * Rules
 * 1. Migrations are never changed once released, only added to: their count is the version that is written down.
 * 2. They run in one transaction under an advisory lock: of several nodes that start together one does it, the others wait and find it done.
 * 3. A newer version is refused and nothing touched.
 * 4. `tuning` is for PostgreSQL itself: what a server that only speaks its protocol refuses of it is left out.
 */
import type { Postgres, Run } from "./postgres.ts";
import { PostgresError } from "./postgres-error.ts";

export interface PostgresModule {
  readonly name: string;
  /** SQL, each with `$.` where the schema's name goes. */
  readonly migrations: readonly string[];
  readonly tuning?: readonly string[];
}

/** Any number will do, if it is always the same: the one lock of all our migrations in a database. */
const LOCK = 7_020_821_001;

/** Rejects with a PostgresError: newer, or what the server said. */
export async function migrate(postgres: Postgres, module: PostgresModule): Promise<void> {
  if ((await versionOf(postgres.run, postgres, module)) === module.migrations.length) return;
  await postgres.transaction(async (run) => {
    await run("SELECT pg_advisory_xact_lock($1)", [LOCK]);
    const [found] = await run("SELECT 1 FROM information_schema.schemata WHERE schema_name = $1", [postgres.schema]);
    if (found === undefined) await run(`CREATE SCHEMA ${postgres.prefix.slice(0, -1)}`);
    await run(`CREATE TABLE IF NOT EXISTS ${postgres.prefix}version (module text NOT NULL PRIMARY KEY, version int NOT NULL)`);
    const version = await versionOf(run, postgres, module);
    for (const sql of module.migrations.slice(version)) await run(place(sql, postgres));
    await run(`DELETE FROM ${postgres.prefix}version WHERE module = $1`, [module.name]);
    await run(`INSERT INTO ${postgres.prefix}version VALUES ($1, $2)`, [module.name, module.migrations.length]);
  });
  for (const sql of module.tuning ?? []) await postgres.run(place(sql, postgres)).catch(unlessRefused);
}

async function versionOf(run: Run, postgres: Postgres, module: PostgresModule): Promise<number> {
  const [table] = await run("SELECT 1 FROM information_schema.tables WHERE table_schema = $1 AND table_name = 'version'", [
    postgres.schema,
  ]);
  if (table === undefined) return 0;
  const [row] = await run<{ version: number }>(`SELECT version FROM ${postgres.prefix}version WHERE module = $1`, [module.name]);
  const version = row?.version ?? 0;
  if (version > module.migrations.length) {
    const text = `the ${module.name} in PostgreSQL was written by a newer version (${version}; this one knows ${module.migrations.length})`;
    throw new PostgresError("newer", text, {});
  }
  return version;
}

function place(sql: string, postgres: Postgres): string {
  return sql.replaceAll("$.", () => postgres.prefix);
}

function unlessRefused(thrown: unknown): void {
  if (!(thrown instanceof PostgresError) || thrown.lost) throw thrown;
}
