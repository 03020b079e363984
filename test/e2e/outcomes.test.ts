/** What a sender hears, the whole way: a delay once, a success that was asked for, a failure, and nobody where there is nobody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SmtpConnection } from "../../src/client/smtp-connection.ts";
import { memoryContent } from "../../src/mail/content.ts";
import type { Recipient } from "../../src/mail/envelope.ts";
import { formatMailbox } from "../../src/mail/mailbox.ts";
import { reply } from "../../src/mail/reply.ts";
import { dial } from "../../src/net/dial.ts";
import { ALICE, mailbox, PASSWORD, startRecipient, startRelay, type TestRelay } from "../../src/relay/testing.ts";
import { accept, type RcptDecision } from "../../src/server/policy.ts";
import { ScriptedServer } from "../../src/testing/scripted-server.ts";
import { latin1 } from "../../src/util/bytes.ts";
import { hours } from "../../src/util/clock.ts";
import { movableClock } from "../support/movable-clock.ts";

async function submit(
  relay: TestRelay,
  recipients: readonly Recipient[],
  extra: { ret?: "FULL" | "HDRS"; envelopeId?: string } = {},
): Promise<void> {
  const connection = await SmtpConnection.open({
    ...{ host: "127.0.0.1", port: relay.ports.submission, name: "client.test", tls: "required", verify: false, dial },
    credentials: { user: ALICE, password: PASSWORD },
  });
  const envelope = { reversePath: mailbox(ALICE), recipients, body: "7BIT", smtpUtf8: false, ...extra } as const;
  await connection.send(
    envelope,
    memoryContent([latin1("From: alice@example.test\r\nSubject: hello\r\nMessage-ID: <1@example.test>\r\n\r\nthe body\r\n")]),
  );
  await connection.quit();
}

const to = (address: string, more: Partial<Recipient> = {}): Recipient => ({ mailbox: mailbox(address), ...more });
const refusing =
  (answers: Readonly<Record<string, ReturnType<typeof reply>>>) =>
  (address: string): RcptDecision => {
    const answer = answers[address.split("@")[0] ?? ""];
    return answer === undefined ? accept : { kind: "refuse", reply: answer, why: "" };
  };
const field = (text: string, name: string): string[] =>
  [...text.matchAll(new RegExp(`^${name}: (.*)$`, "gm"))].map(([, value]) => value?.trim() ?? "");

test("a delay is told once after four hours, and the failure when five days are over", async (t) => {
  const recipient = await startRecipient(t, refusing({ busy: reply(450, "4.2.0", "Mailbox busy") }));
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, { clock });
  await submit(relay, [to("busy@far.test"), to("quiet@far.test", { notify: ["failure"] })], { envelopeId: "order 7" });
  await recipient.message(0); // quiet@far.test has it
  await relay.event("attempted", ({ recipient: { localPart }, outcome }) => localPart === "busy" && outcome.action === "delayed");
  forward(hours(4.5));
  const { text, message } = await recipient.message(1);
  assert.deepEqual(
    message.envelope.recipients.map((one) => formatMailbox(one.mailbox)),
    [ALICE],
  );
  assert.equal(message.envelope.reversePath, null);
  assert.match(text, /^Subject: Delayed Mail: busy@far\.test\r$/m);
  assert.deepEqual(
    [field(text, "Action"), field(text, "Status"), field(text, "Original-Envelope-Id")],
    [["delayed"], ["4.2.0"], ["order 7"]],
  );
  assert.equal(field(text, "Will-Retry-Until").length, 1);
  const told = await relay.event("reported");
  assert.deepEqual(
    told.about.map(({ action }) => action),
    ["delayed"],
  );
  await relay.event("done", ({ id }) => id === told.report);
  for (let day = 0; day < 3; day++) {
    const before = relay.events.filter(({ type }) => type === "attempted").length;
    forward(hours(24));
    await relay.event("attempted", () => relay.events.filter(({ type }) => type === "attempted").length > before);
  }
  assert.equal(recipient.arrived.length, 2, "no second notice");
  forward(hours(48));
  const bounce = await recipient.message(2);
  assert.match(bounce.text, /^Subject: Undelivered Mail: busy@far\.test\r$/m);
  assert.match(bounce.text, /given up now/);
  await relay.event("bounced");
});

test("who offers DSN takes the duty to report over, with all that was asked; each recipient by its own NOTIFY", async (t) => {
  const recipient = await startRecipient(t, refusing({ nobody: reply(550, "5.1.1", "No such user") }));
  const relay = await startRelay(t, recipient.port);
  await submit(
    relay,
    [
      to("bob@far.test", { notify: ["success", "failure"], originalRecipient: { type: "rfc822", address: "robert@near.test" } }),
      to("nobody@far.test", { notify: ["failure"] }),
      to("carol@far.test", { notify: [] }),
    ],
    { ret: "FULL" },
  );
  const { text } = await recipient.message(1);
  // The recipient's server offers DSN: it has taken over the duty to report on bob.
  assert.match(text, /^Subject: Undelivered Mail: nobody@far\.test\r$/m);
  assert.deepEqual(field(text, "Action"), ["failed"]);
  assert.match(text, /the body/, "RET=FULL");
  const { envelope } = recipient.arrived[0]?.message ?? assert.fail();
  const bob = envelope.recipients.find(({ mailbox: { localPart } }) => localPart === "bob");
  assert.deepEqual([bob?.notify, bob?.originalRecipient?.address, envelope.ret], [["success", "failure"], "robert@near.test", "FULL"]);
});

test("a report that cannot be delivered goes to our postmaster, and a report on that to nobody", async (t) => {
  const recipient = await startRecipient(
    t,
    refusing({ nobody: reply(550, "5.1.1", "No such user"), alice: reply(550, "5.2.1", "Closed") }),
  );
  const relay = await startRelay(t, recipient.port);
  await submit(relay, [to("nobody@far.test")]);
  const { message, text } = await recipient.message(0);
  assert.deepEqual(
    message.envelope.recipients.map((one) => formatMailbox(one.mailbox)),
    ["postmaster@example.test"],
  );
  assert.equal(message.envelope.reversePath, null);
  assert.match(text, /alice@example\.test/);
  const strict = await startRecipient(t, () => ({ kind: "refuse", reply: reply(550, "5.1.1", "Nobody"), why: "" }));
  const other = await startRelay(t, strict.port);
  await submit(other, [to("nobody@far.test")]);
  const dropped = await other.event("dropped");
  assert.match(dropped.why, /report on a report/);
});

test("a success that was asked for is told by us where the next server will not", async (t) => {
  const next = await ScriptedServer.start(`
    <- 220 mx.far.test ESMTP
    -> EHLO *
    <- 250-mx.far.test
    <- 250 ENHANCEDSTATUSCODES
    -> MAIL FROM:<alice@example.test>
    <- 250 2.1.0 OK
    -> RCPT TO:<bob@far.test>
    <- 250 2.1.5 OK
    -> DATA
    <- 354 Go on
    content
    <- 250 2.0.0 Taken
    silence
  `);
  t.after(() => next.close());
  const relay = await startRelay(t, next.port);
  await submit(relay, [to("bob@far.test", { notify: ["success"] })]);
  const { about, to: told } = await relay.event("reported");
  assert.deepEqual([about.map(({ action }) => action), formatMailbox(told)], [["relayed"], ALICE]);
});
