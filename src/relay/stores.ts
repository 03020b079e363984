/**
 * The data folder, opened: queue and accounts in one database.
 *
 * Rules
 * 1. One process at a time holds it; a second one is told which (StoreError "busy").
 */
import { type AccountStore, accountProcedures, openSqliteAccounts } from "../accounts/index.ts";
import { openDatabase } from "../database/index.ts";
import type { EventSink } from "../mail/event.ts";
import { openSqliteStore, queueProcedures } from "../queue/index.ts";
import type { QueueStore } from "../queue/store.ts";
import type { Clock } from "../util/clock.ts";

export interface StoresOptions {
  /** Absolute path; made if missing. */
  readonly folder: string;
  readonly minimumFree?: number;
  readonly events?: EventSink;
  readonly clock?: Clock;
}

export interface Stores {
  readonly folder: string;
  readonly queue: QueueStore;
  readonly accounts: AccountStore;
  close(): Promise<void>;
}

const DATABASE_FILE = "postrider.db";

/** Rejects with a DatabaseError or a StoreError: busy, newer, corrupt, full, io. */
export async function openStores({ folder, minimumFree, events, clock }: StoresOptions): Promise<Stores> {
  const database = await openDatabase({ folder, file: DATABASE_FILE, procedures: [queueProcedures, accountProcedures] });
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
    return { folder, queue, accounts, close: () => queue.close() };
  } catch (error) {
    await database.close();
    throw error;
  }
}
