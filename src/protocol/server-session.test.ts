/** What a caller of ServerSession may and may not do. What the session says to a client stands in test/dialogues. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { reply } from "../mail/reply.ts";
import { type ServerEvent, ServerSession } from "./server-session.ts";
import { fromLatin1, latin1, textOf } from "./testing.ts";

function greeted(): ServerSession {
  const session = new ServerSession({ hostname: "mx.test", tls: "offered" });
  session.greet();
  session.receive(latin1("EHLO client.test\r\n"));
  assert.equal(session.next()?.type, "reset");
  said(session);
  return session;
}

const said = (session: ServerSession): string => fromLatin1(session.takeOutput() ?? new Uint8Array(0));

test("each event wants its own decision, and one", () => {
  const session = new ServerSession({ hostname: "mx.test" });
  assert.throws(() => session.accept(), /nothing to accept/);
  assert.throws(() => session.refuse(reply(554, "no")), /nothing to refuse/);
  session.greet();
  assert.throws(() => session.greet(), /no decision/);
  assert.throws(() => session.upgraded(), /no decision/);
  assert.throws(() => session.authenticated("u"), /no decision/);
  assert.throws(() => session.accept(), /no decision/);
  assert.throws(() => session.refuse(reply(550, "no")), /no decision/);
  session.receive(latin1("EHLO a\r\nMAIL FROM:<>\r\n"));
  assert.equal(session.next()?.type, "reset");
  assert.equal(session.next()?.type, "mail");
  assert.equal(session.next(), undefined);
  session.accept();
  assert.throws(() => session.accept(), /no decision/);
  assert.match(said(session), /250 2\.1\.0 OK\r\n$/);
});

test("until an event is decided on, later bytes are kept, not parsed", () => {
  const session = greeted();
  session.receive(latin1("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nQUIT\r\n"));
  assert.equal(session.next()?.type, "mail");
  assert.equal(session.next(), undefined);
  assert.equal(said(session), "");
  session.accept();
  assert.equal(session.next()?.type, "rcpt");
  session.refuse(reply(550, "5.1.1", "No"));
  assert.equal(session.next(), undefined);
  // replies to a group leave in one piece (RFC 2920 3.2)
  assert.equal(said(session), "250 2.1.0 OK\r\n550 5.1.1 No\r\n221 2.0.0 closing connection\r\n");
  assert.equal(session.closing, true);
});

test("content is passed on as slices of what came in", () => {
  const session = greeted();
  session.receive(latin1("MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"));
  for (const type of ["mail", "rcpt", "data"]) {
    assert.equal(session.next()?.type, type);
    session.accept();
  }
  assert.equal(session.next(), undefined);
  assert.equal(session.receivingContent, true);
  const bytes = latin1("Subject: x\r\n\r\nbody\r\n.\r\nNOOP\r\n");
  session.receive(bytes);
  const event = session.next();
  assert.ok(event?.type === "content" && event.chunk.buffer === bytes.buffer);
  assert.equal(textOf([event.chunk]), "Subject: x\r\n\r\nbody\r\n");
  assert.deepEqual(session.next(), { type: "content-end", size: 20 });
  assert.equal(session.receivingContent, false);
  said(session);
  session.accept(reply(250, "2.0.0", "OK, queued as 1"));
  session.next();
  assert.equal(said(session), "250 2.0.0 OK, queued as 1\r\n250 2.0.0 OK\r\n");
});

test("content given up: no more of it is told, though it came in the same piece as its end", () => {
  const session = greeted();
  session.receive(latin1("MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\na\r\n..b\r\n..c\r\n.\r\nNOOP\r\n"));
  const types: ServerEvent["type"][] = [];
  for (let event = session.next(); event !== undefined; event = session.next()) {
    types.push(event.type);
    if (event.type === "content") session.refuseContent(reply(452, "4.3.1", "Full"));
    else if (event.type !== "reset" && event.type !== "refused") session.accept();
  }
  assert.deepEqual(types, ["mail", "rcpt", "data", "content", "reset", "refused"]);
  assert.match(said(session), /354 Go ahead\r\n452 4\.3\.1 Full\r\n250 2\.0\.0 OK\r\n$/);
  session.refuseContent(reply(452, "4.3.1", "Full")); // late: it says nothing any more
  assert.equal(session.next(), undefined);
});

test("a last word closes; then nothing is read and nothing is said", () => {
  const session = greeted();
  session.receive(latin1("MAIL FROM:<>\r\n"));
  assert.equal(session.next()?.type, "mail");
  session.close(reply(421, "4.3.2", "Going down"));
  session.close(reply(421, "4.3.2", "again"));
  session.receive(latin1("NOOP\r\n"));
  assert.equal(session.next(), undefined);
  assert.equal(said(session), "421 4.3.2 Going down\r\n");
  assert.equal(session.closing, true);
});

test("a 421 as a decision closes", () => {
  const session = greeted();
  session.receive(latin1("MAIL FROM:<>\r\nNOOP\r\n"));
  assert.equal(session.next()?.type, "mail");
  session.refuse(reply(421, "4.3.2", "Going down"));
  assert.equal(session.next(), undefined);
  assert.equal(said(session), "421 4.3.2 Going down\r\n");
  assert.equal(session.closing, true);
});

test("what it knows of the client", () => {
  const session = new ServerSession({ hostname: "mx.test", secured: true, authentication: "required" });
  session.greet();
  assert.deepEqual([session.clientName, session.extended, session.account, session.phase], ["", false, undefined, "start"]);
  session.receive(latin1("EHLO client.test\r\nAUTH PLAIN AHUAcA==\r\n"));
  assert.equal(session.next()?.type, "reset");
  assert.deepEqual(session.next(), {
    type: "auth",
    mechanism: "PLAIN",
    authorization: "",
    claim: { kind: "password", user: "u", password: "p" },
  });
  session.authenticated("alice");
  assert.deepEqual([session.clientName, session.extended, session.account, session.phase], ["client.test", true, "alice", "ready"]);
  session.receive(latin1("HELO other.test\r\n"));
  session.next();
  assert.deepEqual([session.clientName, session.extended, session.account], ["other.test", false, "alice"]);
});

test("content of many tiny pieces costs as much a piece as content of few", () => {
  const session = greeted();
  session.receive(latin1("MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"));
  for (let event = session.next(); event !== undefined; event = session.next()) session.accept();
  const lines = 100_000;
  session.receive(latin1("..\r\n".repeat(lines)));
  let size = 0;
  for (let event = session.next(); event !== undefined; event = session.next()) if (event.type === "content") size += event.chunk.length;
  assert.equal(size, lines * 3);
});

test("a thousand recipients by default, and RFC 5321 4.5.3.1.8 wants a hundred; one more is for another transaction", () => {
  const session = greeted();
  session.receive(latin1(`MAIL FROM:<>\r\n${"RCPT TO:<c@d.test>\r\n".repeat(1001)}`));
  let recipients = 0;
  for (let event = session.next(); event !== undefined; event = session.next()) {
    if (event.type === "rcpt") recipients++;
    if (event.type !== "refused") session.accept();
  }
  assert.equal(recipients, 1000);
  assert.match(said(session), /^(?:250 .*\r\n){1001}452 4\.5\.3 .*\r\n$/);
  assert.equal(session.phase, "rcpt");
});
