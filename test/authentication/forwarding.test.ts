/** Mail that goes on to others: with a reverse-path of ours, and reports that find their way back. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatMailbox } from "../../src/mail/mailbox.ts";
import type { RecipientResult } from "../../src/protocol/client-session.ts";
import type { Forwards } from "../../src/relay/forwarding.ts";
import { ALICE, mailbox, type Recipient, send, startRecipient, startRelay } from "../../src/relay/testing.ts";
import { run } from "../e2e/processes.ts";
import { tempFolder } from "../support/temp-folder.ts";

const forwards: Forwards = new Map([
  ["info@example.test", { to: [mailbox("team@example.test"), mailbox("bob@elsewhere.test")], keep: false }],
  ["team@example.test", { to: [mailbox("carol@elsewhere.test"), mailbox("info@example.test")], keep: false }],
  ["copy@example.test", { to: [mailbox("bob@elsewhere.test")], keep: true }],
]);
const domains = {
  local: new Set(["example.test"]),
  recipients: new Set(["info@example.test", "team@example.test", "copy@example.test", "plain@example.test"]),
  anyRecipient: new Set<string>(),
  postmaster: undefined,
};

const status = (results: readonly RecipientResult[]): string[] =>
  results.map((result) => ("reply" in result ? `${result.reply.code} ${result.reply.status}` : result.kind));

const envelopes = ({ arrived }: Recipient): [string, string[]][] =>
  arrived
    .map(({ message: { envelope } }): [string, string[]] => [
      envelope.reversePath === null ? "<>" : formatMailbox(envelope.reversePath),
      envelope.recipients.map((one) => formatMailbox(one.mailbox)).sort(),
    ])
    .sort(([, [a = ""]], [, [b = ""]]) => a.localeCompare(b));

test("a forward is followed, each target once, under our reverse-path; a report on it goes back to the sender", async (t) => {
  const recipient = await startRecipient(t);
  const relay = await startRelay(t, recipient.port, { forwards, domains });
  const content = `Subject: on its way\r\n\r\n${"text\r\n".repeat(100_000)}`; // a file of its own
  assert.deepEqual(
    status(await send(relay, "smtp", { from: "dave@author.test", to: ["info@example.test", "plain@example.test"], content })),
    ["250 2.0.0", "250 2.0.0"],
  );
  for (let n = 0; recipient.arrived.reduce((sum, { message }) => sum + message.envelope.recipients.length, 0) < 3; n++)
    await recipient.message(n);
  const seen = envelopes(recipient);
  const all = seen.flatMap(([, to]) => to).sort();
  assert.deepEqual(all, ["bob@elsewhere.test", "carol@elsewhere.test", "plain@example.test"]);
  for (const { text } of recipient.arrived) assert.ok(text.endsWith(content));
  const rewritten = seen.find(([, to]) => to.includes("bob@elsewhere.test"))?.[0] ?? "";
  assert.match(rewritten, /^SRS0=\w{6}=..=author\.test=dave@example\.test$/);
  assert.equal(seen.find(([, to]) => to.includes("plain@example.test"))?.[0], "dave@author.test");

  const before = recipient.arrived.length;
  assert.deepEqual(status(await send(relay, "smtp", { from: null, to: [rewritten], content: "Subject: failed\r\n\r\nx\r\n" })), [
    "250 2.0.0",
  ]);
  const { message } = await recipient.message(before);
  assert.deepEqual(
    message.envelope.recipients.map((one) => formatMailbox(one.mailbox)),
    ["dave@author.test"],
  );
  assert.deepEqual(status(await send(relay, "smtp", { from: "eve@author.test", to: [rewritten] })), ["550 5.1.1"]);
  assert.deepEqual(status(await send(relay, "smtp", { from: null, to: [rewritten.replace("dave", "victim")] })), ["550 5.1.1"]);
});

test("keep leaves a copy; our own senders and <> keep their reverse-path", async (t) => {
  const recipient = await startRecipient(t);
  const relay = await startRelay(t, recipient.port, { forwards, domains });
  await send(relay, "submission", { to: ["copy@example.test"] });
  await send(relay, "smtp", { from: null, to: ["copy@example.test"] });
  const count = () => recipient.arrived.reduce((sum, { message }) => sum + message.envelope.recipients.length, 0);
  for (let n = 0; count() < 4; n++) await recipient.message(n);
  assert.deepEqual(new Set(envelopes(recipient).map(([from]) => from)), new Set([ALICE, "<>"]));
  assert.deepEqual(
    envelopes(recipient)
      .flatMap(([, to]) => to)
      .sort(),
    ["bob@elsewhere.test", "bob@elsewhere.test", "copy@example.test", "copy@example.test"],
  );
});

test("a list's account may use a reverse-path for each recipient (VERP), and what comes back to it is taken", async (t) => {
  const recipient = await startRecipient(t);
  const relay = await startRelay(t, recipient.port, { domains });
  assert.deepEqual(status(await send(relay, "submission", { from: "alice+bob=elsewhere.test@example.test", to: ["bob@elsewhere.test"] })), [
    "250 2.0.0",
  ]);
  assert.deepEqual(status(await send(relay, "smtp", { from: null, to: ["alice+bob=elsewhere.test@example.test"] })), ["250 2.0.0"]);
  assert.deepEqual(status(await send(relay, "smtp", { from: null, to: ["nobody+bob=elsewhere.test@example.test"] })), ["550 5.1.1"]);
  await assert.rejects(async () => {
    const [result] = await send(relay, "submission", { from: "mallory+bob=elsewhere.test@example.test", to: ["bob@elsewhere.test"] });
    throw new Error(status(result === undefined ? [] : [result]).join());
  });
});

test("what cannot be a forward is told by config check", async (t) => {
  const config = join(tempFolder(t), "postrider.toml");
  const forward = (address: string, to: string) => `[[forward]]\naddress = "${address}"\nto = [${to}]\n`;
  writeFileSync(
    config,
    `hostname = "mail.example.test"\n[domains]\nlocal = ["example.test"]\n[[route]]\ndomain = "example.test"\nto = "smtp://127.0.0.1:2525"\n${forward("a@other.test", '"b@c.test"')}${forward("a@example.test", "")}${forward("A@example.test", '"b@c.test"')}`,
  );
  const { code, err, out } = await run(["config", "check", "--config", config]);
  assert.equal(code, 78);
  for (const words of [
    /forward\[0\]\.address: other\.test is not in domains\.local/,
    /forward\[1\]\.to: expected at least one/,
    /forward\[2\]\.address: .*already/,
  ])
    assert.match(err + out, words);
});
