/**
 * Servers that share one queue, as processes; what is sent to them, and where it arrives.
 *
 * Rules
 * 1. Every message has a number of its own, in its subject: what got its 250 is written down here, what arrives is too.
 * 2. Nothing is timed: a test goes on when enough was accepted, has arrived, or was refused.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SmtpError } from "../../src/client/error.ts";
import { createTransport } from "../../src/client/index.ts";
import type { Transport } from "../../src/client/transport.ts";
import { Inbox } from "../../src/inbox/inbox.ts";
import type { Cleanup } from "../support/temp-folder.ts";
import { freePort, Running, run } from "./processes.ts";

export const account = "ann@example.test";
export const password = "long enough";
/** Loops that send to one server. */
const LOOPS = 2;
/** A server that is cut off must not be waited for longer than it takes the others to go on. */
const TIMEOUTS = { connect: 2000, greeting: 5000, ehlo: 5000, mail: 5000, rcpt: 5000, data: 5000, content: 5000, "sent-dot": 10_000 };
/** Before a server that could not be reached is tried again: nobody is told when it is back. */
const AGAIN_MS = 50;

export interface Place {
  /** Where it listens. */
  readonly host: string;
  /** Our own address on its wire, where that is another. */
  readonly near?: string;
  readonly url: string;
  /** The program and its first arguments that the server is started with. */
  readonly within?: readonly string[];
}

export interface Server {
  readonly config: string;
  readonly port: number;
  readonly running: Running;
  readonly transport: Transport;
}

export class SharedServers {
  readonly servers: Server[] = [];
  readonly accepted = new Set<string>();
  /** How many, by server. */
  readonly acceptedBy: number[] = [];
  /** By message. */
  readonly arrived = new Map<string, number>();
  /** The first line of each server's last refusal. */
  readonly refusals = new Map<number, string>();
  readonly #cleanup: Cleanup;
  readonly #folder: string;
  readonly #schema: string;
  readonly #waiting = new Set<() => void>();
  #sending = false;
  #loops: Promise<void>[] = [];
  #number = 0;

  constructor(cleanup: Cleanup, folder: string, schema: string) {
    this.#cleanup = cleanup;
    this.#folder = folder;
    this.#schema = schema;
  }

  /** A server for each place; the account is made before the first one starts, and is there for all. */
  async start(places: readonly Place[]): Promise<void> {
    for (const [i, place] of places.entries()) {
      const next = await freePort();
      const inbox = new Inbox({
        host: place.near ?? place.host,
        port: next,
        hostname: "mx.far.test",
        keep: 1,
        onArrival: ({ chunks }) => this.#arrival(chunks),
      });
      await inbox.start();
      this.#cleanup.after(() => inbox.stop(0));
      const port = await freePort();
      const config = this.#configure(i, place, port, next);
      if (i === 0) {
        const added = await run(["user", "add", account, "--password-stdin", "--config", config], `${password}\n`);
        if (added.code !== 0) throw new Error(added.err);
      }
      this.servers.push(await this.#serve(config, port, place));
    }
  }

  /** Loops send to every server until `stop`. */
  load(): void {
    this.#sending = true;
    this.#loops = this.servers.flatMap((_, i) => Array.from({ length: LOOPS }, () => this.#loop(i)));
  }

  /** No more is sent; resolves when the last answer is here. */
  async stop(): Promise<void> {
    this.#sending = false;
    await Promise.all(this.#loops);
  }

  /** Resolves once the condition holds; it is looked at after each answer and each arrival. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Resolves when all that was accepted is there. */
  drained(): Promise<void> {
    return this.until(() => [...this.accepted].every((name) => this.arrived.has(name)));
  }

  get twice(): number {
    return [...this.arrived.values()].filter((times) => times > 1).length;
  }

  #configure(i: number, { host, near, url }: Place, port: number, next: number): string {
    const folder = join(this.#folder, `server${i}`);
    mkdirSync(folder);
    const config = join(folder, "postrider.toml");
    const text = `hostname = "mail${i}.example.test"
[listen]
submission = ["${host}:${port}"]
[queue]
store = "${url}"
store_schema = "${this.#schema}"
takeover = "3s"
[delivery]
retry = ["1s"]
[limits]
drain = "1s"
[[route]]
domain = "*"
to = "smtp://${near ?? host}:${next}"
`;
    writeFileSync(config, text);
    return config;
  }

  async #serve(config: string, port: number, { host, within }: Place): Promise<Server> {
    const running = new Running(this.#cleanup, ["serve", "--config", config], within);
    await running.said(/"message":"ready"/);
    const certificate = readFileSync(join(config, "../data/certificate.pem"), "utf8");
    const name = `mail${this.servers.length}.example.test`;
    const url = `smtp://${encodeURIComponent(account)}:${encodeURIComponent(password)}@${host}:${port}`;
    const transport = createTransport(url, {
      tls: { authorities: certificate, name },
      retry: false,
      pool: { maxConnections: LOOPS },
      timeouts: TIMEOUTS,
    });
    this.#cleanup.after(() => transport.close());
    return { config, port, running, transport };
  }

  async #loop(i: number): Promise<void> {
    while (this.#sending) {
      const name = `message ${this.#number++}`;
      try {
        await (this.servers[i] as Server).transport.send({ from: account, to: "bob@far.test", subject: name, text: "hello" });
        this.accepted.add(name);
        this.acceptedBy[i] = (this.acceptedBy[i] ?? 0) + 1;
      } catch (error) {
        if (!(error instanceof SmtpError)) throw error;
        this.refusals.set(i, error.message);
        await pause(AGAIN_MS);
      }
      this.#look();
    }
  }

  #arrival(chunks: readonly Uint8Array[]): void {
    const name = /^Subject: (.*)\r$/m.exec(Buffer.concat(chunks).toString())?.[1] ?? "";
    this.arrived.set(name, (this.arrived.get(name) ?? 0) + 1);
    this.#look();
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }
}
