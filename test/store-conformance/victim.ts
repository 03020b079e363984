/**
 * A process that works on a store until it is killed: `victim.ts <opener URL> <place> <work>`. It writes a line before each thing it begins
 * (`try`) and a line after each thing that was promised to be on disk (`done`), synchronously, so that no line is lost by the kill.
 */
import { writeSync } from "node:fs";
import { keyed } from "./idempotency.ts";
import { bytesOf, newMessage, receive } from "./messages.ts";
import { BODY_FILE_THRESHOLD, type Content, newMessageId, type QueueStore } from "./nouns.ts";
import type { StoreOpener } from "./opener.ts";
import { suppression } from "./suppressions.ts";

const [url, place, work] = process.argv.slice(2) as [string, string, string];
const say = (...words: string[]) => void writeSync(1, `${words.join(" ")}\n`);
const LARGE = BODY_FILE_THRESHOLD + 5000;

/** Eight at once, every third with a large body. */
async function takeIn(
  store: QueueStore,
  enqueue: (id: string, content: { readonly content?: Content }) => Promise<unknown>,
): Promise<void> {
  let count = 0;
  const loop = async () => {
    for (;;) {
      const id = newMessageId(Date.now());
      say("try", id);
      await enqueue(id, count++ % 3 === 0 ? { content: await receive(store, bytesOf(id, LARGE)) } : {});
      say("done", id);
    }
  };
  await Promise.all(Array.from({ length: 8 }, loop));
}

const works: Record<string, (store: QueueStore) => Promise<unknown>> = {
  /** Each with two recipients. */
  enqueue: (store) => takeIn(store, (id, content) => store.enqueue(newMessage({ id, recipients: 2, ...content }), { lease: true })),
  /** The same with a key for each message, which is its id. */
  keyed: (store) => takeIn(store, (id, content) => store.enqueue(keyed({ key: id, id, to: ["a", "b"], ...content }), { lease: false })),
  /** A large body, and no row. */
  async receive(store) {
    await receive(store, bytesOf("A", LARGE));
    say("done", "A");
  },
  /** Takes all there is and gives nothing back. */
  async lease(store) {
    for (const { id } of await store.lease(Date.now(), 1000)) say("done", id);
    say("all");
  },
  /** Settles what it finds; each failure causes a bounce, whose reverse-path names the message. */
  async settle(store) {
    const found = await store.lease(Date.now(), 1000);
    say("all");
    for (const { id } of found) {
      say("try", id);
      const bounce = newMessage({ envelope: { reversePath: null, recipients: [{ mailbox: { localPart: id, domain: "b.test" } }] } });
      await store.settle([{ kind: "finished", id, index: 0, suppress: suppression(`${id}@b.test`) }], [bounce]);
      say("done", id);
    }
  },
};

const opener: StoreOpener = await import(url);
await works[work]?.(await opener.open(place));
setInterval(() => {}, 1000); // until it is killed
