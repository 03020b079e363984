/**
 * Bodies too large for the database, each a file of its own.
 *
 * Rules
 * 1. A file is written while its content arrives; it and its folder are synced before `finish` resolves, so a row never names a file
 *    that a crash could take.
 * 2. A file belongs to its writer until a commit claims it, then to the row that names it. `discard` touches only the former.
 * 3. What is put in front of a content once it is all here (fields in front of the header) is not in its file: it is kept in memory, and then
 *    with the row.
 * 4. A failed sync is fatal for the process: which of the names and octets that it covered are on disk, nobody knows, and the next sync
 *    would not say.
 * 5. A file that no row names is an orphan; orphans are removed when the queue is opened, before anything is received.
 */
import { close, createReadStream, fsync, mkdirSync, open, opendirSync, rmSync, statSync, unlink, writev } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { syncFolder } from "../database/folders.ts";
import { type Content, memoryContent } from "../mail/content.ts";
import { type ContentWriter, StoreError } from "./store.ts";

/** In the data folder. */
export const BODIES_FOLDER = "bodies";
/** Content above this goes to a file of its own. */
export const BODY_FILE_THRESHOLD = 256 * 1024;
/** A writer that waits for its disk holds no more than this, and the chunk that exceeds it. */
const WRITE_BACKLOG = 256 * 1024;
/** writev takes no more buffers at once (IOV_MAX). */
const CHUNKS_PER_WRITE = 1024;
/** Content is read back in chunks of this. */
const READ_CHUNK = 64 * 1024;

const fs = {
  open: promisify(open),
  close: promisify(close),
  fsync: promisify(fsync),
  unlink: promisify(unlink),
};

/** Content in a file of the queue. */
export class StoredBody {
  readonly kind = "stored";
  /** Octets, `front` counted. */
  readonly size: number;
  readonly name: string;
  readonly files: BodyFiles;
  /** Comes before what is in the file. */
  readonly front: readonly Uint8Array[];
  /** A row names the file, or is about to. */
  claimed: boolean;

  constructor(files: BodyFiles, name: string, size: number, claimed: boolean, front: readonly Uint8Array[] = []) {
    this.files = files;
    this.name = name;
    this.size = size;
    this.claimed = claimed;
    this.front = front;
  }

  async *open(): AsyncGenerator<Uint8Array> {
    yield* this.front;
    yield* createReadStream(this.files.path(this.name), { highWaterMark: READ_CHUNK }) as AsyncIterable<Uint8Array>;
  }
}

export class BodyFiles {
  readonly #folder: string;
  #prefix = `${Date.now().toString(36)}-${process.pid.toString(36)}-`;
  #count = 0;
  #folderSync: Promise<void> | undefined;
  #nextFolderSync: Promise<void> | undefined;
  #removals = new Set<Promise<void>>();
  #fatal: StoreError | undefined;
  #onFatal: (error: StoreError) => void = () => {};

  /** The folder is made if missing. Its own name is synced each time: who made it may have been killed before that. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    syncFolder(dirname(folder));
  }

  /** Called once after a failed sync. One listener. */
  onFatal(listener: (error: StoreError) => void): void {
    this.#onFatal = listener;
    if (this.#fatal !== undefined) listener(this.#fatal);
  }

  /** Syncs, or is the end. */
  async sync(fd: number, what: string): Promise<void> {
    if (this.#fatal !== undefined) throw this.#fatal;
    try {
      await fs.fsync(fd);
    } catch (thrown) {
      throw this.#lost(`sync of ${what}`, thrown);
    }
    if (this.#fatal !== undefined) throw this.#fatal; // it may have covered what the failed one did not write
  }

  #lost(what: string, thrown: unknown): StoreError {
    if (this.#fatal === undefined) {
      this.#fatal = new StoreError("fatal", `${what}: ${thrown instanceof Error ? thrown.message : thrown}`, { cause: thrown });
      this.#onFatal(this.#fatal);
    }
    return this.#fatal;
  }

  /** A writer whose content stays in memory up to the threshold. */
  receive(): ContentWriter {
    return new SpillingWriter(this);
  }

  /** A file for content of any length: what is given whole, or comes from elsewhere. */
  async copy(content: Content): Promise<StoredBody> {
    const file = new BodyFile(this);
    try {
      for await (const chunk of content.kind === "memory" ? content.chunks : content.open()) await file.write([chunk]);
      return await file.finish();
    } catch (thrown) {
      file.discard();
      throw thrown;
    }
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  nextName(): string {
    return `${this.#prefix}${(this.#count++).toString(36)}`;
  }

  /** What is wrong with a file that a row names; `undefined` where it is there and whole. */
  trouble(name: string, size: number): string | undefined {
    try {
      const found = statSync(this.path(name)).size;
      return found === size ? undefined : `body file damaged: ${name} has ${found} of ${size} octets`;
    } catch (thrown) {
      return `body file missing: ${name}: ${thrown instanceof Error ? thrown.message : thrown}`;
    }
  }

  /** Removes a file that no row names, once `ready` has settled. A failure leaves an orphan for the next start. */
  remove(name: string, ready?: Promise<unknown>): void {
    const unlinked = ready === undefined ? fs.unlink(this.path(name)) : ready.then(() => fs.unlink(this.path(name)));
    const removal: Promise<void> = unlinked.catch(() => {}).then(() => void this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** Removes what is not in `known`; returns how many. */
  removeOrphans(known: ReadonlySet<string>): number {
    let count = 0;
    const folder = opendirSync(this.#folder);
    try {
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        if (known.has(entry.name) || !entry.isFile()) continue;
        rmSync(this.path(entry.name), { force: true });
        count++;
      }
    } finally {
      folder.closeSync();
    }
    return count;
  }

  /** Syncs the folder; those who ask during a sync share the next one. */
  syncFolder(): Promise<void> {
    if (this.#folderSync === undefined) {
      this.#folderSync = this.#syncFolder().finally(() => {
        this.#folderSync = undefined;
      });
      return this.#folderSync;
    }
    this.#nextFolderSync ??= this.#folderSync
      .catch(() => {})
      .then(() => {
        this.#nextFolderSync = undefined;
        return this.syncFolder();
      });
    return this.#nextFolderSync;
  }

  /** Waits for removals under way. */
  async close(): Promise<void> {
    await Promise.all(this.#removals);
  }

  async #syncFolder(): Promise<void> {
    const fd = await fs.open(this.#folder, "r");
    try {
      await this.sync(fd, this.#folder);
    } finally {
      await fs.close(fd);
    }
  }
}

/** One file being written: chunks that come during a write leave together in the next one. */
class BodyFile {
  #files: BodyFiles;
  #name: string;
  #fd: number | undefined;
  #opening: Promise<void>;
  #chunks: Uint8Array[] = [];
  #backlog = 0;
  #size = 0;
  #writing: Promise<void> | undefined;
  #error: StoreError | undefined;
  #finishing: Promise<StoredBody> | undefined;
  #body: StoredBody | undefined;
  #discarded = false;

  constructor(files: BodyFiles) {
    this.#files = files;
    this.#name = files.nextName();
    this.#opening = fs.open(files.path(this.#name), "wx", 0o600).then(
      (fd) => {
        this.#fd = fd;
      },
      (thrown) => this.#fail(thrown),
    );
  }

  write(chunks: readonly Uint8Array[]): void | Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      this.#chunks.push(chunk);
      this.#backlog += chunk.length;
      this.#size += chunk.length;
    }
    this.#writing ??= this.#drain();
    return this.#backlog <= WRITE_BACKLOG ? undefined : this.#settled();
  }

  finish(front: readonly Uint8Array[] = []): Promise<StoredBody> {
    this.#finishing ??= this.#finish(front);
    return this.#finishing;
  }

  async #finish(front: readonly Uint8Array[]): Promise<StoredBody> {
    await this.#opening;
    await this.#settled();
    const fd = this.#fd as number;
    try {
      await this.#files.sync(fd, this.#files.path(this.#name));
      await this.#closeFile();
      await this.#files.syncFolder();
    } catch (thrown) {
      this.#fail(thrown);
      await this.#settled();
    }
    this.#body = new StoredBody(this.#files, this.#name, this.#size + octetsIn(front), false, front);
    return this.#body;
  }

  discard(): void {
    if (this.#discarded || this.#body?.claimed === true) return;
    this.#discarded = true;
    this.#chunks = [];
    this.#error ??= new StoreError("closed", "the content was discarded");
    const ended = Promise.allSettled([this.#opening, this.#writing, this.#finishing]).then(() => this.#closeFile());
    this.#files.remove(
      this.#name,
      ended.catch(() => {}),
    );
  }

  async #settled(): Promise<void> {
    await this.#writing;
    if (this.#error !== undefined) throw this.#error;
  }

  async #drain(): Promise<void> {
    await this.#opening;
    while (this.#chunks.length > 0 && this.#error === undefined) {
      const batch = this.#chunks.splice(0, CHUNKS_PER_WRITE);
      try {
        await writeAll(this.#fd as number, batch);
      } catch (thrown) {
        this.#fail(thrown);
      }
      for (const chunk of batch) this.#backlog -= chunk.length;
    }
    this.#writing = undefined;
  }

  async #closeFile(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) await fs.close(fd);
  }

  #fail(thrown: unknown): void {
    this.#error ??= fileError(thrown);
  }
}

/** Small content: the caller's chunks; from the threshold on: a file. */
class SpillingWriter implements ContentWriter {
  #files: BodyFiles;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #file: BodyFile | undefined;

  constructor(files: BodyFiles) {
    this.#files = files;
  }

  write(chunk: Uint8Array): void | Promise<void> {
    this.#size += chunk.length;
    if (this.#file !== undefined) return this.#file.write([chunk]);
    this.#chunks.push(chunk);
    if (this.#size <= BODY_FILE_THRESHOLD) return;
    this.#file = new BodyFile(this.#files);
    const chunks = this.#chunks;
    this.#chunks = [];
    return this.#file.write(chunks);
  }

  finish(front: readonly Uint8Array[] = []): Content | Promise<Content> {
    if (this.#file !== undefined) return this.#file.finish(front);
    return memoryContent(front.length === 0 ? this.#chunks : [...front, ...this.#chunks]);
  }

  discard(): void {
    this.#file?.discard();
    this.#chunks = [];
  }
}

export function octetsIn(chunks: readonly Uint8Array[]): number {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  return size;
}

function writeAll(fd: number, chunks: Uint8Array[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (rest: Uint8Array[]) =>
      writev(fd, rest, (error, written) => {
        if (error !== null) return reject(error);
        const left = after(rest, written);
        if (left.length === 0) resolve();
        else step(left);
      });
    step(chunks);
  });
}

/** What is left of chunks of which so many octets are written. */
function after(chunks: Uint8Array[], written: number): Uint8Array[] {
  let at = 0;
  while (at < chunks.length && written >= (chunks[at] as Uint8Array).length) written -= (chunks[at++] as Uint8Array).length;
  if (at === chunks.length) return [];
  return [(chunks[at] as Uint8Array).subarray(written), ...chunks.slice(at + 1)];
}

export function fileError(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new StoreError(code === "ENOSPC" || code === "EDQUOT" ? "full" : "io", `body file: ${text}`, { cause: thrown });
}
