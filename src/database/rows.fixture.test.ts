/** A module of procedures for tests of the database. */
import type { ProcedureHost, ProcedureSet } from "./procedures.ts";

export const name = "rows";
export const migrations: readonly string[] = [
  "CREATE TABLE row (key INTEGER PRIMARY KEY, bytes BLOB, other INTEGER REFERENCES row (key) DEFERRABLE INITIALLY DEFERRED) STRICT",
];

export interface RowProcedures {
  add(key: number, bytes: Uint8Array): number;
  /** Fails after it has changed a row. */
  addAndThrow(key: number): void;
  /** Makes the commit itself fail. */
  breakCommit(key: number): void;
  crash(args: undefined): void;
  get(key: number): Uint8Array | undefined;
  count(): number;
  /** Calls whose commit, and whose undoing, the module was told of. */
  told(): { committed: number; rolledBack: number };
}

export function procedures({ db, transfer }: ProcedureHost): ProcedureSet {
  db.exec("PRAGMA foreign_keys = ON");
  const dangling = db.prepare("INSERT INTO row VALUES (?, NULL, -1)");
  const insert = db.prepare("INSERT INTO row VALUES (?, ?, NULL)");
  const select = db.prepare("SELECT bytes FROM row WHERE key = ?");
  const count = db.prepare("SELECT count(*) AS n FROM row");
  let committed = 0;
  let rolledBack = 0;
  const reads: Pick<RowProcedures, "get" | "count" | "told"> = {
    get(key) {
      const bytes = select.get(key)?.bytes as Uint8Array | undefined;
      if (bytes !== undefined) transfer(bytes);
      return bytes;
    },
    count: () => count.get()?.n as number,
    told: () => ({ committed, rolledBack }),
  };
  const writes: Omit<RowProcedures, keyof typeof reads> = {
    add(key, bytes) {
      insert.run(key, bytes);
      return bytes.length;
    },
    addAndThrow(key) {
      insert.run(key, null);
      throw new Error("guilty");
    },
    breakCommit: (key) => void dangling.run(key),
    crash: () => process.exit(1), // ends the thread alone
  };
  return {
    reads: { ...reads },
    writes: { ...writes },
    committed: () => void committed++,
    rolledBack: () => void rolledBack++,
  };
}
