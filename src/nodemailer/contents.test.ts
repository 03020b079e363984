import assert from "node:assert/strict";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { after, test } from "node:test";
import { ScriptedServer, TestServer } from "../testing/index.ts";
import { addressInputs, NESTING_LIMIT } from "./addresses.ts";
import { Contents, TEXT_LIMIT } from "./contents.ts";
import { createTransport, type SendMailOptions } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "postrider-"));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "a.txt"), "from a file");

const all = { files: true, urls: true };
const octets = async (given: Parameters<Contents["octets"]>[0], encoding?: string, access = all) =>
  Buffer.from(await new Contents(access).octets(given, encoding)).toString();
const stream = { streamTransport: true, buffer: true } as const;
const letter = { from: "a@a.test", to: "b@b.test", text: "x" };

test("contents of every kind", async () => {
  assert.equal(await octets("text"), "text");
  assert.equal(await octets("dGV4dA==", "base64"), "text");
  assert.equal(await octets("74657874", "HEX"), "text");
  assert.equal(await octets("grün", "utf-8"), "grün");
  assert.equal(await octets(Buffer.from("text")), "text");
  assert.equal(await octets(Readable.from(["te", "xt"])), "text");
  assert.equal(await octets(Promise.resolve("text")), "text");
  assert.equal(await octets(Promise.resolve(Readable.from([Buffer.from("text")]))), "text");
  assert.equal(await octets(new Blob(["text"])), "text");
  assert.equal(await octets(new Blob(["text"]).stream()), "text");
  assert.equal(await octets({ size: 4, open: () => ["text"] }), "text");
  assert.equal(await octets({ path: join(folder, "a.txt") }), "from a file");
  assert.equal(await octets({ path: "data:,te%78t" }), "text");
  assert.equal(await octets({ href: "data:text/plain;base64,dGV4dA==" }), "text");
  assert.equal(await octets({ content: "dGV4dA==", encoding: "base64" } as never), "text");
  assert.equal(await octets(undefined), "");
  await assert.rejects(octets("x", "rot13"), { code: "EMESSAGE" });
});

test("files that may not, or cannot, be read", async () => {
  await assert.rejects(octets({ path: join(folder, "a.txt") }, undefined, { files: false, urls: true }), { code: "EFILEACCESS" });
  await assert.rejects(octets({ path: join(folder, "none") }), { code: "ESTREAM" });
  await assert.rejects(octets({ path: folder }), { code: "ESTREAM" });
});

test("URLs only by an option of the transport, and never where either side forbids it", async (t) => {
  const asked: (string | undefined)[] = [];
  const web = createServer((request, response) => {
    asked.push(request.headers["x-token"] as string | undefined);
    if (request.url === "/ok") response.end("from the web");
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  t.after(() => web.close());
  const origin = `http://127.0.0.1:${(web.address() as { port: number }).port}`;
  const message = (path: string): SendMailOptions => ({
    ...letter,
    attachments: [{ filename: "w.txt", path, httpHeaders: { "X-Token": "1" } }],
  });
  await assert.rejects(createTransport(stream).sendMail(message(`${origin}/ok`)), { code: "EURLACCESS" });
  await assert.rejects(createTransport(stream).sendMail({ ...message(`${origin}/ok`), allowUrlAccess: true }), { code: "EURLACCESS" });
  const open = createTransport({ ...stream, allowUrlAccess: true });
  await assert.rejects(open.sendMail({ ...message(`${origin}/ok`), disableUrlAccess: true }), { code: "EURLACCESS" });
  assert.deepEqual(asked, []);
  const info = await open.sendMail(message(`${origin}/ok`));
  assert.ok(info.message.toString().includes(Buffer.from("from the web").toString("base64")));
  assert.deepEqual(asked, ["1"]);
  await assert.rejects(open.sendMail({ ...letter, html: { href: `${origin}/none` } }), { code: "ESTREAM" });
  const shut = createTransport({ ...stream, allowUrlAccess: true, disableUrlAccess: true, disableFileAccess: true });
  await assert.rejects(shut.sendMail(message(`${origin}/ok`)), { code: "EURLACCESS" });
  await assert.rejects(shut.sendMail({ ...message(join(folder, "a.txt")), disableFileAccess: false }), { code: "EFILEACCESS" });
  const byDefault = createTransport(stream, { disableFileAccess: true });
  await assert.rejects(byDefault.sendMail({ ...message(join(folder, "a.txt")), disableFileAccess: false }), { code: "EFILEACCESS" });
});

test("a stream that fails, even before it is read, fails the message and is closed", async () => {
  await using server = await TestServer.start();
  const transporter = createTransport({ host: server.host, port: server.port, tls: { ca: server.certificate } });
  const missing = createReadStream(join(folder, "none"));
  await assert.rejects(transporter.sendMail({ ...letter, attachments: [{ filename: "x", content: missing }] }), {
    code: "ESTREAM",
    command: "API",
  });
  async function* broken() {
    yield "abc";
    throw new Error("the source is gone");
  }
  await assert.rejects(transporter.sendMail({ ...letter, attachments: [{ filename: "x", content: broken() }] }), {
    code: "ESTREAM",
    message: /gone/,
  });
  assert.equal(server.messages.length, 0);
  const unused = new PassThrough();
  await assert.rejects(transporter.sendMail({ ...letter, to: "no address", attachments: [{ filename: "x", content: unused }] }));
  assert.equal(unused.destroyed, true);
});

test("texts have their limit, and what is signed too", async () => {
  assert.ok(TEXT_LIMIT > 0);
  const long = () => Readable.from([Buffer.alloc(600), Buffer.alloc(600)]);
  await assert.rejects(new Contents(all, false, 1000).text(long()), { code: "ESTREAM", message: /longer than 1000 octets/ });
  await assert.rejects(new Contents(all, true, 1000).source(long()), { code: "ESTREAM" });
  assert.ok(!((await new Contents(all, false, 1000).source(long())) instanceof Uint8Array));
  assert.ok((await new Contents(all, true).source(long())) instanceof Uint8Array);
});

test("a stream whose size nobody knows", async () => {
  await using server = await ScriptedServer.start(
    "<- 220 mx\n-> EHLO *\n<- 250 mx\n-> MAIL *\n<- 250 ok\n-> RCPT *\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n-> QUIT\n<- 221 bye",
  );
  let made = 0;
  const chunk = Buffer.alloc(64 * 1024, 7);
  async function* source() {
    for (; made < 320; made++) yield chunk;
  }
  const info = await createTransport({ host: server.host, port: server.port }).sendMail({
    ...letter,
    attachments: [{ filename: "big.bin", content: source() }],
  });
  assert.equal(made, 320);
  assert.ok(info.messageSize > 320 * chunk.length);
  assert.equal(server.contents[0]?.length, info.messageSize);
  await server.done();
});

test("addresses in arrays within arrays, and groups", () => {
  assert.deepEqual(
    addressInputs(["a@a", [{ name: "B", address: "b@b" }, [""]], { name: "G", group: [{ address: "c@c" }] }, { address: "" }]),
    ["a@a", { name: "B", address: "b@b" }, { address: "c@c" }],
  );
  let deep: unknown = "a@a";
  for (let i = 0; i <= NESTING_LIMIT; i++) deep = [deep];
  assert.throws(() => addressInputs(deep as string), { code: "EENVELOPE" });
  assert.throws(() => addressInputs(5 as never), { code: "EENVELOPE" });
});
