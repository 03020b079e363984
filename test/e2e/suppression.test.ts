/** The suppression list the whole way: what a recipient's server says once is held against the next submission, for accounts that wish it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatMailbox } from "../../src/mail/mailbox.ts";
import { reply } from "../../src/mail/reply.ts";
import type { RecipientResult } from "../../src/protocol/client-session.ts";
import { ALICE, type Recipient, send, startRecipient, startRelay } from "../../src/relay/testing.ts";
import { accept, refuse } from "../../src/server/policy.ts";
import { days } from "../../src/util/clock.ts";
import { movableClock } from "../support/movable-clock.ts";
import { configured } from "./configured.ts";

const said = (results: readonly RecipientResult[]): string[] =>
  results.map((result) => ("reply" in result ? `${result.reply.code} ${result.reply.status}` : result.kind));
const text = (results: readonly RecipientResult[]): string => results.map((result) => ("reply" in result ? result.reply.text : "")).join();

const answers: Readonly<Record<string, ReturnType<typeof reply>>> = {
  gone: reply(550, "5.1.1", "No such user"),
  null: reply(556, "5.1.10", "Takes no mail"),
  barred: reply(550, "5.7.1", "Not you"),
  vague: reply(550, "No"),
  later: reply(450, "5.1.1", "A server that mixes both up"),
  soon: reply(451, "4.1.1", "Perhaps no such user"),
};
const recipientOf = (t: Parameters<typeof startRecipient>[0]): Promise<Recipient> =>
  startRecipient(t, (address) => {
    const answer = answers[address.split("@")[0] ?? ""];
    return answer === undefined ? accept : refuse(answer, "");
  });

test("refused once by its server, refused here; taken again when it was removed, and when its time is over", async (t) => {
  const recipient = await recipientOf(t);
  const { clock, forward } = movableClock();
  const suppression = { accounts: new Set([ALICE]), for: days(30), answer: "refuse" } as const;
  const relay = await startRelay(t, recipient.port, { clock, suppression });
  const to = Object.keys(answers).map((name) => `${name}@far.test`);
  assert.deepEqual(said(await send(relay, "submission", { to })), Array(6).fill("250 2.0.0"));
  for (const name of Object.keys(answers)) await relay.event("attempted", (event) => event.recipient.localPart === name);
  const second = await send(relay, "submission", { to: [...to, "GONE@Far.test"] });
  const taken = "250 2.0.0";
  assert.deepEqual(said(second), ["550 5.1.1", "550 5.1.1", taken, taken, taken, taken, "550 5.1.1"]);
  assert.match(text(second), /<gone@far\.test> is on the suppression list of your account until \d{4}-\d\d-\d\dT\d\d:\d\dZ/);
  const refused = await relay.event("refused", ({ why }) => why.includes("No such user"));
  assert.match(refused.why, /suppressed for alice@example\.test: .*550 5\.1\.1 No such user/);
  const suppressed = relay.events.flatMap((event) => (event.type === "suppressed" ? [event.mailbox] : []));
  assert.deepEqual(suppressed.sort(), ["gone@far.test", "null@far.test"]);

  assert.equal(await relay.stores.queue.suppressionList.remove({ account: ALICE, mailbox: "gone@far.test" }), true);
  assert.deepEqual(said(await send(relay, "submission", { to: ["gone@far.test", "null@far.test"] })), [taken, "550 5.1.1"]);
  await relay.event("suppressed", () => relay.events.filter(({ type }) => type === "suppressed").length === 3);
  assert.deepEqual(said(await send(relay, "submission", { to: ["gone@far.test"] })), ["550 5.1.1"]);
  forward(days(30));
  assert.deepEqual(said(await send(relay, "submission", { to: ["gone@far.test", "null@far.test"] })), [taken, taken]);
});

test("who did not ask for it, and mail from other servers, are not concerned", async (t) => {
  const recipient = await recipientOf(t);
  for (const accounts of [undefined, new Set(["bob@example.test"])]) {
    const relay = await startRelay(
      t,
      recipient.port,
      accounts === undefined ? {} : { suppression: { accounts, for: days(1), answer: "refuse" } },
    );
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(said(await send(relay, "submission", { to: ["gone@far.test"] })), ["250 2.0.0"]);
      await relay.event("bounced", () => relay.events.filter(({ type }) => type === "bounced").length > i);
    }
    assert.equal(relay.events.filter(({ type }) => type === "suppressed").length, 0);
  }
  const all = await startRelay(t, recipient.port, {
    suppression: { accounts: "all", for: days(1), answer: "refuse" },
    domains: { local: new Set(["far.test"]), recipients: new Set(["gone@far.test"]), anyRecipient: new Set(), postmaster: undefined },
  });
  await send(all, "smtp", { from: "x@else.test", to: ["gone@far.test"] });
  await all.event("bounced");
  assert.equal(all.events.filter(({ type }) => type === "suppressed").length, 0);
});

test("drop: the recipient is taken and not tried, its sender has the report that NOTIFY allows; others are delivered", async (t) => {
  const asked: string[] = [];
  const recipient = await startRecipient(t, (address) => {
    asked.push(address);
    return address.startsWith("gone@") ? refuse(reply(550, "5.1.1", "No such user"), "") : accept;
  });
  const relay = await startRelay(t, recipient.port, { suppression: { accounts: "all", for: days(30), answer: "drop" } });
  await send(relay, "submission", { to: ["gone@far.test"] });
  await recipient.message(0);
  await relay.event("suppressed");
  assert.deepEqual(said(await send(relay, "submission", { to: ["gone@far.test", "bob@far.test"] })), ["250 2.0.0", "250 2.0.0"]);
  await recipient.message(2);
  const reports = recipient.arrived.filter(({ message }) => message.envelope.reversePath === null);
  assert.equal(reports.length, 2);
  assert.match(reports[1]?.text ?? "", /^Final-Recipient: rfc822; ?gone@far\.test\r\nAction: failed\r\nStatus: 5\.1\.1\r$/m);
  assert.match(reports[1]?.text ?? "", /not sent: this address is on the\s+suppression list/);
  assert.equal(asked.filter((address) => address === "gone@far.test").length, 1);
  const delivered = recipient.arrived.find(({ message }) => message.envelope.reversePath !== null);
  assert.deepEqual(
    delivered?.message.envelope.recipients.map(({ mailbox }) => formatMailbox(mailbox)),
    ["bob@far.test"],
  );
  assert.equal(relay.events.filter(({ type }) => type === "suppressed").length, 1, "what is dropped adds nothing");
});

test("the commands, with and without a server; the configuration says who", async (t) => {
  const recipient = await recipientOf(t);
  const { command, serve, submit } = await configured(t, recipient.port, '[suppression]\naccounts = ["Ann@example.test"]\nfor = "10d"');
  const suppression = (...words: string[]) => command("suppression", ...words);
  const ann = ["--account", "Ann@example.test"];
  assert.match((await suppression("list")).out, /^nothing is suppressed/);
  assert.equal((await suppression("add", "Carl@far.test", ...ann, "--reason", "he asked", "--for", "2d")).code, 0);
  assert.equal((await suppression("add", "dora@far.test", "--account", "bob")).code, 0);
  const checked = await suppression("check", "carl@FAR.test", ...ann);
  assert.equal(checked.code, 67);
  assert.match(checked.out, /^carl@far\.test is suppressed until .*: he asked/);
  assert.equal((await suppression("check", "emil@far.test", ...ann)).code, 0);
  assert.equal((await suppression("remove", "emil@far.test", ...ann)).code, 66);
  assert.match((await suppression("add", "emil", ...ann)).err, /is no address/);
  assert.match((await suppression("add", "emil@far.test", ...ann, "--for", "soon")).err, /--for expects a duration/);

  const server = await serve();
  assert.equal((await submit("carl@far.test")).code, 67);
  assert.equal((await submit("gone@far.test")).code, 0);
  await server.said(/"event":"suppressed"/);
  const listed = JSON.parse((await suppression("list", ...ann, "--json")).out) as {
    mailbox: string;
    reason: string;
    made: number;
    until: number;
  }[];
  assert.deepEqual(
    listed.map(({ mailbox }) => mailbox),
    ["carl@far.test", "gone@far.test"],
  );
  assert.match(listed[1]?.reason ?? "", /550 5\.1\.1 No such user/);
  assert.equal((listed[1]?.until ?? 0) - (listed[1]?.made ?? 0), days(10));
  assert.equal((await submit("gone@far.test")).code, 67);
  assert.match((await suppression("remove", "gone@far.test", ...ann)).out, /may send to gone@far\.test again/);
  assert.equal((await submit("gone@far.test")).code, 0);
  assert.match((await suppression("list")).out, /bob +dora@far\.test/);
  assert.equal(await server.end("SIGTERM"), 0);
});
