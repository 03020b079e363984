/**
 * The shim's journal: what a process did to its data folder, what it answered, and what it handed on, in order.
 *
 * Rules
 * 1. A record that the end of the process cut off is left out.
 */
import { readFileSync } from "node:fs";

const operations = [
  "",
  "open",
  "write",
  "truncate",
  "sync-begin",
  "sync-end",
  "unlink",
  "rename",
  "mkdir",
  "rmdir",
  "reply",
  "replied",
  "hop-content",
  "hop-dot",
  "hop-250",
  "killed",
] as const;
export type Operation = Exclude<(typeof operations)[number], "">;

/** As the shim numbers them. */
const kinds = ["none", "database", "wal", "body", "folder", "other", "hop"] as const;
export type FileKind = (typeof kinds)[number];

export interface JournalRecord {
  readonly op: Operation;
  /** File descriptor, or result of a sync. */
  readonly result: number;
  readonly ino: number;
  /** Of a write or truncation; of an open: 1 created, 2 truncated, 4 a folder (added up); of a sync: the file's kind. */
  readonly offset: number;
  readonly bytes: Buffer;
}

const RECORD_LENGTH = 32;

export function readJournal(path: string): JournalRecord[] {
  const whole = readFileSync(path);
  const records: JournalRecord[] = [];
  let at = 0;
  while (at + RECORD_LENGTH <= whole.length) {
    const op = operations[whole.readUInt32LE(at)];
    const length = Number(whole.readBigUInt64LE(at + 24));
    const end = at + RECORD_LENGTH + length;
    if (op === undefined || op === "") throw new Error(`${path}: no record at ${at}`);
    if (end > whole.length) break;
    records.push({
      op,
      result: whole.readInt32LE(at + 4),
      ino: Number(whole.readBigUInt64LE(at + 8)),
      offset: Number(whole.readBigInt64LE(at + 16)),
      bytes: whole.subarray(at + RECORD_LENGTH, end),
    });
    at = end;
  }
  return records;
}

/** Of a sync. */
export function kindOf(record: JournalRecord): FileKind {
  return kinds[record.offset] ?? "none";
}

/** The queue's ids of the messages that a reply accepts. */
export function acceptedIn(record: JournalRecord): string[] {
  if (record.op !== "reply") return [];
  return [...record.bytes.toString("latin1").matchAll(/^250 2\.0\.0 OK, message accepted as (\S+)\r$/gm)].map(([, id]) => id as string);
}

/** The queue's id and ours of a message that goes to the next hop. */
export function handedOn(record: JournalRecord): { readonly queueId: string; readonly id: string } | undefined {
  if (record.op !== "hop-content") return undefined;
  const head = record.bytes.toString("latin1");
  const id = /^X-Crash-Id: (\S+)\r$/m.exec(head)?.[1];
  const queueId = /\bid ([0-9A-Z]{16})\b/.exec(head)?.[1];
  return id === undefined || queueId === undefined ? undefined : { queueId, id };
}
