/** The disk of the power-loss tests and the check of the order of calls, on journals made by hand. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { tempFolder } from "../support/temp-folder.ts";
import { Disk, type Fate } from "./disk.ts";
import { handOvers } from "./hand-overs.ts";
import type { JournalRecord, Operation } from "./journal.ts";
import { checkOrder } from "./order.ts";
import { Random } from "./random.ts";

const DATABASE = 1;
const WAL = 2;
const BODY = 3;
const FOLDER = 4;
const forgotten: Fate = { kind: "forgotten" };

function entry(op: Operation, ino: number, offset: number, bytes: string | Buffer = "", result = 0): JournalRecord {
  return { op, ino, offset, result, bytes: Buffer.from(bytes) };
}
const created = (ino: number, path: string) => entry("open", ino, 1, path);
const folder = (ino: number, path: string) => entry("open", ino, 4, path);
const write = (ino: number, text: string | Buffer, offset = 0) => entry("write", ino, offset, text);
const sync = (ino: number, kind: number, result = 0) => [entry("sync-begin", ino, kind), entry("sync-end", ino, kind, "", result)];

/** What is in the file after a power loss; `undefined` where there is none. */
function after(t: TestContext, records: readonly JournalRecord[], name: string, fate = forgotten): string | undefined {
  const disk = new Disk("/data");
  for (const record of records) disk.apply(record);
  const target = join(tempFolder(t), "data");
  disk.write(target, fate);
  return existsSync(join(target, name)) ? readFileSync(join(target, name), "latin1") : undefined;
}

const named = [created(7, "/data/a"), folder(9, "/data"), ...sync(9, FOLDER)];

test("power loss: what was synced is there, what came after it is not", (t) => {
  const records = [...named, write(7, "first"), ...sync(7, DATABASE), write(7, "other"), write(7, "more", 5)];
  assert.equal(after(t, records, "a"), "first");
  assert.equal(after(t, records, "a", { kind: "kept" }), "othermore");
});

test("power loss: a write during the sync is not covered by it", (t) => {
  const [begin, end] = sync(7, DATABASE) as [JournalRecord, JournalRecord];
  assert.equal(after(t, [...named, write(7, "one"), begin, write(7, "two", 3), end], "a"), "one");
});

test("power loss: what a failed sync was to write is gone, and the next sync does not bring it back", (t) => {
  const records = [...named, write(7, "one"), ...sync(7, DATABASE), write(7, "two"), ...sync(7, DATABASE, -1), ...sync(7, DATABASE)];
  assert.equal(after(t, records, "a"), "one");
});

test("power loss: a name is there once its folder was synced, and gone once its removal was", (t) => {
  const unnamed = [created(7, "/data/a"), write(7, "text"), ...sync(7, DATABASE), folder(9, "/data")];
  assert.equal(after(t, unnamed, "a"), undefined);
  const removed = [...unnamed, ...sync(9, FOLDER), entry("unlink", 0, 0, "/data/a")];
  assert.equal(after(t, removed, "a"), "text");
  assert.equal(after(t, [...removed, ...sync(9, FOLDER)], "a"), undefined);
});

test("power loss: a folder whose own name was not synced takes with it what is inside", (t) => {
  const inside = [entry("mkdir", 0, 0, "/data/bodies"), created(7, "/data/bodies/b"), write(7, "text"), ...sync(7, BODY)];
  const synced = [...inside, folder(8, "/data/bodies"), ...sync(8, FOLDER)];
  assert.equal(after(t, synced, "bodies/b"), undefined);
  assert.equal(after(t, [...synced, folder(9, "/data"), ...sync(9, FOLDER)], "bodies/b"), "text");
});

test("power loss: a name that was put in the place of another is the one or the other", (t) => {
  const records = [...named, write(7, "old"), ...sync(7, DATABASE), created(8, "/data/new"), write(8, "new"), ...sync(8, DATABASE)];
  const renamed = [...records, entry("rename", 0, 0, "/data/new\n/data/a")];
  assert.equal(after(t, renamed, "a"), "old");
  assert.equal(after(t, [...renamed, ...sync(9, FOLDER)], "a"), "new");
});

test("power loss: of unsynced writes any blocks may be there, each whole", (t) => {
  const records = [...named, write(7, Buffer.alloc(2048, "a")), ...sync(7, DATABASE), write(7, Buffer.alloc(1024, "b"), 256)];
  const seen = new Set<string>();
  for (let seed = 0; seed < 64; seed++) {
    const text = after(t, records, "a", { kind: "some", random: new Random(seed), block: 512 }) as string;
    seen.add([256, 512, 1024].map((at) => text[at]).join(""));
    assert.match(text, /^a{256}(a{256}|b{256})(a{512}|b{512})(a{256}|b{256})a{768}$/);
  }
  assert.equal(seen.size, 8);
});

const ID = "1M85000000000000";
const reply = entry("reply", 5, 0, `250 2.0.0 OK, message accepted as ${ID}\r\n`);
const log = [created(WAL, "/data/postrider.db-wal"), write(WAL, `..${ID}..`)];
const body = [created(BODY, "/data/bodies/b"), write(BODY, `Received: id ${ID}\r\n`), write(BODY, "more", 99)];
const bodySynced = [...sync(BODY, BODY), folder(8, "/data/bodies"), ...sync(8, FOLDER)];

test("order: a 250 after the sync of its row is well, with and without a body of its own", () => {
  assert.deepEqual(checkOrder([...log, ...sync(WAL, WAL), reply]), { replies: 1, large: 0, violations: [] });
  assert.deepEqual(checkOrder([...body, ...bodySynced, ...log, ...sync(WAL, WAL), reply]), { replies: 1, large: 1, violations: [] });
});

test("order: a 250 too early is a violation, whatever was not synced", () => {
  const [begin, end] = sync(WAL, WAL) as [JournalRecord, JournalRecord];
  const wrong: Readonly<Record<string, readonly JournalRecord[]>> = {
    "its row was not written": [reply],
    "no sync of the log": [...log, reply, begin, end],
    "no sync of the log between": [...log, begin, reply, end],
    "no sync of the log between its row": [begin, ...log, end, reply],
    "no sync of the log between its row and": [...log, ...sync(WAL, WAL, -1), reply],
    "its body's file was not synced": [...sync(BODY, BODY), ...body, ...bodySynced.slice(2), ...log, begin, end, reply],
    "the folder of its body was not synced": [...body, ...sync(BODY, BODY), ...log, begin, end, reply],
  };
  for (const [what, records] of Object.entries(wrong)) {
    const { violations } = checkOrder(records);
    assert.equal(violations.length, 1, what);
    assert.ok(violations[0]?.includes(what), `${what}: ${violations[0]}`);
  }
});

test("hand-over: it counts as settled once syncs enough have passed since the next hop's 250 was read, and not before", () => {
  const content = entry("hop-content", 6, 0, `Received: by us id ${ID};\r\nX-Crash-Id: r1-1\r\n\r\n`);
  const sent = [content, entry("hop-dot", 6, 0)];
  const many = Array.from({ length: 7 }, () => sync(WAL, WAL)).flat();
  const settledAfter = (...records: JournalRecord[]) => handOvers(records).map(({ settled }) => settled);
  assert.deepEqual(settledAfter(content), []);
  assert.deepEqual(settledAfter(...sent, ...many), [false]);
  assert.deepEqual(settledAfter(...sent, entry("hop-250", 6, 0), ...sync(WAL, WAL)), [false]);
  assert.deepEqual(settledAfter(...sent, entry("hop-250", 6, 0), ...many), [true]);
});
