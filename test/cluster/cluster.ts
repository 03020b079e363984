/** Several nodes as processes of their own on one queue, and what they have said together. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const worker = fileURLToPath(new URL("./worker.ts", import.meta.url));

export interface ClusterOptions {
  readonly url: string;
  readonly schema: string;
  /** A folder for the marks. */
  readonly marks: string;
  readonly nodes: number;
  /** Milliseconds. */
  readonly lease: number;
}

interface Node {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  killed: boolean;
}

export class Cluster {
  readonly queued = new Set<string>();
  /** How often each was delivered. */
  readonly delivered = new Map<string, number>();
  /** Recipients that two living nodes had in hand at once. */
  readonly clashes: string[] = [];
  readonly refusals = new Map<string, number>();
  readonly nodes: Node[] = [];
  #watchers: { readonly holds: () => boolean; readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #draining = false;

  constructor({ url, schema, marks, nodes, lease }: ClusterOptions) {
    for (let i = 0; i < nodes; i++) {
      const name = `node${i}`;
      const child = spawn(process.execPath, [worker, url, schema, marks, name, String(lease)], { stdio: ["pipe", "pipe", "inherit"] });
      const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
      const node: Node = { name, child, ended, killed: false };
      this.nodes.push(node);
      child.once("exit", (code) => {
        if (!node.killed && !this.#draining) for (const { reject } of this.#watchers) reject(new Error(`${name} ended with ${code}`));
      });
      createInterface(child.stdout).on("line", (line) => this.#hear(name, line));
      child.stdin.on("error", () => {});
    }
  }

  /** Resolves when it holds: looked at after each line that any node says. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => this.#watchers.push({ holds, resolve, reject }));
  }

  /** Kills one as a power cut would. */
  async kill(index: number): Promise<void> {
    const node = this.nodes[index] ?? assert.fail();
    node.killed = true;
    node.child.kill("SIGKILL");
    await node.ended;
  }

  /** No more is queued; resolves when the living have emptied the queue and ended. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const { child, killed } of this.nodes) if (!killed) child.stdin?.write("drain\n");
    for (const { ended, killed, name } of this.nodes) if (!killed) assert.equal(await ended, 0, name);
  }

  /** Ends what is left. */
  end(): void {
    for (const { child } of this.nodes) child.kill("SIGKILL");
  }

  #hear(name: string, line: string): void {
    const [what, id = "", holder = ""] = line.split(" ");
    if (what === "queued") this.queued.add(id);
    if (what === "delivered") this.delivered.set(id, (this.delivered.get(id) ?? 0) + 1);
    if (what === "refused") this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1);
    if (what === "clash" && this.nodes.some((node) => node.name === holder && !node.killed)) this.clashes.push(`${id}: ${holder}, ${name}`);
    this.#watchers = this.#watchers.filter(({ holds, resolve }) => !holds() || resolve());
  }
}
