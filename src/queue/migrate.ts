/**
 * Moves a queue from one store to another.
 *
 * Rules
 * 1. A message is removed where it was only after it is committed where it goes: interrupted anywhere it is in one of the two, or in both.
 * 2. What is there already, by its id, is not moved a second time, only removed here: so it may be run again after an interruption. Where a
 *    server works on the target meanwhile and has delivered what is in both, it is moved, and comes, twice (row 4 of the table of crash states).
 * 3. Nobody may work on the source: with leases under way it is refused.
 * 4. What is remembered of idempotency keys, the suppression list and what is suspended go first: a client that sends again afterwards hears
 *    the same, and nothing is tried that was not to be. They stay in the source, too.
 * 5. A message that cannot be read stays where it is and is told of; the others go on.
 */
import type { MessageId } from "../mail/message.ts";
import { type QueueStore, StoreError } from "./store.ts";

export interface MigrateOptions {
  /** After each message that is moved, for showing how far it is. */
  readonly onMoved?: (id: MessageId, moved: number) => void;
}

export interface Migrated {
  readonly moved: number;
  /** Were in the target already, and are removed from the source now. */
  readonly already: number;
  /** Could not be read: they are still in the source. */
  readonly unreadable: readonly { readonly id: MessageId; readonly why: string }[];
}

/** Messages listed at once. */
const PAGE = 200;
/** Keys, or suppressions, moved at once. */
const KEYS_PAGE = 1000;
/** Messages on their way at once: what the target commits together. */
const AT_ONCE = 32;

/** Rejects with a StoreError: busy where somebody works on the source; what else stops it may be mended, and it be run again. */
export async function migrateQueue(from: QueueStore, to: QueueStore, { onMoved }: MigrateOptions = {}): Promise<Migrated> {
  const { active } = await from.stats();
  if (active > 0) throw new StoreError("busy", `${active} recipients are under way: stop the servers that work on this queue first`);
  await migrateKeys(from, to);
  await migrateSuppressions(from, to);
  for (const suspension of await from.suspensions(Date.now())) await to.suspend(suspension);
  let moved = 0;
  let already = 0;
  const unreadable: { id: MessageId; why: string }[] = [];
  let ids: MessageId[] = [];

  const moveOne = async (id: MessageId): Promise<void> => {
    try {
      const message = await from.read(id);
      if (message === undefined) return; // gone since it was listed
      const restored = await to.restore(message);
      await from.remove([id]);
      if (!restored) already++;
      else {
        moved++;
        onMoved?.(id, moved);
      }
    } catch (thrown) {
      if (!(thrown instanceof StoreError && thrown.code === "corrupt")) {
        ids.length = 0; // the others end with what they have in hand
        throw thrown;
      }
      unreadable.push({ id, why: thrown.message });
    }
  };

  let after: MessageId | undefined;
  for (;;) {
    const page = await from.list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    if (page.length === 0) return { moved, already, unreadable };
    after = page.at(-1)?.id;
    ids = page.map(({ id }) => id);
    const loop = async () => {
      for (let id = ids.shift(); id !== undefined; id = ids.shift()) await moveOne(id);
    };
    const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, loop)); // all have come to rest before anybody closes a store
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  }
}

async function migrateKeys(from: QueueStore, to: QueueStore): Promise<void> {
  for (let after = ""; ; ) {
    const keys = await from.submittedKeys({ limit: KEYS_PAGE, after });
    const last = keys.at(-1);
    if (last === undefined) return;
    await to.restoreSubmittedKeys(keys);
    after = last.key;
  }
}

async function migrateSuppressions({ suppressionList: from }: QueueStore, { suppressionList: to }: QueueStore): Promise<void> {
  for (let page = await from.page({ now: 0, limit: KEYS_PAGE }); ; ) {
    const last = page.at(-1);
    if (last === undefined) return;
    await to.restore(page);
    page = await from.page({ now: 0, limit: KEYS_PAGE, after: last });
  }
}
