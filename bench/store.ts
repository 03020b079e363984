/**
 * The embedded queue alone: how many messages a second it takes in and settles, synced.
 *
 *   bench/store.ts [messages a row] [folder]
 *
 * 5 KB messages with one recipient each. Prints a table; a benchmark, never a test.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../src/database/index.ts";
import { memoryContent } from "../src/mail/content.ts";
import { type MessageId, type NewMessage, newMessageId } from "../src/mail/message.ts";
import { openSqliteStore, type QueueStore, queueProcedures } from "../src/queue/index.ts";

const MESSAGES = Number(process.argv[2] ?? 40_000);
const root = mkdtempSync(join(process.argv[3] ?? tmpdir(), "postrider-bench-"));
const content = Buffer.alloc(5120, "This line is part of a message of five kilobytes.\r\n");
const facts = { size: content.length, eightBit: false, eightBitHeader: false, binary: false, longestLine: 49 };

function message(): NewMessage {
  const arrived = Date.now();
  return {
    id: newMessageId(arrived),
    envelope: {
      reversePath: { localPart: "sender", domain: "client.test" },
      recipients: [{ mailbox: { localPart: "user", domain: "example.test" } }],
      body: "7BIT",
      smtpUtf8: false,
    },
    content: memoryContent([content.subarray(0, 2000), content.subarray(2000)]),
    facts,
    origin: { kind: "smtp", peer: "127.0.0.1", helo: "client.test" },
    arrived,
  };
}

async function open(name: string): Promise<QueueStore> {
  const folder = join(root, name);
  const database = await openDatabase({ folder, file: "queue.db", procedures: [queueProcedures] });
  return openSqliteStore({ database, folder });
}

/** `workers` loops over `count` messages in all; prints the rate and what the main thread spent. */
async function measure(what: string, workers: number, count: number, one: () => Promise<unknown>): Promise<void> {
  let left = count;
  const slowest: number[] = [];
  const loop = async () => {
    while (left-- > 0) {
      const begun = performance.now();
      await one();
      slowest.push(performance.now() - begun);
    }
  };
  const begun = performance.now();
  const cpu = process.cpuUsage();
  const main = process.threadCpuUsage();
  await Promise.all(Array.from({ length: workers }, loop));
  const took = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  const mine = process.threadCpuUsage(main);
  slowest.sort((a, b) => a - b);
  const p99 = slowest[Math.floor(slowest.length * 0.99)] ?? 0;
  const row = [
    what.padEnd(34),
    `${Math.round((count / took) * 1000)}/s`.padStart(9),
    `${((mine.user + mine.system) / count).toFixed(1)} us`.padStart(9),
    `${((user + system) / count).toFixed(1)} us`.padStart(9),
    `${p99.toFixed(1)} ms`.padStart(9),
    `${(slowest.at(-1) ?? 0).toFixed(0)} ms`.padStart(8),
    `${Math.round(process.memoryUsage.rss() / 1048576)} MB`.padStart(8),
  ];
  console.log(row.join("  "));
}

console.log(
  [
    "".padEnd(34),
    "rate".padStart(9),
    "main CPU".padStart(9),
    "all CPU".padStart(9),
    "p99".padStart(9),
    "max".padStart(8),
    "RSS".padStart(8),
  ].join("  "),
);
try {
  for (const workers of [1, 16, 64, 128]) {
    const store = await open(`enqueue-${workers}`);
    const count = workers === 1 ? Math.ceil(MESSAGES / 10) : MESSAGES;
    await measure(`enqueue, ${workers} at once`, workers, count, () => store.enqueue(message(), { lease: true }));
    await store.close();
  }
  for (const workers of [16, 64, 128]) {
    const store = await open(`pairs-${workers}`);
    await measure(`enqueue + settle, ${workers} at once`, workers, MESSAGES, async () => {
      const next = message();
      await store.enqueue(next, { lease: true });
      await store.settle([{ kind: "finished", id: next.id, index: 0 }], []);
    });
    await store.close();
  }
  const deferred = Number(process.env.DEFERRED ?? 200_000);
  let store = await open("deferred");
  await measure(`enqueue ${deferred} unleased, 128`, 128, deferred, () => store.enqueue(message(), { lease: false }));
  await store.close();
  const begun = performance.now();
  store = await open("deferred");
  console.log(`open with ${deferred} deferred: ${(performance.now() - begun).toFixed(0)} ms`);
  const counting = performance.now();
  await store.stats();
  console.log(`first stats: ${(performance.now() - counting).toFixed(0)} ms`);
  const ids: MessageId[] = [];
  await measure("lease 100", 1, 200, async () => {
    for (const { id } of await store.lease(Date.now(), 100)) ids.push(id);
  });
  await measure("settle 100 deferred", 4, 100, () => {
    const due = Date.now() + 3_600_000;
    return store.settle(
      ids.splice(0, 100).map((id) => ({ kind: "deferred", id, index: 0, due, attempts: 1, last: "450 4.2.0 Try later" })),
      [],
    );
  });
  await measure("settle 100 finished", 4, 100, () =>
    store.settle(
      ids.splice(0, 100).map((id) => ({ kind: "finished", id, index: 0 })),
      [],
    ),
  );
  await measure("enqueue + settle, 64, all deferred", 64, MESSAGES, async () => {
    const next = message();
    await store.enqueue(next, { lease: true });
    await store.settle([{ kind: "finished", id: next.id, index: 0 }], []);
  });
  const retrying = performance.now();
  const retried = await store.retry(Date.now());
  console.log(`retry of ${retried}: ${(performance.now() - retrying).toFixed(0)} ms`);
  await store.close();
} finally {
  rmSync(root, { recursive: true, force: true });
}
