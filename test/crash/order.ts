/**
 * The order of system calls: each 250 is written after the syncs returned that it stands for.
 *
 * Rules
 * 1. The row: a sync of the log that began after the row was written to it, and ended well before the reply began.
 * 2. A body of its own: the same for its file, and for the folder that has its name.
 */
import { acceptedIn, type JournalRecord, kindOf } from "./journal.ts";

export interface OrderReport {
  /** 250s that were looked at. */
  readonly replies: number;
  /** Those of them with a file of their own. */
  readonly large: number;
  /** One line for each 250 that came too early. */
  readonly violations: readonly string[];
}

export function checkOrder(records: readonly JournalRecord[]): OrderReport {
  const index = new Index(records);
  const violations: string[] = [];
  let replies = 0;
  let large = 0;
  for (const [at, record] of records.entries()) {
    for (const id of acceptedIn(record)) {
      replies++;
      const body = index.bodyOf(id, at);
      if (body !== undefined) large++;
      violations.push(...index.missing(id, at, body).map((what) => `250 for ${id} (record ${at}): ${what}`));
    }
  }
  return { replies, large, violations };
}

interface Sync {
  readonly begin: number;
  readonly end: number;
}

interface BodyFile {
  readonly ino: number;
  readonly opened: number;
  lastWrite: number;
}

class Index {
  readonly #records: readonly JournalRecord[];
  readonly #syncs = { log: [] as Sync[], folder: [] as Sync[], file: new Map<number, Sync[]>() };
  readonly #logWrites: number[] = [];
  readonly #bodies: { readonly file: BodyFile; readonly first: string }[] = [];

  constructor(records: readonly JournalRecord[]) {
    this.#records = records;
    const opened = new Map<number, { readonly path: string; readonly at: number }>();
    const begun = new Map<number, number>();
    const writing = new Map<number, BodyFile>();
    for (const [at, record] of records.entries()) {
      const { op, ino, bytes } = record;
      if (op === "open") {
        opened.set(ino, { path: bytes.toString(), at });
        writing.delete(ino);
      }
      if (op === "write") this.#write(at, record, opened.get(ino), writing);
      if (op === "sync-begin") begun.set(ino, at);
      if (op === "sync-end" && record.result === 0) this.#synced(record, { begin: begun.get(ino) ?? at, end: at });
    }
  }

  /** The file whose Received field names the message. */
  bodyOf(id: string, before: number): BodyFile | undefined {
    return this.#bodies.find(({ file, first }) => file.opened < before && first.includes(id))?.file;
  }

  missing(id: string, reply: number, body: BodyFile | undefined): string[] {
    const lacks: string[] = [];
    const name = Buffer.from(id, "latin1");
    const row = this.#logWrites.find((at) => at < reply && this.#records[at]?.bytes.includes(name) === true);
    if (row === undefined) lacks.push("its row was not written");
    else if (!covered(this.#syncs.log, row, reply)) lacks.push("no sync of the log between its row and the reply");
    if (body === undefined) return lacks;
    if (!covered(this.#syncs.file.get(body.ino) ?? [], body.lastWrite, reply)) lacks.push("its body's file was not synced");
    if (!covered(this.#syncs.folder, body.opened, reply)) lacks.push("the folder of its body was not synced");
    return lacks;
  }

  #write(at: number, { ino, bytes }: JournalRecord, file: { path: string; at: number } | undefined, writing: Map<number, BodyFile>): void {
    if (file?.path.endsWith("-wal") === true) this.#logWrites.push(at);
    if (file?.path.includes("/bodies/") !== true) return;
    const known = writing.get(ino);
    if (known !== undefined) {
      known.lastWrite = at;
      return;
    }
    const body = { ino, opened: file.at, lastWrite: at };
    writing.set(ino, body);
    this.#bodies.push({ file: body, first: bytes.subarray(0, 2000).toString("latin1") });
  }

  #synced(record: JournalRecord, sync: Sync): void {
    const kind = kindOf(record);
    if (kind === "wal") this.#syncs.log.push(sync);
    if (kind === "folder") this.#syncs.folder.push(sync);
    if (kind !== "body") return;
    const all = this.#syncs.file.get(record.ino) ?? [];
    all.push(sync);
    this.#syncs.file.set(record.ino, all);
  }
}

function covered(syncs: readonly Sync[], written: number, before: number): boolean {
  return syncs.some(({ begin, end }) => begin > written && end < before);
}
