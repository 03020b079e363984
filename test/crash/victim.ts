/**
 * The real server as a process that can be killed at any point: `postrider serve`, with the shim in it.
 *
 * Rules
 * 1. It is the program as it is; only libc's functions have the shim before them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connectControl } from "../../src/admin/control-client.ts";
import type { Cleanup } from "../support/temp-folder.ts";
import { arm, compileShim, disarm, shimEnvironment } from "./shim.ts";

const program = fileURLToPath(new URL("../../bin/postrider.js", import.meta.url));
/** Milliseconds for a start, or an end: what hangs is named, not waited for. */
const LIMIT = 60_000;

/** A server on a free port of 127.0.0.1 that takes anything for crash.test and hands it to the next hop. */
export function writeConfig(path: string, { data, hopPort, minimumFree }: { data: string; hopPort: number; minimumFree: string }): void {
  writeFileSync(
    path,
    `hostname = "mail.crash.test"
data = ${JSON.stringify(data)}
[listen]
smtp = ["127.0.0.1:0"]
[domains]
local = ["crash.test"]
recipients = ["*@crash.test"]
[delivery]
retry = ["1s"]
[limits]
drain = "1s"
[log]
format = "json"
[queue]
minimum_free = ${JSON.stringify(minimumFree)}
[[route]]
domain = "*"
to = "smtp://127.0.0.1:${hopPort}"
tls = "none"
`,
  );
}

/** Places on disk that outlive the server. */
export class Stage {
  readonly folder: string;
  readonly data: string;
  readonly journal: string;
  readonly config: string;
  readonly hopPort: number;
  readonly #arm: string;
  readonly #library: string;

  /** `data` is where the data folder is, if not below `folder`. */
  constructor(folder: string, hopPort: number, { data = join(folder, "data"), minimumFree = "1MB" } = {}) {
    this.folder = folder;
    this.data = data;
    this.hopPort = hopPort;
    this.journal = join(folder, "journal");
    this.config = join(folder, "postrider.toml");
    this.#arm = join(folder, "arm");
    mkdirSync(folder, { recursive: true });
    this.#library = compileShim(folder);
    writeConfig(this.config, { data, hopPort, minimumFree });
  }

  /** Starts the server and waits until it is ready; its journal begins anew. */
  async start(
    t: Cleanup,
    options: { readonly noSync?: boolean; readonly armed?: readonly [point: string, nth: number] } = {},
  ): Promise<Victim> {
    const victim = this.launch(t, options);
    await victim.ready();
    return victim;
  }

  /** Starts it without waiting. */
  launch(
    t: Cleanup,
    { noSync, armed }: { readonly noSync?: boolean; readonly armed?: readonly [point: string, nth: number] } = {},
  ): Victim {
    rmSync(this.journal, { force: true });
    disarm(this.#arm);
    if (armed !== undefined) this.arm(...armed);
    const { data, journal, hopPort } = this;
    const env = shimEnvironment(this.#library, { data, journal, hopPort, arm: this.#arm, ...(noSync === undefined ? {} : { noSync }) });
    return new Victim(t, this.config, env);
  }

  /** From now on the running server kills itself at the `nth` passing of the point. */
  arm(point: string, nth: number): void {
    arm(this.#arm, point, nth);
  }

  /** Resolves once the queue is empty and nothing is under way; false after `limit` milliseconds. */
  async drained(limit: number): Promise<boolean> {
    if (!existsSync(this.data)) return false;
    const control = await connectControl(this.data);
    if (control === undefined) return false;
    try {
      for (const until = Date.now() + limit; Date.now() < until; await new Promise((resolve) => setTimeout(resolve, 20))) {
        const { queue } = await control.call("status", {});
        if (queue.messages === 0) return true;
      }
      return false;
    } finally {
      await control.close();
    }
  }
}

/** Victims that run. The runner ends a test file that takes too long with SIGTERM: they go with it. */
const alive = new Set<ChildProcess>();

function goTogether(child: ChildProcess): void {
  if (process.listenerCount("SIGTERM") === 0) {
    process.once("SIGTERM", () => {
      for (const each of alive) each.kill("SIGKILL");
      process.exit(143);
    });
  }
  alive.add(child);
  child.once("close", () => alive.delete(child));
}

export class Victim {
  readonly child: ChildProcess;
  /** How it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  text = "";
  port = 0;
  /** Milliseconds from its start until it was ready. */
  startTook = 0;
  readonly #started = performance.now();
  #look: () => void = () => {};

  constructor(t: Cleanup, config: string, env: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, [program, "serve", "--config", config], {
      env: { ...process.env, NO_COLOR: "1", POSTRIDER_CONFIG: "", ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    goTogether(this.child);
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
      this.#look();
    });
    this.ended = new Promise((resolve) => this.child.once("close", (code, signal) => resolve({ code, signal })));
    t.after(() => this.end("SIGKILL").then(() => {}));
  }

  async ready(): Promise<void> {
    const ready = new Promise<boolean>((resolve) => {
      this.#look = () => {
        const port = /"listening":"smtp 127\.0\.0\.1:(\d+)".*"message":"ready"/.exec(this.text)?.[1];
        if (port === undefined) return;
        this.port = Number(port);
        this.startTook = performance.now() - this.#started;
        this.#look = () => {};
        resolve(true);
      };
      this.#look();
    });
    const failed = this.ended.then(() => false);
    if (!(await this.within(Promise.race([ready, failed]), "start"))) throw new Error(`it did not start:\n${this.text}`);
  }

  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }> {
    this.child.kill(signal);
    return this.within(this.ended, "end");
  }

  async within<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it did not ${what} within ${LIMIT / 1000} s:\n${this.text}`)), LIMIT);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }
}
