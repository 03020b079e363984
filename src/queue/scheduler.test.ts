import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageId, QueuedMessage } from "../mail/message.ts";
import { FakeClock } from "../util/testing.ts";
import { Scheduler } from "./scheduler.ts";
import type { Settlement } from "./store.ts";

/** A queue of single-recipient messages that are due at given times. */
class FakeStore {
  due = new Map<MessageId, number>();
  leases: number[] = [];
  looks = 0;
  settled: Settlement[] = [];
  failing: Error | undefined;
  #parallel = 0;

  async lease(now: number, limit: number): Promise<QueuedMessage[]> {
    this.looks++;
    assert.equal(++this.#parallel, 1, "one lease at a time");
    await Promise.resolve();
    this.#parallel--;
    if (this.failing !== undefined) throw this.failing;
    const ids = [...this.due].filter(([, due]) => due <= now).map(([id]) => id);
    const taken = ids.slice(0, limit);
    for (const id of taken) this.due.delete(id);
    if (taken.length > 0) this.leases.push(taken.length);
    return taken.map(message);
  }

  async nextDue(): Promise<number | undefined> {
    return this.due.size === 0 ? undefined : Math.min(...this.due.values());
  }

  async settle(settlements: readonly Settlement[]): Promise<readonly MessageId[]> {
    this.settled.push(...settlements);
    return [];
  }
}

function message(id: MessageId): QueuedMessage {
  return {
    id,
    envelope: { reversePath: null, body: "7BIT", smtpUtf8: false },
    recipients: [{ index: 0, mailbox: { localPart: "a", domain: "b.test" }, attempts: 0, delayTold: false }],
    content: { kind: "memory", chunks: [], size: 0 },
    facts: { size: 0, eightBit: false, eightBitHeader: false, binary: false, longestLine: 0 },
    origin: { kind: "local" },
    arrived: 0,
  };
}

function setUp(room = Number.POSITIVE_INFINITY) {
  const clock = new FakeClock();
  const store = new FakeStore();
  const delivered: MessageId[] = [];
  const troubles: unknown[] = [];
  const state = { room, broken: false };
  const scheduler = new Scheduler({
    store,
    clock,
    batch: 100,
    capacity: () => state.room,
    deliver: ({ id }) => {
      if (state.broken) throw new Error("broken");
      state.room--;
      delivered.push(id);
    },
    onTrouble: (error) => troubles.push(error),
  });
  return { clock, store, delivered, troubles, state, scheduler };
}

describe("scheduler", () => {
  test("hands out what is due at the start, in batches", async () => {
    const { clock, store, delivered, scheduler } = setUp();
    for (let i = 0; i < 250; i++) store.due.set(`M${i}`, clock.now());
    scheduler.start();
    await clock.pass(0);
    assert.deepEqual(store.leases, [100, 100, 50]);
    assert.equal(delivered.length, 250);
  });

  test("sleeps until the next one is due, and not a look more", async () => {
    const { clock, store, delivered, scheduler } = setUp();
    store.due.set("M", clock.now() + 60_000);
    scheduler.start();
    await clock.pass(59_999);
    assert.deepEqual(delivered, []);
    assert.equal(store.looks, 1);
    await clock.pass(1);
    assert.deepEqual(delivered, ["M"]);
  });

  test("an empty queue is left alone, and the bell wakes it", async () => {
    const { clock, store, delivered, scheduler } = setUp();
    scheduler.start();
    await clock.pass(3_000_000);
    assert.equal(store.looks, 1);
    store.due.set("M", clock.now());
    scheduler.wake();
    await clock.pass(0);
    assert.deepEqual(delivered, ["M"]);
  });

  test("a bell that rings all the time costs few looks, and none is missed", async () => {
    const { clock, store, delivered, scheduler } = setUp();
    scheduler.start();
    await clock.pass(100);
    const before = store.looks;
    for (let ms = 0; ms < 100; ms++) {
      scheduler.wake();
      await clock.pass(1);
    }
    store.due.set("M", clock.now());
    scheduler.wake();
    await clock.pass(20);
    assert.deepEqual(delivered, ["M"]);
    assert.ok(store.looks - before <= 14, `${store.looks - before} looks`);
  });

  test("without room it waits for room", async () => {
    const { clock, store, delivered, state, scheduler } = setUp(2);
    for (let i = 0; i < 5; i++) store.due.set(`M${i}`, clock.now());
    scheduler.start();
    await clock.pass(100_000);
    assert.equal(delivered.length, 2);
    scheduler.wake();
    scheduler.room();
    await clock.pass(100_000);
    assert.equal(delivered.length, 2, "there is none yet");
    state.room = 2;
    scheduler.room();
    await clock.pass(0);
    assert.equal(delivered.length, 4);
  });

  test("after an error it backs off, from one second to a minute, and recovers", async () => {
    const { clock, store, delivered, troubles, scheduler } = setUp();
    store.failing = new Error("disk");
    store.due.set("M", clock.now());
    scheduler.start();
    await clock.pass(999);
    assert.equal(store.looks, 1);
    scheduler.wake();
    await clock.pass(1);
    assert.equal(store.looks, 2);
    await clock.pass(3_600_000);
    assert.ok(store.looks > 60 && store.looks < 70, `${store.looks} looks`);
    assert.equal(troubles.length, store.looks);
    store.failing = undefined;
    await clock.pass(60_000);
    assert.deepEqual(delivered, ["M"]);
  });

  test("what the taker throws at is reported and given back", async () => {
    const { clock, store, state, troubles, scheduler } = setUp();
    state.broken = true;
    store.due.set("M", clock.now());
    scheduler.start();
    await clock.pass(0);
    assert.equal(troubles.length, 1);
    assert.deepEqual(store.settled, [{ kind: "released", id: "M", index: 0, due: clock.now() + 60_000 }]);
  });

  test("what arrives after the stop is given back, and nothing is leased any more", async () => {
    const { clock, store, delivered, scheduler } = setUp();
    store.due.set("M", clock.now());
    scheduler.start();
    await scheduler.stop();
    assert.deepEqual(delivered, []);
    assert.deepEqual(store.settled, [{ kind: "released", id: "M", index: 0, due: clock.now() }]);
    store.due.set("N", clock.now());
    scheduler.wake();
    scheduler.room();
    await clock.pass(10_000_000);
    assert.deepEqual(delivered, []);
  });
});
