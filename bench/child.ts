/**
 * Processes that the bench starts, and what it needs to know of them.
 *
 * Rules
 * 1. Only what was started here is ended here, by its process id; each has its own process group, so that its children end with it.
 * 2. Output goes into a file of the run's folder: reading a pipe would cost time on the cores that are measured.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds for a server to greet, and to end after SIGTERM. */
const START_LIMIT = 15_000;
const STOP_LIMIT = 12_000;
const POLL = 20;
/** Linux counts the time of processes in hundredths of a second, whatever the machine. */
const MILLISECONDS_PER_TICK = 10;

export interface Usage {
  /** Megabytes of their own: what processes share, such as their code, is not counted. */
  readonly memory: number;
  /** Milliseconds of processor time, of children that have ended too. */
  readonly cpu: number;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Where standard output and standard error go. */
  readonly log: string;
}

const alive = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of alive) kill(child, "SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

export class Child {
  readonly #child: ChildProcess;
  readonly #log: string;

  constructor({ file, args, cwd, env, log }: Command) {
    const fd = openSync(log, "a");
    this.#log = log;
    this.#child = spawn(file, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
      stdio: ["ignore", fd, fd],
      detached: true,
    });
    closeSync(fd);
    alive.add(this.#child);
    this.#child.on("error", () => alive.delete(this.#child));
    this.#child.on("exit", () => alive.delete(this.#child));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  /** The last lines that it wrote. */
  get lastWords(): string {
    return readFileSync(this.#log, "utf8")
      .trim()
      .split(/[\n\r]/)
      .slice(-5)
      .join("\n");
  }

  /** What it and its children hold and have used up to now. */
  get usage(): Usage {
    let own = 0;
    let ticks = 0;
    for (const entry of readdirSync("/proc")) {
      const stat = /^\d+$/.test(entry) ? statOf(entry) : undefined;
      if (stat === undefined || stat[2] !== this.#child.pid) continue;
      own += ownMemory(entry);
      for (const each of stat.slice(11, 15)) ticks += each;
    }
    return { memory: Math.round(own / 1024), cpu: ticks * MILLISECONDS_PER_TICK };
  }

  /** Resolves when the process has ended by itself; rejects where its code is not 0 or the limit (milliseconds) is passed. */
  async ended(limit: number): Promise<void> {
    const timer = setTimeout(() => kill(this.#child, "SIGKILL"), limit);
    if (this.running) await once(this.#child, "exit");
    clearTimeout(timer);
    if (this.#child.exitCode !== 0) throw new Error(`${this.#child.spawnfile} ended with ${this.#child.exitCode}: ${this.lastWords}`);
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    if (!this.running) return;
    const exited = once(this.#child, "exit");
    this.#child.kill(signal);
    const timer = setTimeout(() => kill(this.#child, "SIGKILL"), STOP_LIMIT);
    await exited;
    clearTimeout(timer);
    kill(this.#child, "SIGKILL"); // what is left of its group
  }
}

/** The fields of /proc/PID/stat behind the command: state, parent, process group, ... (proc(5)); `undefined` where it has ended. */
function statOf(pid: string): number[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
  } catch {
    return undefined;
  }
}

/** Kilobytes. */
function ownMemory(pid: string): number {
  try {
    return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function kill(child: ChildProcess, signal: "SIGKILL"): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // Nothing of it is left.
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves once something greets with 220 there. */
export async function greeted(child: Child, port: number): Promise<void> {
  const ends = Date.now() + START_LIMIT;
  while (Date.now() < ends && child.running) {
    if (await greets(port)) return;
    await sleep(POLL);
  }
  throw new Error(`no greeting on port ${port}: ${child.lastWords}`);
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.setTimeout(1000, () => socket.destroy());
    socket.once("data", (data) => {
      resolve(data.toString("latin1").startsWith("220"));
      socket.end("QUIT\r\n");
    });
    socket.once("error", () => {});
    socket.once("close", () => resolve(false));
  });
}
