import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { Readable, Transform } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { ScriptedServer, TestServer } from "../testing/index.ts";
import nodemailer, { createTransport, type LoggerLike, NodemailerError, type SendMailOptions } from "./index.ts";

const letter: SendMailOptions = { from: "Ann <ann@a.test>", to: "bob@b.test", subject: "Hello", text: "Hi." };
const stream = { streamTransport: true, buffer: true } as const;
const optionsFor = (server: TestServer) => ({ host: server.host, port: server.port, tls: { ca: server.certificate } });
const written = async (message: SendMailOptions) => (await createTransport(stream).sendMail({ ...letter, ...message })).message.toString();

test("the default export and the named one are the same", () => {
  assert.equal(nodemailer.createTransport, createTransport);
  assert.match(createTransport().getVersionString(), /^postrider\/nodemailer \(SMTP\/\d/);
  assert.equal(createTransport({ pool: true }).transporter.name, "SMTP (pool)");
});

test("a pool tells when it is idle, and sends no more when it is closed", async () => {
  await using server = await TestServer.start();
  const transporter = createTransport({ ...optionsFor(server), pool: true, maxConnections: 2 });
  const queue = Array.from({ length: 5 }, (_, i) => ({ ...letter, subject: `No. ${i}` }));
  const sent: Promise<unknown>[] = [];
  let most = 0;
  await new Promise<void>((resolve) => {
    transporter.on("idle", () => {
      while (transporter.isIdle() && queue.length > 0) sent.push(transporter.sendMail(queue.shift() as SendMailOptions));
      most = Math.max(most, server.connections);
      if (queue.length === 0) resolve();
    });
  });
  await Promise.all(sent);
  assert.equal(server.messages.length, 5);
  assert.ok(most <= 2);
  transporter.close();
  await assert.rejects(transporter.sendMail(letter), /closed/);
});

test("without a pool each message has its connection, and close closes nothing", async () => {
  const script =
    "<- 220 mx\n-> EHLO *\n<- 250 mx\n-> MAIL *\n<- 250 ok\n-> RCPT *\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 2.0.0 ok\n-> QUIT\n<- 221 bye";
  await using server = await ScriptedServer.start([script, script]);
  const transporter = createTransport({ host: server.host, port: server.port });
  const first = await transporter.sendMail(letter);
  assert.deepEqual([first.response, first.ehlo], ["250 2.0.0 ok", []]);
  transporter.close();
  await transporter.sendMail(letter);
  await server.done();
});

test("an aborted message is given up at once, and not sent later", async () => {
  await using server = await ScriptedServer.start("<- 220 mx\n-> EHLO *\nsilence");
  const stop = new AbortController();
  const sending = createTransport({ host: server.host, port: server.port }).sendMail({ ...letter, signal: stop.signal });
  setImmediate(() => stop.abort(new Error("enough")));
  await assert.rejects(sending, { name: "AbortError", code: "EABORT", cause: new Error("enough") });
  await assert.rejects(createTransport(stream).sendMail({ ...letter, signal: "now" as never }), { code: "ECONFIG" });
  const stopped = new AbortController();
  const giveUp = (): undefined => void stopped.abort();
  await using real = await TestServer.start({ refuse: { mail: giveUp } });
  const pool = createTransport({ ...optionsFor(real), pool: true, maxConnections: 1 });
  const first = pool.sendMail(letter);
  const second = pool.sendMail({ ...letter, signal: stopped.signal });
  await assert.rejects(second, { code: "EABORT" });
  await first;
  await pool.sendMail(letter);
  assert.equal(real.messages.length, 2);
  pool.close();
});

test("what a plugin fails with fails the message, and plugins run in order", async () => {
  const transporter = createTransport(stream);
  transporter.use("compile", (mail, callback) => {
    mail.data.subject += "1";
    callback();
  });
  transporter.use("compile", (mail, callback) => {
    assert.equal(mail.message, null);
    mail.data.subject += "2";
    callback(mail.data.text === "fail" ? new Error("the plugin says no") : null);
  });
  transporter.use("stream", (mail, callback) => {
    assert.deepEqual(mail.message?.getEnvelope(), { from: "ann@a.test", to: ["bob@b.test"] });
    assert.throws(() => mail.message?.setHeader(), { code: "ECONFIG" });
    mail.message?.processFunc((input) => Readable.from(upper(input)));
    callback();
  });
  assert.match((await transporter.sendMail(letter)).message.toString(), /SUBJECT: HELLO12/);
  await assert.rejects(transporter.sendMail({ ...letter, text: "fail" }), /the plugin says no/);
  assert.throws(() => transporter.use("send", () => {}), NodemailerError);
  assert.throws(() => transporter.set("proxy_socks_module", {}), NodemailerError);
  assert.equal(transporter.set("own", 1).get("own"), 1);
});

async function* upper(input: Readable): AsyncGenerator<string> {
  for await (const chunk of input) yield String(chunk).toUpperCase();
}

test("a stream plugin and DKIM together, and DKIM of a message that streams", async () => {
  await using server = await TestServer.start();
  const key = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const dkim = { domainName: "a.test", keySelector: "s", privateKey: key, skipFields: "message-id:date", headerFieldNames: "from:to:date" };
  const transporter = createTransport({ ...optionsFor(server), dkim });
  transporter.use("stream", (mail, callback) => {
    mail.message?.transform(new Transform({ transform: (chunk, _encoding, done) => done(null, chunk) }));
    callback();
  });
  await transporter.sendMail({ ...letter, attachments: [{ filename: "s.txt", content: Readable.from(["a", "b"]) }] });
  const signed = (await server.message()).text();
  assert.match(signed, /^DKIM-Signature: [\s\S]*?\ba=ed25519-sha256;[\s\S]*?\bh=from:to;/i);
  const { message } = await createTransport({
    ...stream,
    dkim: { keys: [{ domainName: "a.test", keySelector: "t", privateKey: key }] },
  }).sendMail(letter);
  assert.match(message.toString(), /^DKIM-Signature: [\s\S]*?\bs=t;/i);
  await createTransport(optionsFor(server)).sendMail({ ...letter, dkim });
  assert.match((await server.message()).text(), /^DKIM-Signature:/);
});

test("a stream instead of a Buffer", async () => {
  const { message, messageId } = await createTransport({ streamTransport: true }).sendMail(letter);
  assert.ok(message instanceof Readable);
  const content = await text(message);
  assert.ok(content.includes(`Message-ID: ${messageId}\r\n`));
  const json = await createTransport({ jsonTransport: true, skipEncoding: true }).sendMail({ ...letter, text: Buffer.from("x") });
  assert.equal((json.message as { text: string }).text, "x");
});

test("what would be left out in silence is an error", async () => {
  for (const [message, told] of [
    [{ requireTLSExtensionEnabled: true }, /REQUIRETLS/],
    [{ otp: { code: "1", origin: "https://a.test" } }, /otp/],
    [{ alternatives: [{ raw: "x" }] }, /alternative given as raw/],
    [{ html: { raw: "x" } }, /given as raw/],
    [{ icalEvent: { raw: "x" } }, /icalEvent given as raw/],
  ] as [SendMailOptions, RegExp][]) {
    await assert.rejects(written(message), { code: "ECONFIG", message: told });
  }
  await assert.rejects(written({ date: "yesterday-ish" }), { code: "EMESSAGE" });
  await assert.rejects(written({ dsn: { notify: ["never", "delay"] } }), { code: "EENVELOPE" });
  await assert.rejects(written({ dsn: { return: "half" } }), { code: "EENVELOPE" });
  await assert.rejects(written({ list: { "unsubscribe-post": "Other=1" } }), { code: "EMESSAGE" });
});

test("nothing of a header can be forged", async () => {
  await assert.rejects(written({ subject: "a\r\nBcc: evil@e.test" }), { code: "EMESSAGE", command: "API" });
  await assert.rejects(written({ headers: { "X-A": "1\nX-B: 2" } }), { code: "EMESSAGE" });
  await assert.rejects(written({ headers: { "X-A\r\nX-B": "1" } }), { code: "EMESSAGE" });
  await assert.rejects(written({ to: { name: "x\r\nX-B: 1", address: "b@b.test" } }), { code: "EENVELOPE" });
  await assert.rejects(written({ attachments: [{ filename: "a\r\nb", content: "x" }] }), { code: "EMESSAGE" });
});

test("several authors, and one-click unsubscribing", async () => {
  assert.match(await written({ from: "a@a.test, B <b@a.test>" }), /^From: a@a\.test, B <b@a\.test>\r\nSender: a@a\.test\r\n/);
  const list = {
    unsubscribe: "https://a.test/u",
    "unsubscribe-post": "List-Unsubscribe=One-Click",
    post: "NO",
    owner: "o@a.test",
    own: "x.test",
  };
  const message = await written({ list });
  assert.match(message, /^List-Unsubscribe-Post: List-Unsubscribe=One-Click\r$/m);
  assert.match(message, /^List-Post: NO\r$/m);
  assert.match(message, /^List-Own: x\.test\r$/m);
});

test("normalizeHeaderKey, and an alternative for watches", async () => {
  const transporter = createTransport({ ...stream, normalizeHeaderKey: (key) => key.toUpperCase() });
  const { message } = await transporter.sendMail({ ...letter, headers: { "x-a": 1, "X-None": null } });
  assert.match(message.toString(), /^X-A: 1\r$/m);
  assert.ok(!/X-NONE/i.test(message.toString()));
  assert.match(await written({ watchHtml: "<b>x</b>" }), /Content-Type: text\/watch-html/);
});

test("the logger hears the dialogue with debug, and no secret", async () => {
  await using server = await TestServer.start({ users: { ann: "hunter2" } });
  const lines: string[] = [];
  const hear = (_entry: object, message: string): void => void lines.push(message);
  const logger: LoggerLike = { debug: hear, info: hear, error: hear };
  const options = { ...optionsFor(server), auth: { user: "ann", pass: "hunter2" }, logger };
  await createTransport({ ...options, debug: true }).sendMail(letter);
  assert.ok(lines.includes("MAIL FROM:<ann@a.test> BODY=7BIT") || lines.some((line) => line.startsWith("MAIL FROM:<ann@a.test>")));
  assert.ok(!lines.some((line) => line.includes("hunter2") || line.includes(Buffer.from("\0ann\0hunter2").toString("base64"))));
  const quiet: string[] = [];
  const info = (_entry: object, message: string): void => void quiet.push(message.split(" ")[0] as string);
  await createTransport({ ...options, logger: { info, debug: info } }).sendMail(letter);
  assert.deepEqual(quiet, ["sending", "sent"]);
});

test("LMTP: each recipient has its own reply", async () => {
  await using server = await ScriptedServer.start(
    "<- 220 lmtp\n-> LHLO *\n<- 250-lmtp\n<- 250 PIPELINING\n-> MAIL *\n-> RCPT *\n-> RCPT *\n-> DATA\n<- 250 ok\n<- 250 ok\n<- 250 ok\n<- 354 go\ncontent\n<- 250 2.0.0 one\n<- 452 4.2.2 full\n-> QUIT\n<- 221 bye",
  );
  const info = await createTransport({ host: server.host, port: server.port, lmtp: true }).sendMail({ ...letter, cc: "cat@c.test" });
  assert.deepEqual([info.accepted, info.rejected, info.response], [["bob@b.test"], ["cat@c.test"], "250 2.0.0 one"]);
  assert.equal(info.rejectedErrors?.[0]?.responseCode, 452);
  await server.done();
});
