/** The table of crash states in src/queue/store.ts, row by row: a process is killed in the middle of its work, and the store is opened again. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { keyed } from "./idempotency.ts";
import { isIntact, newMessage } from "./messages.ts";
import { BODY_FILE_THRESHOLD, type MessageId, type QueueStore } from "./nouns.ts";
import type { StoreOpener } from "./opener.ts";

const ROUNDS = 3;
const victim = fileURLToPath(new URL("./victim.ts", import.meta.url));

interface Heard {
  readonly tried: Set<MessageId>;
  readonly done: Set<MessageId>;
}

/** Runs the work in a process of its own, kills it at the n-th line that begins with `word`, and tells what was heard of it. */
async function killAt(opener: URL, place: string, work: string, word: string, n: number): Promise<Heard> {
  const child = spawn(process.execPath, [victim, opener.href, place, work], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const tried = new Set<MessageId>();
  const done = new Set<MessageId>();
  let left = n;
  for await (const line of createInterface(child.stdout)) {
    const [what, id = ""] = line.split(" ");
    if (what === "try") tried.add(id);
    if (what === "done") done.add(id);
    if (what === word && --left === 0) child.kill("SIGKILL");
  }
  await ended;
  const { leasesRunOut }: StoreOpener = await import(opener.href);
  await leasesRunOut(place);
  assert.ok(left <= 0, `the ${work} process ended by itself`);
  return { tried, done };
}

async function all(store: QueueStore) {
  return store.list({ limit: 10_000 });
}

export function crashTests(openerUrl: URL, opener: StoreOpener, at: () => string): void {
  const opened = async <T>(use: (store: QueueStore) => Promise<T>): Promise<T> => {
    const store = await opener.open(at());
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  };

  describe("killed", () => {
    test("while it takes messages in: what was answered is queued whole, what was not is queued whole or not at all", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const before = new Set(await opened(async (store) => (await all(store)).map(({ id }) => id)));
        const { tried, done } = await killAt(openerUrl, at(), "enqueue", "done", 1 + Math.floor(Math.random() * 200));
        await opened(async (store) => {
          const after = await all(store);
          const ids = new Set(after.map(({ id }) => id));
          for (const id of [...before, ...done]) assert.ok(ids.has(id), `${id} is lost`);
          for (const id of ids) assert.ok(before.has(id) || tried.has(id), `${id} came from nowhere`);
          let large = 0;
          for (const { id, recipients, size } of after) {
            assert.equal(recipients.length, 2);
            const content = await store.content(id);
            assert.ok(content !== undefined && (await isIntact(id, content)), `${id} is damaged`);
            if (size > BODY_FILE_THRESHOLD) large++;
          }
          assert.equal(await opener.largeBodies(at()), large, "bodies without a row are removed");
        });
      }
    });

    test("while it takes messages with keys in: a message and its keys are there together or not at all", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const { tried, done } = await killAt(openerUrl, at(), "keyed", "done", 1 + Math.floor(Math.random() * 200));
        await opened(async (store) => {
          const there = new Set((await all(store)).map(({ id }) => id));
          for (const id of done) assert.ok(there.has(id), `${id} is lost`);
          for (const id of tried) {
            const again = keyed({ key: id, to: ["b", "a"] });
            const expected = there.has(id) ? { id, recipients: [0, 1] } : undefined;
            assert.deepEqual(await store.enqueue(again, { lease: false }), expected, id);
          }
          assert.equal((await all(store)).length, there.size + [...tried].filter((id) => !there.has(id)).length);
          await store.remove((await all(store)).map(({ id }) => id));
        });
      }
    });

    test("with a large body and no row: the body is removed", async () => {
      await killAt(openerUrl, at(), "receive", "done", 1);
      assert.equal(await opener.largeBodies(at()), 1);
      await opened(async (store) => assert.deepEqual(await all(store), []));
      assert.equal(await opener.largeBodies(at()), 0);
    });

    test("with leases: all is due at once", async () => {
      const now = Date.now();
      await opened(async (store) => {
        for (let i = 0; i < 20; i++) await store.enqueue(newMessage({ arrived: now - i * 1000, recipients: 3 }), { lease: i % 2 === 0 });
      });
      await killAt(openerUrl, at(), "lease", "all", 1);
      await opened(async (store) => {
        assert.equal((await store.stats()).active, 0);
        assert.equal(await store.nextDue(), now - 19_000);
        const leased = await store.lease(now, 1000);
        assert.equal(leased.flatMap(({ recipients }) => recipients).length, 60);
      });
    });

    test("while it settles: an outcome, the bounce it causes and the address it suppresses are there together or not at all", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const made: MessageId[] = [];
        await opened(async (store) => {
          await store.remove((await all(store)).map(({ id }) => id));
          for (let i = 0; i < 200; i++) made.push(await enqueued(store));
        });
        const { done } = await killAt(openerUrl, at(), "settle", "done", 1 + Math.floor(Math.random() * 150));
        await opened(async (store) => {
          const after = await all(store);
          const left = new Set(after.filter(({ from }) => from !== null).map(({ id }) => id));
          const bounced = new Set(after.filter(({ from }) => from === null).map(({ recipients }) => recipients[0]?.mailbox.localPart));
          const page = await store.suppressionList.page({ now: 0, limit: 10_000 });
          const suppressed = new Set(page.map(({ mailbox }) => mailbox));
          for (const id of made) assert.equal(suppressed.has(`${id}@b.test`), bounced.has(id), `${id} is suppressed`);
          for (const id of made) assert.ok(left.has(id) !== bounced.has(id), `${id}: ${left.has(id)} ${bounced.has(id)}`);
          for (const id of done) assert.ok(bounced.has(id), `${id} was settled`);
        });
      }
    });
  });
}

async function enqueued(store: QueueStore): Promise<MessageId> {
  const message = newMessage();
  await store.enqueue(message, { lease: false });
  return message.id;
}
