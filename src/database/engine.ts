/**
 * The database as its thread sees it: opening, migrating, and running many calls in one commit.
 *
 * Rules
 * 1. The hot path has no savepoints: if a call throws, the whole commit is rolled back and its calls are run again one by one, so that only the
 *    guilty one fails.
 * 2. A commit that fails for anything but space is fatal: it is not retried, and nothing runs after it. So is a damaged page, wherever it
 *    is met: what is written beside it may be lost with it.
 * 3. Where space ran out the log is copied back as soon as may be: it then begins anew in the room that it has.
 * 4. Checkpoints are made here and their errors looked at; SQLite's own automatic ones would hide a failed sync.
 */
import { existsSync, readdirSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { asDatabaseError, DatabaseError, errcodeOf, SQLITE_IOERR_SHMSIZE } from "./error.ts";
import type { Procedure, ProcedureModule, ProcedureSet } from "./procedures.ts";
import type { Failure, WorkerSettings } from "./wire.ts";

/** How long a lock of an outside tool (such as a backup) is waited for. */
const BUSY_TIMEOUT_MS = 5000;
/** Commits, or bytes in them, after which the length of the WAL is looked at. */
const COMMITS_BETWEEN_LOOKS = 32;
const BYTES_BETWEEN_LOOKS = 8 * 1024 * 1024;

/** One call as it waits in the thread. */
export interface PendingCall {
  readonly procedure: number;
  readonly args: unknown;
  readonly bytes: Uint8Array;
}

interface Entry {
  readonly name: string;
  readonly run: Procedure;
  readonly writes: boolean;
}

export class Engine {
  readonly names: readonly string[];
  fatal: DatabaseError | undefined;
  #file: string;
  #db: DatabaseSync;
  #entries: readonly Entry[];
  #sets: readonly ProcedureSet[];
  #transfers: ArrayBuffer[] = [];
  #checkpointPages: number;
  #commits = 0;
  #bytes = 0;
  // What has been begun and not yet finished, see `begin`.
  #results: unknown[] = [];
  #failures: Failure[] = [];
  #calls: PendingCall[] = [];
  #answered = false;
  #broken = false;
  /** A commit found no space since the last checkpoint. */
  #ranOut = false;

  constructor(settings: WorkerSettings, modules: readonly ProcedureModule[]) {
    this.#file = settings.file;
    this.#db = open(settings, modules);
    const host = { db: this.#db, transfer: (bytes: Uint8Array) => void this.#transfers.push(bytes.buffer as ArrayBuffer) };
    const entries: Entry[] = [];
    this.#sets = modules.map((module) => {
      const set = module.procedures(host);
      for (const [name, run] of Object.entries(set.reads)) entries.push({ name: `${module.name}.${name}`, run, writes: false });
      for (const [name, run] of Object.entries(set.writes)) entries.push({ name: `${module.name}.${name}`, run, writes: true });
      return set;
    });
    this.#entries = entries;
    this.names = entries.map((entry) => entry.name);
    this.#checkpointPages = Math.max(1, Math.floor(settings.checkpointBytes / settings.pageSize));
  }

  /** Runs calls as part of the commit that `commit` ends. */
  run(calls: readonly PendingCall[]): void {
    for (const call of calls) this.#calls.push(call);
    if (this.#broken || this.fatal !== undefined) return;
    for (const call of calls) {
      try {
        const entry = this.#entries[call.procedure] as Entry;
        if (entry.writes && !this.#db.isTransaction) this.#db.exec("BEGIN IMMEDIATE");
        const result = entry.run(call.args as never, call.bytes);
        if (result !== undefined) this.#answered = true;
        this.#results.push(result);
      } catch {
        this.#broken = true; // which one it was, and why, comes out when they run alone
        return;
      }
    }
  }

  /** Ends the commit: what it says of each call holds on disk. */
  commit(): { results: readonly unknown[] | undefined; failures: readonly Failure[] | undefined; transfers: ArrayBuffer[] } {
    if (this.fatal === undefined && !this.#broken) this.#broken = !this.#end();
    if (this.fatal === undefined && this.#broken) this.#runAlone();
    if (this.fatal !== undefined) this.#failAll(this.fatal);
    const answer = {
      results: this.#answered ? this.#results : undefined,
      failures: this.#failures.length > 0 ? this.#failures : undefined,
      transfers: this.#transfers,
    };
    for (const call of this.#calls) this.#bytes += call.bytes.length;
    this.#results = [];
    this.#failures = [];
    this.#calls = [];
    this.#transfers = [];
    this.#answered = false;
    this.#broken = false;
    return answer;
  }

  /** Keeps the WAL short; called between commits, when their answers are sent. */
  checkpoint(): void {
    if (this.fatal !== undefined) return;
    if (!this.#ranOut && this.#commits < COMMITS_BETWEEN_LOOKS && this.#bytes < BYTES_BETWEEN_LOOKS) return;
    this.#commits = 0;
    this.#bytes = 0;
    try {
      const seen = this.#db.prepare("PRAGMA wal_checkpoint(NOOP)").get();
      if (Number(seen?.log) - Number(seen?.checkpointed) < (this.#ranOut ? 1 : this.#checkpointPages)) return;
      this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
      this.#ranOut = false;
    } catch (thrown) {
      const error = asDatabaseError(thrown, "checkpoint");
      if (error.code === "full" || error.code === "busy") return; // the WAL grows on, the next look tries again
      this.fatal = new DatabaseError("fatal", error.message, { cause: thrown });
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** Commits what is open. False: it was rolled back for want of space. */
  #end(): boolean {
    if (this.#db.isTransaction) {
      this.#commits++;
      try {
        this.#db.exec("COMMIT");
      } catch (thrown) {
        const error = asDatabaseError(thrown, "commit");
        if (error.code !== "full" && error.code !== "busy") {
          this.fatal = new DatabaseError("fatal", error.message, { cause: thrown });
          return true;
        }
        this.#ranOut ||= error.code === "full";
        this.#rollBack();
        return false;
      }
    }
    for (const set of this.#sets) set.committed?.();
    return true;
  }

  #rollBack(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK"); // SQLITE_FULL may have rolled back already
    } catch (thrown) {
      this.fatal = new DatabaseError("fatal", asDatabaseError(thrown, "roll back").message, { cause: thrown });
    }
    for (const set of this.#sets) set.rolledBack?.();
  }

  #runAlone(): void {
    this.#rollBack();
    this.#results = [];
    this.#transfers = [];
    this.#answered = true;
    let busy: string | undefined; // the file is locked by another: every call would wait as long again
    for (const [at, call] of this.#calls.entries()) {
      if (this.fatal !== undefined) return;
      if (busy !== undefined) {
        this.#failures.push({ at, code: "busy", message: busy });
        continue;
      }
      const { name, run, writes } = this.#entries[call.procedure] as Entry;
      try {
        if (writes) this.#db.exec("BEGIN IMMEDIATE");
        this.#results[at] = run(call.args as never, call.bytes);
        if (this.#end()) continue;
        this.#failures.push({ at, code: "full", message: `${name}: no space left` });
      } catch (thrown) {
        this.#rollBack();
        const { code, message } = asDatabaseError(thrown, name);
        if (code === "corrupt") {
          this.fatal = new DatabaseError("fatal", `${message}; ${this.#file} is damaged, and left as it is`, { cause: thrown });
          return;
        }
        this.#ranOut ||= code === "full";
        this.#failures.push({ at, code, message });
        if (code === "busy") busy = message;
      }
      this.#results[at] = undefined;
    }
  }

  #failAll(fatal: DatabaseError): void {
    this.#answered = false;
    this.#transfers = [];
    this.#failures = this.#calls.map((_, at) => ({ at, code: "fatal", message: fatal.message }));
  }
}

function open(settings: WorkerSettings, modules: readonly ProcedureModule[]): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(settings.file, { timeout: BUSY_TIMEOUT_MS });
    const versions = readVersions(db);
    if (versions.size === 0) mustBeAlone(settings);
    for (const { name, migrations } of modules) {
      if ((versions.get(name) ?? 0) > migrations.length) {
        throw new DatabaseError("newer", `${settings.file} was written by a newer version of this program (${name} ${versions.get(name)})`);
      }
    }
    // The page size only takes on a new file, and before the WAL.
    db.exec(`PRAGMA page_size = ${settings.pageSize}`);
    const mode = db.prepare("PRAGMA journal_mode = WAL").get()?.journal_mode;
    if (mode !== "wal") throw new DatabaseError("io", `${settings.file}: no write-ahead log on this file system (journal mode ${mode})`);
    db.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY");
    db.exec(`PRAGMA cache_size = -${Math.ceil(settings.cacheBytes / 1024)}; PRAGMA journal_size_limit = ${settings.checkpointBytes * 2}`);
    migrate(db, modules, versions);
    return db;
  } catch (thrown) {
    db?.close();
    const error = asDatabaseError(thrown, `cannot open ${settings.file}`);
    // Without room for its shared memory SQLite speaks of an I/O error.
    if (errcodeOf(thrown) === SQLITE_IOERR_SHMSIZE) throw new DatabaseError("full", error.message, { cause: thrown });
    throw error;
  }
}

/** An empty database beside what belongs to a full one is not a new one: it is what is left after an accident. */
function mustBeAlone({ file, belongings }: WorkerSettings): void {
  if (belongings === undefined) return;
  const found = existsSync(belongings) ? readdirSync(belongings).length : 0;
  if (found === 0) return;
  const what = found === 1 ? "a file that belongs" : `${found} files that belong`;
  throw new DatabaseError("corrupt", `${file} is missing or empty, but ${belongings} has ${what} to its rows`);
}

function readVersions(db: DatabaseSync): Map<string, number> {
  const versions = new Map<string, number>();
  if (db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'module_version'").get() === undefined) return versions;
  for (const row of db.prepare("SELECT module, version FROM module_version").all()) versions.set(String(row.module), Number(row.version));
  return versions;
}

function migrate(db: DatabaseSync, modules: readonly ProcedureModule[], versions: ReadonlyMap<string, number>): void {
  if (modules.every(({ name, migrations }) => versions.get(name) === migrations.length)) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    db.exec("CREATE TABLE IF NOT EXISTS module_version (module TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID");
    for (const { name, migrations } of modules) {
      for (const sql of migrations.slice(versions.get(name) ?? 0)) db.exec(sql);
      db.prepare("INSERT OR REPLACE INTO module_version VALUES (?, ?)").run(name, migrations.length);
    }
    db.exec("COMMIT");
  } catch (thrown) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw thrown;
  }
}
