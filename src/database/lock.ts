/**
 * One process for a folder: Node has no flock, so an SQLite lock on a small file of its own stands in for it.
 *
 * Rules
 * 1. The lock is the operating system's: it goes with the process, however that ends.
 * 2. The holder keeps a RESERVED lock, under which others can still read who it is.
 * 3. It is synced like any other: after a power loss a torn one would be no database, and nobody could start.
 * 4. On a full disk the folder can still be locked; who holds it is then not written.
 * 5. The file is never opened but through SQLite: closing any other descriptor on it would drop the lock (POSIX record locks).
 */
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { asDatabaseError, DatabaseError } from "./error.ts";
import { makeFolders } from "./folders.ts";

export interface FolderLock {
  release(): void;
}

const LOCK_FILE = "lock";
/** How long a lock that is just changing hands is waited for. */
const LOCK_WAIT_MS = 250;

/** Takes the folder for this process, made if missing. Throws a DatabaseError: busy, with the holder's process id where it can be read. */
export function lockFolder(folder: string): FolderLock {
  const path = join(resolve(folder), LOCK_FILE);
  try {
    makeFolders(folder, 0o700);
  } catch (thrown) {
    throw new DatabaseError("io", `cannot make the folder ${folder}: ${thrown instanceof Error ? thrown.message : thrown}`, {
      cause: thrown,
    });
  }
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: LOCK_WAIT_MS });
    db.exec("PRAGMA synchronous = FULL");
    writeHolder(db);
    db.exec("BEGIN IMMEDIATE");
  } catch (thrown) {
    const error = asDatabaseError(thrown, `cannot lock the folder ${folder}`);
    const holder = db !== undefined && error.code === "busy" ? holderOf(db) : undefined;
    db?.close();
    if (error.code !== "busy") throw error;
    const who = holder === undefined ? "another process" : `process ${holder}`;
    throw new DatabaseError("busy", `the folder ${folder} is in use by ${who}`, { cause: thrown });
  }
  const held = db;
  return {
    release() {
      if (held.isOpen) held.close();
    },
  };
}

function writeHolder(db: DatabaseSync): void {
  try {
    db.exec(`BEGIN IMMEDIATE; PRAGMA user_version = ${process.pid}; COMMIT`);
  } catch (thrown) {
    if (asDatabaseError(thrown, "").code !== "full") throw thrown;
    if (db.isTransaction) db.exec("ROLLBACK");
  }
}

function holderOf(db: DatabaseSync): number | undefined {
  try {
    const pid = db.prepare("PRAGMA user_version").get()?.user_version;
    return typeof pid === "number" && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
