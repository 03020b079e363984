import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DataError, NotSupportedError } from "../client/error.ts";
import { ComposeError } from "../message/index.ts";
import { latin1 } from "../util/bytes.ts";
import { FileTransport } from "./file-transport.ts";
import { MemoryTransport } from "./memory-transport.ts";

const letter = { from: "Ann <ann@a.test>", to: "bob@b.test", bcc: "eve@e.test", subject: "Grüße", text: "Ärger." };

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "postrider-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return join(path, "made", "by-it");
}

test("a message is kept as it would have been sent", async () => {
  await using transport = new MemoryTransport();
  let seen = 0;
  const result = await transport.send(letter, { progress: (sent) => (seen = sent) });
  const [kept] = transport.messages;
  assert.ok(kept);
  assert.deepEqual(kept.envelope, { from: "ann@a.test", to: ["bob@b.test", "eve@e.test"] });
  assert.match(kept.text(), /^From: Ann <ann@a\.test>\r\n[\s\S]*Content-Transfer-Encoding: 8bit\r\n\r\nÄrger\.\r\n$/);
  assert.ok(!kept.text().includes("eve@"));
  assert.equal(kept.messageId, result.messageId);
  assert.equal(result.size, kept.content.length);
  assert.equal(seen, result.size);
  assert.deepEqual(result.envelope, kept.envelope);
  assert.deepEqual(
    result.recipients.map(({ address, status, code, host, attempts }) => ({ address, status, code, host, attempts })),
    kept.envelope.to.map((address) => ({ address, status: "accepted", code: 250, host: "memory", attempts: 1 })),
  );
});

test("a message that is there already, line ends made CRLF, Bcc taken out", async () => {
  const transport = new MemoryTransport();
  await transport.send({ raw: "From: a@a.test\nTo: b@b.test\nBcc: c@c.test\n\nx\n" });
  assert.equal(transport.messages[0]?.text(), "From: a@a.test\r\nTo: b@b.test\r\n\r\nx\r\n");
  assert.deepEqual(transport.messages[0]?.envelope.to, ["b@b.test", "c@c.test"]);
});

test("streams, defaults and signing", async () => {
  const transport = new MemoryTransport({
    defaults: { from: "robot@a.test" },
    sign: (content) => {
      assert.equal(content.kind, "stored");
      return { kind: "memory", chunks: [latin1("Signed: yes\r\n\r\n")], size: 15 };
    },
  });
  const source = { size: 3, open: () => [latin1("abc")] };
  await transport.send({ to: "b@b.test", attachments: [{ filename: "a.bin", content: source }] } as never);
  assert.equal(transport.messages[0]?.text(), "Signed: yes\r\n\r\n");
  assert.equal(transport.messages[0]?.envelope.from, "robot@a.test");
  const plain = new MemoryTransport();
  async function* once() {
    yield "abc";
  }
  await plain.send({ ...letter, attachments: [{ filename: "a.txt", content: once() }] });
  assert.match(plain.messages[0]?.text() ?? "", /YWJj/);
});

test("what a real transport refuses is refused", async () => {
  const transport = new MemoryTransport({ offers: ["SIZE 2000"] });
  await assert.rejects(transport.send({ ...letter, subject: "a\r\nBcc: x@y.test" }), ComposeError);
  await assert.rejects(transport.send({ from: "a@a.test", text: "x" }), ComposeError);
  await assert.rejects(transport.send({ ...letter, text: "x".repeat(3000) }), /takes 2000 \(5\.3\.4\)/);
  await assert.rejects(transport.send({ ...letter, to: "jörg@b.test" }), NotSupportedError);
  await assert.rejects(transport.send(letter, { signal: AbortSignal.abort(new Error("enough")) }), /enough/);
  assert.equal(transport.messages.length, 0);
  const result = await transport.send({ ...letter, to: "b@b.test", envelope: { to: ["b@b.test", "jörg@b.test"] } });
  assert.deepEqual(
    result.recipients.map(({ status }) => status),
    ["accepted", "failed"],
  );
  const [kept] = transport.messages;
  assert.deepEqual(kept?.envelope.to, ["b@b.test"]);
  assert.match(kept?.text() ?? "", /base64/, "a server without 8BITMIME gets 7 bit");
  await transport.send({ raw: "From: a@a.test\r\nTo: b@b.test\r\n\r\nÄ\r\n" });
  assert.match(transport.messages[1]?.text() ?? "", /=C3=84/, "and so a message that is there already");
  await transport.close();
  await assert.rejects(transport.send(letter), /the transport is closed/);
});

test("failNext fails as often as it was called, clear forgets", async () => {
  const transport = new MemoryTransport();
  const failure = { state: "sent-dot", why: "the disk is full", lasting: "temporary", about: "protocol" } as const;
  transport.failNext(new DataError("memory", failure));
  transport.failNext(new Error("second"));
  await assert.rejects(transport.send({ ...letter, from: "no address" }), ComposeError);
  await assert.rejects(transport.send(letter), DataError);
  await assert.rejects(transport.send(letter), /second/);
  await transport.send(letter);
  assert.equal(transport.messages.length, 1);
  transport.failNext(new Error("third"));
  transport.clear();
  await transport.send(letter);
  assert.equal(transport.messages.length, 1);
});

test("files: .eml with the content alone, .json with the envelope, names in order", async (t) => {
  const path = folder(t);
  await using transport = new FileTransport({ folder: path });
  const result = await transport.send(letter);
  await transport.send({ ...letter, subject: "second" });
  assert.equal(readdirSync(path).length, 4);
  assert.deepEqual([...transport.files].sort(), transport.files);
  const [first = ""] = transport.files;
  assert.match(first, /\d{8}T\d{9}Z-[0-9A-Z]{16}\.eml$/);
  const text = readFileSync(first, "utf8");
  assert.equal(Buffer.byteLength(text), result.size);
  assert.ok(!/[^\r]\n|eve@/.test(text));
  const { time, ...side } = JSON.parse(readFileSync(first.replace(/eml$/, "json"), "utf8")) as Record<string, unknown>;
  assert.deepEqual(side, { from: "ann@a.test", to: ["bob@b.test", "eve@e.test"], messageId: result.messageId });
  assert.ok(Math.abs(Date.parse(time as string) - Date.now()) < 60_000);
});

test("files: nothing is left of what fails", async (t) => {
  const path = folder(t);
  const transport = new FileTransport({ folder: path });
  async function* broken() {
    yield "abc";
    throw new Error("the source is gone");
  }
  await assert.rejects(transport.send({ ...letter, attachments: [{ filename: "a", content: broken() }] }), /the source is gone/);
  assert.deepEqual(readdirSync(path), []);
  writeFileSync(`${path}/file`, "");
  await assert.rejects(new FileTransport({ folder: `${path}/file` }).send(letter), { code: "EEXIST" });
});
