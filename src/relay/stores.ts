/**
 * Queue and accounts, opened: in the data folder, or in a database that many servers share.
 *
 * Rules
 * 1. One process at a time works on a store in a folder; a second one is told which (StoreError "busy"). Any number share a database.
 * 2. Who keeps no mail in PostgreSQL does not load it.
 */
import { type AccountStore, accountProcedures, openSqliteAccounts } from "../accounts/index.ts";
import { type Database, DatabaseError, openDatabase } from "../database/index.ts";
import type { PostgresOptions } from "../database/postgres.ts";
import type { EventSink } from "../mail/event.ts";
import { BODIES_FOLDER, giveUpBallast, LocalQuota, openSqliteStore, type Quota, queueProcedures } from "../queue/index.ts";
import type { QueueStore } from "../queue/store.ts";
import type { Clock } from "../util/clock.ts";

export interface StoresOptions {
  /** Absolute path; made if missing. */
  readonly folder: string;
  /** Absent: all is kept in the folder. */
  readonly postgres?: SharedStoreOptions;
  /** Of the folder's disk, where the queue is in it. */
  readonly minimumFree?: number;
  readonly events?: EventSink;
  readonly clock?: Clock;
}

export interface SharedStoreOptions extends PostgresOptions {
  /** What this server is called among those that share the database. */
  readonly node?: string;
  /** Milliseconds that a lease lasts without being renewed: the mail of a server that is gone is taken over within four thirds of it. */
  readonly lease?: number;
}

export interface Stores {
  readonly folder: string;
  readonly queue: QueueStore;
  readonly accounts: AccountStore;
  /** Counters for pacing, shared by all who share the queue. */
  readonly quota: Quota;
  /** Others may work on it, too. */
  readonly shared: boolean;
  close(): Promise<void>;
}

const DATABASE_FILE = "postrider.db";

/** Rejects with a DatabaseError or a StoreError: busy, newer, corrupt, full, io, unsafe. */
export function openStores(options: StoresOptions): Promise<Stores> {
  return options.postgres === undefined ? openInFolder(options) : openShared(options, options.postgres);
}

async function openInFolder({ folder, minimumFree, events, clock }: StoresOptions): Promise<Stores> {
  const database = await openWithLastRoom(folder);
  const timed = clock === undefined ? {} : { clock };
  try {
    const accounts = await openSqliteAccounts({ database, ...timed });
    const queue = await openSqliteStore({
      database,
      folder,
      ...timed,
      ...(minimumFree === undefined ? {} : { minimumFree }),
      ...(events === undefined ? {} : { onTrouble: events }),
    });
    return { folder, queue, accounts, quota: new LocalQuota(clock), shared: false, close: () => queue.close() };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** A disk that is full to the last octet must not keep what it holds from being delivered. */
async function openWithLastRoom(folder: string): Promise<Database> {
  const options = { folder, file: DATABASE_FILE, belongings: BODIES_FOLDER, procedures: [queueProcedures, accountProcedures] };
  try {
    return await openDatabase(options);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== "full" || !giveUpBallast(folder)) throw error;
    return openDatabase(options);
  }
}

async function openShared({ folder, events, clock }: StoresOptions, shared: SharedStoreOptions): Promise<Stores> {
  const [{ openPostgresStore }, { openPostgresAccounts }] = await Promise.all([
    import("../queue/postgres-store.ts"),
    import("../accounts/postgres-accounts.ts"),
  ]);
  const options = { ...shared, ...(clock === undefined ? {} : { clock }) };
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let next = closers.pop(); next !== undefined; next = closers.pop()) await next();
  };
  try {
    const accounts = await openPostgresAccounts(withoutConnections(options));
    closers.push(() => accounts.close());
    const queue = await openPostgresStore({ ...options, ...(events === undefined ? {} : { onTrouble: events }) });
    closers.push(() => queue.close());
    return { folder, queue, accounts, quota: queue.quota, shared: true, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The number of connections is the queue's; accounts have a few of their own. */
function withoutConnections({ connections: _, ...rest }: SharedStoreOptions): Omit<SharedStoreOptions, "connections"> {
  return rest;
}
