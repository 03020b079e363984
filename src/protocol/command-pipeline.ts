/**
 * The client's commands on their way: written, answered in order, and in groups where the server takes them (RFC 2920).
 *
 * Rules
 * 1. Commands whose replies are not in yet stand in `#expected`, in the order in which they were sent; each reply belongs to the first.
 * 2. A queued command goes out once the one before it is answered, or with all others of its group.
 * 3. What is written leaves in the order in which it was written, content among it.
 */
import { utf8 } from "../util/bytes.ts";
import { Fifo } from "../util/fifo.ts";
import type { ClientState } from "./client-states.ts";

/** What a reply will be the reply to. */
export interface Expected {
  readonly state: ClientState;
  /** The recipient whose reply it is. */
  readonly index?: number;
}

interface Queued {
  readonly line: string;
  readonly expected: Expected;
}

export class CommandPipeline {
  readonly #expected = new Fifo<Expected>();
  readonly #queue = new Fifo<Queued>();
  #output: Uint8Array[] = [];
  /** Commands behind `#output`. */
  #text = "";

  /** All replies are in. */
  get answered(): boolean {
    return this.#expected.length === 0;
  }

  /** What the next reply belongs to. */
  get awaited(): ClientState | undefined {
    return this.#expected.peek()?.state;
  }

  /** What the next queued command is. */
  get queued(): ClientState | undefined {
    return this.#queue.peek()?.expected.state;
  }

  /** Writes a command; `line` is without its CRLF. */
  send(line: string, expected: Expected): void {
    this.#text += `${line}\r\n`;
    this.#expected.push(expected);
  }

  /** Writes a command to which no reply is expected, or only later. */
  write(line: string): void {
    this.#text += `${line}\r\n`;
  }

  /** Expects a reply, or an event, without writing. */
  expect(expected: Expected): void {
    this.#expected.push(expected);
  }

  /** Keeps a command until `proceed`. */
  enqueue(line: string, expected: Expected): void {
    this.#queue.push({ line, expected });
  }

  dropQueue(): void {
    this.#queue.clear();
  }

  /** Sends the next queued command, or all of them where the server takes a group. */
  proceed(grouping: boolean): void {
    if (!grouping && this.#expected.length > 0) return;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.send(next.line, next.expected);
      if (!grouping) return;
    }
  }

  /** What the reply that came belongs to; `undefined` where nothing had asked for one. */
  settle(): Expected | undefined {
    return this.#expected.shift();
  }

  /** Where content is to be put, behind the commands written so far; not to be kept. */
  output(): Uint8Array[] {
    if (this.#text !== "") {
      this.#output.push(utf8(this.#text));
      this.#text = "";
    }
    return this.#output;
  }

  /** What is to be written now, in order; empty where there is nothing. */
  takeOutput(): Uint8Array[] {
    const output = this.output();
    if (output.length > 0) this.#output = [];
    return output;
  }
}
