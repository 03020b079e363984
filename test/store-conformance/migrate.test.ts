/** A queue moved from one store to the other and back: whole, with its attempts, whatever interrupts it. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { migrateQueue } from "../../src/queue/migrate.ts";
import { fails } from "./conformance.ts";
import { keyed, remembered } from "./idempotency.ts";
import { isIntact, newMessage } from "./messages.ts";
import { BODY_FILE_THRESHOLD, type MessageId, type QueueStore, StoreError } from "./nouns.ts";
import type { StoreOpener } from "./opener.ts";
import * as postgres from "./postgres.ts";
import * as sqlite from "./sqlite.ts";
import { suppression } from "./suppressions.ts";

const LARGE = BODY_FILE_THRESHOLD + 100_000;
const stores: Readonly<Record<string, StoreOpener>> = { SQLite: sqlite, PostgreSQL: postgres };

async function newStore(t: TestContext, opener: StoreOpener): Promise<{ store: QueueStore; at: string }> {
  const place = await opener.newPlace();
  const store = await opener.open(place.at);
  t.after(async () => {
    await store.close();
    await place.remove();
  });
  return { store, at: place.at };
}

/** 30 messages of all sizes, some tried, some settled in part. */
async function fill(store: QueueStore, now: number): Promise<MessageId[]> {
  const made = Array.from({ length: 30 }, (_, i) => newMessage({ arrived: now - i, recipients: 3, size: i % 10 === 0 ? LARGE : i * 100 }));
  for (const message of made) await store.enqueue(message, { lease: true });
  const settlements = made.flatMap(({ id }, i) => [
    { kind: "finished", id, index: i % 3 } as const,
    { kind: "deferred", id, index: (i + 1) % 3, due: now + i * 1000, attempts: i, last: `450 4.2.0 try ${i}` } as const,
    { kind: "released", id, index: (i + 2) % 3, due: now } as const,
  ]);
  await store.settle(settlements, []);
  return made.map(({ id }) => id).sort();
}

async function whole(store: QueueStore, ids: readonly MessageId[]): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const id of ids) {
    const message = await store.read(id);
    assert.ok(message !== undefined && (await isIntact(id, message.content)), id);
    found.push({ ...message, content: undefined });
  }
  return found;
}

const skip = await postgres.whyNot();

describe("moving a queue", () => {
  for (const [from, to] of [
    ["SQLite", "PostgreSQL"],
    ["PostgreSQL", "SQLite"],
    ["PostgreSQL", "PostgreSQL"],
  ] as const) {
    test(`from ${from} to ${to}, interrupted on the way and run again`, { skip }, async (t) => {
      const source = await newStore(t, stores[from] as StoreOpener);
      const target = await newStore(t, stores[to] as StoreOpener);
      const now = Date.now();
      const ids = await fill(source.store, now);
      const before = await whole(source.store, ids);
      const named = keyed({ to: ["a", "b"] });
      await source.store.enqueue(named, { lease: false });
      await source.store.remove([named.id]);
      await source.store.suppressionList.put(suppression("a@x.test"));
      const suspended = { kind: "domain", value: "far.test", reason: "they asked", made: 1000 } as const;
      await source.store.suspend(suspended);

      // It fails in the middle, once before a message is there and once after.
      let calls = 0;
      const failing: QueueStore = Object.create(target.store, {
        restoreSubmittedKeys: {
          value: (keys: Parameters<QueueStore["restoreSubmittedKeys"]>[0]) => target.store.restoreSubmittedKeys(keys),
        },
        suspend: { value: (one: Parameters<QueueStore["suspend"]>[0]) => target.store.suspend(one) },
        restore: {
          value: async (message: Parameters<QueueStore["restore"]>[0]) => {
            const call = ++calls;
            if (call === 10) throw new StoreError("io", "the target is away");
            const restored = await target.store.restore(message);
            if (call > 5) throw new StoreError("io", "the reply was lost");
            return restored;
          },
        },
      });
      await assert.rejects(migrateQueue(source.store, failing), fails("io"));
      const [left, there] = [await source.store.list({ limit: 100 }), await target.store.list({ limit: 100 })];
      assert.ok(left.length > 0 && there.length > 0);
      assert.deepEqual([...new Set([...left, ...there].map(({ id }) => id))].sort(), ids, "each is in one of the two, or in both");

      const both = left.length + there.length - ids.length;
      const { moved, already, unreadable } = await migrateQueue(source.store, target.store);
      assert.deepEqual([moved, already, unreadable], [left.length - both, both, []]);
      assert.deepEqual(await source.store.list({ limit: 100 }), []);
      assert.deepEqual(await whole(target.store, ids), before);
      assert.equal(await (stores[from] as StoreOpener).largeBodies(source.at), 0);
      assert.deepEqual(await migrateQueue(source.store, target.store), { moved: 0, already: 0, unreadable: [] });
      assert.deepEqual(
        await target.store.enqueue(keyed(), { lease: false }),
        { id: named.id, recipients: [0] },
        "keys are known there, too",
      );
      assert.deepEqual(await remembered(target.store), await remembered(source.store));
      assert.deepEqual(await target.store.suppressionList.page({ now: 0, limit: 10 }), [suppression("a@x.test")]);
      assert.deepEqual(await target.store.suspensions(now), [suspended], "what is not to be tried is not tried there");
      const leased = await target.store.lease(now, 1000);
      assert.equal(leased.flatMap(({ recipients }) => recipients).length, 31, "30 handed back, and the one deferred until now");
    });
  }

  test("refused while somebody works on it; what cannot be read stays, and is told of", async (t) => {
    const source = await newStore(t, sqlite);
    const target = await newStore(t, sqlite);
    const [hurt, well] = [newMessage({ size: LARGE }), newMessage()];
    await source.store.enqueue(hurt, { lease: false });
    await source.store.enqueue(well, { lease: true });
    await assert.rejects(migrateQueue(source.store, target.store), fails("busy", /1 recipients are under way/));
    await source.store.settle([{ kind: "released", id: well.id, index: 0, due: Date.now() }], []);
    await sqlite.harmLargeBodies(source.at, "cut short");
    const { moved, unreadable } = await migrateQueue(source.store, target.store);
    assert.equal(moved, 1);
    assert.deepEqual(
      unreadable.map(({ id }) => id),
      [hurt.id],
    );
    assert.ok((await source.store.show(hurt.id)) !== undefined);
  });
});
