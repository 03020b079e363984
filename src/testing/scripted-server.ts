/**
 * A server that plays a script, to see what a client says and to answer it with anything.
 *
 * Rules
 * 1. One script a connection, in the order in which the connections come; one more than there are scripts is a difference.
 * 2. It listens on loopback, or on a unix socket; nothing is on disk.
 * 3. `done` waits for every step of every script, and no longer than `timeout`.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { SelfSigned } from "../net/certificate.ts";
import { fromUtf8Lossy } from "../util/bytes.ts";
import { readScripts, type Script } from "./script.ts";
import { ScriptError } from "./script-error.ts";
import { ScriptedConnection } from "./scripted-connection.ts";
import { TEST_NAMES, testCertificate } from "./test-certificate.ts";

export interface ScriptedServerOptions {
  /** Listens on this unix socket instead of on 127.0.0.1. */
  readonly path?: string;
  /** Milliseconds that `done` waits; 5,000 where absent. */
  readonly timeout?: number;
  /** What the certificate is good for; localhost, 127.0.0.1 and ::1 where absent. */
  readonly names?: readonly string[];
}

/** Milliseconds that `done` waits where nothing is said. */
export const DONE_TIMEOUT = 5_000;

export class ScriptedServer implements AsyncDisposable {
  readonly #scripts: readonly Script[];
  readonly #options: ScriptedServerOptions;
  readonly #server: Server;
  readonly #connections: ScriptedConnection[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #contents: Uint8Array[] = [];
  #certificate: SelfSigned | undefined;
  #played = 0;
  #difference: ScriptError | undefined;
  #waiting: (() => void)[] = [];

  private constructor(scripts: readonly Script[], options: ScriptedServerOptions) {
    this.#scripts = scripts;
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Listens. Throws a SyntaxError for a script that cannot be read; rejects where it cannot listen. */
  static async start(script: string | readonly string[], options: ScriptedServerOptions = {}): Promise<ScriptedServer> {
    const texts = typeof script === "string" ? [script] : script;
    const server = new ScriptedServer(texts.flatMap(readScripts), options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once("error", reject);
      const where = options.path === undefined ? { host: "127.0.0.1", port: 0 } : { path: options.path };
      server.#server.listen(where, () => {
        server.#server.off("error", reject);
        resolve();
      });
    });
    return server;
  }

  /** 127.0.0.1, or the path of the unix socket. */
  get host(): string {
    return this.#options.path ?? "127.0.0.1";
  }

  /** 0 on a unix socket. */
  get port(): number {
    const address = this.#server.address();
    return address === null || typeof address === "string" ? 0 : (address as AddressInfo).port;
  }

  /** PEM: what a client has to trust. */
  get certificate(): string {
    return this.#pair().certificate;
  }

  /** Each content, dots unstuffed, in the order in which they came. */
  get contents(): readonly Uint8Array[] {
    return this.#contents;
  }

  /** The contents as UTF-8. */
  get texts(): readonly string[] {
    return this.#contents.map(fromUtf8Lossy);
  }

  /** Resolves when every script has been played. Rejects with a ScriptError where a client differed, or did not come so far in time. */
  async done(): Promise<void> {
    const { timeout = DONE_TIMEOUT } = this.#options;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#ring();
    }, timeout);
    try {
      while (!late && this.#difference === undefined && this.#played < this.#scripts.length) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
    if (this.#difference !== undefined) throw this.#difference;
    if (this.#played < this.#scripts.length) throw this.#late(timeout);
  }

  /** Listens no more and cuts what is open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(socket: Socket): void {
    socket.on("error", () => {}); // what it means is told by the script
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const number = this.#connections.length + 1;
    const script = this.#scripts[number - 1];
    if (this.#difference !== undefined || script === undefined) {
      this.#differ(new ScriptError({ connection: number, why: "there is no script for it", script: undefined, said: [] }));
      socket.destroy();
      return;
    }
    const keep = (content: Uint8Array): void => void this.#contents.push(content);
    const connection = new ScriptedConnection({ number, socket, script, certificate: this.#pair(), keep });
    this.#connections.push(connection);
    connection
      .play()
      .then(() => {
        this.#played++;
        this.#ring();
        return connection.rest();
      })
      .catch((error: unknown) => this.#differ(error as ScriptError));
  }

  /** The first difference is the one that is told. */
  #differ(difference: ScriptError): void {
    this.#difference ??= difference;
    this.#ring();
  }

  #late(timeout: number): ScriptError {
    const why = `after ${timeout} ms`;
    const open = this.#connections.at(-1);
    if (open !== undefined && this.#connections.length > this.#played) return open.late(why);
    const connection = this.#connections.length + 1;
    return new ScriptError({ connection, why: `${why} it was not made`, script: this.#scripts[connection - 1], said: [] });
  }

  #pair(): SelfSigned {
    this.#certificate ??= testCertificate(this.#options.names ?? TEST_NAMES);
    return this.#certificate;
  }

  #ring(): void {
    for (const ring of this.#waiting.splice(0)) ring();
  }
}
