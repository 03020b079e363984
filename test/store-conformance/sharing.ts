/** What the store in PostgreSQL must do besides: nodes that share it, a database that goes away, a server that is not safe. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, type TestContext, test } from "node:test";
import { Postgres } from "../../src/database/postgres.ts";
import { openPostgresStore, type PostgresQueueStore, type PostgresStoreOptions } from "../../src/queue/postgres-store.ts";
import { describePostgres, newSchema, postgresHere, query, type TestPostgres } from "../support/postgres.ts";
import { fails, finished } from "./conformance.ts";
import { keyed } from "./idempotency.ts";
import { bytesOf, isIntact, newMessage, receive } from "./messages.ts";
import { BODY_FILE_THRESHOLD, type MessageId, newMessageId, type QueueStore } from "./nouns.ts";
import { proxy } from "./proxy.ts";

const LARGE = BODY_FILE_THRESHOLD + 100_000;
/** Short enough to be waited for, long enough for a busy machine to renew it. */
const SHORT_LEASE = 1500;

let postgres: TestPostgres;
let schema: string;
let drop: () => Promise<void>;
const opened: QueueStore[] = [];

async function open(options: Partial<PostgresStoreOptions> = {}): Promise<PostgresQueueStore> {
  const store = await openPostgresStore({ url: postgres.url, schema, connections: 4, ...options });
  opened.push(store);
  return store;
}

const sql = (text: string) => query(postgres.url, text.replaceAll("$.", `${schema}.`));
const leasesRunOut = () => sql("UPDATE $.node SET until = until - interval '1 day'");
const idsOf = (messages: readonly { readonly id: MessageId }[]) => messages.map(({ id }) => id);

/** Looks again whenever the bell rings, until it holds. */
async function whenever(store: QueueStore, holds: () => Promise<boolean>): Promise<void> {
  let ring = () => {};
  store.onDue(() => ring());
  for (;;) {
    const rung = new Promise<void>((resolve) => {
      ring = resolve;
    });
    if (await holds().catch(() => false)) return;
    await rung;
  }
}

export function sharing(): Promise<void> {
  return describePostgres("PostgreSQL store, shared", () => {
    beforeEach(async () => {
      postgres = await postgresHere();
      ({ schema, drop } = newSchema(postgres));
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((store) => store.close()));
      await drop();
    });

    leaseTests();
    outageTests();
    safetyTests();
  });
}

function leaseTests(): void {
  test("of two nodes that hear the same key at the same moment one queues, recipient by recipient", async () => {
    const nodes = [await open({ poll: 1e9 }), await open({ poll: 1e9 })] as const;
    for (let round = 0; round < 20; round++) {
      const key = `round ${round}`;
      const made = [keyed({ key, to: ["a", "b", "c"] }), keyed({ key, to: ["d", "c", "b"] })] as const;
      await Promise.all(made.map((message, i) => (nodes[i] as QueueStore).enqueue(message, { lease: false })));
    }
    const queued = (await nodes[0].list({ limit: 100 })).flatMap(({ recipients }) => recipients.map(({ mailbox }) => mailbox.localPart));
    assert.equal(queued.length, 20 * 4);
    for (const name of ["a", "b", "c", "d"]) assert.equal(queued.filter((one) => one === name).length, 20, name);
  });

  test("two nodes never lease the same; what one queues unleased rings at the other", async () => {
    const [a, b] = [await open({ poll: 1e9 }), await open({ poll: 1e9 })];
    const rung = new Promise<void>((resolve) => b.onDue(resolve));
    const made = Array.from({ length: 300 }, () => newMessage());
    await Promise.all(made.map((message) => a.enqueue(message, { lease: false })));
    await rung;
    const seen: MessageId[] = [];
    const take = async (store: QueueStore) => {
      for (;;) {
        const found = await store.lease(Date.now(), 7);
        if (found.length === 0) return;
        seen.push(...idsOf(found));
      }
    };
    await Promise.all([take(a), take(b), take(a), take(b)]);
    // What is locked for a moment is skipped: one look more finds it.
    await take(a);
    assert.equal(seen.length, 300);
    assert.equal(new Set(seen).size, 300);
    assert.equal((await b.stats()).active, 300);
  });

  test("who was taken over settles nothing, bounces nothing, and holds nothing; the new holder does", async () => {
    const a = await open();
    const message = newMessage();
    await a.enqueue(message, { lease: true });
    await leasesRunOut();
    const troubles: string[] = [];
    const b = await open({ onTrouble: (event) => event.type === "trouble" && troubles.push(event.why) });
    assert.match(troubles.join(), /1 recipients taken over from 1 nodes/);
    assert.deepEqual(idsOf(await b.lease(Date.now(), 10)), [message.id]);
    const bounce = { ...newMessage({ envelope: { reversePath: null } }), origin: { kind: "bounce", about: message.id } as const };
    assert.deepEqual(await a.settle([finished(message.id)], [bounce]), []);
    assert.deepEqual(await b.stats(), { messages: 1, recipients: 1, active: 1 });
    assert.deepEqual(await a.lease(Date.now(), 10), []); // finds out, and begins anew
    assert.equal(a.holdsLease({ id: message.id, index: 0 }), false);
    assert.equal(b.holdsLease({ id: message.id, index: 0 }), true);
    assert.deepEqual(await b.settle([finished(message.id)], [bounce]), [message.id]);
    assert.deepEqual(idsOf(await a.lease(Date.now() + 1000, 10)), [bounce.id]);
  });

  test("who was taken over and leases the same again waits for its first attempt to end", async () => {
    const a = await open();
    const now = Date.now();
    const message = newMessage({ arrived: now });
    await a.enqueue(message, { lease: true });
    await leasesRunOut();
    await open();
    assert.deepEqual(await a.lease(now, 10), []);
    assert.deepEqual(await a.lease(now, 10), []);
    assert.deepEqual(await a.settle([finished(message.id)], []), [], "the outcome of a lost lease is left aside");
    assert.ok(((await a.nextDue()) ?? 0) > now);
    assert.deepEqual(idsOf(await a.lease(now + 120_000, 10)), [message.id]);
    assert.deepEqual(await a.settle([finished(message.id)], []), [message.id]);
  });

  test("queued by a node that was taken over: free for all, not held by it", async () => {
    const a = await open();
    await leasesRunOut();
    const b = await open();
    const [small, large] = [newMessage(), newMessage({ size: LARGE })];
    await a.enqueue(small, { lease: true });
    assert.equal(a.holdsLease({ id: small.id, index: 0 }), false);
    assert.deepEqual(idsOf(await b.lease(Date.now(), 10)), [small.id]);
    while ((await sql("SELECT 1 FROM $.node")).length < 2); // until it has begun anew
    await a.enqueue(large, { lease: true });
    assert.equal(a.holdsLease({ id: large.id, index: 0 }), true, "it has begun anew");
  });

  test("a lease that ran out while nobody took over is good again once renewed", async () => {
    const a = await open({ lease: 600 });
    const message = newMessage();
    await a.enqueue(message, { lease: true });
    await leasesRunOut();
    const renewed = async () => (await sql("SELECT 1 FROM $.node WHERE until > clock_timestamp()")).length === 1;
    while (!(await renewed()));
    assert.equal(a.holdsLease({ id: message.id, index: 0 }), true);
    assert.deepEqual(await a.settle([finished(message.id)], []), [message.id]);
  });

  test("the last recipients of a message, settled by two nodes at once: gone once, and nothing is left behind", async () => {
    const [a, b] = [await open(), await open()];
    for (let round = 0; round < 15; round++) {
      const made = Array.from({ length: 8 }, () => newMessage({ recipients: 2, size: 100 }));
      await Promise.all(made.map((message) => a.enqueue(message, { lease: false })));
      const inA: { id: MessageId; index: number }[] = [];
      const inB: typeof inA = [];
      for (let left = 16; left > 0; left--) {
        const [store, list] = left % 2 === 0 ? [a, inA] : ([b, inB] as const);
        for (const { id, recipients } of await store.lease(Date.now(), 1)) for (const { index } of recipients) list.push({ id, index });
      }
      const settle = (store: QueueStore, list: typeof inA) =>
        store.settle(
          list.map(({ id, index }) => finished(id, index)),
          [],
        );
      const gone = (await Promise.all([settle(a, inA), settle(b, inB.reverse())])).flat();
      assert.deepEqual(gone.sort(), idsOf(made).sort());
    }
    for (const table of ["message", "recipient", "body"]) assert.deepEqual(await sql(`SELECT * FROM $.${table}`), [], table);
  });

  test("quotas are counted over all nodes", async () => {
    const [a, b] = [await open(), await open()];
    const ask = (store: PostgresQueueStore, want: number, key = "mx:x.test") =>
      store.quota.take({ key, want, limit: 25, window: 86_400_000 });
    const granted = await Promise.all([ask(a, 10), ask(b, 10), ask(a, 10), ask(b, 10), ask(b, 3, "other")]);
    assert.equal(granted.pop(), 3);
    assert.equal(
      granted.reduce((sum, n) => sum + n),
      25,
    );
    assert.equal(await ask(a, 1), 0);
    assert.equal(await a.quota.nodes(), 2);
  });
}

function outageTests(): void {
  test("the reply to a commit is lost: the call fails, the message may be there, and its lease is given up", async (t) => {
    const wire = await proxy(t, postgres.url);
    const a = await open({ url: wire.url, lease: SHORT_LEASE, poll: 100 });
    const [first, second] = [newMessage(), newMessage()];
    await a.enqueue(first, { lease: true });
    wire.set("deaf");
    await assert.rejects(a.enqueue(second, { lease: true }), fails("io"));
    await assert.rejects(a.settle([finished(first.id)], []), fails("io"));
    wire.set("whole");
    assert.equal(a.holdsLease({ id: second.id, index: 0 }), false);
    const found: MessageId[] = [];
    // The settlement may have left on a connection that was refused before: repeated, it is done once.
    await whenever(a, async () => {
      await a.settle([finished(first.id)], []);
      found.push(...idsOf(await a.lease(Date.now(), 10)));
      return found.length > 0;
    });
    assert.deepEqual(found, [second.id]);
    assert.deepEqual(await a.stats(), { messages: 1, recipients: 1, active: 1 });
  });

  test("cut off from the database: its lease runs out by its own clock, another takes over, and it settles nothing when it is back", async (t) => {
    const wire = await proxy(t, postgres.url);
    const a = await open({ url: wire.url, lease: SHORT_LEASE, poll: 100, statementTimeout: 1000 });
    const b = await open({ lease: SHORT_LEASE, poll: 100 });
    const message = newMessage();
    await a.enqueue(message, { lease: true });
    wire.set("cut");
    await whenever(b, async () => (await b.lease(Date.now(), 1)).length === 1);
    assert.equal(a.holdsLease({ id: message.id, index: 0 }), false, "before the other had it");
    wire.set("whole");
    await whenever(a, async () => {
      assert.deepEqual(await a.settle([finished(message.id)], []), []);
      return true;
    });
    assert.deepEqual(await b.settle([finished(message.id)], []), [message.id]);
  });

  test("the database is away: refused at once and temporarily; back again, it goes on by itself", async (t) => {
    const control = postgres.control;
    if (control === undefined) return t.skip("the server is not ours to stop");
    const store = await open({ poll: 100 });
    const [kept, uploaded] = [newMessage(), newMessageId(Date.now())];
    await store.enqueue(kept, { lease: true });
    const writer = store.receive();
    await writer.write(bytesOf(uploaded, LARGE));
    await control.stop();
    try {
      for (let i = 0; i < 3; i++) await assert.rejects(store.enqueue(newMessage(), { lease: true }), fails("io"));
      await assert.rejects(store.lease(Date.now(), 1), fails("io"));
      await assert.rejects(store.settle([finished(kept.id)], []), fails("io"));
      await assert.rejects(Promise.resolve(writer.finish()), fails("io"));
      writer.discard();
    } finally {
      await control.start();
    }
    await whenever(store, async () => (await store.settle([finished(kept.id)], [])).length === 1);
    const large = newMessage({ size: LARGE });
    await store.enqueue(large, { lease: false });
    const [found] = await store.lease(Date.now(), 1);
    assert.ok(found !== undefined && (await isIntact(large.id, found.content)));
  });

  test("closing while the database is away comes to an end", async (t) => {
    const control = postgres.control;
    if (control === undefined) return t.skip("the server is not ours to stop");
    const store = await open();
    await control.stop();
    try {
      await store.close();
      await assert.rejects(openPostgresStore({ url: postgres.url, schema }), fails("io", /cannot connect to PostgreSQL/));
    } finally {
      await control.start();
    }
  });
}

function safetyTests(): void {
  test("fsync = off is refused, and nothing was touched", async (t) => {
    if (postgres.control === undefined) return t.skip("the server is not ours to misconfigure");
    const set = async (value: string) => {
      await sql(`ALTER SYSTEM SET fsync = ${value}`);
      await sql("SELECT pg_reload_conf()");
      while ((await sql("SHOW fsync"))[0]?.fsync !== value);
    };
    await set("off");
    try {
      await assert.rejects(open(), fails("unsafe", /fsync = off/));
      assert.deepEqual(await sql(`SELECT 1 FROM information_schema.schemata WHERE schema_name = '${schema}'`), []);
    } finally {
      await set("on");
    }
  });

  test("synchronous_commit is on, whatever the database says", async () => {
    const url = new URL(postgres.url.replace("@/", "@unix/"));
    url.searchParams.set("options", "-c synchronous_commit=off");
    const weak = url.href.replace("@unix/", "@/");
    assert.deepEqual(await query(weak, "SHOW synchronous_commit"), [{ synchronous_commit: "off" }]);
    const pool = new Postgres({ url: weak });
    assert.deepEqual(await pool.run("SHOW synchronous_commit"), [{ synchronous_commit: "on" }]);
    await pool.close();
  });

  test("a newer version is refused, and nothing was touched", async () => {
    await (await open()).enqueue(newMessage(), { lease: false });
    await sql("UPDATE $.version SET version = 99 WHERE module = 'queue'");
    await assert.rejects(open(), fails("newer", /version \(99/));
    assert.equal((await sql("SELECT * FROM $.message")).length, 1);
  });

  test("several that open an empty schema at once", async () => {
    const stores = await Promise.all([open(), open(), open()]);
    assert.equal(await stores[0]?.quota.nodes(), 3);
  });

  test("a reason with NUL and half a character is kept; a mailbox that PostgreSQL refuses hurts nobody else", async () => {
    const store = await open();
    const message = newMessage();
    await store.enqueue(message, { lease: true });
    const last = "550 a\u0000b \ud83d";
    await store.settle([{ kind: "deferred", id: message.id, index: 0, due: Date.now(), attempts: 1, last }], []);
    assert.equal((await store.show(message.id))?.recipients[0]?.last, "550 a\u0000b \ufffd");
    const bad = newMessage({ envelope: { recipients: [{ mailbox: { localPart: "a\u0000", domain: "x.test" } }] } });
    const all = [newMessage(), bad, newMessage()].map((one) => store.enqueue(one, { lease: false }));
    assert.deepEqual(
      (await Promise.allSettled(all)).map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.equal((await store.stats()).messages, 3);
  });

  test("without prepared statements, and with ones whose tables have changed", async () => {
    for (const prepare of [false, true]) {
      const store = await open({ prepare });
      const message = newMessage();
      await store.enqueue(message, { lease: false });
      assert.equal((await store.list({ limit: 10 })).length, 1);
      await sql(`ALTER TABLE $.message ADD COLUMN more_${prepare} int`);
      assert.equal((await store.list({ limit: 10 })).length, 1);
      assert.deepEqual(await store.remove([message.id]), [message.id]);
    }
  });

  test("large content on its way in is gone with its node", async () => {
    const a = await open();
    const content = await receive(a, bytesOf("x", LARGE));
    await leasesRunOut();
    const b = await open();
    assert.deepEqual(await sql("SELECT * FROM $.body"), []);
    await assert.rejects(a.enqueue(newMessage({ content }), { lease: true }), fails("io", /its content is gone/));
    assert.equal((await b.stats()).messages, 0);
  });

  test("a full disk refuses whole messages, and goes on when there is room", async (t) => {
    const disk = postgres.control === undefined ? undefined : smallDisk(t);
    if (disk === undefined) return;
    const url = new URL(postgres.url.replace("@/", "@unix/"));
    url.searchParams.set("options", `-c default_tablespace=${schema}`);
    await sql(`CREATE TABLESPACE ${schema} LOCATION '${disk}'`);
    try {
      const store = await open({ url: url.href.replace("@unix/", "@/") });
      const accepted: MessageId[] = [];
      const errors: unknown[] = [];
      while (errors.length === 0) {
        const some = Array.from({ length: 8 }, () => newMessage({ size: 50_000 }));
        const ended = await Promise.allSettled(some.map((message) => store.enqueue(message, { lease: false })));
        for (const [i, { status }] of ended.entries()) if (status === "fulfilled") accepted.push((some[i] as { id: MessageId }).id);
        for (const one of ended) if (one.status === "rejected") errors.push(one.reason);
      }
      for (const error of errors) fails("full")(error);
      assert.ok(accepted.length > 0);
      assert.deepEqual(idsOf(await store.list({ limit: 10_000 })), accepted.toSorted());
      await store.remove(accepted.slice(1));
      rmSync(join(disk, "reserve"));
      await store.enqueue(newMessage({ size: 50_000 }), { lease: false });
      const content = await store.content(accepted[0] as MessageId);
      assert.ok(content !== undefined && (await isIntact(accepted[0] as MessageId, content)));
    } finally {
      await Promise.all(opened.splice(0).map((store) => store.close()));
      await drop();
      await sql(`DROP TABLESPACE ${schema}`);
      execFileSync("umount", ["-l", disk]);
    }
  });
}

/** A file system of 8 MB that the server may write to; `undefined`, and the test skipped, where we may not mount one. */
function smallDisk(t: TestContext): string | undefined {
  const disk = mkdtempSync(join(tmpdir(), "postrider-disk-"));
  t.after(() => rmSync(disk, { recursive: true, force: true }));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], { stdio: "pipe" });
  } catch {
    t.skip("mounting a small file system needs root");
    return undefined;
  }
  writeFileSync(join(disk, "reserve"), new Uint8Array(2_000_000));
  chownSync(disk, 65_534, 65_534);
  chmodSync(disk, 0o700);
  return disk;
}
