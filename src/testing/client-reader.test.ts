import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { ClientReader, CONTENT_LIMIT, LINE_LIMIT, UNREAD_LIMIT } from "./client-reader.ts";

/** A socket that writes, and a reader of what it writes. */
async function pair(t: TestContext): Promise<{ client: Socket; socket: Socket; reader: ClientReader }> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const client = connect((server.address() as { port: number }).port, "127.0.0.1");
  const socket = await accepted;
  t.after(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return { client, socket, reader: new ClientReader(socket) };
}

test("lines, octets and content that come in pieces", async (t) => {
  const { client, reader } = await pair(t);
  client.setNoDelay(true);
  const text = "one\r\ntwo\r\nabc\r\n..d\r\n.\r\nlast";
  const write = async () => {
    for (const octet of text) await new Promise((resolve) => client.write(octet, resolve));
    client.end();
  };
  const written = write();
  assert.equal(await reader.line(), "one");
  assert.equal(await reader.line(), "two");
  assert.equal(String(await reader.octets(5)), String(Buffer.from("abc\r\n")));
  assert.equal(Buffer.from((await reader.content()) ?? []).toString(), ".d\r\n");
  assert.equal(await reader.line(), undefined);
  assert.equal(reader.rest(), "last");
  assert.equal(reader.ended, true);
  assert.equal(await reader.octets(1), undefined);
  assert.equal(await reader.content(), undefined);
  await written;
});

test("a line has its limit", async (t) => {
  const { client, reader } = await pair(t);
  client.write(`${"a".repeat(LINE_LIMIT)}\r\n${"b".repeat(LINE_LIMIT + 1)}\r\n`);
  assert.equal((await reader.line())?.length, LINE_LIMIT);
  assert.equal(await reader.line(), "b".repeat(LINE_LIMIT));
});

test("content has its limit", async (t) => {
  const { client, reader } = await pair(t);
  assert.ok(CONTENT_LIMIT >= 1024);
  client.write("x".repeat(2000));
  await assert.rejects(reader.content(1024), RangeError);
});

test("what nobody asks for is not read without end", async (t) => {
  const { client, socket, reader } = await pair(t);
  const paused = new Promise<void>((resolve) => socket.once("pause", resolve));
  const size = 4 * UNREAD_LIMIT;
  client.write(Buffer.alloc(size, "x"));
  await paused;
  assert.ok(reader.unread > UNREAD_LIMIT && reader.unread < size);
  assert.equal((await reader.octets(size))?.length, size);
});
