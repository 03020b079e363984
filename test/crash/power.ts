/**
 * Power loss: one run of the server under load, and the data folder as a power loss at many moments of it would have left it.
 *
 * Rules
 * 1. Each folder is opened by the store's own code, as a start does it. That must succeed.
 * 2. Lost: its 250 had begun to be sent, its final dot had not been sent to the next hop, and it is not in the store, whole.
 * 3. Twice: it is in the store although there was time to record that the next hop took it.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { readContent } from "../../src/mail/content.ts";
import { openStores } from "../../src/relay/stores.ts";
import { Disk, type Fate } from "./disk.ts";
import { handOvers } from "./hand-overs.ts";
import { acceptedIn, type JournalRecord } from "./journal.ts";
import { recognize } from "./messages.ts";
import type { Random } from "./random.ts";

export interface PowerReport {
  readonly moments: number;
  /** Summed over the moments: what had to be in the store. */
  readonly accepted: number;
  readonly lost: readonly string[];
  readonly twice: readonly string[];
  /** Folders that could not be opened. */
  readonly refused: readonly string[];
}

export interface PowerOptions {
  readonly records: readonly JournalRecord[];
  /** The data folder of the journal. */
  readonly data: string;
  /** Where folders are made. */
  readonly folder: string;
  readonly moments: number;
  readonly random: Random;
  readonly fate: (random: Random) => Fate;
}

export async function losePower({ records, data, folder, moments, random, fate }: PowerOptions): Promise<PowerReport> {
  const cuts = Array.from({ length: moments }, () => random.whole(1, records.length)).sort((a, b) => a - b);
  const disk = new Disk(data);
  const target = join(folder, "after-power-loss");
  const lost: string[] = [];
  const twice: string[] = [];
  const refused: string[] = [];
  let accepted = 0;
  let at = 0;
  for (const cut of cuts) {
    for (; at < cut; at++) disk.apply(records[at] as JournalRecord);
    const before = records.slice(0, cut);
    const over = handOvers(before);
    const due = new Set(before.flatMap(acceptedIn));
    for (const { queueId } of over) due.delete(queueId);
    accepted += due.size;
    const chosen = fate(random);
    rmSync(target, { recursive: true, force: true });
    disk.write(target, chosen);
    const where = `after record ${cut} (${chosen.kind})`;
    try {
      const stored = await idsIn(target);
      for (const id of due) if (!stored.has(id)) lost.push(`${id} ${where}`);
      for (const { queueId, settled } of over) if (settled && stored.has(queueId)) twice.push(`${queueId} ${where}`);
    } catch (error) {
      refused.push(`${where}: ${error instanceof Error ? error.message : error}`);
    }
  }
  rmSync(target, { recursive: true, force: true });
  return { moments, accepted, lost, twice, refused };
}

/** The queue's ids of messages that can be read and are whole. */
async function idsIn(folder: string): Promise<Set<string>> {
  const stores = await openStores({ folder, minimumFree: 0 });
  const whole = new Set<string>();
  try {
    for (const { id } of await stores.queue.list({ limit: 10_000 })) {
      const content = await stores.queue.content(id).catch(() => undefined);
      if (content === undefined) continue;
      const chunks: Uint8Array[] = [];
      for await (const chunk of readContent(content)) chunks.push(chunk);
      if (recognize(Buffer.concat(chunks))?.whole === true) whole.add(id);
    }
  } finally {
    await stores.close();
  }
  return whole;
}
