/**
 * What the two threads say to one another.
 *
 * Rules
 * 1. Calls are numbered by their order alone: answers come in the order of the posts, one entry for each call.
 * 2. Content travels in one arena for a post, which is handed over and handed back, never cloned.
 */
import type { DatabaseErrorCode } from "./error.ts";

export interface WorkerSettings {
  readonly file: string;
  readonly belongings: string | undefined;
  readonly procedures: readonly string[];
  readonly pageSize: number;
  readonly cacheBytes: number;
  readonly checkpointBytes: number;
}

/** One post: the calls of a turn. */
export interface Post {
  readonly kind: "calls";
  /** Three entries a call: the procedure's number, its arguments, the length of its bytes in the arena. */
  readonly calls: readonly unknown[];
  readonly arena: ArrayBuffer | undefined;
}

export type ToWorker = Post | { readonly kind: "close" };

export interface Failure {
  /** Which call, counted from the first of the answer. */
  readonly at: number;
  readonly code: DatabaseErrorCode;
  readonly message: string;
}

/** Answers one or more posts: the commit that held them is synced. */
export interface Answer {
  readonly kind: "answer";
  /** Posts answered. */
  readonly posts: number;
  /** Results by call; left out where all are `undefined`. */
  readonly results: readonly unknown[] | undefined;
  readonly failures: readonly Failure[] | undefined;
  readonly arenas: readonly ArrayBuffer[];
  /** Set when the database is not to be used any more. */
  readonly fatal: string | undefined;
}

export type FromWorker =
  | { readonly kind: "ready"; readonly names: readonly string[] }
  | { readonly kind: "refused"; readonly code: DatabaseErrorCode; readonly message: string }
  | { readonly kind: "closed" }
  | Answer;
