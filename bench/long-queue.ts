/**
 * P8: a server with a long queue of deferred messages, beside the same server with an empty one.
 *
 *   bench/long-queue.ts [--store sqlite|postgres] [--deferred 1000000] [--count 20000] [--runs 5] [--folder FOLDER]
 *
 * Fills a queue with messages of 5 KB that are due in hours, starts `postrider serve` on it, and measures: until it is ready, what it holds,
 * and how many messages a second go through it end to end (smtp-source, the server, smtp-sink), in turns with a server whose queue is empty.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { memoryContent } from "../src/mail/content.ts";
import { newMessageId } from "../src/mail/message.ts";
import { openStores, type StoresOptions } from "../src/relay/stores.ts";
import { newSchema, testPostgres } from "../test/support/postgres.ts";
import { Child, freePort, greeted } from "./child.ts";
import { findPostfix, type PostfixFiles, type Sink, sendAll, startSink } from "./tools.ts";

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "sqlite" },
    deferred: { type: "string", default: "1000000" },
    count: { type: "string", default: "20000" },
    runs: { type: "string", default: "5" },
    folder: { type: "string", default: tmpdir() },
  },
});
const [DEFERRED, COUNT, RUNS] = [Number(values.deferred), Number(values.count), Number(values.runs)];
const LIMIT = 120_000;
/** Messages that are queued at once while filling. */
const AT_ONCE = 256;
const content = Buffer.alloc(5120, "This line is part of a message of five kilobytes.\r\n");
const facts = { size: content.length, eightBit: false, eightBitHeader: false, binary: false, longestLine: 49 };

interface Place {
  readonly folder: string;
  readonly stores: StoresOptions;
  /** Lines of [queue]. */
  readonly config: string;
}

async function fill({ stores }: Place): Promise<void> {
  const { queue, close } = await openStores(stores);
  let left = DEFERRED;
  const loop = async (): Promise<void> => {
    while (left-- > 0) {
      const arrived = Date.now();
      await queue.enqueue(
        {
          id: newMessageId(arrived),
          envelope: {
            reversePath: { localPart: "sender", domain: "client.test" },
            recipients: [{ mailbox: { localPart: `user${left}`, domain: `d${left % 5000}.test` } }],
            body: "7BIT",
            smtpUtf8: false,
            holdUntil: arrived + 6 * 3_600_000 + (left % 3600) * 1000,
          },
          content: memoryContent([content]),
          facts,
          origin: { kind: "smtp", peer: "127.0.0.1", helo: "client.test" },
          arrived,
        },
        { lease: false },
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
  await close();
}

interface Running {
  readonly child: Child;
  readonly port: number;
  /** Milliseconds from the start of the process to its greeting. */
  readonly ready: number;
}

async function serve({ folder, config }: Place, sink: Sink): Promise<Running> {
  const port = await freePort();
  const path = join(folder, "postrider.toml");
  writeFileSync(
    path,
    `hostname = "mail.example.test"
data = "data"
[listen]
smtp = ["127.0.0.1:${port}"]
[domains]
local = ["example.com"]
recipients = ["*@example.com"]
[queue]
${config}
[[route]]
domain = "*"
to = "smtp://127.0.0.1:${sink.port}"
`,
  );
  const begun = performance.now();
  const child = new Child({
    file: process.execPath,
    args: [fileURLToPath(new URL("../bin/postrider.js", import.meta.url)), "serve", "--config", path],
    log: join(folder, "postrider.log"),
  });
  await greeted(child, port);
  return { child, port, ready: performance.now() - begun };
}

async function rate(
  files: PostfixFiles,
  folder: string,
  { port }: Running,
  sink: Sink,
  sent: { count: number },
  count: number,
): Promise<number> {
  sent.count += count;
  const begun = performance.now();
  await sendAll(files, { count, port, sessions: 64, size: 5120 }, folder, LIMIT);
  await sink.reached(sent.count, LIMIT);
  return (count / (performance.now() - begun)) * 1000;
}

/** Megabytes in memory, code and all, as `ps` has it. */
function resident(child: Child): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"));
  return Math.round(Number(line?.[1] ?? 0) / 1024);
}

function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[all.length >> 1] ?? 0;
}

async function places(root: string): Promise<{ long: Place; empty: Place; drop(): Promise<void> }> {
  const place = (name: string, postgres?: { url: string; schema: string }): Place => {
    const folder = join(root, name);
    mkdirSync(folder);
    const data = join(folder, "data");
    if (postgres === undefined) return { folder, stores: { folder: data }, config: "" };
    return { folder, stores: { folder: data, postgres }, config: `store = "${postgres.url}"\nstore_schema = "${postgres.schema}"` };
  };
  if (values.store === "sqlite") return { long: place("long"), empty: place("empty"), drop: async () => {} };
  const server = await testPostgres();
  if (typeof server === "string") throw new Error(server);
  const [one, two] = [newSchema(server), newSchema(server)];
  const drop = async (): Promise<void> => {
    await one.drop();
    await two.drop();
  };
  const { url } = server;
  return { long: place("long", { url, schema: one.schema }), empty: place("empty", { url, schema: two.schema }), drop };
}

const files = findPostfix();
if (files === undefined) throw new Error("smtp-source is missing: install postfix, or set POSTRIDER_DEBS (see docs/performance.md)");
const root = mkdtempSync(join(values.folder, "postrider-long-queue-"));
const { long, empty, drop } = await places(root);
const children: Child[] = [];
try {
  const filling = performance.now();
  await fill(long);
  console.log(`${values.store}: ${DEFERRED} deferred messages queued in ${((performance.now() - filling) / 1000).toFixed(0)} s`);
  const sinks = [await startSink(files, long.folder), await startSink(files, empty.folder)] as const;
  const servers = [await serve(long, sinks[0]), await serve(empty, sinks[1])] as const;
  children.push(...servers.map(({ child }) => child));
  const [withLong] = servers;
  console.log(`ready after ${(withLong.ready / 1000).toFixed(1)} s (empty: ${(servers[1].ready / 1000).toFixed(1)} s)`);
  await sleep(5000);
  console.log(`resident when idle: ${resident(withLong.child)} MB (empty: ${resident(servers[1].child)} MB)`);
  const rates: [number[], number[]] = [[], []];
  const sent = [{ count: 0 }, { count: 0 }] as const;
  for (let run = 0; run <= RUNS; run++) {
    for (const i of [0, 1] as const) {
      const server = servers[i];
      const one = await rate(files, root, server, sinks[i], sent[i], run === 0 ? COUNT / 4 : COUNT);
      if (run > 0) rates[i].push(one); // the first is to warm up
    }
  }
  const [a, b] = rates.map(median) as [number, number];
  console.log(`end to end: ${Math.round(a)}/s with the long queue, ${Math.round(b)}/s with the empty one: ${(a / b).toFixed(2)}`);
  console.log(`resident after it: ${resident(withLong.child)} MB (empty: ${resident(servers[1].child)} MB)`);
  for (const child of children) await child.stop("SIGTERM");
  for (const sink of sinks) await sink.stop();
} finally {
  for (const child of children) if (child.running) await child.stop("SIGKILL");
  await drop();
  rmSync(root, { recursive: true, force: true });
}
process.exit(0);
