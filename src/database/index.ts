/** The SQLite thread with its group commit, and the PostgreSQL pool with its own: they know rows, not mail. */
export { type Database, type DatabaseOptions, openDatabase } from "./database.ts";
export { DatabaseError, type DatabaseErrorCode } from "./error.ts";
export { type FolderLock, lockFolder } from "./lock.ts";
export type { Caller, ProcedureHost, ProcedureModule, ProcedureSet, SqlValue } from "./procedures.ts";
// PostgreSQL is not named here: who keeps his queue in SQLite does not load it. Import `./postgres.ts` and its neighbours.
