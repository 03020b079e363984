import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { describePostgres, newSchema, postgresHere } from "../../test/support/postgres.ts";
import { openPostgres, type Postgres, type PostgresOptions } from "./postgres.ts";
import { Doorbell } from "./postgres-doorbell.ts";
import { asPostgresError, PostgresError } from "./postgres-error.ts";
import { BACKLOG_CALLS, Group } from "./postgres-group.ts";
import { migrate, type PostgresModule } from "./postgres-migrations.ts";
import { byteaArray, int4Array, int8Array, textArray } from "./postgres-values.ts";

let url: string;
let schema: string;
let drop: () => Promise<void>;
const opened: Postgres[] = [];

async function open(options: Partial<PostgresOptions> = {}): Promise<Postgres> {
  const postgres = await openPostgres({ url, schema, connections: 3, ...options });
  opened.push(postgres);
  return postgres;
}

const is = (traits: Partial<PostgresError>) => (error: unknown) => {
  assert.ok(error instanceof PostgresError, String(error));
  for (const [name, value] of Object.entries(traits)) assert.equal(error[name as keyof PostgresError], value, `${name}: ${error.message}`);
  return true;
};

const table: PostgresModule = {
  name: "rows",
  migrations: ["CREATE TABLE $.row (key int8 NOT NULL PRIMARY KEY, count int8 NOT NULL DEFAULT 0)"],
};

await describePostgres("PostgreSQL", () => {
  beforeEach(async () => {
    const found = await postgresHere();
    url = found.url;
    ({ schema, drop } = newSchema(found));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((postgres) => postgres.close()));
    await drop();
  });

  test("lists of any values come back as they were", async () => {
    const postgres = await open();
    const text = fc.string({ unit: "binary" }).map((s) => s.toWellFormed().replaceAll("\0", ""));
    const row = fc.record({
      text: fc.option(text),
      whole: fc.maxSafeInteger(),
      small: fc.integer(),
      bytes: fc.option(fc.array(fc.uint8Array(), { maxLength: 3 })),
    });
    const values = fc.array(row, { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(values, async (rows) => {
        const found = await postgres.run(
          "SELECT * FROM unnest($1::text[], $2::int8[], $3::int4[], $4::bytea[]) AS r (text, whole, small, bytes)",
          [
            textArray(rows.map((one) => one.text)),
            int8Array(rows.map((one) => one.whole)),
            int4Array(rows.map((one) => one.small)),
            byteaArray(rows.map((one) => one.bytes)),
          ],
        );
        const expected = rows.map((one) => ({ ...one, whole: one.whole + 0, bytes: one.bytes === null ? null : Buffer.concat(one.bytes) }));
        assert.deepEqual(found, expected);
      }),
      { numRuns: 60 },
    );
  });

  test("a transaction is whole: committed, or rolled back with what it threw", async () => {
    const postgres = await open();
    await migrate(postgres, table);
    await postgres.transaction(async (run) => {
      await run(`INSERT INTO ${schema}.row VALUES ($1)`, [1]);
      await run(`INSERT INTO ${schema}.row VALUES ($1)`, [2]);
    });
    const stop = new Error("stop");
    const failing = (end: () => Promise<unknown>) =>
      postgres.transaction(async (run) => {
        await run(`INSERT INTO ${schema}.row VALUES ($1)`, [3]);
        await end();
        throw stop;
      });
    await assert.rejects(
      failing(() => Promise.resolve()),
      stop,
    );
    await assert.rejects(
      failing(() => postgres.run("SELECT 1 / $1::int8", [0])),
      is({ unknown: false, lost: false }),
    );
    assert.deepEqual(await postgres.run(`SELECT key FROM ${schema}.row ORDER BY key`), [{ key: 1 }, { key: 2 }]);
  });

  test("two transactions in a deadlock are both done in the end", async () => {
    const postgres = await open();
    await migrate(postgres, table);
    await postgres.run(`INSERT INTO ${schema}.row VALUES ($1), ($2)`, [1, 2]);
    const both = Promise.withResolvers<void>();
    let first = 2;
    const add = (order: readonly number[]) =>
      postgres.transaction(async (run) => {
        for (const [i, key] of order.entries()) {
          await run(`UPDATE ${schema}.row SET count = count + 1 WHERE key = $1`, [key]);
          if (i > 0) continue;
          if (--first === 0) both.resolve();
          await both.promise; // each has one, and wants the other's
        }
      });
    await Promise.all([add([1, 2]), add([2, 1])]);
    assert.deepEqual(await postgres.run(`SELECT count FROM ${schema}.row`), [{ count: 2 }, { count: 2 }]);
  });

  test("a statement that takes too long is ended by the server: nothing was kept", async () => {
    const postgres = await open({ statementTimeout: 50 });
    await assert.rejects(postgres.run("SELECT pg_sleep($1)", [10]), is({ code: "io", unknown: false, lost: false }));
    assert.deepEqual(await postgres.run("SELECT $1::int8 AS n", [7]), [{ n: 7 }]);
  });

  test("a connection that is ended under a statement: its outcome is unknown; the next one has another", async () => {
    const postgres = await open();
    await assert.rejects(
      postgres.run("SELECT pg_terminate_backend(pg_backend_pid()), $1::int", [1]),
      is({ code: "io", unknown: true, lost: true }),
    );
    assert.deepEqual(await postgres.run("SELECT $1::int8 AS n", [7]), [{ n: 7 }]);
  });

  test("one that cannot be reached is said so, and nothing is unknown; the calls after it do not wait", async () => {
    const away = { url: "postgres://nobody@127.0.0.1:1/x" };
    await assert.rejects(openPostgres(away), is({ code: "io", unknown: false }));
  });

  test("after close every call is refused", async () => {
    const postgres = await open();
    await postgres.close();
    await assert.rejects(postgres.run("SELECT 1"), is({ code: "closed" }));
  });

  test("migrations go on from where they were, and a newer one is refused", async () => {
    const postgres = await open();
    await Promise.all([migrate(postgres, table), migrate(postgres, table)]);
    const next: PostgresModule = {
      ...table,
      migrations: [...table.migrations, "CREATE TABLE $.more (key int8)"],
      tuning: ["NO SUCH THING"],
    };
    await migrate(postgres, next);
    assert.deepEqual(await postgres.run(`SELECT * FROM ${schema}.more`), []);
    await assert.rejects(migrate(postgres, table), is({ code: "newer" }));
    const wrong: PostgresModule = { ...next, migrations: [...next.migrations, "CREATE TABLE $.half (key int8); NO SUCH THING"] };
    await assert.rejects(migrate(postgres, wrong), is({ code: "failed" }));
    await migrate(postgres, next);
  });

  test("a ring is heard by others, not by oneself", async () => {
    const postgres = await open();
    let own = -1; // it looks once when it begins to listen
    const here = new Doorbell(postgres, "test", () => own++);
    const heard = Promise.withResolvers<void>();
    let begun = false;
    const there = new Doorbell(postgres, "test", () => {
      if (begun) heard.resolve();
      begun = true;
    });
    await Promise.all([here.ready, there.ready]);
    for (let i = 0; i < 100; i++) here.ring();
    await heard.promise;
    await Promise.all([here.close(), there.close()]);
    assert.equal(own, 0);
  });
});

describe("errors of PostgreSQL", () => {
  const server = (code: string, message = "said so") => Object.assign(new Error(message), { code, severity: "ERROR" });
  for (const [what, thrown, traits] of [
    ["a full disk", server("53100"), { code: "full", unknown: false, lost: false }],
    ["a constraint", server("23505"), { code: "failed", unknown: false, lost: false }],
    ["too many connections", server("53300"), { code: "io", unknown: false, lost: false }],
    ["a shutdown, which may come after the commit", server("57P01"), { code: "io", unknown: true, lost: true }],
    ["a standby", server("25006"), { code: "io", unknown: false, lost: true }],
    ["a deadlock", server("40P01"), { code: "io", again: true, unknown: false }],
    ["a statement nobody has prepared", server("26000"), { code: "io", again: true, lost: true, unknown: false }],
    ["a plan that is out of date", server("0A000", "cached plan must not change result type"), { again: true, lost: true }],
    ["a damaged page", server("XX001"), { code: "corrupt" }],
    ["a lost connection", Object.assign(new Error("read"), { code: "ECONNRESET" }), { code: "io", unknown: true, lost: true }],
    [
      "a broken pipe, whose code looks like the server's",
      Object.assign(new Error("write"), { code: "EPIPE" }),
      { unknown: true, lost: true },
    ],
    ["a time-out of our own", new Error("Query read timeout"), { code: "io", unknown: true, lost: true }],
  ] as const) {
    test(what, () => {
      is(traits)(asPostgresError(thrown, "PostgreSQL", "sent"));
      assert.equal(asPostgresError(thrown, "PostgreSQL", "connecting").unknown, false);
    });
  }
});

describe("groups", () => {
  const failed = (unknown: boolean) => new PostgresError(unknown ? "io" : "failed", "no", { unknown });

  test("what comes during a batch goes into the next one, in order; a key once in each", async () => {
    const batches: string[][] = [];
    const group = new Group<string, string>({
      lanes: 1,
      keyOf: (call) => call,
      run: async (calls) => {
        batches.push([...calls]);
        await new Promise((resolve) => setImmediate(resolve));
        return calls.map((call) => call.toUpperCase());
      },
    });
    const first = ["a", "b"].map((call) => group.push(call));
    await Promise.resolve();
    const second = ["c", "d", "c", "e"].map((call) => group.push(call));
    assert.deepEqual(await Promise.all([...first, ...second]), ["A", "B", "C", "D", "C", "E"]);
    assert.deepEqual(batches, [
      ["a", "b"],
      ["c", "d"],
      ["c", "e"],
    ]);
    await group.idle();
  });

  test("one call at fault does not fail the others; an unknown outcome is never tried again", async () => {
    for (const unknown of [false, true]) {
      let runs = 0;
      const group = new Group<number, number>({
        lanes: 1,
        run: async (calls) => {
          runs++;
          if (calls.includes(2)) throw failed(unknown);
          return calls;
        },
      });
      const ended = await Promise.allSettled([1, 2, 3].map((call) => group.push(call)));
      const statuses = ended.map(({ status }) => status);
      assert.deepEqual(statuses, unknown ? ["rejected", "rejected", "rejected"] : ["fulfilled", "rejected", "fulfilled"]);
      assert.equal(runs, unknown ? 1 : 4);
    }
  });

  test("what waits is bounded", async () => {
    const gate = Promise.withResolvers<void>();
    const group = new Group<number, number>({ lanes: 1, run: (calls) => gate.promise.then(() => calls) });
    const first = group.push(0);
    await Promise.resolve();
    const waiting = Array.from({ length: BACKLOG_CALLS }, (_, i) => group.push(i));
    await assert.rejects(group.push(1), is({ code: "io", unknown: false }));
    gate.resolve();
    assert.equal((await Promise.all([first, ...waiting])).length, BACKLOG_CALLS + 1);
    await group.idle();
  });
});
