/**
 * Hears what a server says to EHLO, for the `ehlo` of an info.
 *
 * Rules
 * 1. It listens to replies alone; the first 250 behind a 220 (the greeting, or the leave to begin TLS) is the one to EHLO.
 */
import type { Dial, StreamHandler } from "../util/byte-stream.ts";
import { fromLatin1 } from "../util/bytes.ts";

/** Characters of replies that are held while they are read. */
const HELD_LIMIT = 64 * 1024;

class EhloWatch {
  readonly #tell: (lines: readonly string[]) => void;
  #text = "";
  #awaited = false;
  #lines: string[] = [];

  constructor(tell: (lines: readonly string[]) => void) {
    this.#tell = tell;
  }

  hear(chunk: Uint8Array): void {
    this.#text += fromLatin1(chunk);
    if (this.#text.length > HELD_LIMIT) this.#text = "";
    for (let end = this.#text.indexOf("\n"); end >= 0; end = this.#text.indexOf("\n")) {
      this.#line(this.#text.slice(0, end).trimEnd());
      this.#text = this.#text.slice(end + 1);
    }
  }

  #line(line: string): void {
    if (line.startsWith("220")) {
      this.#awaited = true;
      this.#lines = [];
    } else if (this.#awaited && line.startsWith("250")) {
      this.#lines.push(line.slice(4));
      if (line[3] === "-") return;
      this.#awaited = false;
      this.#tell(this.#lines.slice(1));
    }
  }
}

/** Dials as `dial` does; `tell` hears the lines behind the server's name, once for each EHLO. */
export function hearingEhlo(dial: Dial, tell: (lines: readonly string[]) => void): Dial {
  return async (target) => {
    const stream = await dial(target);
    const watch = new EhloWatch(tell);
    const handle = stream.handle.bind(stream);
    stream.handle = (handler: StreamHandler): void =>
      handle({
        data: (chunk) => {
          watch.hear(chunk);
          handler.data(chunk);
        },
        drained: () => handler.drained(),
        ended: () => handler.ended(),
        closed: (error) => handler.closed(error),
      });
    return stream;
  };
}
