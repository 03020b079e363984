/** The SQLite thread with its group commit: knows rows, not mail. */
export { type Database, type DatabaseOptions, openDatabase } from "./database.ts";
export { DatabaseError, type DatabaseErrorCode } from "./error.ts";
export { type FolderLock, lockFolder } from "./lock.ts";
export type { Caller, ProcedureHost, ProcedureModule, ProcedureSet, SqlValue } from "./procedures.ts";
