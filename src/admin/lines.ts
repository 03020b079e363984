/**
 * The control socket's language: one JSON object a line.
 *
 *   -> {"v":1,"id":1,"method":"queue.list","params":{"limit":100}}
 *   <- {"id":1,"part":"<base64>"}             any number, for long answers
 *   <- {"id":1,"result":[...]}                or {"id":1,"error":{"code":"exists","message":"..."}}
 *
 * Rules
 * 1. A line beyond its limit ends the connection: nobody we know sends one.
 * 2. Requests of one connection are answered in order, one at a time.
 */
import { join } from "node:path";
import { AdminError } from "./admin-error.ts";

export const CONTROL_VERSION = 1;
export const CONTROL_SOCKET = "control.sock";
/** Octets of a request, its line end included. */
export const REQUEST_LIMIT = 1024 * 1024;
/** Octets of one line of an answer: the longest listing of messages with many recipients. */
export const ANSWER_LIMIT = 256 * 1024 * 1024;
/** sun_path of Linux holds 108 octets, the final NUL included; other systems 104. */
export const SOCKET_PATH_LIMIT = 103;

/** Throws an AdminError for a folder whose path is too long for a socket in it. */
export function controlPath(folder: string): string {
  const path = join(folder, CONTROL_SOCKET);
  const length = Buffer.byteLength(path);
  if (length > SOCKET_PATH_LIMIT) {
    throw new AdminError("path", `the control socket ${path} has a path of ${length} octets, the system takes ${SOCKET_PATH_LIMIT}`);
  }
  return path;
}

export class LineSplitter {
  readonly #limit: number;
  readonly #take: (line: string) => void;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(limit: number, take: (line: string) => void) {
    this.#limit = limit;
    this.#take = take;
  }

  /** False where a line was too long. */
  push(chunk: Buffer): boolean {
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      if (this.#size + at - from >= this.#limit) return false;
      this.#parts.push(chunk.subarray(from, at));
      const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
      this.#parts = [];
      this.#size = 0;
      from = at + 1;
      this.#take(line.toString("utf8"));
    }
    if (from < chunk.length) {
      this.#parts.push(chunk.subarray(from));
      this.#size += chunk.length - from;
    }
    return this.#size < this.#limit;
  }
}
