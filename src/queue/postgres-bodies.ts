/**
 * Bodies in PostgreSQL: small ones in one part that is committed with their message, large ones in parts that are written while they arrive.
 *
 * Rules
 * 1. No more than a few parts of a large body are in memory, on its way in and on its way out.
 * 2. Parts belong to their upload until a commit claims them, then to the message that names them. `discard` touches only the former.
 * 3. What is put in front of a content once it is all here is the part FRONT.
 * 4. An upload whose node is gone is an orphan; the node that finds it removes it.
 */

import type { DatabaseError } from "../database/index.ts";
import type { Postgres } from "../database/postgres.ts";
import { type Content, memoryContent, readContent } from "../mail/content.ts";
import { concat } from "../util/bytes.ts";
import { PART_OCTETS } from "./postgres-schema.ts";
import type { Statements } from "./postgres-statements.ts";
import { type ContentWriter, StoreError } from "./store.ts";

/** A writer that waits for the database holds no more than this, and the chunk that exceeds it. */
const UPLOAD_BACKLOG = 2 * PART_OCTETS;

const FRONT = -1;

/** What went wrong in the database, as the queue says it. */
export function asStoreError(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const error = thrown as Partial<DatabaseError> & { readonly message?: string };
  const code = error.code === undefined || error.code === "failed" ? "io" : error.code;
  return new StoreError(code, error.message ?? String(thrown), { cause: thrown });
}

/** Content in parts. */
export class PostgresBody {
  readonly kind = "stored";
  readonly size: number;
  readonly key: string;
  readonly bodies: PostgresBodies;
  /** A message names it, or is about to. */
  claimed: boolean;

  constructor(bodies: PostgresBodies, key: string, size: number, claimed: boolean) {
    this.bodies = bodies;
    this.key = key;
    this.size = size;
    this.claimed = claimed;
  }

  open(): AsyncIterable<Uint8Array> {
    return this.bodies.read(this.key, this.size);
  }
}

export class PostgresBodies {
  readonly #postgres: Postgres;
  readonly #statements: Statements;
  readonly #session: () => number;
  #count = 0;
  #removals = new Set<Promise<unknown>>();

  constructor(postgres: Postgres, statements: Statements, session: () => number) {
    this.#postgres = postgres;
    this.#statements = statements;
    this.#session = session;
  }

  /** A writer whose content stays in memory up to one part. */
  receive(): ContentWriter {
    return new SpillingWriter(this);
  }

  /** A large body for content that is given whole, or comes from elsewhere. */
  async copy(content: Content): Promise<PostgresBody> {
    const upload = this.upload();
    try {
      for await (const chunk of readContent(content)) await upload.write(chunk);
      return await upload.finish();
    } catch (thrown) {
      upload.discard();
      throw thrown;
    }
  }

  upload(): Upload {
    const session = this.#session();
    return new Upload(this, `${session}-${this.#count++}`, session);
  }

  async *read(key: string, size: number): AsyncGenerator<Uint8Array> {
    let left = size;
    for (let part = FRONT; left > 0; part++) {
      const [row] = await this.#run<{ part: number; content: Buffer }>(this.#statements.part, [key, part]);
      if (row !== undefined && part === FRONT) part = row.part; // there need not be one
      if (row === undefined || row.part !== part || row.content.length === 0 || row.content.length > left) {
        throw new StoreError("corrupt", `body damaged: ${key} has ${size - left} of ${size} octets, or is gone`);
      }
      left -= row.content.length;
      yield row.content;
    }
  }

  /** Writes one part; false where the upload is no more. */
  async write(key: string, session: number, part: number, content: Uint8Array): Promise<boolean> {
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    const { beginUpload, upload } = this.#statements;
    const rows = part === 0 ? await this.#run(beginUpload, [key, session, bytes]) : await this.#run(upload, [key, part, bytes]);
    return rows.length === 1;
  }

  /** Removes an upload that nothing has claimed, once `ready` has settled. A failure leaves an orphan for the end of the session. */
  remove(key: string, ready: Promise<unknown> = Promise.resolve()): void {
    const removal: Promise<unknown> = ready
      .then(() => this.#run(this.#statements.discard, [key]))
      .catch(() => {})
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** Waits for removals under way. */
  async close(): Promise<void> {
    await Promise.all(this.#removals);
  }

  async #run<R>(text: string, values: Parameters<Postgres["run"]>[1]): Promise<readonly R[]> {
    try {
      return await this.#postgres.run<R>(text, values);
    } catch (thrown) {
      throw asStoreError(thrown);
    }
  }
}

/** One large body being written, part by part. */
class Upload {
  readonly #bodies: PostgresBodies;
  readonly #key: string;
  readonly #session: number;
  #chunks: Uint8Array[] = [];
  #backlog = 0;
  #size = 0;
  #parts = 0;
  #ended = false;
  #writing: Promise<void> | undefined;
  #error: StoreError | undefined;
  #finishing: Promise<PostgresBody> | undefined;
  #body: PostgresBody | undefined;
  #discarded = false;

  constructor(bodies: PostgresBodies, key: string, session: number) {
    this.#bodies = bodies;
    this.#key = key;
    this.#session = session;
  }

  write(chunk: Uint8Array): void | Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#backlog += chunk.length;
    this.#size += chunk.length;
    if (this.#backlog < PART_OCTETS) return;
    this.#writing ??= this.#drain();
    return this.#backlog <= UPLOAD_BACKLOG ? undefined : this.#settled();
  }

  finish(front: readonly Uint8Array[] = []): Promise<PostgresBody> {
    this.#finishing ??= this.#finish(front);
    return this.#finishing;
  }

  discard(): void {
    if (this.#discarded || this.#body?.claimed === true) return;
    this.#discarded = true;
    this.#chunks = [];
    this.#backlog = 0;
    this.#error ??= new StoreError("closed", "the content was discarded");
    this.#bodies.remove(this.#key, Promise.allSettled([this.#writing, this.#finishing]));
  }

  async #finish(front: readonly Uint8Array[]): Promise<PostgresBody> {
    this.#ended = true;
    await this.#writing;
    await this.#drain();
    await this.#settled();
    const octets = front.reduce((size, chunk) => size + chunk.length, 0);
    if (octets > 0) await this.#write(FRONT, concat([...front], octets));
    this.#size += octets;
    this.#body = new PostgresBody(this.#bodies, this.#key, this.#size, false);
    return this.#body;
  }

  async #settled(): Promise<void> {
    await this.#writing;
    if (this.#error !== undefined) throw this.#error;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#error === undefined && (this.#backlog >= PART_OCTETS || (this.#ended && this.#backlog > 0))) {
        const content = this.#nextPart();
        await this.#write(this.#parts++, content);
      }
    } catch (thrown) {
      this.#error ??= asStoreError(thrown);
    } finally {
      this.#writing = undefined;
    }
  }

  async #write(part: number, content: Uint8Array): Promise<void> {
    if (await this.#bodies.write(this.#key, this.#session, part, content)) return;
    throw new StoreError("io", "this node's lease ran out while the content was written");
  }

  /** Whole chunks up to a part, cut where they exceed it. */
  #nextPart(): Uint8Array {
    const taken: Uint8Array[] = [];
    let room = PART_OCTETS;
    let count = 0;
    for (const chunk of this.#chunks) {
      if (chunk.length > room) break;
      taken.push(chunk);
      room -= chunk.length;
      count++;
    }
    const next = this.#chunks[count];
    if (next !== undefined && room > 0) {
      taken.push(next.subarray(0, room));
      this.#chunks[count] = next.subarray(room);
      room = 0;
    }
    this.#chunks.splice(0, count);
    const octets = PART_OCTETS - room;
    this.#backlog -= octets;
    return concat(taken, octets);
  }
}

/** Small content: the caller's chunks; beyond one part: an upload. */
class SpillingWriter implements ContentWriter {
  readonly #bodies: PostgresBodies;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #upload: Upload | undefined;

  constructor(bodies: PostgresBodies) {
    this.#bodies = bodies;
  }

  write(chunk: Uint8Array): void | Promise<void> {
    this.#size += chunk.length;
    if (this.#upload !== undefined) return this.#upload.write(chunk);
    this.#chunks.push(chunk);
    if (this.#size <= PART_OCTETS) return;
    const upload = this.#bodies.upload();
    this.#upload = upload;
    return this.#chunks.splice(0).reduce<void | Promise<void>>((wait, one) => both(wait, upload.write(one)), undefined);
  }

  finish(front: readonly Uint8Array[] = []): Content | Promise<Content> {
    if (this.#upload !== undefined) return this.#upload.finish(front);
    return memoryContent(front.length === 0 ? this.#chunks : [...front, ...this.#chunks]);
  }

  discard(): void {
    this.#upload?.discard();
    this.#chunks = [];
  }
}

function both(first: void | Promise<void>, second: void | Promise<void>): void | Promise<void> {
  if (first === undefined) return second;
  return second === undefined ? first : Promise.all([first, second]).then(() => {});
}
