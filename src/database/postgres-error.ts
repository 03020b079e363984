/**
 * What can go wrong with PostgreSQL, as a DatabaseError.
 *
 * Rules
 * 1. An error that the server sent with an SQLSTATE rolled the statement back: nothing was kept. Anything else after a statement has left
 *    (a lost connection, a time-out, a server that shuts down) is `unknown`: it may have been committed, and nobody may say that it was not.
 * 2. `again` marks what can be repeated as it is, nothing having been kept: a deadlock, a serialization failure, a prepared statement that the
 *    server does not know (a pooler has changed the connection) or whose tables have changed under it.
 */
import { DatabaseError, type DatabaseErrorCode } from "./error.ts";

export class PostgresError extends DatabaseError {
  override readonly name = "PostgresError";
  /** What the statement did is not known. */
  readonly unknown: boolean;
  /** The connection is not to be used again. */
  readonly lost: boolean;
  /** The same statement may be sent again at once. */
  readonly again: boolean;

  constructor(
    code: DatabaseErrorCode,
    message: string,
    traits: Partial<Pick<PostgresError, "unknown" | "lost" | "again">>,
    cause?: unknown,
  ) {
    super(code, message, { cause });
    this.unknown = traits.unknown ?? false;
    this.lost = traits.lost ?? false;
    this.again = traits.again ?? false;
  }
}

/** `connecting`: no statement has left yet. */
export type Phase = "connecting" | "sent";

/** The PostgresError for whatever `pg` threw; `during` begins the message. */
export function asPostgresError(thrown: unknown, during: string, phase: Phase): PostgresError {
  if (thrown instanceof PostgresError) return thrown;
  const text = describe(thrown);
  if (thrown instanceof DatabaseError) return new PostgresError(thrown.code, thrown.message, {}, thrown);
  const state = sqlState(thrown);
  const message = `${during}: ${text}${state === undefined ? "" : ` (${state})`}`;
  if (state === "40001" || state === "40P01") return new PostgresError("io", message, { again: true }, thrown);
  const stale = state === "26000" || state === "42P05" || (state === "0A000" && text.includes("cached plan"));
  if (stale) return new PostgresError("io", message, { lost: true, again: true }, thrown);
  // A read-only server (25006), such as a former primary, has done nothing; the next connection may find the new one.
  if (state === "25006") return new PostgresError("io", message, { lost: true }, thrown);
  // 57P01 and its like may arrive after the commit.
  const lost = state === undefined || state.startsWith("08") || state.startsWith("57P");
  return new PostgresError(codeOf(state), message, { unknown: phase === "sent" && lost, lost }, thrown);
}

/** The five characters of Appendix A of the PostgreSQL manual; Node's own codes (ECONNRESET) look otherwise. */
function sqlState(thrown: unknown): string | undefined {
  const code = typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : undefined;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && "severity" in (thrown as object) ? code : undefined;
}

function describe(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return thrown.errors.map(describe).join("; ");
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function codeOf(state: string | undefined): DatabaseErrorCode {
  if (state === undefined) return "io";
  if (state === "53100") return "full";
  if (state === "XX001" || state === "XX002") return "corrupt";
  // What is wrong with the statement or its values is a defect of ours; all else is the server's condition.
  return /^(?:0A|21|22|23|42|54)/.test(state) ? "failed" : "io";
}
