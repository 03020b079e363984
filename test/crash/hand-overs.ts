/**
 * What a process handed to the next hop, as its journal tells it: whether it could know, and could record, that it was taken.
 *
 * Rules
 * 1. How long the recording may take is counted in syncs of the log, not in time.
 */
import { handedOn, type JournalRecord, kindOf } from "./journal.ts";

/**
 * Syncs of the log that may begin after the next hop's 250 was read and end before what it means is synced: one for the settlements before
 * it, one for its own; around them those of commits that the thread had in its hands already, and of a checkpoint.
 */
const SYNCS_BEFORE_SETTLED = 6;

export interface HandOver {
  readonly id: string;
  readonly queueId: string;
  /** There was time to record it: it must not be sent again. */
  readonly settled: boolean;
}

/** Of the messages whose final dot was sent, in order. */
export function handOvers(records: readonly JournalRecord[]): HandOver[] {
  const underWay = new Map<number, { readonly id: string; readonly queueId: string }>();
  const sent: { readonly id: string; readonly queueId: string; readAt?: number }[] = [];
  for (const [at, record] of records.entries()) {
    const { op, ino } = record;
    const message = handedOn(record);
    if (message !== undefined) underWay.set(ino, message);
    const current = underWay.get(ino);
    if (op === "hop-dot" && current !== undefined) sent.push({ ...current });
    if (op === "hop-250" && current !== undefined) {
      const own = sent.findLast(({ id }) => id === current.id);
      if (own !== undefined) own.readAt = at;
    }
  }
  const syncs = syncsOfLog(records);
  return sent.map(({ id, queueId, readAt }) => ({
    id,
    queueId,
    settled: readAt !== undefined && syncs.filter((begin) => begin > readAt).length > SYNCS_BEFORE_SETTLED,
  }));
}

/** Where syncs of the log began that ended well. */
function syncsOfLog(records: readonly JournalRecord[]): number[] {
  const found: number[] = [];
  let begin = 0;
  for (const [at, record] of records.entries()) {
    if (record.op === "sync-begin" && kindOf(record) === "wal") begin = at;
    if (record.op === "sync-end" && record.result === 0 && kindOf(record) === "wal") found.push(begin);
  }
  return found;
}
