/** The embedded store, for the suite. */
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../src/database/index.ts";
import { openSqliteStore, type QueueStore, queueProcedures, StoreError } from "../../src/queue/index.ts";
import type { OpenOptions, Place } from "./opener.ts";

export async function whyNot(): Promise<false> {
  return false;
}

export async function newPlace(): Promise<Place> {
  const at = mkdtempSync(join(tmpdir(), "postrider-store-"));
  return { at, remove: async () => rmSync(at, { recursive: true, force: true }) };
}

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

function bodyFiles(folder: string): string[] {
  const bodies = join(folder, "bodies");
  return existsSync(bodies) ? readdirSync(bodies).map((name) => join(bodies, name)) : [];
}

export async function largeBodies(folder: string): Promise<number> {
  return bodyFiles(folder).length;
}

export async function harmLargeBodies(folder: string, how: "missing" | "cut short"): Promise<void> {
  for (const path of bodyFiles(folder)) {
    if (how === "missing") rmSync(path);
    else truncateSync(path, 1000);
  }
}

/** Leases end with the process. */
export async function leasesRunOut(): Promise<void> {}
