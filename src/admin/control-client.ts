/**
 * The other end of the control socket.
 *
 * Rules
 * 1. No server there is no error but an answer (`undefined`): the caller then opens the store itself.
 */
import { connect, type Socket } from "node:net";
import { AdminError } from "./admin-error.ts";
import { ANSWER_LIMIT, CONTROL_VERSION, controlPath, LineSplitter } from "./lines.ts";
import type { Administration, Method, ParametersOf, Results, TakePart } from "./methods.ts";

/** `undefined` where no server listens in this folder. Rejects with an AdminError where one may not be spoken to. */
export function connectControl(folder: string): Promise<Administration | undefined> {
  let path: string;
  try {
    path = controlPath(folder);
  } catch {
    return Promise.resolve(undefined); // no server could make one either
  }
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(new ControlClient(socket));
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "ENOTDIR") return resolve(undefined);
      reject(new AdminError("lost", `cannot speak to the server at ${path}: ${error.message}`, { cause: error }));
    });
  });
}

interface Waiting {
  readonly takePart: TakePart;
  resolve(result: never): void;
  reject(error: Error): void;
}

class ControlClient implements Administration {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #parts: Promise<void> = Promise.resolve();
  #last = 0;
  #lost: AdminError | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const splitter = new LineSplitter(ANSWER_LIMIT, (line) => this.#take(line));
    socket.on("data", (chunk) => {
      if (!splitter.push(chunk)) this.#lose("its answer is too long");
    });
    socket.on("error", (error) => this.#lose(error.message));
    socket.on("close", () => this.#lose("it closed the connection"));
  }

  call<M extends Method>(method: M, params: ParametersOf<M>, takePart: TakePart = () => {}): Promise<Results[M]> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { takePart, resolve, reject });
      this.#socket.write(`${JSON.stringify({ v: CONTROL_VERSION, id, method, params })}\n`);
    });
  }

  close(): Promise<void> {
    this.#lost ??= new AdminError("lost", "the connection to the server is closed");
    if (this.#socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#socket.once("close", () => resolve());
      this.#socket.destroy();
    });
  }

  #take(line: string): void {
    const { id, part, result, error } = JSON.parse(line) as {
      id: number | null;
      part?: string;
      result?: never;
      error?: { code: string; message: string };
    };
    const waiting = id === null ? [...this.#waiting.values()][0] : this.#waiting.get(id);
    if (waiting === undefined) return;
    if (part !== undefined) return this.#takePart(waiting, Buffer.from(part, "base64"));
    this.#waiting.delete(id ?? -1);
    // Parts first: the result says that they are complete.
    void this.#parts.then(() => {
      if (error === undefined) waiting.resolve(result as never);
      else waiting.reject(new AdminError(error.code, error.message));
    }, waiting.reject);
  }

  #takePart(waiting: Waiting, part: Uint8Array): void {
    this.#socket.pause();
    this.#parts = this.#parts.then(async () => {
      await waiting.takePart(part);
      this.#socket.resume();
    });
    this.#parts.catch((error) => this.#lose(String(error)));
  }

  #lose(why: string): void {
    this.#lost ??= new AdminError("lost", `the server did not answer: ${why}`);
    for (const { reject } of this.#waiting.values()) reject(this.#lost);
    this.#waiting.clear();
    this.#socket.destroy();
  }
}
