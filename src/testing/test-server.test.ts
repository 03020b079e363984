import assert from "node:assert/strict";
import { test } from "node:test";
import type { CreateTransportOptions } from "../client/node.ts";
import { createTransport } from "../client/node.ts";
import { readReply } from "./reply-text.ts";
import { TestServer, type TestServerOptions } from "./test-server.ts";

const letter = { from: "ann@a.test", to: ["bob@b.test", "cat@c.test"], subject: "Hello", text: "Hi.\n.\n" };

const transportTo = (server: TestServer, options: CreateTransportOptions = {}) =>
  createTransport({ host: server.host, port: server.port, tls: { authorities: server.certificate }, retry: false, ...options });

test("a message comes as it was sent, by STARTTLS", async () => {
  await using server = await TestServer.start();
  await using transport = transportTo(server);
  const sending = transport.send({ ...letter, dsn: { ret: "headers", envelopeId: "id 1", notify: "never" } });
  const message = await server.message();
  const result = await sending;
  assert.equal(message.content.length, result.size);
  assert.deepEqual(message.envelope, { from: "ann@a.test", to: ["bob@b.test", "cat@c.test"] });
  assert.match(message.text(), /^From: ann@a\.test\r\n[\s\S]*\r\n\r\nHi\.\r\n\.\r\n$/);
  assert.match(message.received, /^from .* by test\.example .*with ESMTPS/);
  assert.equal(message.user, undefined);
  const { recipients, ...parameters } = message.parameters;
  assert.deepEqual(parameters, { body: "7BIT", smtpUtf8: false, ret: "HDRS", envelopeId: "id 1" });
  assert.deepEqual(
    recipients.map(({ notify }) => notify),
    [[], []],
  );
});

test("without TLS, and message by message", async () => {
  await using server = await TestServer.start({ tls: "none", hostname: "mx.test" });
  await using transport = transportTo(server, { tlsMode: "opportunistic" });
  await transport.send({ ...letter, subject: "1" });
  await transport.send({ ...letter, subject: "2" });
  assert.equal(server.connections, 1);
  assert.match((await server.message()).text(), /Subject: 1/);
  assert.match((await server.message()).text(), /Subject: 2/);
  assert.equal(server.messages.length, 2);
  await assert.rejects(server.message(10), /no message came within 10 ms; 2 came before/);
  server.clear();
  await transport.send({ ...letter, subject: "3" });
  assert.match((await server.message()).text(), /Subject: 3/);
  assert.equal(server.messages.length, 1);
});

test("users: nobody sends without a login", async () => {
  const users = { ann: "pw" };
  for (const [tls, tlsMode] of [
    ["starttls", "required"],
    ["implicit", "implicit"],
  ] as const) {
    await using server = await TestServer.start({ tls, users });
    await using good = transportTo(server, { tlsMode, auth: { user: "ann", password: "pw" } });
    await good.send(letter);
    assert.equal((await server.message()).user, "ann");
    await using bad = transportTo(server, { tlsMode, auth: { user: "ann", password: "no" } });
    await assert.rejects(bad.send(letter), { name: "AuthenticationError", code: 535 });
    await using none = transportTo(server, { tlsMode });
    await assert.rejects(none.send(letter), { code: 530 });
  }
});

test("tokens", async () => {
  await using server = await TestServer.start({ tokens: { ann: "t1" } });
  await using good = transportTo(server, { auth: { user: "ann", token: "t1" } });
  await good.send(letter);
  assert.equal((await server.message()).user, "ann");
  await using bad = transportTo(server, { auth: { user: "ann", token: "t2" } });
  await assert.rejects(bad.send(letter), { name: "AuthenticationError" });
});

test("refusals of MAIL, RCPT and DATA", async () => {
  await using server = await TestServer.start({
    refuse: {
      mail: (from) => (from === "evil@a.test" ? "550 5.7.1 Not you" : undefined),
      rcpt: async (to, from) => (to === "cat@c.test" && from === "ann@a.test" ? "450 Later" : undefined),
      data: (message) => {
        if (message.text().includes("boom")) throw new Error("a bug of the test");
        return message.text().includes("spam") ? "554 5.6.0 Spam" : undefined;
      },
    },
  });
  await using transport = transportTo(server);
  await assert.rejects(transport.send({ ...letter, from: "evil@a.test" }), { name: "SenderRefusedError", code: 550, status: "5.7.1" });
  await assert.rejects(transport.send({ ...letter, text: "spam" }), { name: "DataError", code: 554, status: "5.6.0" });
  await assert.rejects(transport.send({ ...letter, text: "boom" }), { name: "DataError", code: 451 });
  const { recipients } = await transport.send(letter);
  assert.deepEqual(
    recipients.map(({ status, code, text }) => [status, code, text]),
    [
      ["accepted", 250, recipients[0]?.text],
      ["refused", 450, "Later"],
    ],
  );
  assert.deepEqual(
    server.messages.map(({ envelope }) => envelope.to),
    [["bob@b.test"]],
  );
});

test("options that contradict one another, sizes, names", async () => {
  const wrong: TestServerOptions[] = [{ users: {}, tls: "none" }, { tokens: {}, tls: "none" }, { tls: "implicit" }];
  for (const options of wrong) await assert.rejects(TestServer.start(options), TypeError);
  await using server = await TestServer.start({ maxSize: 100, names: ["mx.test"] });
  await using transport = transportTo(server, { tls: { authorities: server.certificate, name: "mx.test" } });
  await assert.rejects(transport.send(letter), { name: "NotSupportedError" });
  assert.throws(() => readReply("250 fine"), TypeError);
  assert.deepEqual(readReply("421"), { code: 421, text: "" });
  assert.deepEqual(readReply("550 4.1.1 x"), { code: 550, text: "4.1.1 x" });
});

test("what is kept is limited", async () => {
  for (const keep of [{ messages: 1 }, { octets: 300 }]) {
    await using server = await TestServer.start({ keep });
    await using transport = transportTo(server);
    await transport.send(letter);
    await assert.rejects(transport.send(letter), { name: "DataError", code: 452 });
    server.clear();
    await transport.send(letter);
    assert.equal(server.messages.length, 1);
  }
});
