import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type Database, openDatabase } from "../database/index.ts";
import { AccountError, type AccountErrorCode, type AccountStore, accountProcedures, openSqliteAccounts } from "./index.ts";
import { checkPassword } from "./scram-key.ts";

let folder: string;
let database: Database;
let accounts: AccountStore;

async function open(): Promise<void> {
  database = await openDatabase({ folder, file: "postrider.db", procedures: [accountProcedures] });
  accounts = await openSqliteAccounts({ database, iterations: 4096 });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "postrider-accounts-"));
  await open();
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

const fails = (code: AccountErrorCode) => (error: unknown) => error instanceof AccountError && error.code === code;
const isLocal = (localPart: string, domain: string) => accounts.isLocalRecipient({ localPart, domain });

describe("accounts in SQLite", () => {
  test("added, found, listed, there after a new open", async () => {
    await accounts.add({ name: "Bob@Example.test", password: "hunter2" });
    await accounts.add({ name: "ann", password: "secret", addresses: ["ann@example.test", "*@ann.test"] });
    const { secret } = accounts;
    assert.equal(secret.length, 32);
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(accounts.secret, secret);
      assert.deepEqual(
        (await accounts.list()).map(({ name, addresses }) => [name, addresses]),
        [
          ["ann", ["ann@example.test", "*@ann.test"]],
          ["bob@example.test", ["bob@example.test"]],
        ],
      );
      const found = await accounts.find("ANN");
      assert.ok(found !== undefined && (await checkPassword("secret", found.key)));
      assert.equal(await accounts.find("nobody"), undefined);
      assert.equal(await accounts.find(""), undefined);
      assert.ok(isLocal("anything", "ANN.test") && isLocal("Bob", "example.test"));
      assert.ok(!isLocal("carol", "example.test") && !isLocal("postmaster", ""));
      await database.close();
      await open();
    }
  });

  test("a new password replaces the old one", async () => {
    await accounts.add({ name: "ann@example.test", password: "secret" });
    await accounts.setPassword("ann@example.test", "better");
    const key = (await accounts.find("ann@example.test"))?.key ?? assert.fail();
    assert.deepEqual([await checkPassword("secret", key), await checkPassword("better", key)], [false, true]);
  });

  test("removed: its addresses are no longer local, but for those another account has", async () => {
    await accounts.add({ name: "ann", password: "x", addresses: ["ann@example.test", "info@example.test"] });
    await accounts.add({ name: "bob", password: "x", addresses: ["info@example.test"] });
    await accounts.remove("ann");
    assert.deepEqual([isLocal("ann", "example.test"), isLocal("info", "example.test")], [false, true]);
    await accounts.remove("bob");
    assert.equal(isLocal("info", "example.test"), false);
    assert.deepEqual(await accounts.list(), []);
    await accounts.add({ name: "ann@example.test", password: "x" });
    assert.deepEqual((await accounts.list())[0]?.addresses, ["ann@example.test"]);
  });

  test("listeners hear of each change", async () => {
    const heard: string[] = [];
    accounts.onChange((name) => heard.push(name));
    await accounts.add({ name: "A@b.test", password: "x" });
    await accounts.setPassword("a@B.test", "y");
    await accounts.remove("a@b.test");
    assert.deepEqual(heard, ["a@b.test", "a@b.test", "a@b.test"]);
  });

  test("what cannot be done is refused in words", async () => {
    await accounts.add({ name: "ann@example.test", password: "x" });
    await assert.rejects(accounts.add({ name: "ANN@example.test", password: "x" }), fails("exists"));
    await assert.rejects(accounts.add({ name: "a b", password: "x" }), fails("bad-name"));
    await assert.rejects(accounts.add({ name: "bob", password: "x" }), fails("bad-address"));
    await assert.rejects(accounts.add({ name: "bob", password: "x", addresses: ["bob@"] }), fails("bad-address"));
    await assert.rejects(accounts.add({ name: "bob", password: "", addresses: ["bob@b.test"] }), fails("bad-password"));
    await assert.rejects(accounts.setPassword("bob", "x"), fails("unknown"));
    await assert.rejects(accounts.remove("bob"), fails("unknown"));
    const both = await Promise.allSettled([1, 2].map(() => accounts.add({ name: "carol@b.test", password: "x" })));
    assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  });
});
