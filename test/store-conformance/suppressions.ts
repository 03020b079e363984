/** What every store keeps of suppressions. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EXPIRED_AT_ONCE, type Suppression } from "../../src/queue/suppression.ts";
import type { Stores } from "./conformance.ts";
import { newMessage } from "./messages.ts";
import type { QueueStore } from "./nouns.ts";

const NOW = 1_800_000_000_000;

export function suppression(mailbox: string, more: Partial<Suppression> = {}): Suppression {
  return { account: "alice", mailbox, reason: "mx.test[192.0.2.1]:25: 550 5.1.1 No\u0000such ü", made: NOW, until: NOW + 1000, ...more };
}

async function pages(store: QueueStore, now: number, account?: string): Promise<Suppression[]> {
  const all: Suppression[] = [];
  for (;;) {
    const after = all.at(-1);
    const page = await store.suppressionList.page({
      ...{ now, limit: 2 },
      ...(account === undefined ? {} : { account }),
      ...(after === undefined ? {} : { after }),
    });
    if (page.length === 0) return all;
    all.push(...page);
  }
}

export function suppressionTests(open: Stores["open"], closeAll: Stores["closeAll"]): void {
  describe("suppressions", () => {
    test("are of one account, until they are over or removed", async () => {
      const list = (await open()).suppressionList;
      const { until: _, ...forever } = suppression("c@x.test");
      const all = [suppression("a@x.test"), suppression("b@x.test"), forever, suppression("a@x.test", { account: "bob" })];
      for (const each of all) await list.put(each);
      assert.deepEqual(await list.find("alice", ["c@x.test", "z@x.test", "a@x.test"], NOW + 999).then(byMailbox), [all[0], forever]);
      assert.deepEqual(await list.find("alice", ["a@x.test", "c@x.test"], NOW + 1000), [forever]);
      assert.deepEqual(await list.find("carol", ["a@x.test"], NOW), []);
      assert.equal(await list.remove({ account: "alice", mailbox: "a@x.test" }), true);
      assert.equal(await list.remove({ account: "alice", mailbox: "a@x.test" }), false);
      assert.deepEqual(await list.find("alice", ["a@x.test"], NOW), []);
      assert.equal((await list.find("bob", ["a@x.test"], NOW)).length, 1);
    });

    test("are listed page by page, by account and mailbox, those that are over left out", async () => {
      const store = await open();
      const names = ["a", "b", "c", "d", "e"].map((name) => `${name}@x.test`);
      for (const account of ["alice", "bob"]) {
        for (const name of names) await store.suppressionList.put(suppression(name, { account }));
        await store.suppressionList.put(suppression("bb@x.test", { account, until: NOW }));
      }
      assert.deepEqual(
        (await pages(store, NOW)).map(({ account, mailbox }) => `${account} ${mailbox}`),
        ["alice", "bob"].flatMap((account) => names.map((name) => `${account} ${name}`)),
      );
      assert.deepEqual(
        (await pages(store, NOW, "bob")).map(({ mailbox }) => mailbox),
        names,
      );
    });

    test("a settlement that fails a recipient adds one in its commit; nothing is shortened by it", async () => {
      const store = await open();
      const list = store.suppressionList;
      const message = newMessage({ recipients: 4 });
      await store.enqueue(message, { lease: true });
      const bounce = { ...newMessage(), origin: { kind: "bounce", about: message.id } as const };
      const { until: _, ...forever } = suppression("user1@example.test", { reason: "by hand" });
      await list.put(forever);
      await list.put(suppression("user2@example.test", { until: NOW + 1, reason: "shorter" }));
      const learned = [0, 1, 2].map((i) => suppression(`user${i}@example.test`));
      const settlements = learned.map((suppress, index) => ({ kind: "finished", id: message.id, index, suppress }) as const);
      const same = { kind: "finished", id: message.id, index: 3 } as const;
      assert.deepEqual(await store.settle([...settlements, same], [bounce]), [message.id]);
      await closeAll();
      const again = await open();
      assert.deepEqual(await pages(again, NOW), [learned[0], forever, learned[2]]);
      assert.equal((await again.list({ limit: 10 })).length, 1, "the bounce");
    });

    test("what is settled already adds none", async () => {
      const store = await open();
      const message = newMessage();
      await store.enqueue(message, { lease: true });
      await store.settle([{ kind: "finished", id: message.id, index: 0 }], []);
      await store.settle([{ kind: "finished", id: message.id, index: 0, suppress: suppression("a@x.test") }], []);
      assert.deepEqual(await pages(store, NOW), []);
    });

    test("what is over is removed by settlements that add others", async () => {
      const store = await open();
      for (let i = 0; i < EXPIRED_AT_ONCE + 10; i++) await store.suppressionList.put(suppression(`old${i}@x.test`, { until: NOW - i }));
      assert.equal((await pages(store, 0)).length, EXPIRED_AT_ONCE + 10);
      for (const left of [10, 0]) {
        const message = newMessage();
        await store.enqueue(message, { lease: true });
        await store.settle([{ kind: "finished", id: message.id, index: 0, suppress: suppression("new@x.test") }], []);
        assert.equal((await pages(store, 0)).length, left + 1);
      }
    });

    test("what another store has is taken, and what is here stays", async () => {
      const list = (await open()).suppressionList;
      await list.put(suppression("a@x.test", { reason: "here" }));
      await list.restore([suppression("a@x.test", { reason: "there" }), suppression("b@x.test", { reason: "there" })]);
      const found = await list.find("alice", ["a@x.test", "b@x.test"], NOW);
      assert.deepEqual(
        byMailbox(found).map(({ reason }) => reason),
        ["here", "there"],
      );
    });
  });
}

function byMailbox(found: readonly Suppression[]): Suppression[] {
  return [...found].sort((a, b) => (a.mailbox < b.mailbox ? -1 : 1));
}
