/** What a caller of ClientSession may and may not do. What the session says to a server stands in test/dialogues. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "../mail/envelope.ts";
import { type ClientEvent, ClientSession } from "./client-session.ts";
import { clientStates } from "./client-states.ts";
import { latin1, textOf } from "./testing.ts";

const envelope: Envelope = {
  reversePath: null,
  recipients: [{ mailbox: { localPart: "b", domain: "there.test" } }],
  body: "7BIT",
  smtpUtf8: false,
};

function ready(...offers: string[]): ClientSession {
  const session = new ClientSession({ name: "client.test" });
  hear(session, "220 mx\r\n");
  hear(session, `${["250-mx", ...offers.map((offer) => `250-${offer}`)].join("\r\n")}\r\n250 HELP\r\n`);
  assert.equal(session.idle, true);
  return session;
}

/** The events and all that is written because of these octets. */
function hear(session: ClientSession, text: string): { events: ClientEvent["type"][]; said: string } {
  session.receive(latin1(text));
  const events: ClientEvent["type"][] = [];
  for (let event = session.next(); event !== undefined; event = session.next()) events.push(event.type);
  return { events, said: textOf(session.takeOutput()) };
}

function sending(via: "DATA" | "BDAT", size: number): ClientSession {
  const session = ready("CHUNKING", "PIPELINING");
  session.begin(envelope, { via, size });
  assert.deepEqual(hear(session, `250 ok\r\n250 ok\r\n${via === "DATA" ? "354 go\r\n" : ""}`).events, ["send-content"]);
  return session;
}

test("one thing at a time: nothing else begins while something is under way", () => {
  const session = sending("DATA", 1);
  for (const begin of [() => session.begin(envelope, { via: "DATA", size: 1 }), () => session.command("NOOP"), () => session.quit()]) {
    assert.throws(begin, /not idle: sending the content/);
  }
  assert.equal(textOf(session.takeOutput()), "");
  session.content(latin1("x"));
  session.endContent();
  assert.throws(() => session.quit(), /not idle: waiting for the reply to the end of content/);
  assert.equal(textOf(session.takeOutput()), "x\r\n.\r\n");
});

test("content only when it is due", () => {
  const session = ready();
  assert.throws(() => session.content(latin1("x")), /no content is due/);
  assert.throws(() => session.endContent(), /no content is due/);
  assert.throws(() => session.upgraded(), /no TLS handshake is due/);
});

test("BDAT: neither more nor less than was announced", () => {
  const short = sending("BDAT", 3);
  short.content(latin1("xy"));
  assert.throws(() => short.endContent(), RangeError);
  const long = sending("BDAT", 3);
  assert.throws(() => long.content(latin1("wxyz")), RangeError);
});

test("the session ends while the content is on its way: the rest of it goes nowhere, and nothing is thrown", () => {
  for (const via of ["DATA", "BDAT"] as const) {
    const session = ready("CHUNKING", "PIPELINING");
    session.begin(envelope, { via, size: 3 });
    // the fault is seen before the caller has taken "send-content"
    const { events } = hear(session, `250 ok\r\n250 ok\r\n${via === "DATA" ? "354 go\r\n" : ""}garbage\r\n`);
    assert.deepEqual(events, ["send-content", "done", "failed"]);
    session.content(latin1("xyz"));
    session.endContent();
    assert.equal(textOf(session.takeOutput()), "");
  }
});

test("refused in the middle: done, and the rest goes nowhere", () => {
  const session = sending("DATA", 6);
  session.content(latin1("abc"));
  assert.deepEqual(hear(session, "452 4.3.1 full\r\n").events, ["done"]);
  session.content(latin1("def"));
  session.endContent();
  assert.equal(textOf(session.takeOutput()), "");
  assert.equal(session.idle, false);
});

test("an envelope without recipients is no envelope", () => {
  const session = ready();
  assert.throws(() => session.begin({ ...envelope, recipients: [] }, { via: "DATA", size: 0 }), TypeError);
  assert.equal(session.idle, true);
});

test("after the end there are no events and no output", () => {
  const session = ready();
  session.lost("gone");
  assert.equal(session.next()?.type, "failed");
  session.lost("gone");
  session.quit();
  session.receive(latin1("250 ok\r\n"));
  assert.equal(session.next(), undefined);
  assert.deepEqual(session.takeOutput(), []);
  assert.throws(() => session.command("NOOP"), /over/);
});

test("what it waits for is told, with a time-out and a phrase", () => {
  const session = new ClientSession({ name: "client.test" });
  assert.equal(session.state, "greeting");
  hear(session, "220 mx\r\n");
  assert.equal(session.state, "ehlo");
  hear(session, "250 mx\r\n");
  assert.equal(session.state, "idle");
  for (const { timeout, doing } of Object.values(clientStates)) assert.ok(timeout > 0 && doing.length > 0);
});

test("a thousand recipients are sent in one group, and their results keep their order", () => {
  const session = ready("PIPELINING");
  const recipients = Array.from({ length: 1000 }, (_, i) => ({ mailbox: { localPart: `r${i}`, domain: "there.test" } }));
  session.begin({ ...envelope, recipients }, { via: "DATA", size: 1 });
  assert.equal(textOf(session.takeOutput()).split("\r\n").length, 1003);
  session.receive(latin1(`250 ok\r\n${recipients.map((_, i) => `550 ${i}\r\n`).join("")}554 no\r\n`));
  const event = session.next();
  assert.ok(event?.type === "done");
  for (const [i, result] of event.results.entries()) assert.ok(result.kind === "refused" && result.reply.text === String(i));
});
