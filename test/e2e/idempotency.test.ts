/** Idempotency-Key the whole way: a client that was cut off sends again, splits its recipients, and nobody gets it twice or not at all. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTransport } from "../../src/client/node.ts";
import { formatMailbox } from "../../src/mail/mailbox.ts";
import type { RecipientResult } from "../../src/protocol/client-session.ts";
import { ALICE, PASSWORD, send, startRecipient, startRelay, type TestRelay } from "../../src/relay/testing.ts";
import { hours } from "../../src/util/clock.ts";
import { movableClock } from "../support/movable-clock.ts";

const letter = (key: string, text = "Hello.") => `Subject: order\r\nIdempotency-Key: ${key}\r\nMessage-ID: <1@a>\r\n\r\n${text}\r\n`;
const said = (results: readonly RecipientResult[]): string[] =>
  results.map((result) => ("reply" in result ? `${result.reply.code} ${result.reply.status} ${result.reply.text}` : result.kind));
const transportTo = ({ ports }: TestRelay) =>
  createTransport({
    ...{ host: "127.0.0.1", port: ports.submission, tlsMode: "required", tls: { verify: false } },
    auth: { user: ALICE, password: PASSWORD },
  });

test("recipients split over several submissions each get it once; the field does not go on", async (t) => {
  const recipient = await startRecipient(t);
  const relay = await startRelay(t, recipient.port);
  const [first] = said(await send(relay, "submission", { to: ["a@far.test", "b@far.test"], content: letter("order 7") }));
  const id = /^250 2\.0\.0 OK, message accepted as (\S+)$/.exec(first ?? "")?.[1] ?? assert.fail(first);
  const [both] = said(await send(relay, "submissions", { to: ["b@far.test", "c@far.test"], content: letter("order 7") }));
  assert.match(both ?? "", /^250 2\.0\.0 OK, message accepted as \S+$/);
  const again = said(await send(relay, "submission", { to: ["A@far.test", "b@far.test"], content: letter("order 7", "other words") }));
  const text = `250 2.0.0 OK, message accepted as ${id} before, under the same Idempotency-Key; not queued again`;
  assert.deepEqual(again, [text, text]);
  const repeated = await relay.event("repeated");
  assert.deepEqual([repeated.id, repeated.recipients.map(formatMailbox)], [id, ["A@far.test", "b@far.test"]]);
  await send(relay, "submission", { to: ["a@far.test"], content: letter("order 8") });
  await recipient.message(2);
  for (const { text: arrived } of recipient.arrived) assert.doesNotMatch(arrived, /idempotency|order [78]/i);
  const got = recipient.arrived.flatMap(({ message }) => message.envelope.recipients.map(({ mailbox }) => formatMailbox(mailbox)));
  assert.deepEqual(got.sort(), ["a@far.test", "a@far.test", "b@far.test", "c@far.test"]);
  const accepted = relay.events.flatMap((event) =>
    event.type === "accepted" && event.session !== undefined ? [event.recipients.length] : [],
  );
  assert.deepEqual(accepted, [2, 1, 1]);
});

test("a key that cannot be one is refused; after a day it is new; on 25 it is a field like others", async (t) => {
  const recipient = await startRecipient(t);
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, { clock });
  const to = ["info@example.test"];
  assert.deepEqual(said(await send(relay, "submission", { to, content: letter("k".repeat(256)) })), [
    "550 5.6.0 Idempotency-Key is longer than 255 octets",
  ]);
  assert.deepEqual(said(await send(relay, "submission", { to, content: letter("a\r\nIdempotency-Key: a") })), [
    "550 5.6.0 There is more than one Idempotency-Key",
  ]);
  await send(relay, "submission", { to, content: letter("a") });
  await send(relay, "submission", { to, content: letter("a") });
  await relay.event("repeated");
  forward(hours(24));
  assert.doesNotMatch(said(await send(relay, "submission", { to, content: letter("a") }))[0] ?? "", /before/);
  await recipient.message(1);
  for (let i = 0; i < 2; i++) await send(relay, "smtp", { from: "x@far.test", to, content: letter("a") });
  assert.match((await recipient.message(2)).text, /^Idempotency-Key: a\r$/m);
  await recipient.message(3);
});

test("the client library sets it, for drafts and for raw messages", async (t) => {
  const recipient = await startRecipient(t);
  const relay = await startRelay(t, recipient.port);
  await using transport = transportTo(relay);
  const draft = { from: ALICE, to: "a@far.test", subject: "x", text: "x", idempotencyKey: "order 7" };
  await transport.send(draft);
  await transport.send({ ...draft, to: ["a@far.test", "b@far.test"] });
  await transport.send({
    raw: "From: alice@example.test\r\nSubject: raw\r\n\r\nraw\r\n",
    envelope: { from: ALICE, to: ["b@far.test", "c@far.test"] },
    idempotencyKey: "order 7",
  });
  await recipient.message(2);
  const got = recipient.arrived.map(({ message }) => message.envelope.recipients.map(({ mailbox }) => mailbox.localPart).join());
  assert.deepEqual(got, ["a", "b", "c"]);
  for (const [key, why] of [
    ["a\r\nBcc: x@y.test", /holds a line break/],
    ["", /is empty/],
    ["é", /printable ASCII/],
    ["k".repeat(256), /longer than 255 octets/],
  ] as const) {
    await assert.rejects(transport.send({ ...draft, idempotencyKey: key }), why);
  }
  const raw = { raw: "Idempotency-Key: a\r\nFrom: alice@example.test\r\nTo: a@far.test\r\n\r\n", idempotencyKey: "b" };
  await assert.rejects(transport.send(raw), /has one already/);
});
