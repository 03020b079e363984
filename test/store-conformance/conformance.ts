/**
 * What every queue store must do, on real files and real servers.
 *
 * Rules
 * 1. Nothing here knows the store but through QueueStore and its opener. What only one of them must do stands beside it: embedded.ts,
 *    postgres.test.ts.
 * 2. Each test has a place of its own.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { QueueControl } from "../../src/queue/control.ts";
import { crashTests } from "./crashes.ts";
import { idempotencyTests } from "./idempotency.ts";
import { bytesIn, bytesOf, isIntact, newMessage, receive } from "./messages.ts";
import {
  BODY_FILE_THRESHOLD,
  type MessageId,
  memoryContent,
  newMessageId,
  type QueueStore,
  StoreError,
  type StoreErrorCode,
} from "./nouns.ts";
import type { OpenOptions, Place, StoreOpener } from "./opener.ts";
import { suppressionTests } from "./suppressions.ts";

const LARGE = BODY_FILE_THRESHOLD + 100_000;

/** Registers the suite for the store whose opener is the module at `openerUrl`. */
export async function storeConformance(name: string, openerUrl: URL): Promise<void> {
  const opener: StoreOpener = await import(openerUrl.href);
  const why = await opener.whyNot();
  if (why !== false) return void test(`${name} store`, { skip: why });

  describe(`${name} store`, () => {
    const { open, closeAll, at } = stores(opener);
    queueTests(open, closeAll);
    operatorTests(open);
    bodyTests(open, closeAll, opener, at);
    movingTests(open);
    idempotencyTests(open, closeAll, opener, at);
    suppressionTests(open, closeAll);
    crashTests(openerUrl, opener, at);
  });
}

export interface Stores {
  /** A store at the test's place; closed after the test. */
  readonly open: (options?: OpenOptions, at?: string) => Promise<QueueStore>;
  readonly closeAll: () => Promise<unknown>;
  readonly at: () => string;
}

/** A place for each test of this `describe`, removed with all that was opened there. */
export function stores(opener: StoreOpener): Stores {
  let place: Place | undefined;
  const opened: QueueStore[] = [];
  const at = () => place?.at ?? assert.fail("no place");
  const closeAll = () => Promise.all(opened.splice(0).map((store) => store.close()));
  const open = async (options?: OpenOptions, where = at()) => {
    const store = await opener.open(where, options);
    opened.push(store);
    return store;
  };
  beforeEach(async () => {
    place = await opener.newPlace();
  });
  afterEach(async () => {
    await closeAll();
    await place?.remove();
  });
  return { open, closeAll, at };
}

type Open = Stores["open"];

export function fails(code: StoreErrorCode, message = /./) {
  return (error: unknown) => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

export const finished = (id: MessageId, index = 0) => ({ kind: "finished", id, index }) as const;
const count = (store: QueueStore) => store.stats();

function queueTests(open: Open, closeAll: () => Promise<unknown>): void {
  describe("queue", () => {
    test("a lease brings what was enqueued, all of it", async () => {
      const store = await open();
      const now = Date.now();
      const message = newMessage({
        arrived: now,
        envelope: {
          reversePath: { localPart: '"odd one"', domain: "bücher.test" },
          body: "BINARYMIME",
          smtpUtf8: true,
          ret: "HDRS",
          envelopeId: "QQ=314 159",
          priority: -4,
          deliverBy: { at: now + 1e6, mode: "return", trace: true },
          recipients: [
            { mailbox: { localPart: "a", domain: "[192.0.2.7]" }, notify: [] },
            { mailbox: { localPart: "ü", domain: "x.test" }, notify: ["success", "delay"] },
            { mailbox: { localPart: "postmaster", domain: "" }, originalRecipient: { type: "rfc822", address: "x;y@z.test" } },
          ],
        },
      });
      const facts = { size: message.content.size, eightBit: true, eightBitHeader: true, binary: true, longestLine: 12_345 };
      await store.enqueue({ ...message, facts }, { lease: false });
      const [found, ...others] = await store.lease(now + 4 * 60_000, 100); // its priority of -4 lets others pass for so long
      assert.deepEqual(others, []);
      assert.ok(found !== undefined);
      const { recipients, ...envelope } = message.envelope;
      assert.deepEqual(
        { ...found, content: undefined, recipients: undefined },
        {
          ...{ id: message.id, envelope, facts, origin: message.origin, arrived: now },
          ...{ content: undefined, recipients: undefined },
        },
      );
      assert.deepEqual(
        found.recipients,
        recipients.map((recipient, index) => ({ ...recipient, index, attempts: 0, delayTold: false })),
      );
      assert.ok(await isIntact(message.id, found.content));
    });

    test("every origin and the empty reverse-path come back", async () => {
      const store = await open();
      const origins = [
        { kind: "submission", account: "ann", peer: "::1" },
        { kind: "smtp", peer: "192.0.2.1", helo: "x" },
        { kind: "bounce", about: newMessageId(1) },
        { kind: "local" },
      ] as const;
      for (const origin of origins) await store.enqueue({ ...newMessage({ envelope: { reversePath: null } }), origin }, { lease: false });
      const found = await store.lease(Date.now(), 100);
      assert.deepEqual(
        new Set(found.map(({ origin }) => JSON.stringify(origin))),
        new Set(origins.map((origin) => JSON.stringify(origin))),
      );
      assert.ok(found.every(({ envelope }) => envelope.reversePath === null));
    });

    for (const size of [1000, LARGE]) {
      test(`what is put in front once all of ${size} octets are here comes first, also from another store`, async () => {
        const store = await open();
        const id = newMessageId(Date.now());
        const writer = store.receive();
        const bytes = bytesOf(id, size);
        for (let at = 0; at < size; at += 10_000) await writer.write(bytes.subarray(at, at + 10_000));
        const content = await writer.finish([Buffer.from("DKIM-Signature: a\r\n"), Buffer.from("Received: b\r\n")]);
        const whole = Buffer.concat([Buffer.from("DKIM-Signature: a\r\nReceived: b\r\n"), bytes]);
        assert.equal(content.size, whole.length);
        assert.ok(whole.equals(await bytesIn(content)));
        await store.enqueue(newMessage({ id, content }), { lease: false });
        const read = await store.read(id);
        assert.ok(read !== undefined && whole.equals(await bytesIn(read.content)));
        const [found] = await store.lease(Date.now(), 1);
        assert.ok(found !== undefined && whole.equals(await bytesIn(found.content)));
        const other = newMessageId(Date.now());
        await store.settle([], [newMessage({ id: other, content: found.content })]);
        const copied = await store.content(other);
        assert.ok(copied !== undefined && whole.equals(await bytesIn(copied)));
        assert.deepEqual(await store.settle([finished(id)], []), [id]);
        assert.equal(await store.content(id), undefined);
      });
    }

    test("empty content, and content of a single octet", async () => {
      const store = await open();
      for (const bytes of [new Uint8Array(0), Uint8Array.of(10)]) {
        const message = newMessage({ content: memoryContent(bytes.length === 0 ? [] : [bytes]) });
        await store.enqueue(message, { lease: false });
        const [found] = await store.lease(Date.now(), 1);
        assert.ok(found !== undefined);
        assert.deepEqual(new Uint8Array(await bytesIn(found.content)), bytes);
      }
    });

    test("what is leased is handed to nobody else, until it is given back", async () => {
      const store = await open();
      const now = Date.now();
      const mine = newMessage({ arrived: now });
      const other = newMessage({ arrived: now });
      await store.enqueue(mine, { lease: true });
      await store.enqueue(other, { lease: false });
      assert.equal((await count(store)).active, 1);
      const ids = async () => (await store.lease(now + 1e9, 10)).map(({ id }) => id);
      assert.deepEqual(await ids(), [other.id]);
      assert.deepEqual(await ids(), []);
      assert.equal(await store.nextDue(), undefined);
      await store.settle([{ kind: "released", id: mine.id, index: 0, due: now }], []);
      assert.equal(await store.nextDue(), now);
      assert.deepEqual(await ids(), [mine.id]);
    });

    test("oldest due first, up to the limit, and never before it is due", async () => {
      const store = await open();
      const now = Date.now();
      const made = Array.from({ length: 10 }, (_, i) => newMessage({ arrived: now - ((i * 7) % 10) * 1000 }));
      await Promise.all(made.map((message) => store.enqueue(message, { lease: false })));
      const oldest = made.toSorted((a, b) => a.arrived - b.arrived).map(({ id }) => id);
      assert.equal(await store.nextDue(), now - 9000);
      assert.deepEqual(
        (await store.lease(now - 5000, 3)).map(({ id }) => id),
        oldest.slice(0, 3),
      );
      assert.deepEqual(
        (await store.lease(now - 5000, 100)).map(({ id }) => id),
        oldest.slice(3, 5),
      );
      assert.equal(await store.nextDue(), now - 4000);
    });

    test("a deferred recipient comes again at its time, with its attempts; the others of the message do not", async () => {
      const store = await open();
      const now = Date.now();
      const message = newMessage({ arrived: now, recipients: 3 });
      await store.enqueue(message, { lease: true });
      const gone = await store.settle(
        [finished(message.id, 0), { kind: "deferred", id: message.id, index: 1, due: now + 5000, attempts: 1, last: "450 4.2.0 busy" }],
        [],
      );
      assert.deepEqual(gone, []);
      assert.deepEqual(await store.lease(now + 4999, 10), []);
      const [found] = await store.lease(now + 5000, 10);
      assert.deepEqual(
        found?.recipients.map(({ index, attempts }) => [index, attempts]),
        [[1, 1]],
      );
      assert.deepEqual(await store.settle([finished(message.id, 1), finished(message.id, 2)], []), [message.id]);
      assert.deepEqual(await count(store), { messages: 0, recipients: 0, active: 0 });
    });

    test("what is held until later falls due then and not before, and the urgent are ahead of those that wait", async () => {
      const store = await open();
      const now = Date.now();
      const held = newMessage({ arrived: now, envelope: { holdUntil: now + 60_000 } });
      const waiting = newMessage({ arrived: now - 1000 });
      const urgent = newMessage({ arrived: now, envelope: { priority: 4 } });
      const slow = newMessage({ arrived: now - 1000, envelope: { priority: -1 } });
      const held2 = newMessage({ arrived: now, envelope: { holdUntil: now + 60_000, priority: 9 } });
      for (const message of [slow, held, held2, waiting, urgent]) await store.enqueue(message, { lease: false });
      const ids = async (at: number, limit = 1) => (await store.lease(at, limit)).map(({ id }) => id).sort();
      assert.deepEqual(
        [
          await ids(now),
          await ids(now),
          await ids(now + 58_999),
          await ids(now + 59_000),
          await ids(now + 59_999),
          await ids(now + 60_000, 9),
        ],
        [[urgent.id], [waiting.id], [], [slow.id], [], [held.id, held2.id].sort()],
      );
    });

    test("what its sender wants held is sent earlier by name alone", async () => {
      const store = await open();
      const now = Date.now();
      const release = now + 60_000;
      const extras = { holdUntil: release, priority: 2, deliverBy: { at: release + 1, mode: "notify", trace: false } } as const;
      const later = newMessage({ arrived: now, envelope: extras });
      await store.enqueue(later, { lease: false });
      const due = async () => (await store.show(later.id))?.recipients[0]?.due;
      const { holdUntil, priority, deliverBy } = (await store.show(later.id)) ?? {};
      assert.deepEqual({ holdUntil, priority, deliverBy }, extras);
      assert.equal((await store.list({ limit: 1 }))[0]?.holdUntil, release);
      assert.equal(await store.retry(now), 0, "all of the queue is what waits");
      await store.hold([later.id], { reason: "looked at", until: now + 1000 });
      assert.equal(await due(), release, "a hold does not end before");
      await store.hold([later.id], { reason: "looked at", until: release + 1000 });
      assert.equal(await due(), release + 1000);
      const control = new QueueControl(store, () => now);
      assert.equal((await control.release({ filter: "" })).scheduled, 1);
      assert.equal(await due(), release, "nor does letting it go");
      for (const selection of [{ filter: "" }, { filter: `id:${later.id}` }]) {
        const { messages, scheduled } = await control.retry(selection);
        assert.deepEqual([messages, scheduled], [0, 1]);
        assert.equal((await control.retry({ ...selection, dryRun: true })).messages, 0);
        assert.equal(await due(), release);
      }
      assert.equal((await control.retry({ ids: [later.id], dryRun: true })).messages, 1);
      assert.equal(await due(), release);
      assert.equal((await control.retry({ ids: [later.id] })).messages, 1);
      assert.equal(await due(), now);
      await store.hold([later.id], { reason: "looked at" });
      await store.unhold(release + 5, [later.id]);
      assert.equal(await due(), release + 5);
      await store.settle([{ kind: "released", id: later.id, index: 0, due: release + 90 }], []);
      assert.equal((await new QueueControl(store, () => release + 6).retry({ filter: "" })).messages, 1);
    });

    test("that a delay was reported is kept, also in another deferral and in another store", async () => {
      const store = await open();
      const now = Date.now();
      const message = newMessage({ arrived: now });
      await store.enqueue(message, { lease: true });
      const deferred = { kind: "deferred", id: message.id, index: 0, due: now, attempts: 1, last: "" } as const;
      const told = async () => (await store.lease(now, 1))[0]?.recipients[0]?.delayTold;
      await store.settle([deferred], []);
      assert.equal(await told(), false);
      await store.settle([{ ...deferred, delayTold: true }], []);
      assert.equal(await told(), true);
      await store.settle([deferred], []);
      const read = await store.read(message.id);
      assert.ok(read !== undefined);
      await store.remove([message.id]);
      await store.restore(read);
      assert.equal(await told(), true);
    });

    test("what is held is not due, comes back by itself or when it is released, and is held in another store as well", async () => {
      const store = await open();
      const now = Date.now();
      const [one, other, leased] = [newMessage({ arrived: now }), newMessage({ arrived: now }), newMessage({ arrived: now })];
      await store.enqueue(one, { lease: false });
      await store.enqueue(other, { lease: false });
      await store.enqueue(leased, { lease: true });
      const ids = async (at: number) => (await store.lease(at, 10)).map(({ id }) => id);
      assert.equal(await store.hold([one.id, leased.id, newMessageId(1)], { reason: "looked at" }), 2);
      assert.equal(await store.hold([other.id], { reason: "later", until: now + 60_000 }), 1);
      assert.deepEqual((await store.show(one.id))?.hold, { reason: "looked at" });
      assert.deepEqual(
        (await store.show(one.id))?.recipients.map(({ state }) => state),
        ["held"],
      );
      assert.deepEqual(
        (await store.show(leased.id))?.recipients.map(({ state }) => state),
        ["active"],
      );
      await store.settle([{ kind: "deferred", id: leased.id, index: 0, due: now, attempts: 1, last: "busy" }], []);
      assert.equal(await store.nextDue(), now + 60_000);
      assert.deepEqual(await ids(now + 59_999), []);
      assert.equal(await store.retry(now), 0, "what is held is not retried");
      assert.equal(await store.retry(now, [one.id]), 0);
      assert.deepEqual(await ids(now + 60_000), [other.id]);
      const read = await store.read(one.id);
      assert.ok(read !== undefined);
      await store.remove([one.id]);
      await store.restore(read);
      assert.deepEqual((await store.show(one.id))?.hold, { reason: "looked at" });
      assert.equal(await store.unhold(now, [one.id, other.id, leased.id]), 3);
      assert.equal((await store.show(one.id))?.hold, undefined);
      assert.deepEqual(new Set(await ids(now)), new Set([one.id, leased.id]));
    });

    test("suspensions are kept, one of a kind and value, until they are over", async () => {
      const store = await open();
      let told = 0;
      store.onSuspension(() => told++);
      const domain = { kind: "domain", value: "far.test", reason: "they asked", made: 1000 } as const;
      await store.suspend(domain);
      await store.suspend({ kind: "account", value: "ann", reason: "spam", made: 1000, until: 5000 });
      await store.suspend({ ...domain, reason: "still", made: 2000 });
      assert.deepEqual(await store.suspensions(4999), [
        { kind: "account", value: "ann", reason: "spam", made: 1000, until: 5000 },
        { ...domain, reason: "still", made: 2000 },
      ]);
      assert.equal((await store.suspensions(5000)).length, 1);
      assert.equal(await store.resume("domain", "far.test"), true);
      assert.equal(await store.resume("domain", "far.test"), false);
      assert.ok(told >= 4);
    });

    test("settling what is gone is no error, and says nothing is gone", async () => {
      const store = await open();
      const message = newMessage();
      await store.enqueue(message, { lease: true });
      assert.deepEqual(await store.settle([finished(message.id), finished(message.id)], []), [message.id]);
      assert.deepEqual(await store.settle([finished(message.id)], []), []);
      const due = Date.now();
      await store.settle([{ kind: "deferred", id: message.id, index: 0, due, attempts: 1, last: "" }], []);
      await store.settle([{ kind: "released", id: newMessageId(5), index: 3, due }], []);
      assert.equal(await store.nextDue(), undefined);
    });

    test("many settlements in one call, of many messages, in any order", async () => {
      const store = await open();
      const made = Array.from({ length: 50 }, () => newMessage({ recipients: 4 }));
      await Promise.all(made.map((message) => store.enqueue(message, { lease: true })));
      const settlements = made.flatMap(({ id }) => [0, 1, 2, 3].map((index) => finished(id, index)));
      for (let i = settlements.length - 1; i > 0; i--) {
        const j = Math.floor(Math.random() * (i + 1));
        [settlements[i], settlements[j]] = [settlements[j] as (typeof settlements)[0], settlements[i] as (typeof settlements)[0]];
      }
      const first = await store.settle(settlements.slice(0, 100), []);
      const second = await store.settle(settlements.slice(100), []);
      assert.deepEqual([...first, ...second].sort(), made.map(({ id }) => id).sort());
      assert.deepEqual(await count(store), { messages: 0, recipients: 0, active: 0 });
    });

    test("what an outcome causes is queued with it, unleased and due at once, and the bell rings", async () => {
      const store = await open();
      let rung = 0;
      store.onDue(() => rung++);
      const message = newMessage();
      await store.enqueue(message, { lease: true });
      assert.equal(rung, 0);
      const bounces = [newMessage({ size: 10 }), newMessage({ size: LARGE }), newMessage({ size: 20 })];
      assert.deepEqual(await store.settle([finished(message.id)], bounces), [message.id]);
      assert.equal(rung, 1);
      const found = await store.lease(Date.now(), 10);
      assert.deepEqual(found.map(({ id }) => id).sort(), bounces.map(({ id }) => id).sort());
      for (const { id, content } of found) assert.ok(await isIntact(id, content));
    });

    test("the same id twice is refused, and the first stays as it is", async () => {
      const store = await open();
      const message = newMessage();
      const [first, second, third] = await Promise.allSettled([
        store.enqueue(message, { lease: false }),
        store.enqueue(newMessage({ id: message.id, size: 5, recipients: 2 }), { lease: true }),
        store.enqueue(newMessage(), { lease: false }),
      ]);
      assert.deepEqual([first?.status, second?.status, third?.status], ["fulfilled", "rejected", "fulfilled"]);
      assert.deepEqual(await count(store), { messages: 2, recipients: 2, active: 0 });
      assert.equal((await store.lease(Date.now(), 10)).length, 2);
    });

    test("a message with 1,000 recipients", async () => {
      const store = await open();
      const message = newMessage({ recipients: 1000 });
      await store.enqueue(message, { lease: false });
      const seen = new Set<number>();
      for (;;) {
        const found = await store.lease(Date.now(), 100);
        if (found.length === 0) break;
        assert.equal(found.length, 1);
        assert.ok((found[0]?.recipients.length ?? 0) <= 100);
        for (const { index } of found[0]?.recipients ?? []) seen.add(index);
      }
      assert.equal(seen.size, 1000);
      const all = [...seen].map((index) => finished(message.id, index));
      assert.deepEqual(await store.settle(all.slice(1), []), []);
      assert.deepEqual(await store.settle(all.slice(0, 1), []), [message.id]);
    });

    test("many at once: each is handed out exactly once and settled", async () => {
      const store = await open();
      const made = new Set<MessageId>();
      const taken: MessageId[] = [];
      const produce = async () => {
        for (let i = 0; i < 60; i++) {
          const message = newMessage({ size: 10 + i * 50 });
          made.add(message.id);
          await store.enqueue(message, { lease: false });
        }
      };
      const consume = async () => {
        while (taken.length < 16 * 60) {
          for (const { id, content } of await store.lease(Date.now() + 1000, 7)) {
            taken.push(id);
            assert.ok(await isIntact(id, content));
            await store.settle([finished(id)], []);
          }
        }
      };
      await Promise.all([...Array.from({ length: 16 }, produce), consume(), consume(), consume()]);
      assert.equal(taken.length, made.size);
      assert.deepEqual(new Set(taken), made);
      assert.deepEqual(await count(store), { messages: 0, recipients: 0, active: 0 });
    });

    test("after a stop, everything is there again, and what was leased is due at once", async () => {
      const first = await open();
      const now = Date.now();
      const leased = newMessage({ arrived: now - 1000 });
      const deferred = newMessage({ arrived: now });
      await first.enqueue(leased, { lease: true });
      await first.enqueue(deferred, { lease: true });
      await first.settle([{ kind: "deferred", id: deferred.id, index: 0, due: now + 60_000, attempts: 4, last: "451 4.3.0 no" }], []);
      await closeAll();
      const store = await open();
      assert.deepEqual(await count(store), { messages: 2, recipients: 2, active: 0 });
      assert.deepEqual(
        (await store.lease(now, 10)).map(({ id }) => id),
        [leased.id],
      );
      assert.equal(await store.nextDue(), now + 60_000);
      assert.equal((await store.lease(now + 60_000, 10))[0]?.recipients[0]?.attempts, 4);
    });

    test("after close every call is refused", async () => {
      const store = await open();
      await closeAll();
      await assert.rejects(store.enqueue(newMessage(), { lease: false }), fails("closed"));
      await assert.rejects(store.lease(Date.now(), 1), fails("closed"));
      await assert.rejects(store.enqueue(newMessage({ size: LARGE }), { lease: false }), StoreError);
      await store.close();
    });
  });
}

function operatorTests(open: Open): void {
  describe("for operators", () => {
    test("list goes page by page in order of arrival, and show says the same", async () => {
      const store = await open();
      const made = Array.from({ length: 25 }, (_, i) => newMessage({ arrived: 1_700_000_000_000 + i, recipients: 1 + (i % 2) }));
      await Promise.all(made.toReversed().map((message, i) => store.enqueue(message, { lease: i % 5 === 0 })));
      const seen: MessageId[] = [];
      for (let after: MessageId | undefined; ; after = seen.at(-1)) {
        const page = await store.list({ limit: 10, ...(after === undefined ? {} : { after }) });
        if (page.length === 0) break;
        seen.push(...page.map(({ id }) => id));
        for (const summary of page) assert.deepEqual(await store.show(summary.id), summary);
      }
      assert.deepEqual(
        seen,
        made.map(({ id }) => id),
      );
      assert.equal(await store.show(newMessageId(7)), undefined);
      assert.equal(await store.content(newMessageId(7)), undefined);
    });

    test("a summary tells of each recipient", async () => {
      const store = await open();
      const message = newMessage({ arrived: 1_700_000_000_000, recipients: 2 });
      await store.enqueue(message, { lease: true });
      await store.settle([{ kind: "deferred", id: message.id, index: 1, due: 1_700_000_300_000, attempts: 1, last: "x".repeat(5000) }], []);
      const summary = await store.show(message.id);
      assert.ok(summary !== undefined);
      const [active, deferred] = summary.recipients;
      assert.deepEqual(active, {
        index: 0,
        mailbox: { localPart: "user0", domain: "example.test" },
        state: "active",
        attempts: 0,
        due: 1_700_000_000_000,
        last: "",
      });
      assert.equal(deferred?.state, "deferred");
      assert.equal(deferred?.due, 1_700_000_300_000);
      assert.match(deferred?.last ?? "", /^x{100,2000}$/);
      assert.deepEqual(
        [summary.from, summary.size, summary.origin, summary.arrived],
        [message.envelope.reversePath, 1000, message.origin, message.arrived],
      );
    });

    test("retry makes due what waits, by id or all of it, and leaves leased ones alone", async () => {
      const store = await open();
      let rung = 0;
      const now = Date.now();
      const made = Array.from({ length: 5 }, () => newMessage({ arrived: now }));
      for (const message of made) await store.enqueue(message, { lease: true });
      const later = made.slice(1).map(({ id }) => ({ kind: "deferred", id, index: 0, due: now + 1e7, attempts: 1, last: "" }) as const);
      await store.settle(later, []);
      store.onDue(() => rung++);
      const ids = made.map(({ id }) => id);
      assert.equal(await store.retry(now, [ids[0] as MessageId, ids[1] as MessageId, newMessageId(3)]), 1);
      assert.equal(rung, 1);
      assert.deepEqual(
        (await store.lease(now, 10)).map(({ id }) => id),
        [ids[1]],
      );
      assert.equal(await store.retry(now), 3);
      assert.equal((await store.lease(now, 10)).length, 3);
      assert.equal(await store.retry(now), 0);
      assert.equal(rung, 2);
    });

    test("remove takes messages away, leased ones too; a later outcome is ignored", async () => {
      const store = await open();
      const made = [newMessage({ recipients: 2 }), newMessage({ size: LARGE }), newMessage()];
      for (const message of made) await store.enqueue(message, { lease: true });
      const [a, b, c] = made.map(({ id }) => id) as [MessageId, MessageId, MessageId];
      assert.deepEqual(await store.remove([a, newMessageId(1), b]), [a, b]);
      assert.deepEqual(await store.settle([finished(a, 0), finished(b), finished(c)], []), [c]);
      assert.deepEqual(await count(store), { messages: 0, recipients: 0, active: 0 });
    });
  });
}

function bodyTests(open: Open, closeAll: () => Promise<unknown>, opener: StoreOpener, at: () => string): void {
  /** Removals follow their commit; closing waits for them. */
  const leftAtEnd = async () => {
    await closeAll();
    return opener.largeBodies(at());
  };

  describe("large bodies", () => {
    for (const size of [BODY_FILE_THRESHOLD, BODY_FILE_THRESHOLD + 1, 3_000_001]) {
      test(`${size} octets, received in chunks, leased, read and settled`, async () => {
        const store = await open();
        const id = newMessageId(Date.now());
        const content = await receive(store, bytesOf(id, size));
        assert.equal(content.kind, size > BODY_FILE_THRESHOLD ? "stored" : "memory");
        assert.equal(content.size, size);
        await store.enqueue(newMessage({ id, content }), { lease: false });
        const [found] = await store.lease(Date.now(), 1);
        assert.ok(found !== undefined && (await isIntact(id, found.content)));
        assert.ok(await isIntact(id, content), "the writer's content stays readable");
        const again = await store.content(id);
        assert.ok(again !== undefined && (await isIntact(id, again)));
        await store.settle([finished(id)], []);
        assert.equal(await leftAtEnd(), 0);
      });
    }

    test("content that was given whole, or comes from another message, is copied", async () => {
      const store = await open();
      const whole = newMessage({ size: LARGE });
      await store.enqueue(whole, { lease: true });
      const content = await store.content(whole.id);
      assert.ok(content !== undefined);
      const copy = newMessage({ content });
      await store.enqueue(copy, { lease: true });
      await store.settle([finished(whole.id)], []);
      const left = await store.content(copy.id);
      assert.ok(left !== undefined);
      assert.deepEqual(await bytesIn(left), bytesOf(whole.id, LARGE));
      await store.settle([finished(copy.id)], []);
      assert.equal(await leftAtEnd(), 0);
    });

    test("discarding leaves nothing: at once, while writing, after the end; not once it is enqueued", async () => {
      const store = await open();
      store.receive().discard();
      const writing = store.receive();
      for (let i = 0; i < 40; i++) void Promise.resolve(writing.write(new Uint8Array(65_536))).catch(() => {});
      writing.discard();
      const ended = store.receive();
      await ended.write(new Uint8Array(LARGE));
      await ended.finish();
      ended.discard();
      ended.discard();
      const kept = store.receive();
      const id = newMessageId(Date.now());
      await kept.write(bytesOf(id, LARGE));
      await store.enqueue(newMessage({ id, content: await kept.finish() }), { lease: false });
      kept.discard();
      const [found] = await store.lease(Date.now(), 1);
      assert.ok(found !== undefined && (await isIntact(id, found.content)));
      assert.equal(await leftAtEnd(), 1);
    });

    test("a refused message leaves its content to its writer", async () => {
      const store = await open();
      const message = newMessage();
      await store.enqueue(message, { lease: false });
      const writer = store.receive();
      await writer.write(new Uint8Array(LARGE));
      const content = await writer.finish();
      await assert.rejects(store.enqueue(newMessage({ id: message.id, content }), { lease: false }), StoreError);
      assert.equal((await bytesIn(content)).length, LARGE);
      writer.discard();
      await assert.rejects(store.enqueue(newMessage({ id: message.id, size: LARGE }), { lease: false }), StoreError);
      assert.equal(await leftAtEnd(), 0);
    });

    test("16 at once are written with back-pressure and stay apart", async () => {
      const store = await open();
      const ids = await Promise.all(
        Array.from({ length: 16 }, async () => {
          const id = newMessageId(Date.now());
          const content = await receive(store, bytesOf(id, 2_000_000));
          await store.enqueue(newMessage({ id, content }), { lease: true });
          return id;
        }),
      );
      for (const id of ids) {
        const content = await store.content(id);
        assert.ok(content !== undefined && (await isIntact(id, content)));
      }
    });

    for (const how of ["missing", "cut short"] as const) {
      test(`a body that is ${how}: the message is kept, put off and said, and others go on`, async () => {
        const troubles: string[] = [];
        const store = await open({ onTrouble: (why) => troubles.push(why) });
        const now = Date.now();
        const hurt = newMessage({ arrived: now - 1000, size: LARGE, recipients: 2 });
        await store.enqueue(hurt, { lease: false });
        await opener.harmLargeBodies(at(), how);
        const well = newMessage({ arrived: now, size: LARGE });
        await store.enqueue(well, { lease: false });
        assert.deepEqual(
          (await store.lease(now, 2)).map(({ id }) => id),
          [well.id],
        );
        assert.deepEqual(await store.lease(now, 10), []);
        assert.equal(troubles.length, 1);
        assert.match(troubles[0] ?? "", new RegExp(`${hurt.id}: body `));
        const summary = await store.show(hurt.id);
        assert.equal(summary?.recipients.length, 2);
        for (const recipient of summary?.recipients ?? []) {
          assert.ok(recipient.due > now + 3_600_000);
          assert.match(recipient.last, /^body (file )?(missing|damaged)/);
          assert.equal(recipient.attempts, 0);
        }
        await assert.rejects(store.content(hurt.id), fails("corrupt"));
        assert.equal(await store.retry(now), 2);
        assert.deepEqual(await store.lease(now, 10), []);
        assert.equal(troubles.length, 2);
        assert.deepEqual(await store.remove([hurt.id]), [hurt.id]);
      });
    }
  });
}

function movingTests(open: Open): void {
  describe("whole messages", () => {
    test("what is read is what stands there, and what is restored stands there", async () => {
      const store = await open();
      const now = Date.now();
      const message = newMessage({ arrived: now - 5000, recipients: 4, envelope: { ret: "FULL", envelopeId: "a\u0000b" } });
      await store.enqueue(message, { lease: true });
      const last = "451 4.3.0 caf\u00e9 \u{1f4ee}";
      await store.settle(
        [finished(message.id, 1), { kind: "deferred", id: message.id, index: 2, due: now + 60_000, attempts: 3, last }],
        [],
      );
      const read = await store.read(message.id);
      assert.ok(read !== undefined && (await isIntact(message.id, read.content)));
      assert.deepEqual(
        read.recipients.map(({ index, attempts, due, last }) => [index, attempts, due, last]),
        [
          [0, 0, now - 5000, ""],
          [2, 3, now + 60_000, last],
          [3, 0, now - 5000, ""],
        ],
      );
      assert.equal(await store.restore(read), false);
      assert.deepEqual(await store.remove([message.id]), [message.id]);
      assert.equal(await store.read(message.id), undefined);
      let rung = 0;
      store.onDue(() => rung++);
      const restoring = read.content.kind === "memory" ? read : assert.fail();
      assert.equal(await store.restore(restoring), true);
      assert.equal(rung, 1);
      const again = await store.read(message.id);
      assert.deepEqual({ ...again, content: undefined }, { ...read, content: undefined });
      const [found] = await store.lease(now, 10);
      assert.deepEqual(
        found?.recipients.map(({ index }) => index),
        [0, 3],
      );
      assert.deepEqual(await store.settle([finished(message.id, 0), finished(message.id, 3)], []), []);
      assert.equal(await store.nextDue(), now + 60_000);
      const [late] = await store.lease(now + 60_000, 10);
      assert.deepEqual([late?.recipients[0]?.index, late?.recipients[0]?.attempts], [2, 3]);
      assert.deepEqual(await store.settle([finished(message.id, 2)], []), [message.id]);
    });

    test("large content goes along", async () => {
      const [store, message] = [await open(), newMessage({ size: LARGE })];
      await store.enqueue(newMessage({ id: message.id, size: LARGE }), { lease: false });
      const read = await store.read(message.id);
      assert.ok(read !== undefined && read.content.kind === "stored");
      const moved = { ...read, id: newMessageId(Date.now()) };
      assert.equal(await store.restore(moved), true);
      assert.equal(await store.restore(moved), false);
      await store.remove([message.id]);
      const content = await store.content(moved.id);
      assert.ok(content !== undefined);
      assert.deepEqual(await bytesIn(content), bytesOf(message.id, LARGE));
    });

    test("a lease is held from when it is taken until it is settled or given back", async () => {
      const store = await open();
      const message = newMessage({ recipients: 2 });
      await store.enqueue(message, { lease: true });
      assert.ok(store.holdsLease({ id: message.id, index: 0 }) && store.holdsLease({ id: message.id, index: 1 }));
      await store.settle([{ kind: "released", id: message.id, index: 0, due: Date.now() }], []);
      await store.lease(Date.now(), 10);
      assert.ok(store.holdsLease({ id: message.id, index: 0 }));
    });
  });
}
