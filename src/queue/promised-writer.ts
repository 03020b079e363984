/**
 * Content that arrives, with room on the disk promised for it.
 *
 * Rules
 * 1. Room is promised before anything is written: the declared size at once, what exceeds it in steps. A promise ends with its content.
 */
import type { Content } from "../mail/content.ts";
import { BODY_FILE_THRESHOLD } from "./body-files.ts";
import type { DiskRoom } from "./disk-room.ts";
import type { ContentWriter } from "./store.ts";

/** What content beyond its declared size is promised at a time. */
const PROMISE_STEP = 256 * 1024;

export class PromisedWriter implements ContentWriter {
  readonly #room: DiskRoom;
  readonly #writer: ContentWriter;
  #granted: number;
  #written = 0;
  /** What is still promised. */
  #left: number;

  /** Throws a StoreError: full. */
  constructor(room: DiskRoom, open: () => ContentWriter, sizeHint: number) {
    room.promise(sizeHint);
    this.#room = room;
    this.#writer = open();
    this.#granted = sizeHint;
    this.#left = sizeHint;
  }

  write(chunk: Uint8Array): void | Promise<void> {
    const before = this.#written;
    this.#written += chunk.length;
    try {
      this.#ask();
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    // Up to the threshold it stays in memory; then all of it goes to the disk.
    if (this.#written > BODY_FILE_THRESHOLD) this.#spend(before > BODY_FILE_THRESHOLD ? chunk.length : this.#written);
    return this.#writer.write(chunk);
  }

  async #finished(content: Promise<Content>): Promise<Content> {
    try {
      return await content;
    } finally {
      this.#release();
    }
  }

  finish(front?: readonly Uint8Array[]): Content | Promise<Content> {
    const content = this.#writer.finish(front);
    if (content instanceof Promise) return this.#finished(content);
    this.#release();
    return content;
  }

  discard(): void {
    this.#release();
    this.#writer.discard();
  }

  #ask(): void {
    if (this.#written <= this.#granted) return;
    const more = Math.max(PROMISE_STEP, this.#written - this.#granted);
    this.#room.promise(more);
    this.#granted += more;
    this.#left += more;
  }

  #spend(size: number): void {
    this.#left -= size;
    this.#room.spend(size);
  }

  #release(): void {
    this.#room.release(this.#left);
    this.#left = 0;
  }
}
