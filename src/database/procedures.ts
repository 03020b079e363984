/**
 * Procedures: what higher floors have the database thread do, one call at a time, inside its commits.
 *
 * Rules
 * 1. A module of procedures is loaded in the thread by its URL; it exports `name`, `migrations` and `procedures`.
 * 2. A procedure may be run twice: when one call of a commit throws, all are rolled back and run again one by one. State that a module keeps
 *    beside the rows is put back in `rolledBack`.
 * 3. Migrations are never changed once released, only added to: their count is the version that is written into the store.
 */
import type { DatabaseSync } from "node:sqlite";

/** What a column takes and gives here. */
export type SqlValue = string | number | null | Uint8Array;

/** `bytes` is what was passed beside the arguments, valid during the call only. The result is cloned to the other thread. */
export type Procedure = (args: never, bytes: Uint8Array) => unknown;

export interface ProcedureSet {
  /** Change no row: run without a write transaction where no write came with them. */
  readonly reads: Readonly<Record<string, Procedure>>;
  readonly writes: Readonly<Record<string, Procedure>>;
  /** The calls since the last of these two are on disk. */
  committed?(): void;
  /** The calls since the last of these two have not happened. */
  rolledBack?(): void;
}

/** What the thread offers to a module. */
export interface ProcedureHost {
  readonly db: DatabaseSync;
  /** Hands the bytes of a result over instead of copying them. They must own their buffer and be part of the result. */
  transfer(bytes: Uint8Array): void;
}

export interface ProcedureModule {
  /** Prefix of its procedures and its name in the table of versions. */
  readonly name: string;
  readonly migrations: readonly string[];
  procedures(host: ProcedureHost): ProcedureSet;
}

export type ArgumentsOf<F> = F extends (args: infer A, ...rest: never[]) => unknown ? A : never;
export type ResultOf<F> = F extends (...args: never[]) => infer R ? R : never;

/** Calls the procedures of one module. `chunks` are joined into the procedure's `bytes`; they must not change until the turn ends. */
export type Caller<P> = <K extends keyof P & string>(
  name: K,
  args: ArgumentsOf<P[K]>,
  chunks?: readonly Uint8Array[],
) => Promise<ResultOf<P[K]>>;
