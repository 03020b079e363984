import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { describePostgres, newSchema, postgresHere } from "../../test/support/postgres.ts";
import { AccountError, type AccountErrorCode } from "./account-store.ts";
import { openPostgresAccounts, type PostgresAccountStore } from "./postgres-accounts.ts";
import { checkPassword } from "./scram-key.ts";

let url: string;
let schema: string;
let drop: () => Promise<void>;
const opened: PostgresAccountStore[] = [];

async function open(): Promise<PostgresAccountStore> {
  const store = await openPostgresAccounts({ url, schema, iterations: 4096 });
  opened.push(store);
  return store;
}

const fails = (code: AccountErrorCode) => (error: unknown) => error instanceof AccountError && error.code === code;

await describePostgres("accounts in PostgreSQL", () => {
  beforeEach(async () => {
    const postgres = await postgresHere();
    url = postgres.url;
    ({ schema, drop } = newSchema(postgres));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
    await drop();
  });

  test("added, found, listed, there after a new open, with the same secret", async () => {
    const first = await open();
    await first.add({ name: "Bob@Example.test", password: "hunter2" });
    await first.add({ name: "ann", password: "secret", addresses: ["ann@example.test", "*@ann.test"] });
    for (const accounts of [first, await open()]) {
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
      assert.ok(accounts.isLocalRecipient({ localPart: "anything", domain: "ANN.test" }));
      assert.ok(!accounts.isLocalRecipient({ localPart: "carol", domain: "example.test" }));
      assert.equal(accounts.secret.length, 32);
      assert.deepEqual(accounts.secret, first.secret);
    }
  });

  test("a change on one node is known on the other, and its listeners hear of it", async () => {
    const [here, there] = [await open(), await open()];
    const heard: string[] = [];
    here.onChange((name) => heard.push(name));
    const told = () => new Promise<string>((resolve) => there.onChange(resolve));
    let next = told();
    await here.add({ name: "a@b.test", password: "x" });
    assert.equal(await next, "a@b.test");
    assert.ok(there.isLocalRecipient({ localPart: "A", domain: "b.test" }));
    next = told();
    await here.setPassword("a@b.test", "y");
    assert.equal(await next, "a@b.test");
    assert.ok(await checkPassword("y", (await there.find("a@b.test"))?.key ?? assert.fail()));
    next = told();
    await here.remove("a@b.test");
    assert.equal(await next, "a@b.test");
    assert.ok(!there.isLocalRecipient({ localPart: "a", domain: "b.test" }));
    assert.deepEqual(heard, ["a@b.test", "a@b.test", "a@b.test"]);
    assert.deepEqual(await there.list(), []);
  });

  test("an address that two accounts have stays until both are gone", async () => {
    const accounts = await open();
    await accounts.add({ name: "ann", password: "x", addresses: ["ann@example.test", "info@example.test"] });
    await accounts.add({ name: "bob", password: "x", addresses: ["info@example.test"] });
    const isLocal = (localPart: string) => accounts.isLocalRecipient({ localPart, domain: "example.test" });
    await accounts.remove("ann");
    assert.deepEqual([isLocal("ann"), isLocal("info")], [false, true]);
    await accounts.remove("bob");
    assert.equal(isLocal("info"), false);
  });

  test("what cannot be done is refused in words", async () => {
    const [accounts, other] = [await open(), await open()];
    await accounts.add({ name: "ann@example.test", password: "x" });
    await assert.rejects(other.add({ name: "ANN@example.test", password: "x" }), fails("exists"));
    await assert.rejects(accounts.add({ name: "a b", password: "x" }), fails("bad-name"));
    await assert.rejects(accounts.add({ name: "bob", password: "x" }), fails("bad-address"));
    await assert.rejects(accounts.add({ name: "bob", password: "", addresses: ["bob@b.test"] }), fails("bad-password"));
    await assert.rejects(accounts.setPassword("bob", "x"), fails("unknown"));
    await assert.rejects(accounts.remove("bob"), fails("unknown"));
    const both = await Promise.allSettled([accounts, other].map((store) => store.add({ name: "carol@b.test", password: "x" })));
    assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  });
});
