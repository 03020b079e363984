/**
 * What can go wrong with a database, by what the caller can do about it.
 *
 * Rules
 * 1. A failed commit that is not for want of space is `fatal`: after a failed sync nobody knows what is on disk, so it is never retried.
 */

/**
 * full: no space left; nothing of the call was kept, later calls may succeed.
 * busy: another process holds the folder or the file.
 * newer: written by a newer version; nothing was touched.
 * corrupt: what is there cannot be read as a database.
 * io: the file could not be opened, read or written; nothing of the call was kept.
 * unsafe: the database's settings would lose what was committed; nothing was touched.
 * failed: the procedure threw: a defect of ours, or a constraint. Nothing of the call was kept.
 * fatal: a commit or its sync failed, or the thread is gone. Nothing can be done with this database any more.
 * closed: called after `close`.
 */
export type DatabaseErrorCode = "full" | "busy" | "newer" | "corrupt" | "io" | "unsafe" | "failed" | "fatal" | "closed";

export class DatabaseError extends Error {
  override readonly name: string = "DatabaseError";
  readonly code: DatabaseErrorCode;

  constructor(code: DatabaseErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

// Primary result codes of SQLite: the low eight bits of `errcode`.
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;
/** An extended code. */
export const SQLITE_IOERR_SHMSIZE = 10 | (19 << 8);

/** The DatabaseError for whatever was thrown; `during` begins the message. */
export function asDatabaseError(thrown: unknown, during: string): DatabaseError {
  if (thrown instanceof DatabaseError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new DatabaseError(codeOf(thrown), `${during}: ${text}`, { cause: thrown });
}

/** SQLite's extended result code, where the error has one. */
export function errcodeOf(thrown: unknown): number | undefined {
  const errcode = typeof thrown === "object" && thrown !== null && "errcode" in thrown ? thrown.errcode : undefined;
  return typeof errcode === "number" ? errcode : undefined;
}

function codeOf(thrown: unknown): DatabaseErrorCode {
  const errcode = errcodeOf(thrown);
  if (errcode === undefined) return "failed";
  switch (errcode & 0xff) {
    case SQLITE_FULL:
      return "full";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "busy";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "corrupt";
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return "io";
    default:
      return "failed";
  }
}
