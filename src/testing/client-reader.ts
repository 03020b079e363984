/**
 * Reads what a client says, as the one who plays its server asks for it: a line, so many octets, or content.
 *
 * Rules
 * 1. `undefined` means that the client has closed before it said so much.
 * 2. What is held unread is limited: beyond `UNREAD_LIMIT` the client waits.
 */
import type { Socket } from "node:net";
import { DataFramer } from "../protocol/data-framer.ts";
import { CR, concat, fromLatin1, LF } from "../util/bytes.ts";

/** Octets of a line, without its CRLF: a longer one is not read to its end. */
export const LINE_LIMIT = 16 * 1024;
/** Octets of one content. */
export const CONTENT_LIMIT = 256 * 1024 * 1024;
/** Octets that are held while nobody asks for them. */
export const UNREAD_LIMIT = 256 * 1024;

export class ClientReader {
  #socket: Socket | undefined;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.attach(socket);
  }

  /** Octets that were not asked for yet. */
  get unread(): number {
    return this.#size;
  }

  /** The client has closed its side, or the connection is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Reads on from this socket; from the one before, nothing more is read. */
  attach(socket: Socket): void {
    this.#socket = socket;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
    socket.on("error", this.#onEnd);
  }

  /** Leaves the socket to someone else. */
  detach(): void {
    const socket = this.#socket;
    socket?.off("data", this.#onData);
    socket?.off("end", this.#onEnd);
    socket?.off("close", this.#onEnd);
    this.#socket = undefined;
  }

  /** A line without its CRLF, one character an octet; one that is too long as far as it was read. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const whole = this.#joined();
      const end = endOfLine(whole);
      if (end >= 0 && end <= LINE_LIMIT) {
        this.#keep(whole.subarray(end + 2));
        return fromLatin1(whole.subarray(0, end));
      }
      if (whole.length > LINE_LIMIT) {
        this.#keep(whole.subarray(LINE_LIMIT));
        return fromLatin1(whole.subarray(0, LINE_LIMIT));
      }
      if (!(await this.#more())) return undefined;
    }
  }

  /** So many octets. */
  async octets(count: number): Promise<Uint8Array | undefined> {
    while (this.#size < count) if (!(await this.#more())) return undefined;
    const whole = this.#joined();
    this.#keep(whole.subarray(count));
    return whole.slice(0, count);
  }

  /** What is there, and no more. */
  rest(): string {
    const whole = this.#joined();
    this.#keep(whole.subarray(whole.length));
    return fromLatin1(whole);
  }

  /** Content up to its final dot, dots unstuffed. Rejects with a RangeError where it is longer than `limit`. */
  async content(limit = CONTENT_LIMIT): Promise<Uint8Array | undefined> {
    const framer = new DataFramer();
    const out: Uint8Array[] = [];
    for (let size = 0; ; ) {
      const whole = this.#joined();
      const taken = framer.push(whole, out);
      this.#keep(whole.subarray(taken));
      if (framer.done) return concat(out).slice();
      size += taken;
      if (size > limit) throw new RangeError(`the content is longer than ${limit} octets`);
      if (!(await this.#more())) return undefined;
    }
  }

  /** Resolves when the client has closed, whatever it says before. */
  async end(): Promise<void> {
    do this.#keep(new Uint8Array(0));
    while (await this.#more());
  }

  /** Waits for more; false where none can come. */
  async more(): Promise<boolean> {
    return this.#size > 0 || this.#more();
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const size = this.#size;
    this.#socket?.resume();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return this.#size > size || !this.#ended;
  }

  #joined(): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [concat(this.#chunks, this.#size)];
    return this.#chunks[0] ?? new Uint8Array(0);
  }

  #keep(rest: Uint8Array): void {
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
  }

  #woken(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size > UNREAD_LIMIT) this.#socket?.pause();
    this.#woken();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#woken();
  };
}

function endOfLine(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(LF, 1); at > 0; at = bytes.indexOf(LF, at + 1)) if (bytes[at - 1] === CR) return at - 1;
  return -1;
}
