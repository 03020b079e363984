/**
 * `postrider queue migrate`: queue and accounts from one store to another.
 *
 * Rules
 * 1. A store is a data folder or the URL of a PostgreSQL database; where one is not named, it is the configuration's.
 * 2. Run again after an interruption it goes on where it was (queue/migrate.ts).
 */
import { resolve } from "node:path";
import { isPostgresUrl } from "../config/index.ts";
import { migrateQueue } from "../queue/migrate.ts";
import type { Stores, StoresOptions } from "../relay/stores.ts";
import { openStores } from "../relay/stores.ts";
import { makeDataFolder, needDataFolder } from "./data-folder.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { loadConfig } from "./load-config.ts";
import { shownStore, storesOptions } from "./stores-options.ts";
import { plural, print, shown } from "./terminal.ts";

export interface MigrateOptions {
  readonly config?: string;
  readonly from?: string;
  readonly to?: string;
  readonly json?: boolean;
}

interface Report {
  readonly from: string;
  readonly to: string;
  readonly moved: number;
  /** Were there already. */
  readonly already: number;
  readonly unreadable: readonly { readonly id: string; readonly why: string }[];
  readonly accounts: number;
}

/** Messages between two lines of progress. */
const PROGRESS_EVERY = 10_000;

export async function migrate(options: MigrateOptions): Promise<number> {
  const [from, to] = storesOf(options);
  if (from.postgres === undefined) needDataFolder(from.folder);
  if (to.postgres === undefined) makeDataFolder(to.folder);
  const source = await openStores(from);
  try {
    const target = await openStores(to);
    try {
      const report = { from: shownStore(from), to: shownStore(to), ...(await move(source, target)) };
      await print(options.json === true ? `${JSON.stringify(report, null, 2)}\n` : inWords(report));
      return report.unreadable.length === 0 ? exitCodes.ok : exitCodes.data;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

function storesOf({ config, from, to }: MigrateOptions): readonly [StoresOptions, StoresOptions] {
  const loaded = from === undefined || to === undefined ? loadConfig(config) : undefined;
  const configured = loaded === undefined ? undefined : storesOptions(loaded.config, loaded.files);
  const named = (store: string | undefined): StoresOptions => {
    if (store === undefined) return configured as StoresOptions;
    if (/^postgres/.test(store) && store.includes("://")) {
      if (!isPostgresUrl(store)) throw new CliError(exitCodes.usage, "the URL of the database cannot be read.");
      return { folder: "", postgres: { url: store, node: "migrate" } };
    }
    return { folder: resolve(store), minimumFree: 0 };
  };
  const [source, target] = [named(from), named(to)];
  if (from === undefined && to === undefined) {
    throw new CliError(exitCodes.usage, "name at least one of --from and --to.", "The other one is the configuration's store.");
  }
  if (shownStore(source) === shownStore(target) && source.postgres?.schema === target.postgres?.schema) {
    throw new CliError(exitCodes.usage, `both stores are ${shownStore(source)}.`, "Name the other one with --from or --to.");
  }
  return [source, target];
}

async function move(source: Stores, target: Stores): Promise<Omit<Report, "from" | "to">> {
  // A data folder has a lock; who works on a database is known by its nodes, of which we are one.
  const others = (await source.quota.nodes()) - 1;
  if (others > 0) {
    throw new CliError(
      exitCodes.temporary,
      `${plural(others, "server")} ${others === 1 ? "works" : "work"} on that database.`,
      "Stop the servers that use the source first; one that was killed counts until its lease has run out.",
    );
  }
  let accounts = 0;
  for (const { name } of await source.accounts.list()) {
    const stored = await source.accounts.find(name);
    if (stored !== undefined && (await target.accounts.restore(stored))) accounts++;
  }
  const onMoved = (_id: string, moved: number): void => {
    if (moved % PROGRESS_EVERY === 0) console.error(`${moved} messages moved`);
  };
  return { ...(await migrateQueue(source.queue, target.queue, { onMoved })), accounts };
}

function inWords({ from, to, moved, already, unreadable, accounts }: Report): string {
  const lines = [`moved ${plural(moved, "message")} from ${from} to ${to}`, `copied ${plural(accounts, "account")}`];
  if (already > 0) lines.push(`${plural(already, "message")} ${already === 1 ? "was" : "were"} there already`);
  for (const { id, why } of unreadable) lines.push(`left where it was: ${id}: ${shown(why)}`);
  return `${lines.join("\n")}\n`;
}
