/** Starts `bin/postrider` as a child process and ends it with the test. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Cleanup } from "../support/temp-folder.ts";

const postrider = fileURLToPath(new URL("../../bin/postrider", import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const environment = { ...process.env, NO_COLOR: "1", POSTRIDER_CONFIG: "", POSTRIDER_PASSWORD: "" };

/** Runs a command to its end; `input` goes to its standard input. */
export async function run(args: readonly string[], input = "", command = postrider): Promise<Finished> {
  const child = spawn(command, args, { env: environment });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

/** A server that runs until the test ends. */
export class Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Set<() => void>();
  readonly #closed: Promise<number | null>;
  text = "";

  /** `within` is a program that is given ours to start, such as `ip netns exec`. */
  constructor(t: Cleanup, args: readonly string[], within: readonly string[] = []) {
    const [command, ...rest] = [...within, postrider, ...args] as [string, ...string[]];
    this.child = spawn(command, rest, { env: environment });
    const take = (chunk: Buffer): void => {
      this.text += chunk.toString();
      for (const look of this.#waiting) look();
    };
    this.child.stdout.on("data", take);
    this.child.stderr.on("data", take);
    this.#closed = once(this.child, "close").then(([code]) => code as number | null);
    void this.#closed.then(() => {
      for (const look of this.#waiting) look();
    });
    t.after(async () => {
      this.child.kill("SIGKILL");
      await this.#closed;
    });
  }

  /** Resolves when the pattern has been written; rejects when the process ends without it. */
  async said(pattern: RegExp): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const found = pattern.test(this.text);
        if (!found && this.child.exitCode === null && this.child.signalCode === null) return;
        this.#waiting.delete(look);
        if (found) resolve();
        else reject(new Error(`it ended without ${pattern}:\n${this.text}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** The exit code after this signal. */
  end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    return this.#closed;
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Why a program of others cannot be used here; `false` where it can. */
export function missing(program: string, ...args: readonly string[]): string | false {
  const { status } = spawnSync(program, args.length === 0 ? ["--version"] : args, { stdio: "ignore" });
  return status === 0 ? false : `${program} is not installed`;
}

export interface Ports {
  readonly submission: number;
  readonly submissions: number;
  readonly recipient: number;
  readonly account: string;
  readonly password: string;
  readonly certificate: string;
}

/** What a running try-out has left in its folder. */
export function tryOutOf(folder: string): Ports {
  const path = join(folder, "try-out.json");
  if (!existsSync(path)) throw new Error("no try-out runs there");
  return JSON.parse(readFileSync(path, "utf8")) as Ports;
}
