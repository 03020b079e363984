/** When mail goes out, by when it is there, what goes first: the whole way, from MAIL to the next hop and to what the sender hears. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createTransport, type TransferInput } from "../../src/client/index.ts";
import type { MailEvent } from "../../src/mail/event.ts";
import { reply } from "../../src/mail/reply.ts";
import { openStores } from "../../src/relay/stores.ts";
import { ALICE, PASSWORD, startRecipient, startRelay, type TestRelay } from "../../src/relay/testing.ts";
import { accept, type RcptDecision } from "../../src/server/policy.ts";
import { ScriptedServer } from "../../src/testing/scripted-server.ts";
import { hours, minutes, seconds } from "../../src/util/clock.ts";
import { newMessage } from "../store-conformance/messages.ts";
import { movableClock } from "../support/movable-clock.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { run } from "./processes.ts";

async function submit(relay: TestRelay, to: string, transfer: TransferInput = {}): Promise<string> {
  await using transport = createTransport({
    ...{ host: "127.0.0.1", port: relay.ports.submission, tls: { verify: false }, auth: { user: ALICE, password: PASSWORD } },
    name: "client.test",
  });
  const { recipients } = await transport.send({ from: ALICE, to, subject: "hello", text: "Hello.", ...transfer });
  return /as (\w{16})/.exec(recipients[0]?.text ?? "")?.[1] ?? assert.fail("no id");
}

const statusOf = (text: string, name: string): string | undefined => new RegExp(`^${name}: (.*)\\r$`, "m").exec(text)?.[1];
const busy = (): RcptDecision => ({ kind: "refuse", reply: reply(450, "4.2.0", "Mailbox busy"), why: "" });
/** Takes reports to alice, and is busy for all others. */
const busyButForAlice = (address: string): RcptDecision => (address === ALICE ? accept : busy());
const attempted = (relay: TestRelay, id: string): MailEvent[] =>
  relay.events.filter((event) => event.type === "attempted" && event.id === id);

test("a held message goes out when its time has come and not before, however urgent it is", async (t) => {
  const recipient = await startRecipient(t);
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, { clock });
  const held = await submit(relay, "bob@far.test", { holdFor: hours(2), transferPriority: 4 });
  const until = await submit(relay, "carl@far.test", { holdUntil: clock.now() + hours(5) });
  const done = async (id: string): Promise<unknown> => relay.event("done", (event) => event.id === id);
  await done(await submit(relay, "dora@far.test"));
  forward(hours(2) - minutes(1));
  await done(await submit(relay, "emil@far.test"));
  assert.deepEqual([attempted(relay, held), attempted(relay, until)], [[], []]);
  forward(minutes(1) + seconds(1));
  assert.equal((await recipient.message(2)).message.envelope.recipients[0]?.mailbox.localPart, "bob");
  await done(held);
  assert.deepEqual(attempted(relay, until), []);
  forward(hours(3));
  assert.equal((await recipient.message(3)).message.envelope.recipients[0]?.mailbox.localPart, "carl");
});

test("it may be held for as long as the server says, and its life begins when it goes out", async (t) => {
  const recipient = await startRecipient(t, busyButForAlice);
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, { clock, server: { maxHold: hours(240) } });
  await assert.rejects(submit(relay, "bob@far.test", { holdFor: hours(241) }), /for 864000 at most/);
  const id = await submit(relay, "bob@far.test", { holdFor: hours(240) });
  forward(hours(240) + seconds(1));
  const first = await relay.event("attempted", (event) => event.id === id);
  assert.ok((first.next ?? 0) > clock.now(), "it is tried again, ten days after it came");
  const never = await startRelay(t, recipient.port, { server: { maxHold: 0 } });
  await assert.rejects(submit(never, "bob@far.test", { holdFor: hours(1) }), /does not offer FUTURERELEASE/);
});

test("a message that must be there in time is tried until then and comes back with 5.4.7", async (t) => {
  const recipient = await startRecipient(t, busyButForAlice);
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, { clock });
  const id = await submit(relay, "bob@far.test", { deliverBy: { within: minutes(10), otherwise: "return" } });
  const { next = 0 } = await relay.event("attempted", (event) => event.id === id);
  assert.ok(next <= clock.now() + minutes(10));
  forward(minutes(10) + seconds(1));
  const { text } = await recipient.message(0);
  assert.match(text, /^Subject: Undelivered Mail: bob@far\.test\r$/m);
  assert.deepEqual([statusOf(text, "Action"), statusOf(text, "Status")], ["failed", "5.4.7"]);
  assert.ok(statusOf(text, "Deliver-By-Date"));
});

test("it comes back in time from a domain that is suspended", async (t) => {
  const recipient = await startRecipient(t);
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, { clock });
  await relay.stores.queue.suspend({ kind: "domain", value: "far.test", reason: "moves", made: clock.now() });
  const id = await submit(relay, "bob@far.test", { deliverBy: { within: minutes(10), otherwise: "return" } });
  const due = async (): Promise<number> => (await relay.stores.queue.show(id))?.recipients[0]?.due ?? 0;
  while ((await due()) <= clock.now()) await new Promise((resolve) => setImmediate(resolve)); // until it is put off
  forward(minutes(10) + seconds(1));
  const { text } = await recipient.message(0);
  assert.deepEqual([statusOf(text, "Action"), statusOf(text, "Status")], ["failed", "5.4.7"]);
});

test("it is not sent when its time is over before anybody tried", async (t) => {
  const recipient = await startRecipient(t);
  const folder = tempFolder(t);
  const stores = await openStores({ folder, minimumFree: 0 });
  const envelope = {
    reversePath: { localPart: "alice", domain: "example.test" },
    recipients: [{ mailbox: { localPart: "bob", domain: "far.test" } }],
  };
  const late = { ...envelope, deliverBy: { at: Date.now() - 1, mode: "return", trace: false } as const };
  await stores.queue.enqueue(newMessage({ arrived: Date.now() - minutes(1), envelope: late }), { lease: false });
  await stores.close();
  await startRelay(t, recipient.port, { folder });
  const { text } = await recipient.message(0);
  assert.deepEqual([statusOf(text, "Action"), statusOf(text, "Status")], ["failed", "5.4.7"]);
});

test("its sender hears at its time that it is late, once, and it is tried on", async (t) => {
  const recipient = await startRecipient(t, busyButForAlice);
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, { clock });
  const id = await submit(relay, "bob@far.test", { deliverBy: { within: minutes(10), otherwise: "notify" } });
  await relay.event("attempted", (event) => event.id === id);
  forward(minutes(10) + seconds(1));
  const { text } = await recipient.message(0);
  assert.match(text, /^Subject: Delayed Mail: bob@far\.test\r$/m);
  const told = await relay.event("reported");
  assert.deepEqual(
    told.about.map(({ action }) => action),
    ["delayed"],
  );
});

async function next(t: TestContext, keywords: readonly string[], rest: string): Promise<{ relay: TestRelay; server: ScriptedServer }> {
  const lines = keywords.map((keyword) => `<- 250-${keyword}\n`).join("");
  const server = await ScriptedServer.start(`<- 220 mx\n-> EHLO *\n<- 250-mx\n${lines}<- 250 PIPELINING\n${rest}`);
  t.after(() => server[Symbol.asyncDispose]());
  return { server, relay: await startRelay(t, server.port) };
}

test("the next hop hears what is left of the time, and the priority", async (t) => {
  const mail = `-> MAIL FROM:<${ALICE}> * BY=59*;RT MT-PRIORITY=3\n-> RCPT TO:<bob@far.test>\n-> DATA\n<- 250 ok\n<- 250 ok\n<- 354 go\ncontent\n<- 250 ok\n`;
  const { relay, server } = await next(t, ["SIZE", "DELIVERBY 10", "MT-PRIORITY"], mail);
  const deliverBy = { within: seconds(600), otherwise: "return", trace: true } as const;
  const id = await submit(relay, "bob@far.test", { deliverBy, transferPriority: 3 });
  const told = await relay.event("reported", (event) => event.id === id);
  assert.deepEqual(
    told.about.map(({ action }) => action),
    ["relayed"],
    "the trace",
  );
  assert.match(Buffer.concat(server.contents.map((part) => Buffer.from(part))).toString(), /Hello/);
});

test("it comes back rather than go to a server that does not keep to its time; with mode N its sender is told", async (t) => {
  const mail = `-> MAIL FROM:<${ALICE}>\n-> RCPT TO:<carl@far.test>\n-> DATA\n<- 250 ok\n<- 250 ok\n<- 354 go\ncontent\n<- 250 ok\n`;
  const { relay } = await next(t, [], mail);
  const within = hours(1);
  const told = relay.event("reported");
  await submit(relay, "carl@far.test", { deliverBy: { within, otherwise: "notify" } });
  assert.deepEqual(
    (await told).about.map(({ action }) => action),
    ["relayed"],
  );
  const other = await next(t, ["DSN"], "");
  const id = await submit(other.relay, "bob@far.test", { deliverBy: { within, otherwise: "return" } });
  const { outcome } = await other.relay.event("attempted", (event) => event.id === id);
  assert.ok(outcome.action === "failed");
  assert.equal(outcome.status, "5.4.7");
});

test("where not all can go at once the urgent go first, and the others behind those that come soon after", async (t) => {
  let letGo = (): void => {};
  const gate = new Promise<RcptDecision>((resolve) => {
    letGo = () => resolve(accept);
  });
  const recipient = await startRecipient(t, (address) => (address.startsWith("first") ? gate : accept));
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, { clock, hand: { recipients: 1, octets: 1_000_000 } });
  await submit(relay, "first@far.test");
  await submit(relay, "slow@far.test", { transferPriority: -1 });
  await submit(relay, "usual@far.test");
  await submit(relay, "urgent@far.test", { transferPriority: 2 });
  const lowered = await submit(relay, "more@far.test", { transferPriority: 9 });
  assert.equal(recipient.arrived.length, 0);
  letGo();
  await recipient.message(3);
  forward(minutes(2));
  await recipient.message(4);
  assert.deepEqual(
    recipient.arrived.map(({ message }) => message.envelope.recipients[0]?.mailbox.localPart),
    ["first", "more", "urgent", "usual", "slow"],
  );
  assert.ok(relay.events.some((event) => event.type === "accepted" && event.id === lowered));
});

test("an operator sees what was asked for, and sends it earlier by its id alone", async (t) => {
  const folder = tempFolder(t);
  const stores = await openStores({ folder, minimumFree: 0 });
  const now = Date.now();
  const extras = { holdUntil: now + hours(5), priority: 3, deliverBy: { at: now + hours(6), mode: "return", trace: false } } as const;
  const later = newMessage({ arrived: now, envelope: { ...extras, recipients: [{ mailbox: { localPart: "bob", domain: "far.test" } }] } });
  await stores.queue.enqueue(later, { lease: false });
  await stores.queue.enqueue(newMessage({ arrived: now }), { lease: false });
  await stores.close();
  const queue = async (...words: string[]): Promise<string> => (await run(["queue", ...words, "--data", folder])).out;
  const released = new Date(extras.holdUntil).toISOString().replaceAll(".", "\\.");
  assert.match(await queue("list"), / released in [45].* h, deliver by in [56].* h, priority 3\n/);
  const shown = await queue("show", later.id);
  assert.match(shown, new RegExp(`\n {2}released ${released} \\(in .*\\), as its sender asked\n`));
  assert.match(shown, /\n {2}by {7}\S+ \(in [56].*\), else it is returned\n/);
  assert.match(shown, /\n {2}priority 3\n/);
  assert.match(await queue("retry", "--all", "--dry-run"), /^it would be 1 message /);
  assert.match(
    await queue("retry", "to:far.test"),
    /^due now: 0 messages.*\n1 message waits for the time that its sender asked for, and was left alone: name ids to send earlier\n$/,
  );
  assert.match(await queue("retry", later.id), /^due now: 1 message /);
  assert.match(await queue("show", later.id), /deferred, 0 attempts, due now/);
});

test("`postrider send` asks for it, and says what it cannot read", async (t) => {
  const server = await ScriptedServer.start(
    "<- 220 mx\n-> EHLO *\n<- 250-mx\n<- 250-FUTURERELEASE 86400 2099-01-01T00:00:00Z\n<- 250-DELIVERBY\n<- 250 MT-PRIORITY\n-> MAIL FROM:<a@b.test> BY=*;R MT-PRIORITY=-4 HOLDUNTIL=2098-12-24T17:00:00Z\n<- 250 ok\n-> RCPT TO:<c@d.test>\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n-> QUIT\n<- 221 bye\n",
  );
  t.after(() => server[Symbol.asyncDispose]());
  const words = ["send", "--server", `127.0.0.1:${server.port}`, "--tls", "none", "-f", "a@b.test", "-t", "c@d.test", "-b", "x"];
  const good = await run([...words, "--hold-until", "2098-12-24T18:00:00+01:00", "--deliver-by", "2h", "--or-return", "--priority", "-4"]);
  assert.equal(good.code, 0, good.err);
  await server.done();
  const bad = await run([...words, "--hold-for", "soon"]);
  assert.deepEqual([bad.code, /--hold-for expects a duration/.test(bad.err)], [64, true]);
});
