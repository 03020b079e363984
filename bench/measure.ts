/**
 * One run of one contender: a fresh process in a fresh folder, warmed up, then timed.
 *
 * Rules
 * 1. The warm-up is a quarter of the load, the same for every contender; it is not timed.
 * 2. Each load ends by itself or at its limit; a run that does not end is an error, never a figure.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { freePort, greeted } from "./child.ts";
import type { Contender } from "./servers/server.ts";
import { type PostfixFiles, type Sink, sendAll, startSink, startTarpit } from "./tools.ts";

export interface Setting {
  readonly files: PostfixFiles;
  /** Where folders of runs are made; on the disk that is measured. */
  readonly folder: string;
  readonly count: number;
}

export interface Figure {
  /** Messages a second. */
  readonly rate: number;
  /** Megabytes that the server's processes hold when the load has ended. */
  readonly memory: number;
  /** Microseconds of processor time for each message of the load. */
  readonly cpu: number;
}

/** What takes part in a benchmark. */
export interface Run {
  readonly name: string;
  readonly version: string;
  /** How many of `count` messages it gets. */
  readonly share: number;
  measure(setting: Setting): Promise<Figure>;
}

/** `-s 64 -l 5120` of targets P1 to P3. */
const SESSIONS = 64;
const SIZE = 5120;
const LIMIT = 120_000;

/** Messages a second that get their 250, while the next hop takes connections and says nothing. */
export async function accepting(contender: Contender, setting: Setting): Promise<Figure> {
  return inFolder(setting, async (folder) => {
    const hop = await startTarpit();
    return running(contender, folder, hop, setting, (port, count) => send(setting, folder, port, count));
  });
}

/** Messages a second from the first connection until smtp-sink has them all. */
export async function endToEnd(contender: Contender, setting: Setting): Promise<Figure> {
  return inFolder(setting, async (folder) => {
    const hop = await startSink(setting.files, folder);
    let sent = 0;
    return running(contender, folder, hop, setting, async (port, count) => {
      sent += count;
      await send(setting, folder, port, count);
      await hop.reached(sent, LIMIT);
    });
  });
}

function send({ files }: Setting, folder: string, port: number, count: number): Promise<void> {
  return sendAll(files, { count, port, sessions: SESSIONS, size: SIZE }, folder, LIMIT);
}

export async function inFolder<T>({ folder }: Setting, work: (folder: string) => Promise<T>): Promise<T> {
  const own = mkdtempSync(join(folder, "run-"));
  chmodSync(own, 0o755); // Postfix's processes are other users
  try {
    return await work(own);
  } finally {
    rmSync(own, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function running(
  contender: Contender,
  folder: string,
  hop: Sink,
  setting: Setting,
  load: (port: number, count: number) => Promise<void>,
): Promise<Figure> {
  const port = await freePort();
  const count = Math.ceil(setting.count * contender.share);
  const child = contender.start({ folder, port, nextHop: hop.port });
  try {
    await greeted(child, port);
    await load(port, Math.ceil(count / 4));
    const before = child.usage;
    const begun = performance.now();
    await load(port, count);
    const took = performance.now() - begun;
    const { memory, cpu } = child.usage;
    return { rate: (count / took) * 1000, memory, cpu: ((cpu - before.cpu) / count) * 1000 };
  } catch (error) {
    throw new Error(`${contender.name}: ${error instanceof Error ? error.message : error}\n${child.lastWords}`);
  } finally {
    // A queue that is held off would be waited for, and nothing of it is needed any more; Postfix ends its children by SIGTERM.
    await child.stop(process.env.POSTRIDER_BENCH_PROFILE === undefined && contender.name !== "Postfix" ? "SIGKILL" : "SIGTERM");
    await hop.stop();
  }
}
