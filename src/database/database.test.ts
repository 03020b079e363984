import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type Database, DatabaseError, type DatabaseErrorCode, openDatabase } from "./index.ts";
import type { RowProcedures } from "./rows.fixture.test.ts";

const rows = new URL("./rows.fixture.test.ts", import.meta.url);
let folder: string;
const opened: Database[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postrider-database-"));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()));
  rmSync(folder, { recursive: true, force: true });
});

async function open(): Promise<Database> {
  const database = await openDatabase({ folder, file: "rows.db", procedures: [rows] });
  opened.push(database);
  return database;
}

function fails(code: DatabaseErrorCode, message = /./) {
  return (error: unknown) => {
    assert.ok(error instanceof DatabaseError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

describe("database", () => {
  test("calls run in order, and each gets its own bytes and its own result", async () => {
    const call = (await open()).caller<RowProcedures>("rows");
    const results: Promise<number>[] = [];
    for (let key = 1; key <= 500; key++) {
      const bytes = Buffer.alloc(key, key % 256);
      results.push(call("add", key, [bytes.subarray(0, 1), bytes.subarray(1)]));
    }
    const counted = call("count", undefined);
    assert.deepEqual(
      await Promise.all(results),
      Array.from({ length: 500 }, (_, i) => i + 1),
    );
    assert.equal(await counted, 500);
    for (const key of [1, 255, 256, 500]) assert.deepEqual(await call("get", key), new Uint8Array(key).fill(key % 256));
    assert.equal(await call("get", 501), undefined);
  });

  test("of many calls in a commit only the guilty one fails", async () => {
    const call = (await open()).caller<RowProcedures>("rows");
    const settled = await Promise.allSettled([
      call("add", 1),
      call("addAndThrow", 2),
      call("add", 1, [Buffer.from("again")]),
      call("add", 3),
      call("count", undefined),
    ]);
    assert.deepEqual(
      settled.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected", "fulfilled", "fulfilled"],
    );
    assert.throws(
      () => {
        throw (settled[1] as PromiseRejectedResult).reason;
      },
      fails("failed", /rows\.addAndThrow: guilty/),
    );
    assert.equal((settled[4] as PromiseFulfilledResult<number>).value, 2);
    const told = await call("told", undefined);
    assert.ok(told.rolledBack >= 3, "the commit, and each guilty call alone");
  });

  test("what was answered is there after a new open", async () => {
    let database = await open();
    await database.caller<RowProcedures>("rows")("add", 7, [Buffer.from("seven")]);
    await database.close();
    database = await open();
    assert.deepEqual(await database.caller<RowProcedures>("rows")("get", 7), new Uint8Array(Buffer.from("seven")));
  });

  test("close finishes what was called, and refuses what comes later", async () => {
    const database = await open();
    const call = database.caller<RowProcedures>("rows");
    const last = call("add", 1);
    await database.close();
    await last;
    await assert.rejects(call("count", undefined), fails("closed"));
    await database.close();
  });

  test("a second open of the folder is refused, and says who holds it", async () => {
    const database = await open();
    await assert.rejects(open(), fails("busy", new RegExp(`in use by process ${process.pid}$`)));
    await database.close();
    await open();
  });

  test("a newer store is refused and left as it is", async () => {
    await (await open()).close();
    const file = new DatabaseSync(join(folder, "rows.db"));
    file.exec("UPDATE module_version SET version = 99");
    file.close();
    await assert.rejects(open(), fails("newer", /newer version/));
  });

  test("a file that is no database is refused", async () => {
    writeFileSync(join(folder, "rows.db"), "This is a text, and a long one at that.\n".repeat(1000));
    await assert.rejects(open(), fails("corrupt"));
  });

  test("a new file beside what belongs to rows is refused each time, one with rows is not", async () => {
    const options = { folder, file: "rows.db", belongings: "bodies", procedures: [rows] };
    mkdirSync(join(folder, "bodies"));
    await (await openDatabase(options)).close();
    writeFileSync(join(folder, "bodies", "a"), "");
    await (await openDatabase(options)).close();
    for (const harm of [() => truncateSync(join(folder, "rows.db")), () => rmSync(join(folder, "rows.db")), () => {}]) {
      harm();
      await assert.rejects(openDatabase(options), fails("corrupt", /missing or empty, but .*bodies has a file that belongs to its rows/));
      assert.ok(existsSync(join(folder, "bodies", "a")));
    }
  });

  test("a damaged page is fatal once it is met", async () => {
    let database = await open();
    await database.caller<RowProcedures>("rows")("add", 1, [Buffer.from("bytes")]);
    await database.close();
    const path = join(folder, "rows.db");
    const db = new DatabaseSync(path);
    const root = Number(db.prepare("SELECT rootpage FROM sqlite_master WHERE name = 'row'").get()?.rootpage);
    const size = Number(db.prepare("PRAGMA page_size").get()?.page_size);
    db.close();
    const whole = readFileSync(path);
    whole.fill(0xa5, (root - 1) * size, (root - 1) * size + 16);
    writeFileSync(path, whole);
    database = await open();
    const told: DatabaseError[] = [];
    database.onFatal((error) => told.push(error));
    await assert.rejects(
      database.caller<RowProcedures>("rows")("get", 1),
      fails("fatal", /malformed; .*rows\.db is damaged, and left as it is/),
    );
    assert.equal(told.length, 1);
  });

  test("a folder that cannot be made is said", async () => {
    writeFileSync(join(folder, "file"), "");
    await assert.rejects(openDatabase({ folder: join(folder, "file", "data"), file: "rows.db", procedures: [rows] }), DatabaseError);
  });

  test("when the thread ends, all that waits and all that comes fails as fatal", async () => {
    const database = await open();
    const call = database.caller<RowProcedures>("rows");
    const told: DatabaseError[] = [];
    database.onFatal((error) => told.push(error));
    const waiting = [call("crash", undefined), call("add", 1)];
    for (const one of waiting) await assert.rejects(one, fails("fatal"));
    await assert.rejects(call("count", undefined), fails("fatal"));
    assert.equal(told.length, 1);
    await database.close();
  });

  test("a commit that fails for anything but space is fatal, and is not tried again", async () => {
    let database = await open();
    const call = database.caller<RowProcedures>("rows");
    const told: DatabaseError[] = [];
    database.onFatal((error) => told.push(error));
    for (const one of [call("add", 1), call("breakCommit", 2), call("add", 3)]) await assert.rejects(one, fails("fatal", /^commit: /));
    await assert.rejects(call("add", 4), fails("fatal"));
    assert.equal(told.length, 1);
    await database.close();
    assert.ok(existsSync(join(folder, "rows.db-wal")), "the log was copied back and removed after a commit that failed");
    database = await open();
    assert.equal(await database.caller<RowProcedures>("rows")("count", undefined), 0);
  });

  test("errors come in the caller's own form", async () => {
    const call = (await open()).caller<RowProcedures>("rows", (error) => new RangeError(error.code));
    await assert.rejects(call("addAndThrow", 1), RangeError);
  });

  test("an unknown procedure is refused", async () => {
    const call = (await open()).caller<{ nothing(args: undefined): void }>("rows");
    await assert.rejects(call("nothing", undefined), fails("failed", /rows\.nothing/));
  });
});
