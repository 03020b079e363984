/**
 * The next hop: takes every message and counts how often it came.
 *
 * Rules
 * 1. A message has come when its final dot is here, whether or not its 250 can still be sent.
 * 2. Silent, it takes connections and says nothing: what is accepted meanwhile stays queued.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { recognize } from "./messages.ts";

export class Recorder {
  #silent = false;
  readonly arrived = new Map<string, number>();
  /** What came and was not whole, or none of ours. */
  readonly damaged: string[] = [];
  #server: Server;
  #sockets = new Set<Socket>();
  #listeners = new Set<() => void>();

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Connections that there are end: silent ones would wait, others could be used for the next message. */
  set silent(silent: boolean) {
    if (this.#silent === silent) return;
    this.#silent = silent;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Resolves once no connection is left: all that was sent has been read. */
  async quiet(): Promise<void> {
    await Promise.all([...this.#sockets].map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()))));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Resolves true once all of them have come, false after `limit` milliseconds. */
  has(ids: Iterable<string>, limit: number): Promise<boolean> {
    const missing = new Set([...ids].filter((id) => !this.arrived.has(id)));
    return new Promise((resolve) => {
      const done = (all: boolean): void => {
        clearTimeout(timer);
        this.#listeners.delete(look);
        resolve(all);
      };
      const look = (): void => {
        for (const id of missing) if (this.arrived.has(id)) missing.delete(id);
        if (missing.size === 0) done(true);
      };
      const timer = setTimeout(() => done(false), limit);
      this.#listeners.add(look);
      look();
    });
  }

  #take(content: Buffer): void {
    const seen = recognize(content);
    if (seen?.whole === true) this.arrived.set(seen.id, (this.arrived.get(seen.id) ?? 0) + 1);
    else this.damaged.push(seen?.id ?? content.subarray(0, 200).toString("latin1"));
    for (const look of this.#listeners) look();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    if (this.#silent) return void socket.resume();
    const session = new Session((content) => this.#take(content));
    socket.write("220 recorder.test ESMTP\r\n");
    socket.on("data", (chunk) => {
      const replies = session.push(chunk);
      if (replies !== "") socket.write(replies);
      if (session.ended) socket.end();
    });
  }
}

const END = Buffer.from("\r\n.\r\n");

class Session {
  ended = false;
  readonly #take: (content: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);
  #content: Buffer[] | undefined;
  #tail: Buffer = Buffer.alloc(0);

  constructor(take: (content: Buffer) => void) {
    this.#take = take;
  }

  /** What is answered. */
  push(chunk: Buffer): string {
    let replies = "";
    let rest: Buffer | undefined = chunk;
    while (rest !== undefined && rest.length > 0) {
      if (this.#content !== undefined) {
        rest = this.#pushContent(rest);
        if (this.#content === undefined) replies += "250 2.0.0 taken\r\n";
        continue;
      }
      const all: Buffer = Buffer.concat([this.#rest, rest]);
      const end = all.indexOf("\r\n");
      if (end < 0) {
        this.#rest = all;
        break;
      }
      this.#rest = Buffer.alloc(0);
      replies += this.#command(all.subarray(0, end).toString("latin1"));
      rest = all.subarray(end + 2);
    }
    return replies;
  }

  #command(line: string): string {
    const word = line.split(" ")[0]?.toUpperCase();
    if (word === "EHLO") return "250-recorder.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n";
    if (word === "DATA") {
      this.#content = [];
      this.#tail = Buffer.from("\r\n");
      return "354 go on\r\n";
    }
    if (word === "QUIT") {
      this.ended = true;
      return "221 2.0.0 bye\r\n";
    }
    return "250 2.0.0 OK\r\n";
  }

  /** What comes after the final dot; `undefined` before it. */
  #pushContent(chunk: Buffer): Buffer | undefined {
    const content = this.#content as Buffer[];
    const seam = Buffer.concat([this.#tail, chunk]);
    const found = seam.indexOf(END);
    if (found < 0) {
      content.push(chunk);
      this.#tail = seam.subarray(-(END.length - 1));
      return undefined;
    }
    const end = found + END.length - this.#tail.length;
    content.push(chunk.subarray(0, end));
    this.#content = undefined;
    const whole = Buffer.concat(content);
    this.#take(unstuffed(whole.subarray(0, whole.length - 3)));
    return chunk.subarray(end);
  }
}

/** RFC 5321 4.5.2. */
function unstuffed(content: Buffer): Buffer {
  return Buffer.from(content.toString("latin1").replace(/(^|\r\n)\.\./g, "$1."), "latin1");
}
