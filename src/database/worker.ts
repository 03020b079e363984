/**
 * The database thread: takes in all that waits, runs it in one commit, answers it in one message.
 *
 * Rules
 * 1. Everything posted while a commit was syncing goes into the next one, within the limits below.
 * 2. An answer is sent after the sync of the commit that holds it.
 */
import { parentPort, receiveMessageOnPort, type Transferable, workerData } from "node:worker_threads";
import { Engine, type PendingCall } from "./engine.ts";
import { asDatabaseError } from "./error.ts";
import type { ProcedureModule } from "./procedures.ts";
import type { FromWorker, Post, ToWorker, WorkerSettings } from "./wire.ts";

/** A commit takes in no more posts once it holds this much. */
const CALLS_PER_COMMIT = 2000;
const BYTES_PER_COMMIT = 16 * 1024 * 1024;
const NOTHING = new Uint8Array(0);

if (parentPort === null) throw new Error("this file runs as a worker thread");
const port = parentPort;

function send(message: FromWorker, transfers: readonly Transferable[] = []): void {
  port.postMessage(message, transfers);
}

async function load(url: string): Promise<ProcedureModule> {
  const module: ProcedureModule = await import(url);
  return module;
}

function callsOf(post: Post): PendingCall[] {
  const calls: PendingCall[] = [];
  let at = 0;
  for (let i = 0; i < post.calls.length; i += 3) {
    const length = post.calls[i + 2] as number;
    const bytes = post.arena === undefined ? NOTHING : new Uint8Array(post.arena, at, length);
    calls.push({ procedure: post.calls[i] as number, args: post.calls[i + 1], bytes });
    at += length;
  }
  return calls;
}

/** Runs `first` and all that waits behind it. True: asked to close. */
function turn(engine: Engine, first: ToWorker): boolean {
  let next: ToWorker | undefined = first;
  let posts = 0;
  let calls = 0;
  let bytes = 0;
  const arenas: ArrayBuffer[] = [];
  while (next !== undefined && next.kind === "calls") {
    const run = callsOf(next);
    posts++;
    calls += run.length;
    if (next.arena !== undefined) {
      bytes += next.arena.byteLength;
      arenas.push(next.arena);
    }
    engine.run(run);
    next = calls < CALLS_PER_COMMIT && bytes < BYTES_PER_COMMIT ? waiting() : undefined;
  }
  if (posts > 0) {
    const { results, failures, transfers } = engine.commit();
    send({ kind: "answer", posts, results, failures, arenas, fatal: engine.fatal?.message }, [...arenas, ...transfers]);
    engine.checkpoint();
  }
  return next?.kind === "close";
}

function waiting(): ToWorker | undefined {
  return (receiveMessageOnPort(port) as { message: ToWorker } | undefined)?.message;
}

function close(engine: Engine): void {
  engine.close();
  send({ kind: "closed" });
  port.close();
}

try {
  const settings = workerData as WorkerSettings;
  const engine = new Engine(settings, await Promise.all(settings.procedures.map(load)));
  port.on("message", (first: ToWorker) => {
    if (turn(engine, first)) close(engine);
  });
  send({ kind: "ready", names: engine.names });
} catch (thrown) {
  const { code, message } = asDatabaseError(thrown, "database thread");
  send({ kind: "refused", code, message });
}
