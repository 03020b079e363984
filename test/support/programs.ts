/**
 * Programs of others that tests run: where they are, why a test is skipped without them, and how they are run.
 *
 * Rules
 * 1. A program is taken from the PATH or from a Debian package that was only unpacked, below POSTRIDER_DEBS.
 * 2. POSTRIDER_REQUIRE_INTEROP=1 (set by .ci/run): what is missing fails the test file instead of skipping its tests.
 * 3. Every child that is started ends with its test.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { describe, it } from "node:test";
import type { Cleanup } from "./temp-folder.ts";

/** Where .ci/unpack-servers puts packages that exclude one another, each in a folder of its own. */
export const unpackedFolder = process.env.POSTRIDER_DEBS ?? "/var/tmp/postrider-debs";
const required = process.env.POSTRIDER_REQUIRE_INTEROP === "1";

/** For a program as a whole, in milliseconds: what hangs is named, not waited for. */
const RUN_TIMEOUT = 60_000;
/** Characters of output that are kept. */
const OUTPUT_LIMIT = 1024 * 1024;

/** The path of a program, or `undefined` where it is not installed. */
export function findProgram(name: string): string | undefined {
  const onPath = (process.env.PATH ?? "").split(":").filter((folder) => folder !== "");
  const folders = [...onPath, "/usr/sbin", "/sbin", ...unpacked().map((root) => join(root, "usr/sbin"))];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function unpacked(): string[] {
  try {
    return readdirSync(unpackedFolder).map((name) => join(unpackedFolder, name));
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** For node:test's `skip`: false where all of it is there, else the reason. Throws where interop tests are required. */
export function skipWithout(...programs: readonly string[]): string | false {
  return skipFor(programs.filter((name) => findProgram(name) === undefined).map((name) => `${name} is not installed`));
}

/** The same for needs of other kinds, each as a sentence. */
export function skipFor(missing: readonly string[]): string | false {
  if (missing.length === 0) return false;
  const reason = `${missing.join(", ")} (.ci/run says what to install)`;
  if (required) throw new Error(`interop tests are required (POSTRIDER_REQUIRE_INTEROP=1), but ${reason}`);
  return reason;
}

/** A suite, or where something is missing one skipped test in its place: the runner does not count the tests of a skipped suite. */
export function describeUnless(missing: string | false, name: string, body: () => void): void {
  if (missing === false) describe(name, body);
  else it(name, { skip: missing }, () => {});
}

/** Whether this machine has that user or group, in words where not. */
export function missingAccount(kind: "passwd" | "group", name: string): string[] {
  const known = readFileSync(`/etc/${kind}`, "utf8").split("\n");
  return known.some((line) => line.startsWith(`${name}:`)) ? [] : [`there is no ${kind === "passwd" ? "user" : "group"} ${name}`];
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  /** Beside the environment of the test. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs a program to its end; rejects where it cannot be started or takes too long. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(findProgram(program) ?? program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin.on("error", () => {}); // it may end without reading all of it
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${program} did not end within ${RUN_TIMEOUT / 1000} s: ${stdout()}${stderr()}`));
    }, RUN_TIMEOUT);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout: stdout(), stderr: stderr() });
    });
  });
}

/** Runs a program that must succeed; the error bears what it said. */
export async function runWell(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const ran = await run(program, args, options);
  if (ran.code !== 0) throw new Error(`${program} ended with ${ran.code}:\n${ran.stdout}\n${ran.stderr}`);
  return ran;
}

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Starts a program that runs beside the test, in a process group of its own; after the test the group is ended. */
export function start(t: Cleanup, program: string, args: readonly string[], options: RunOptions = {}): Child {
  const child = spawn(findProgram(program) ?? program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  child.stdin.on("error", () => {});
  if (child.pid !== undefined) remember(child.pid);
  t.after(() => endGroup(child));
  return child;
}

/** Groups that run. The runner ends a test file that takes too long with SIGTERM: they go with it. */
const groups = new Set<number>();

function remember(pid: number): void {
  if (groups.size === 0) process.once("SIGTERM", endAllGroups);
  groups.add(pid);
}

function endAllGroups(): void {
  for (const pid of groups) signalGroup(pid, "SIGKILL");
  process.exit(143);
}

async function endGroup(child: Child): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  const closed = new Promise<void>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
  signalGroup(pid, "SIGTERM");
  const timer = setTimeout(() => signalGroup(pid, "SIGKILL"), 5000);
  await closed;
  clearTimeout(timer);
  signalGroup(pid, "SIGKILL"); // what it left behind
  groups.delete(pid);
  if (groups.size === 0) process.off("SIGTERM", endAllGroups);
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already.
  }
}

/** Keeps what a stream says, up to a limit. */
export function collect(stream: Readable): () => string {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    if (text.length < OUTPUT_LIMIT) text += chunk;
  });
  return () => text;
}
