/**
 * Suspensions in SQLite: rows of `suspension`, in the database thread.
 *
 * Rules
 * 1. Part of the commit of whoever calls.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Row } from "./sqlite-schema.ts";
import type { Suspension } from "./store.ts";

/** In the order of the columns. */
export type SuspensionColumns = readonly [kind: Suspension["kind"], value: string, reason: string, until: number | null, made: number];

export interface SuspensionProcedures {
  suspensions(now: number): readonly Row[];
  suspend(row: SuspensionColumns): void;
  resume(key: readonly [kind: Suspension["kind"], value: string]): boolean;
}

export function encodeSuspension({ kind, value, reason, until, made }: Suspension): SuspensionColumns {
  return [kind, value, reason, until ?? null, made];
}

export function decodeSuspension({ kind, value, reason, until, made }: Row): Suspension {
  return {
    kind: kind as Suspension["kind"],
    value: value as string,
    reason: reason as string,
    made: made as number,
    ...(until === null ? {} : { until: until as number }),
  };
}

export class SuspensionRows {
  readonly #all: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;

  constructor(db: DatabaseSync) {
    this.#all = db.prepare("SELECT * FROM suspension WHERE until IS NULL OR until > ? ORDER BY kind, value");
    this.#put = db.prepare("INSERT OR REPLACE INTO suspension (kind, value, reason, until, made) VALUES (?, ?, ?, ?, ?)");
    this.#remove = db.prepare("DELETE FROM suspension WHERE kind = ? AND value = ?");
  }

  reads(): Pick<SuspensionProcedures, "suspensions"> {
    return { suspensions: (now) => this.#all.all(now) as Row[] };
  }

  writes(): Omit<SuspensionProcedures, "suspensions"> {
    return {
      suspend: (row) => void this.#put.run(...row),
      resume: (key) => this.#remove.run(...key).changes !== 0,
    };
  }
}
