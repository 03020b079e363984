/**
 * One of several nodes on one queue: `worker.ts <url> <schema> <marks> <name> <lease>`. It queues messages, leases what is due, "delivers" it and
 * settles it, until it is killed or told to "drain" on standard input: then it queues no more, and ends when the queue is empty.
 *
 * Says, one a line and written at once: `queued <id>` after the commit, `refused` where enqueuing failed, `delivered <id>` when a recipient's
 * attempt has passed the final dot, `clash <id> <holder>` where another node has the same recipient in hand, `empty` at the end. A recipient in
 * hand is marked by a file named after it that holds the node's name.
 */
import { readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { openPostgresStore } from "../../src/queue/postgres-store.ts";
import { type QueueStore, StoreError } from "../../src/queue/store.ts";
import { newMessage } from "../store-conformance/messages.ts";
import type { QueuedMessage } from "../store-conformance/nouns.ts";

const [url, schema, marks, name, lease] = process.argv.slice(2) as [string, string, string, string, string];
const say = (...words: string[]) => void writeSync(1, `${words.join(" ")}\n`);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const RETRY_MS = 20;
let draining = false;

process.stdin.on("data", () => {
  draining = true;
});

async function produce(store: QueueStore): Promise<void> {
  while (!draining) {
    const message = newMessage({ size: 2000 });
    try {
      await store.enqueue(message, { lease: false });
      say("queued", message.id);
    } catch (thrown) {
      if (!(thrown instanceof StoreError)) throw thrown;
      say("refused", thrown.code);
      await pause(RETRY_MS);
    }
  }
}

/** Takes it in hand, hands it on, settles it: for as long as it takes, as the settler does. */
async function deliver(store: QueueStore, { id, recipients }: QueuedMessage): Promise<void> {
  for (const { index } of recipients) {
    const mark = join(marks, `${id}-${index}`);
    try {
      writeFileSync(mark, name, { flag: "wx" });
    } catch {
      say("clash", id, readFileSync(mark, "utf8"));
      writeFileSync(mark, name);
    }
    await new Promise((resolve) => setImmediate(resolve));
    const held = store.holdsLease({ id, index });
    if (held) say("delivered", id);
    rmSync(mark, { force: true });
    const settlement = held ? ({ kind: "finished", id, index } as const) : ({ kind: "released", id, index, due: Date.now() } as const);
    for (;;) {
      try {
        await store.settle([settlement], []);
        break;
      } catch (thrown) {
        if (!(thrown instanceof StoreError)) throw thrown;
        await pause(RETRY_MS);
      }
    }
  }
}

async function consume(store: QueueStore): Promise<void> {
  let wake = () => {};
  store.onDue(() => wake());
  for (;;) {
    try {
      const messages = await store.lease(Date.now(), 20);
      await Promise.all(messages.map((message) => deliver(store, message)));
      if (messages.length > 0) continue;
      if (draining && (await store.stats()).messages === 0) return;
    } catch (thrown) {
      if (!(thrown instanceof StoreError)) throw thrown;
    }
    await Promise.race([pause(RETRY_MS), new Promise<void>((resolve) => (wake = resolve))]);
  }
}

const store = await openPostgresStore({ url, schema, node: name, lease: Number(lease), poll: 100, connections: 3 });
say("open");
await Promise.all([produce(store), produce(store), consume(store)]);
await store.close();
say("empty");
process.exit(0);
