/** The store in PostgreSQL, for the suite: a place is a schema, written `url#schema`. */
import type { QueueStore } from "../../src/queue/index.ts";
import { openPostgresStore, type PostgresStoreOptions } from "../../src/queue/postgres-store.ts";
import { newSchema, noPostgres, postgresHere, query } from "../support/postgres.ts";
import type { OpenOptions, Place } from "./opener.ts";

export { noPostgres as whyNot };

export async function newPlace(): Promise<Place> {
  const postgres = await postgresHere();
  const { schema, drop } = newSchema(postgres);
  return { at: `${postgres.url}#${schema}`, remove: drop };
}

export function parts(at: string): { url: string; schema: string } {
  const cut = at.lastIndexOf("#");
  return { url: at.slice(0, cut), schema: at.slice(cut + 1) };
}

export async function open(at: string, { onTrouble }: OpenOptions = {}, options: Partial<PostgresStoreOptions> = {}): Promise<QueueStore> {
  return openPostgresStore({
    ...parts(at),
    connections: 4,
    onTrouble: (event) => {
      if (event.type === "trouble") onTrouble?.(`${event.where}: ${event.why}`);
    },
    ...options,
  });
}

/** Their keys hold a hyphen; those of small ones are message ids. */
export async function largeBodies(at: string): Promise<number> {
  const { url, schema } = parts(at);
  const [row] = await query(url, `SELECT count(DISTINCT id)::int AS n FROM ${schema}.body WHERE id LIKE '%-%'`);
  return row?.n as number;
}

export async function harmLargeBodies(at: string, how: "missing" | "cut short"): Promise<void> {
  const { url, schema } = parts(at);
  const harm = how === "missing" ? `DELETE FROM ${schema}.body` : `UPDATE ${schema}.body SET content = substring(content FROM 1 FOR 1000)`;
  await query(url, `${harm} WHERE id LIKE '%-%'`);
}

export async function leasesRunOut(at: string): Promise<void> {
  const { url, schema } = parts(at);
  await query(url, `UPDATE ${schema}.node SET until = until - interval '1 day'`);
}
