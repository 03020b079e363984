/**
 * The database as the rest of the program sees it: named calls whose promises resolve after the sync of the commit that holds them.
 *
 * Rules
 * 1. Calls of one turn of the event loop leave in one post; a promise stands for one call.
 * 2. Calls run in the order in which they were made.
 * 3. After a fatal answer every call, waiting or new, fails with it, and the file is left as it is.
 */
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Transferable, Worker } from "node:worker_threads";
import { DatabaseError } from "./error.ts";
import { syncFolder } from "./folders.ts";
import { type FolderLock, lockFolder } from "./lock.ts";
import type { Caller } from "./procedures.ts";
import type { Answer, FromWorker, ToWorker, WorkerSettings } from "./wire.ts";

export interface DatabaseOptions {
  /** Made if missing, and held for this process until `close`. */
  readonly folder: string;
  /** Name of the file inside the folder. */
  readonly file: string;
  /** Name of a folder inside it for files that rows name: a new database is refused where there are any. */
  readonly belongings?: string;
  /** Modules of procedures, see ProcedureModule. */
  readonly procedures: readonly URL[];
  /** Of a new file. 16 KiB hold three messages of 5 KB, and halve the pages that a commit of many writes. */
  readonly pageSize?: number;
  /** SQLite's page cache. */
  readonly cacheBytes?: number;
  /** Length of the WAL at which it is copied back. Short ones write hot pages more often, long ones take longer to copy. */
  readonly checkpointBytes?: number;
}

export interface Database {
  /** The procedures of one module; `asError` turns what a call fails with into the caller's own error. */
  caller<P>(module: string, asError?: (error: DatabaseError) => Error): Caller<P>;
  /** Called once when a commit failed or the thread died: the process must end. Any number of listeners. */
  onFatal(listener: (error: DatabaseError) => void): void;
  /** Finishes what was called, closes the file, gives the folder back. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  readonly asError: (error: DatabaseError) => Error;
}

const PAGE_SIZE = 16 * 1024;
const CACHE_BYTES = 32 * 1024 * 1024;
const CHECKPOINT_BYTES = 16 * 1024 * 1024;
/** A turn's calls leave at once when their bytes reach this. */
const POST_BYTES = 4 * 1024 * 1024;
/** Arenas are kept for reuse up to this many, and up to this size. */
const SPARE_ARENAS = 4;
const SPARE_ARENA_BYTES = 1024 * 1024;
const SMALLEST_ARENA = 64 * 1024;

/** Opens the file in a thread of its own. Rejects with a DatabaseError: busy, newer, corrupt, full or io. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const lock = lockFolder(options.folder);
  try {
    keepName(options.folder);
    const settings: WorkerSettings = {
      file: join(options.folder, options.file),
      belongings: options.belongings === undefined ? undefined : join(options.folder, options.belongings),
      procedures: options.procedures.map((url) => url.href),
      pageSize: options.pageSize ?? PAGE_SIZE,
      cacheBytes: options.cacheBytes ?? CACHE_BYTES,
      checkpointBytes: options.checkpointBytes ?? CHECKPOINT_BYTES,
    };
    const script = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);
    const worker = new Worker(script, { workerData: settings, name: "database" });
    return new ThreadDatabase(worker, lock, await started(worker), settings.file);
  } catch (thrown) {
    lock.release();
    throw thrown;
  }
}

function keepName(folder: string): void {
  try {
    syncFolder(dirname(resolve(folder)));
  } catch (cause) {
    throw new DatabaseError("io", `cannot sync the folder above ${folder}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function started(worker: Worker): Promise<readonly string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
  const onError = (cause: Error) => reject(new DatabaseError("io", `database thread: ${cause.message}`, { cause }));
  const onExit = () => reject(new DatabaseError("io", "database thread: ended while it opened the file"));
  const onMessage = (message: FromWorker) => {
    if (message.kind === "ready") return resolve(message.names);
    if (message.kind === "refused") reject(new DatabaseError(message.code, message.message));
    worker.terminate();
  };
  worker.once("error", onError).once("exit", onExit).once("message", onMessage);
  // One by one: `removeAllListeners` would take Node's own with them, and no message would ever arrive.
  return promise.finally(() => worker.off("error", onError).off("exit", onExit).off("message", onMessage));
}

class ThreadDatabase implements Database {
  #file: string;
  #worker: Worker;
  #lock: FolderLock;
  #numbers: ReadonlyMap<string, number>;
  #state: "open" | "closing" | "closed" = "open";
  #fatal: DatabaseError | undefined;
  #guard: DatabaseSync | undefined;
  #onFatal: ((error: DatabaseError) => void)[] = [];
  #closed = Promise.withResolvers<void>();
  // The post that is being gathered.
  #calls: unknown[] = [];
  #waiting: Waiting[] = [];
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #flush = () => this.#post();
  // Posts that are not answered, oldest first.
  #posted: Waiting[][] = [];
  #spare: ArrayBuffer[] = [];

  constructor(worker: Worker, lock: FolderLock, names: readonly string[], file: string) {
    this.#file = file;
    this.#worker = worker;
    this.#lock = lock;
    this.#numbers = new Map(names.map((name, number) => [name, number]));
    worker.on("message", (message: FromWorker) => this.#receive(message));
    worker.on("error", (cause) => this.#die(new DatabaseError("fatal", `database thread: ${cause.message}`, { cause })));
    worker.on("exit", () => this.#exited());
  }

  caller<P>(module: string, asError: (error: DatabaseError) => Error = (error) => error): Caller<P> {
    const numbers = new Map<string, number>();
    for (const [name, number] of this.#numbers) {
      if (name.startsWith(`${module}.`)) numbers.set(name.slice(module.length + 1), number);
    }
    return (name, args, chunks) =>
      new Promise((resolve, reject) => {
        const number = numbers.get(name);
        if (number === undefined) reject(asError(new DatabaseError("failed", `no procedure ${module}.${name}`)));
        else this.#call(number, args, chunks, { resolve, reject, asError });
      });
  }

  onFatal(listener: (error: DatabaseError) => void): void {
    this.#onFatal.push(listener);
    if (this.#fatal !== undefined) listener(this.#fatal);
  }

  close(): Promise<void> {
    if (this.#state === "open") {
      this.#state = "closing";
      this.#post();
      if (this.#fatal === undefined) this.#worker.postMessage({ kind: "close" } satisfies ToWorker);
      else this.#worker.terminate();
    }
    return this.#closed.promise;
  }

  #call(number: number, args: unknown, chunks: readonly Uint8Array[] | undefined, waiting: Waiting): void {
    if (this.#fatal !== undefined) return waiting.reject(waiting.asError(this.#fatal));
    if (this.#state !== "open") return waiting.reject(waiting.asError(new DatabaseError("closed", "the database is closed")));
    let length = 0;
    if (chunks !== undefined) {
      for (const chunk of chunks) {
        this.#chunks.push(chunk);
        length += chunk.length;
      }
      this.#bytes += length;
    }
    // After the sockets of this turn have been read: their calls share a post.
    if (this.#waiting.length === 0) setImmediate(this.#flush);
    this.#waiting.push(waiting);
    this.#calls.push(number, args, length);
    if (this.#bytes >= POST_BYTES) this.#post();
  }

  #post(): void {
    if (this.#waiting.length === 0 || this.#fatal !== undefined) return;
    const arena = this.#bytes === 0 ? undefined : this.#arena(this.#bytes);
    if (arena !== undefined) {
      const target = new Uint8Array(arena);
      let at = 0;
      for (const chunk of this.#chunks) {
        target.set(chunk, at);
        at += chunk.length;
      }
    }
    const transfers: Transferable[] = arena === undefined ? [] : [arena];
    this.#worker.postMessage({ kind: "calls", calls: this.#calls, arena } satisfies ToWorker, transfers);
    this.#posted.push(this.#waiting);
    this.#calls = [];
    this.#waiting = [];
    this.#chunks = [];
    this.#bytes = 0;
  }

  #arena(size: number): ArrayBuffer {
    const fits = this.#spare.findIndex((arena) => arena.byteLength >= size);
    if (fits >= 0) return this.#spare.splice(fits, 1)[0] as ArrayBuffer;
    let room = SMALLEST_ARENA;
    while (room < size) room *= 2;
    return Buffer.allocUnsafeSlow(room).buffer as ArrayBuffer; // not zeroed
  }

  #receive(message: FromWorker): void {
    if (message.kind === "answer") this.#answer(message);
    else if (message.kind === "closed") this.#state = "closed";
  }

  #answer(answer: Answer): void {
    for (const arena of answer.arenas) {
      if (this.#spare.length < SPARE_ARENAS && arena.byteLength <= SPARE_ARENA_BYTES) this.#spare.push(arena);
    }
    let at = 0;
    let failure = 0;
    for (const waiting of this.#posted.splice(0, answer.posts)) {
      for (const call of waiting) {
        const failed = answer.failures?.[failure];
        if (failed !== undefined && failed.at === at) {
          failure++;
          call.reject(call.asError(new DatabaseError(failed.code, failed.message)));
        } else call.resolve(answer.results?.[at] as never);
        at++;
      }
    }
    if (answer.fatal !== undefined) this.#die(new DatabaseError("fatal", answer.fatal));
  }

  #exited(): void {
    if (this.#state === "open" || this.#posted.length > 0) this.#die(new DatabaseError("fatal", "the database thread ended"));
    this.#state = "closed";
    this.#lock.release();
    this.#closed.resolve();
  }

  /**
   * SQLite copies the log back when the last connection is closed, such as by the end of its thread, and removes it. After a failed sync
   * none of that may be done: it would sync again, be told that all is well, and throw away what is good. So one more connection stays
   * open until the process ends.
   */
  #keepLog(): void {
    try {
      this.#guard = new DatabaseSync(this.#file, { readOnly: true, timeout: 0 });
      this.#guard.prepare("SELECT 1 FROM sqlite_master").get();
    } catch {
      // What cannot be opened cannot be closed by others either.
    }
  }

  #die(error: DatabaseError): void {
    if (this.#fatal !== undefined) return;
    this.#fatal = error;
    this.#keepLog();
    for (const waiting of [...this.#posted.flat(), ...this.#waiting]) waiting.reject(waiting.asError(error));
    this.#posted = [];
    this.#waiting = [];
    this.#calls = [];
    this.#chunks = [];
    for (const listener of this.#onFatal) listener(error);
  }
}
