/** The queue steered by an operator: with and without a running server, by ids and by filters, each as a dry run first. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { FilterError, openStores, parseFilter, QueueControl } from "../../src/index.ts";
import { startRecipient } from "../../src/relay/testing.ts";
import { newMessage } from "../store-conformance/messages.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { configured } from "./configured.ts";
import { run } from "./processes.ts";

const to = (localPart: string, domain: string) => ({ recipients: [{ mailbox: { localPart, domain } }] });

async function filled(t: TestContext): Promise<{ folder: string; queue(...words: string[]): ReturnType<typeof run> }> {
  const folder = tempFolder(t);
  const stores = await openStores({ folder, minimumFree: 0 });
  const now = Date.now();
  for (let i = 0; i < 3; i++)
    await stores.queue.enqueue(newMessage({ arrived: now - i * 3_600_000, envelope: to(`bob${i}`, "far.test") }), { lease: false });
  await stores.queue.enqueue(newMessage({ arrived: now, envelope: to("carl", "near.test") }), { lease: false });
  await stores.close();
  return { folder, queue: (...words) => run(["queue", ...words, "--data", folder]) };
}

test("count, dry run, hold, release and remove, without a server", async (t) => {
  const { queue } = await filled(t);
  assert.match((await queue("count")).out, /^there are 4 messages with 4 recipients/);
  assert.match((await queue("count", "to:far.test", "age>30m")).out, /^there are 2 messages/);
  assert.match((await queue("hold", "to:far.test", "--dry-run")).out, /^it would be 3 messages/);
  assert.match((await queue("count", "state:held")).out, /^there are 0 messages/);
  assert.match((await queue("hold", "to:far.test", "--reason", "looked at", "--for", "2h")).out, /^held 3 messages/);
  const listed = await queue("list", "state:held");
  assert.match(listed.out, /bob0@far\.test\s+held\s+in /);
  assert.match(listed.out, /held: looked at/);
  assert.match((await queue("count", "reason~looked at")).out, /^there are 3 messages/, "the shell took the quotes");
  assert.match((await queue("release", "to:bob1@far.test")).out, /^released 1 message/);
  assert.match((await queue("remove", "to:far.test", "age<30m")).out, /^removed 1 message/);
  assert.match((await queue("list", "to:nowhere.test")).out, /no message fits/);
  assert.match((await queue("retry", "--all", "--json")).out, /"messages": 2/, "what is held stays");
});

test("the same in code", async (t) => {
  const { folder } = await filled(t);
  const stores = await openStores({ folder });
  t.after(() => stores.close());
  const control = new QueueControl(stores.queue);
  assert.deepEqual(await control.count({ filter: "to:far.test age>30m" }), { messages: 2, recipients: 2, octets: 2000, unknown: [] });
  const until = Date.now() + 3_600_000;
  assert.equal((await control.hold({ filter: "to:far.test" }, { reason: "they asked", until })).messages, 3);
  const held = await control.list("state:held", { limit: 2 });
  assert.deepEqual(
    held.map(({ hold }) => hold),
    [
      { reason: "they asked", until },
      { reason: "they asked", until },
    ],
  );
  const unknown = "1M00000000000000";
  assert.deepEqual((await control.release({ ids: [held[0]?.id ?? "", unknown] })).unknown, [unknown]);
  assert.equal((await control.count({ filter: "state:held" })).messages, 2);
  assert.equal((await control.release({ filter: "to:near.test", dryRun: true })).messages, 0, "it was not held");
  assert.equal((await control.retry({ filter: "" })).messages, 2, "what is held stays");
  assert.throws(() => parseFilter("age>soon"), FilterError);
});

test("what cannot be done is said", async (t) => {
  const { queue } = await filled(t);
  for (const [words, expected] of [
    [["list", "colour:red"], /there is no field "colour"[\s\S]*\n *colour:red\n *\^/],
    [["suspend", "domain:a..b"], /is no domain/],
    [["remove", "to:far.test", "--bounce"], /no server runs on this data folder/],
  ] as const) {
    const { code, err } = await queue(...words);
    assert.notEqual(code, 0, words.join(" "));
    assert.match(err, expected);
  }
});

test("a domain, a sender and an account are suspended and resumed while the server runs; removed mail is reported", async (t) => {
  const recipient = await startRecipient(t);
  const { command, serve, submit } = await configured(t, recipient.port);
  const server = await serve();
  const queue = (...words: string[]) => command("queue", ...words);
  assert.equal((await queue("suspend", "domain:Far.test", "--reason", "they asked")).code, 0);
  assert.match((await queue("suspensions")).out, /domain:far\.test .*they asked/);
  assert.equal((await submit("bob@far.test,carl@near.test")).code, 0);
  await recipient.message(0);
  assert.equal(recipient.arrived[0]?.message.envelope.recipients[0]?.mailbox.domain, "near.test");
  assert.match((await queue("list", "to:far.test")).out, /bob@far\.test\s+deferred\s+in 1\.0 h/);
  assert.match((await queue("resume", "domain:far.test")).out, /1 message is due now/);
  await recipient.message(1);
  assert.equal((await queue("resume", "domain:far.test")).code, 66);

  assert.deepEqual(JSON.parse((await queue("suspend", "account:ann@example.test", "--for", "1h", "--json")).out), { done: true });
  assert.equal((await submit("dora@far.test")).code, 0);
  assert.match((await queue("list", "account:ann@example.test")).out, /dora@far\.test\s+deferred\s+in /);
  assert.deepEqual(JSON.parse((await queue("resume", "account:ann@example.test", "--json")).out), { released: 1 });
  await recipient.message(2);

  await queue("suspend", "sender:ann@example.test");
  assert.equal((await submit("emil@far.test")).code, 0);
  assert.match((await queue("remove", "to:emil@far.test", "--bounce", "--reason", "not wanted")).out, /^removed 1 message/);
  const { text } = await recipient.message(3);
  assert.match(text, /^Subject: Undelivered Mail: emil@far\.test/m);
  assert.match(text, /not wanted/);
  assert.equal(await server.end("SIGTERM"), 0);
});
