/**
 * Writes lines to a file descriptor, in order, without holding anybody up.
 *
 * Rules
 * 1. One write is under way at a time; what comes meanwhile goes into the next one. (pino's own destination writes past a
 *    write that is under way when it is flushed, which swaps lines.)
 * 2. Bounded: lines beyond the limit are counted as lost, not kept.
 * 3. A reader that is gone ends the writing, nothing else.
 * 4. Lines are gathered for a few milliseconds: a write for each turn of the event loop cost a twentieth of a busy server's time.
 */
import { write, writeSync } from "node:fs";

/** For a pipe that is full and not blocking. */
const TRY_AGAIN = 20;
/** Milliseconds that lines are gathered for, and the characters at which they leave at once. */
const GATHER = 5;
const GATHER_LIMIT = 64 * 1024;

export class LineWriter {
  readonly #fd: number;
  readonly #limit: number;
  #waiting = "";
  #writing = false;
  #gathering: NodeJS.Timeout | undefined;
  #broken = false;
  #lost = 0;
  #idle: (() => void)[] = [];

  /** `limit`: characters that may wait. */
  constructor(fd: number, limit: number) {
    this.#fd = fd;
    this.#limit = limit;
  }

  /** Takes whole lines with their line ends. */
  write(lines: string): void {
    if (this.#broken) return;
    if (this.#waiting.length + lines.length > this.#limit) {
      this.#lost++;
      return;
    }
    this.#waiting += lines;
    if (this.#writing) return;
    if (this.#waiting.length >= GATHER_LIMIT) this.#next();
    else this.#gathering ??= setTimeout(() => this.#next(), GATHER);
  }

  /** How often something was lost since the last time this was asked. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Resolves once all that was taken is written, or cannot be. */
  flush(): Promise<void> {
    if (this.#gathering !== undefined) this.#next();
    return this.#writing ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /** For a process that dies now: writes what waits, though a write under way may be overtaken. */
  flushNow(): void {
    if (this.#broken || this.#waiting === "") return;
    const bytes = Buffer.from(this.#waiting);
    this.#waiting = "";
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    } catch {
      // Full or gone: there is nobody left to tell.
    }
  }

  #next(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    if (this.#waiting === "" || this.#broken) {
      this.#writing = false;
      for (const resolve of this.#idle.splice(0)) resolve();
      return;
    }
    this.#writing = true;
    const bytes = Buffer.from(this.#waiting);
    this.#waiting = "";
    this.#put(bytes, 0);
  }

  #put(bytes: Buffer, at: number): void {
    write(this.#fd, bytes, at, bytes.length - at, null, (error, written) => {
      if (error?.code === "EAGAIN") setTimeout(() => this.#put(bytes, at), TRY_AGAIN);
      else if (error) {
        this.#broken = true;
        this.#waiting = "";
        this.#next();
      } else if (at + written < bytes.length) this.#put(bytes, at + written);
      else this.#next();
    });
  }
}
