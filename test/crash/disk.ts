/**
 * A data folder as a power loss leaves it, made from the journal of a process.
 *
 * Rules
 * 1. What was synced is there. Of what was not, a disk may keep anything: nothing, all, or some blocks of some writes in any order.
 * 2. A file's name is its folder's: it is there for sure only once the folder was synced, and so is the removal of a name.
 * 3. A failed sync loses what it was to sync, for good: Linux marks those pages clean.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { JournalRecord } from "./journal.ts";
import type { Random } from "./random.ts";

/** What becomes of what was not synced. */
export type Fate =
  | { readonly kind: "forgotten" }
  | { readonly kind: "kept" }
  | { readonly kind: "some"; readonly random: Random; readonly block: number };

type Change =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly length: number };

class File {
  synced: Buffer = Buffer.alloc(0);
  pending: Change[] = [];
  /** How many of the pending changes the sync under way covers. */
  covered = 0;
}

type Naming = { readonly path: string; readonly file: File | "folder" | undefined };

class Folder {
  pending: Naming[][] = [];
  covered = 0;
}

export class Disk {
  readonly #root: string;
  /** By path: what is there for sure. */
  readonly #synced = new Map<string, File | "folder">();
  /** As the process sees it. */
  readonly #live = new Map<string, File | "folder">();
  readonly #folders = new Map<string, Folder>();
  readonly #byIno = new Map<number, File | Folder>();

  /** `root` is the data folder of the journal: empty, but there. */
  constructor(root: string) {
    this.#root = root;
  }

  apply(record: JournalRecord): void {
    const { op, ino, offset, bytes, result } = record;
    const path = bytes.length < 8192 ? bytes.toString() : "";
    const file = this.#byIno.get(ino);
    switch (op) {
      case "open":
        return this.#open(path, ino, offset);
      case "write":
        if (file instanceof File) file.pending.push({ kind: "write", offset, bytes });
        return;
      case "truncate":
        if (file instanceof File) file.pending.push({ kind: "truncate", length: offset });
        return;
      case "sync-begin":
        if (file !== undefined) file.covered = file.pending.length;
        return;
      case "sync-end":
        if (file !== undefined) this.#end(file, result === 0);
        return;
      case "mkdir":
        if (path !== this.#root) this.#name([{ path, file: "folder" }]);
        return;
      case "unlink":
      case "rmdir":
        return this.#name([{ path, file: undefined }]);
      case "rename": {
        const [from = "", to = ""] = path.split("\n");
        return this.#name([
          { path: from, file: undefined },
          { path: to, file: this.#live.get(from) },
        ]);
      }
    }
  }

  /** Writes it into a folder that is not there yet. */
  write(target: string, fate: Fate): void {
    const names = new Map(this.#synced);
    for (const { pending } of this.#folders.values()) {
      for (const naming of pending) if (isKept(fate)) set(names, naming);
    }
    mkdirSync(target, { recursive: true, mode: 0o700 });
    for (const [path, file] of names) {
      if (!this.#isReachable(path, names)) continue;
      const place = join(target, relative(this.#root, path));
      if (file === "folder") mkdirSync(place, { recursive: true, mode: 0o700 });
      else {
        mkdirSync(dirname(place), { recursive: true, mode: 0o700 });
        writeFileSync(place, contentOf(file, fate), { mode: 0o600 });
      }
    }
  }

  #isReachable(path: string, names: ReadonlyMap<string, File | "folder">): boolean {
    const folder = dirname(path);
    return folder === this.#root || (names.has(folder) && this.#isReachable(folder, names));
  }

  #open(path: string, ino: number, how: number): void {
    if ((how & 4) !== 0) return void this.#byIno.set(ino, this.#folder(path));
    let file = this.#live.get(path);
    if (file === undefined || file === "folder" || (how & 1) !== 0) {
      file = new File();
      this.#name([{ path, file }]);
    }
    if ((how & 2) !== 0) file.pending.push({ kind: "truncate", length: 0 });
    this.#byIno.set(ino, file);
  }

  #folder(path: string): Folder {
    const found = this.#folders.get(path) ?? new Folder();
    this.#folders.set(path, found);
    return found;
  }

  /** Changes of names in one folder that come together. */
  #name(naming: Naming[]): void {
    set(this.#live, naming);
    this.#folder(dirname(naming[0]?.path as string)).pending.push(naming);
  }

  #end(file: File | Folder, well: boolean): void {
    if (file instanceof File) {
      const done = file.pending.splice(0, file.covered);
      if (well) file.synced = changed(file.synced, done);
    } else {
      const done = file.pending.splice(0, file.covered);
      if (well) for (const naming of done) set(this.#synced, naming);
    }
    file.covered = 0;
  }
}

function set(names: Map<string, File | "folder">, naming: readonly Naming[]): void {
  for (const { path, file } of naming) {
    if (file === undefined) names.delete(path);
    else names.set(path, file);
  }
}

function isKept(fate: Fate): boolean {
  return fate.kind === "kept" || (fate.kind === "some" && fate.random.next() < 0.5);
}

function contentOf({ synced, pending }: File, fate: Fate): Buffer {
  if (fate.kind === "forgotten") return synced;
  if (fate.kind === "kept") return changed(Buffer.from(synced), pending);
  const { block } = fate;
  const kept: Change[] = [];
  for (const change of pending) {
    if (change.kind === "truncate") {
      if (isKept(fate)) kept.push(change);
      continue;
    }
    // Blocks of a disk are written whole or not at all, each for itself.
    const { offset, bytes } = change;
    for (let at = offset; at < offset + bytes.length; ) {
      const end = Math.min(offset + bytes.length, (Math.floor(at / block) + 1) * block);
      if (isKept(fate)) kept.push({ kind: "write", offset: at, bytes: bytes.subarray(at - offset, end - offset) });
      at = end;
    }
  }
  return changed(Buffer.from(synced), kept);
}

/** May change `content` itself. */
function changed(content: Buffer, changes: readonly Change[]): Buffer {
  let length = content.length;
  let longest = length;
  for (const change of changes) {
    length = change.kind === "truncate" ? change.length : Math.max(length, change.offset + change.bytes.length);
    longest = Math.max(longest, length);
  }
  const whole = longest > content.length ? Buffer.concat([content, Buffer.alloc(longest - content.length)]) : content;
  let size = content.length;
  for (const change of changes) {
    if (change.kind === "write") {
      change.bytes.copy(whole, change.offset);
      size = Math.max(size, change.offset + change.bytes.length);
    } else {
      if (change.length < size) whole.fill(0, change.length, size);
      size = change.length;
    }
  }
  return whole.subarray(0, size);
}
