import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { reply } from "../mail/reply.ts";
import type { RecipientResult } from "../protocol/client-session.ts";
import { accept, refuse } from "../server/policy.ts";
import { mailbox, send, startRecipient, startRelay } from "./testing.ts";

const codes = (results: readonly RecipientResult[]): string[] =>
  results.map((result) => ("reply" in result ? `${result.reply.code} ${result.reply.status}` : result.kind));

describe("the way of a message", () => {
  it("leads from 587 through the queue to the recipient's server", async (t) => {
    const recipient = await startRecipient(t);
    const relay = await startRelay(t, recipient.port);
    assert.deepEqual(codes(await send(relay, "submission", { to: ["bob@elsewhere.test"] })), ["250 2.0.0"]);
    const { text, message } = await recipient.message(0);
    assert.match(text, /^Received: from client\.test \(\[127\.0\.0\.1\]\) by mail\.example\.test \(Postrider\)/m);
    assert.match(text, /with ESMTPSA/);
    assert.match(text, /\r\nDate: .*\r\nMessage-ID: <[^>]+@mail\.example\.test>\r\n\r\nHello\.\r\n$/);
    assert.deepEqual(message.envelope.reversePath, mailbox("alice@example.test"));
    await relay.event("done");
  });

  it("goes by the envelope alone: a Bcc recipient gets the message and no header names it", async (t) => {
    const recipient = await startRecipient(t);
    const relay = await startRelay(t, recipient.port);
    const content = "To: bob@b.test\r\nBcc: hidden@c.test,\r\n also@d.test\r\nSubject: x\r\n\r\nbody\r\n";
    await send(relay, "submissions", { to: ["bob@b.test", "hidden@c.test"], content });
    const { message, text } = await recipient.message(0);
    assert.deepEqual(
      message.envelope.recipients.map((each) => each.mailbox.localPart),
      ["bob", "hidden"],
    );
    assert.doesNotMatch(text, /bcc|hidden|also|\bfor\b/i);
  });

  it("encodes lines anew that no server has to take", async (t) => {
    const recipient = await startRecipient(t);
    const relay = await startRelay(t, recipient.port);
    await send(relay, "submission", { to: ["bob@b.test"], content: `Subject: x\r\n\r\n${"long ".repeat(400)}\r\n` });
    const { text } = await recipient.message(0);
    assert.match(text, /Content-Transfer-Encoding: quoted-printable/);
    assert.ok(text.split("\r\n").every((line) => line.length <= 998));
  });

  it("keeps each recipient's outcome apart, and reports the one that failed", async (t) => {
    const recipient = await startRecipient(t, (address) =>
      address.startsWith("no") ? refuse(reply(550, "5.1.1", "No such user"), "") : accept,
    );
    const relay = await startRelay(t, recipient.port);
    await send(relay, "submission", { to: ["yes@b.test", "no@b.test"], content: "Subject: two\r\nMessage-ID: <1@a>\r\n\r\nx\r\n" });
    const bounced = await relay.event("bounced");
    assert.deepEqual(bounced.failed, [mailbox("no@b.test")]);
    await relay.event("done", ({ id }) => id === bounced.bounce);
    const report = recipient.arrived.find(({ message }) => message.envelope.reversePath === null);
    assert.deepEqual(
      report?.message.envelope.recipients.map((each) => each.mailbox),
      [mailbox("alice@example.test")],
    );
    assert.match(report?.text ?? "", /Content-Type: multipart\/report; report-type=delivery-status/);
    assert.match(report?.text ?? "", /Final-Recipient: rfc822; ?no@b\.test\r\nAction: failed\r\nStatus: 5\.1\.1\r\n/);
    assert.match(report?.text ?? "", /Diagnostic-Code: smtp; 550 5\.1\.1 No such user/);
    assert.doesNotMatch(report?.text ?? "", /yes@b\.test/);
  });

  it("reports nothing on a message from <>", async (t) => {
    const recipient = await startRecipient(t, () => refuse(reply(550, "5.1.1", "No such user"), ""));
    const relay = await startRelay(t, recipient.port);
    await send(relay, "submission", { from: null, to: ["no@b.test"] });
    const dropped = await relay.event("dropped");
    await relay.event("done", ({ id }) => id === dropped.id);
    assert.equal(relay.events.filter(({ type }) => type === "bounced").length, 0);
    assert.equal(recipient.arrived.length, 0);
  });

  it("tries again what was delayed, and delivers it then", async (t) => {
    let asked = 0;
    const recipient = await startRecipient(t, () => (++asked === 1 ? refuse(reply(450, "4.2.0", "Greylisted"), "") : accept));
    const relay = await startRelay(t, recipient.port, { retry: { intervals: [1000], jitter: 0 } });
    await send(relay, "submission", { to: ["bob@b.test"] });
    const delayed = await relay.event("attempted");
    assert.equal(delayed.outcome.action, "delayed");
    assert.ok(delayed.next !== undefined);
    await relay.event("done");
    assert.equal(recipient.arrived.length, 1);
  });

  it("reports a message that has become too old", async (t) => {
    let refusing = true;
    const recipient = await startRecipient(t, () => (refusing ? refuse(reply(451, "4.3.0", "Not now"), "") : accept));
    const relay = await startRelay(t, recipient.port, { retry: { intervals: [1000], jitter: 0, giveUpAfter: 1000 } });
    await send(relay, "submission", { to: ["bob@b.test"] });
    await relay.event("attempted");
    const bounce = relay.event("bounced");
    await bounce;
    refusing = false;
    const { text } = await recipient.message(0);
    assert.match(text, /Status: 5\.3\.0/);
  });

  it("takes a recipient's server that is not there for a delay, not a failure", async (t) => {
    const relay = await startRelay(t, 1);
    await send(relay, "submission", { to: ["bob@b.test"] });
    const { outcome } = await relay.event("attempted");
    assert.equal(outcome.action, "delayed");
    assert.ok(outcome.action === "delayed" && outcome.status === "4.4.1" && outcome.why.kind === "connection");
  });
});

describe("the three ports", () => {
  it("25 takes mail for our domains alone, there for who exists, and for the postmaster", async (t) => {
    const recipient = await startRecipient(t);
    const relay = await startRelay(t, recipient.port);
    const to = ["x@elsewhere.test", "nobody@example.test", "info@example.test", "ALICE@example.test", "Postmaster@example.test"];
    assert.deepEqual(codes(await send(relay, "smtp", { from: "stranger@elsewhere.test", to })), [
      "550 5.7.1",
      "550 5.1.1",
      "250 2.0.0",
      "250 2.0.0",
      "250 2.0.0",
    ]);
  });

  it("submission sends as the account's own addresses alone", async (t) => {
    const recipient = await startRecipient(t);
    const relay = await startRelay(t, recipient.port);
    assert.deepEqual(codes(await send(relay, "submission", { from: "boss@example.test", to: ["x@b.test"] })), ["553 5.7.1"]);
  });
});

describe("stopping", () => {
  it("hands back what is not delivered, and the next start delivers it", async (t) => {
    const recipient = await startRecipient(t);
    const first = await startRelay(t, 1, { retry: { intervals: [1000], jitter: 0 } });
    await send(first, "submission", { to: ["bob@b.test"] });
    await first.event("attempted");
    await first.stop();
    const second = await startRelay(t, recipient.port, { folder: first.folder });
    await recipient.message(0);
    await second.event("done");
  });
});
