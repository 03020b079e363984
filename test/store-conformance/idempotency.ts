/** What every store remembers of idempotency keys. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatMailbox } from "../../src/mail/mailbox.ts";
import { IDEMPOTENCY_WINDOW, type SubmittedKey, SWEPT_AT_ONCE } from "../../src/queue/idempotency.ts";
import type { Stores } from "./conformance.ts";
import { isIntact, type MessageOptions, newMessage } from "./messages.ts";
import { BODY_FILE_THRESHOLD, memoryContent, type NewMessage, newMessageId, type QueueStore } from "./nouns.ts";
import type { StoreOpener } from "./opener.ts";

const LARGE = BODY_FILE_THRESHOLD + 100_000;

export interface Keyed extends Pick<MessageOptions, "id" | "content"> {
  readonly key?: string;
  readonly to?: readonly string[];
  readonly account?: string;
  readonly arrived?: number;
  readonly size?: number;
}

export function keyed({ key = "k", to = ["a"], account = "alice", ...options }: Keyed = {}): NewMessage {
  const recipients = to.map((localPart) => ({ mailbox: { localPart, domain: "example.test" } }));
  const message = newMessage({ ...options, envelope: { recipients } });
  return { ...message, origin: { kind: "submission", account, peer: "192.0.2.1" }, idempotencyKey: key };
}

const queued = async (store: QueueStore): Promise<string[]> => {
  const list = await store.list({ limit: 1000 });
  return list.flatMap(({ id, recipients }) => recipients.map(({ mailbox, index }) => `${id} ${index} ${formatMailbox(mailbox)}`)).sort();
};

/** All that is remembered, a page of 7 at a time. */
export async function remembered(store: QueueStore): Promise<SubmittedKey[]> {
  const all: SubmittedKey[] = [];
  for (;;) {
    const after = all.at(-1)?.key;
    const page = await store.submittedKeys({ limit: 7, ...(after === undefined ? {} : { after }) });
    if (page.length === 0) return all;
    all.push(...page);
  }
}

export function idempotencyTests(open: Stores["open"], closeAll: Stores["closeAll"], opener: StoreOpener, at: Stores["at"]): void {
  describe("idempotency keys", () => {
    test("account, key and recipient make it the same; each is queued once, and split recipients lose none", async () => {
      const store = await open();
      const first = keyed({ to: ["a", "b"] });
      assert.equal(await store.enqueue(first, { lease: true }), undefined);
      const second = keyed({ to: ["B", "c", "a", "c"] });
      assert.deepEqual(await store.enqueue(second, { lease: false }), { id: first.id, recipients: [0, 2, 3] });
      const third = keyed({ to: ["a"] });
      assert.deepEqual(await store.enqueue(third, { lease: false }), { id: first.id, recipients: [0] });
      assert.deepEqual(await store.enqueue(keyed({ to: ["c"] }), { lease: false }), { id: second.id, recipients: [0] });
      const others = [keyed({ key: "K" }), keyed({ account: "bob" }), { ...keyed(), idempotencyKey: undefined }] as NewMessage[];
      for (const other of others) assert.equal(await store.enqueue(other, { lease: false }), undefined);
      assert.deepEqual(
        await queued(store),
        [
          `${first.id} 0 a@example.test`,
          `${first.id} 1 b@example.test`,
          `${second.id} 1 c@example.test`,
          ...others.map(({ id }) => `${id} 0 a@example.test`),
        ].sort(),
      );
      assert.deepEqual(await store.stats(), { messages: 5, recipients: 6, active: 0 });
      const leased = await store.lease(Date.now(), 100);
      const left = leased.find(({ id }) => id === second.id);
      assert.deepEqual(
        left?.recipients.map(({ index, mailbox }) => [index, mailbox.localPart]),
        [[1, "c"]],
      );
      assert.ok(await isIntact(second.id, left?.content ?? assert.fail()));
      const gone = await store.settle([{ kind: "finished", id: second.id, index: 1 }], []);
      assert.deepEqual(gone, [second.id], "the recipients that were left out are not waited for");
    });

    test("a key is remembered after its message is gone and the store was closed", async () => {
      const store = await open();
      const first = keyed();
      await store.enqueue(first, { lease: false });
      await store.remove([first.id]);
      await closeAll();
      const again = await open();
      assert.deepEqual(await again.enqueue(keyed(), { lease: false }), { id: first.id, recipients: [0] });
      assert.deepEqual(await queued(again), []);
    });

    test("of many that come at once one is queued, whatever their order of recipients", async () => {
      const store = await open();
      const made = Array.from({ length: 20 }, (_, i) => keyed({ to: i % 2 === 0 ? ["a", "b", "c"] : ["c", "b", "a"] }));
      const before = await Promise.all(made.map((message) => store.enqueue(message, { lease: false })));
      const winners = made.filter((_, i) => before[i] === undefined);
      assert.equal(winners.length, 1);
      for (const [i, one] of before.entries())
        if (one !== undefined) assert.deepEqual(one, { id: winners[0]?.id, recipients: [0, 1, 2] }, `${i}`);
      assert.equal((await queued(store)).length, 3);
    });

    test("what could not be queued is not remembered", async () => {
      const store = await open();
      const message = keyed();
      await store.enqueue({ ...newMessage({ id: message.id }) }, { lease: false });
      await assert.rejects(store.enqueue(message, { lease: false }));
      assert.deepEqual(await remembered(store), []);
      assert.equal(await store.enqueue(keyed(), { lease: false }), undefined);
    });

    test("after a day the same key is new; what is old is removed by those who use keys", async () => {
      const store = await open();
      const now = Date.now();
      const old = keyed({ to: Array.from({ length: 100 }, (_, i) => `r${i}`), arrived: now - IDEMPOTENCY_WINDOW });
      await store.enqueue(old, { lease: false });
      assert.deepEqual(
        await store.enqueue(keyed({ to: ["r0"], arrived: now - 1 }), { lease: false }),
        { id: old.id, recipients: [0] },
        "one millisecond before",
      );
      const anew = keyed({ to: ["r0"], arrived: now });
      assert.equal(await store.enqueue(anew, { lease: false }), undefined);
      assert.equal((await remembered(store)).length, 100 - SWEPT_AT_ONCE);
      for (let i = 0; i < 3; i++) await store.enqueue(keyed({ to: ["r0"], arrived: now }), { lease: false });
      const left = await remembered(store);
      assert.deepEqual(
        left.map(({ message, noted }) => [message, noted]),
        [[anew.id, now]],
      );
    });

    test("messages without a key leave no trace, and need no account", async () => {
      const store = await open();
      await store.enqueue(newMessage(), { lease: false });
      await store.enqueue({ ...newMessage(), idempotencyKey: "k" }, { lease: false });
      assert.equal((await store.list({ limit: 10 })).length, 2);
      assert.deepEqual(await remembered(store), []);
    });

    test("large content that is not queued again leaves nothing behind", async () => {
      const store = await open();
      const [first, second] = [newMessageId(Date.now()), newMessageId(Date.now())];
      const large = (id: string) => Buffer.alloc(LARGE, id);
      const queue = async (id: string) => {
        const writer = store.receive(LARGE);
        await writer.write(large(id));
        const content = await writer.finish();
        const base = keyed();
        const before = await store.enqueue({ ...base, id, content, facts: { ...base.facts, size: LARGE } }, { lease: false });
        writer.discard();
        return before;
      };
      assert.equal(await queue(first), undefined);
      assert.deepEqual(await queue(second), { id: first, recipients: [0] });
      assert.equal((await store.content(first))?.size, LARGE);
      const elsewhere = keyed({ size: LARGE });
      assert.deepEqual(await store.enqueue(elsewhere, { lease: false }), { id: first, recipients: [0] });
      await closeAll();
      assert.equal(await opener.largeBodies(at()), 1);
    });

    test("messages that a settlement causes are held to their keys", async () => {
      const store = await open();
      const first = keyed();
      await store.enqueue(first, { lease: false });
      const [same, partly] = [keyed(), keyed({ to: ["a", "b"] })];
      await store.settle([], [same, partly, newMessage({ content: memoryContent([Buffer.from("x")]) })]);
      const rows = await queued(store);
      assert.equal(rows.length, 3);
      assert.ok(rows.includes(`${partly.id} 1 b@example.test`));
    });
  });
}
