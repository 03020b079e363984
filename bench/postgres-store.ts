/**
 * The queue in PostgreSQL alone: how many messages a second it takes in and settles, and what a long queue costs.
 *
 *   bench/postgres-store.ts [messages a row] [deferred messages]
 *
 * 5 KB messages with one recipient each, on the PostgreSQL that the tests use (POSTRIDER_TEST_PG, or one that is started for it). Prints
 * a table; a benchmark, never a test.
 */
import { memoryContent } from "../src/mail/content.ts";
import { type MessageId, type NewMessage, newMessageId } from "../src/mail/message.ts";
import { openPostgresStore } from "../src/queue/postgres-store.ts";
import type { QueueStore } from "../src/queue/store.ts";
import { newSchema, query, testPostgres } from "../test/support/postgres.ts";

const MESSAGES = Number(process.argv[2] ?? 20_000);
const DEFERRED = Number(process.argv[3] ?? 100_000);
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

/** `workers` loops over `count` calls in all; prints the rate, our own CPU, and the slowest calls. */
async function measure(what: string, workers: number, count: number, one: () => Promise<unknown>, each = 1): Promise<void> {
  let left = count;
  const times: number[] = [];
  const loop = async () => {
    while (left-- > 0) {
      const begun = performance.now();
      await one();
      times.push(performance.now() - begun);
    }
  };
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await Promise.all(Array.from({ length: workers }, loop));
  const took = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (part: number) => `${(times[Math.floor(times.length * part)] ?? 0).toFixed(1)} ms`;
  const columns = [
    `${Math.round(((count * each) / took) * 1000)}/s`,
    `${((user + system) / count / each).toFixed(1)} us`,
    at(0.5),
    at(0.99),
  ];
  console.log([what.padEnd(36), ...columns.map((text) => text.padStart(10)), rss().padStart(8)].join("  "));
}

const rss = () => `${Math.round(process.memoryUsage.rss() / 1_048_576)} MB`;

const postgres = await testPostgres();
if (typeof postgres === "string") throw new Error(postgres);
const { url, what } = postgres;
const { schema, drop } = newSchema(postgres);
const open = () => openPostgresStore({ url, schema });

async function intake(): Promise<void> {
  const store = await open();
  for (const workers of [1, 16, 64, 128, 256]) {
    const count = workers === 1 ? Math.ceil(MESSAGES / 20) : MESSAGES;
    await measure(`enqueue, ${workers} at once`, workers, count, () => store.enqueue(message(), { lease: true }));
  }
  for (const workers of [16, 64, 256]) {
    await measure(`enqueue + settle, ${workers} at once`, workers, MESSAGES, async () => {
      const next = message();
      await store.enqueue(next, { lease: true });
      await store.settle([{ kind: "finished", id: next.id, index: 0 }], []);
    });
  }
  await store.close();
}

async function backlog(): Promise<void> {
  await query(url, `TRUNCATE ${["message", "body", "recipient", "upload", "node"].map((table) => `${schema}.${table}`).join()}`);
  let store = await open();
  await measure(`enqueue ${DEFERRED} unleased, 256`, 256, DEFERRED, () => store.enqueue(message(), { lease: false }));
  await store.close();
  const begun = performance.now();
  store = await open();
  await store.nextDue();
  console.log(`open with ${DEFERRED} deferred: ${(performance.now() - begun).toFixed(0)} ms, RSS ${rss()}`);
  const counting = performance.now();
  await store.stats();
  console.log(`stats: ${(performance.now() - counting).toFixed(0)} ms`);
  const ids: MessageId[] = [];
  await measure("lease 100", 1, 200, async () => void ids.push(...(await store.lease(Date.now(), 100)).map(({ id }) => id)), 100);
  const due = Date.now() + 3_600_000;
  const some = () => ids.splice(0, 100);
  await measure(
    "settle 100 deferred",
    4,
    100,
    () => settle(store, some(), { kind: "deferred", due, attempts: 1, last: "450 4.2.0 Try later" }),
    100,
  );
  await measure("settle 100 finished", 4, 100, () => settle(store, some(), { kind: "finished" }), 100);
  await measure(
    "lease 100 behind 20,000 dead rows",
    1,
    50,
    async () => void ids.push(...(await store.lease(Date.now(), 100)).map(({ id }) => id)),
    100,
  );
  await measure("enqueue + settle, 64, backlog there", 64, MESSAGES, async () => {
    const next = message();
    await store.enqueue(next, { lease: true });
    await settle(store, [next.id], { kind: "finished" });
  });
  const retrying = performance.now();
  const retried = await store.retry(Date.now());
  console.log(`retry of ${retried}: ${(performance.now() - retrying).toFixed(0)} ms`);
  await store.close();
}

type How =
  | { readonly kind: "finished" }
  | { readonly kind: "deferred"; readonly due: number; readonly attempts: number; readonly last: string };

function settle(store: QueueStore, ids: readonly MessageId[], how: How): Promise<unknown> {
  return store.settle(
    ids.map((id) => ({ ...how, id, index: 0 })),
    [],
  );
}

console.log(what);
console.log(["".padEnd(36), ...["rate", "our CPU", "median", "p99"].map((text) => text.padStart(10)), "RSS".padStart(8)].join("  "));
try {
  if (MESSAGES > 0) await intake();
  if (DEFERRED > 0) await backlog();
} finally {
  await drop();
}
