/** The embedded store, for the suite. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../src/database/index.ts";
import { openSqliteStore, type QueueStore, queueProcedures, StoreError } from "../../src/queue/index.ts";
import type { OpenOptions } from "./opener.ts";

export async function open(folder: string, { minimumFree = 0, onTrouble }: OpenOptions = {}): Promise<QueueStore> {
  const database = await openDatabase({ folder, file: "postrider.db", procedures: [queueProcedures] }).catch((error) => {
    throw new StoreError(error.code, error.message, { cause: error });
  });
  return openSqliteStore({
    database,
    folder,
    minimumFree,
    onTrouble: (event) => {
      if (event.type === "trouble") onTrouble?.(`${event.where}: ${event.why}`);
    },
  });
}

export function bodyFiles(folder: string): string[] {
  const bodies = join(folder, "bodies");
  return existsSync(bodies) ? readdirSync(bodies).map((name) => join(bodies, name)) : [];
}
