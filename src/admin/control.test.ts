/** The control socket, both ends. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { tempFolder } from "../../test/support/temp-folder.ts";
import { openStores } from "../relay/stores.ts";
import { connectControl } from "./control-client.ts";
import { startControlServer } from "./control-server.ts";
import { REQUEST_LIMIT } from "./lines.ts";
import type { Administration } from "./methods.ts";
import { administration } from "./operations.ts";

async function running(t: TestContext): Promise<{ folder: string; client: Administration; path: string }> {
  const folder = tempFolder(t);
  writeFileSync(join(folder, "control.sock"), ""); // what a killed process left behind is no obstacle
  const stores = await openStores({ folder, minimumFree: 0 });
  const server = await startControlServer(folder, administration(stores));
  const client = await connectControl(folder);
  assert.ok(client);
  t.after(async () => {
    await client.close();
    await server.close();
    await stores.close();
  });
  return { folder, client, path: server.path };
}

/** What the server answers to these bytes, up to the end of the connection or `lines` lines. */
function raw(path: string, bytes: string, lines: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(bytes));
    let text = "";
    const end = (): void => {
      socket.destroy();
      resolve(text.split("\n").filter((line) => line !== ""));
    };
    socket.on("data", (chunk) => {
      text += chunk.toString();
      if (text.split("\n").length > lines) end();
    });
    socket.on("end", end);
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "EPIPE" || error.code === "ECONNRESET" ? end() : reject(error)));
  });
}

test("who closes its side behind the question hears the answers, and then the end", async (t) => {
  const { path } = await running(t);
  const text = await new Promise<string>((resolve, reject) => {
    let heard = "";
    const socket = connect({ path, allowHalfOpen: true }, () => {
      const ask = (id: number): string => `${JSON.stringify({ v: 1, id, method: "queue.count", params: { filter: "to:a.test" } })}\n`;
      socket.end(ask(1) + ask(2));
    });
    socket.on("data", (chunk) => {
      heard += chunk.toString();
    });
    socket.on("end", () => resolve(heard));
    socket.on("error", reject);
  });
  const nothing = { messages: 0, recipients: 0, octets: 0, unknown: [] };
  assert.deepEqual(
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
    [
      { id: 1, result: nothing },
      { id: 2, result: nothing },
    ],
  );
});

test("accounts are added, listed, changed and removed through the socket", async (t) => {
  const { client } = await running(t);
  assert.deepEqual(await client.call("user.add", { name: "Ann@here.test", password: "correct horse" }), {
    name: "ann@here.test",
    addresses: ["ann@here.test"],
  });
  assert.deepEqual(await client.call("user.passwd", { name: "ann@here.test", password: "battery staple" }), { done: true });
  assert.equal((await client.call("user.list", {})).length, 1);
  await assert.rejects(client.call("user.add", { name: "ann@here.test", password: "again" }), { name: "AdminError", code: "exists" });
  await client.call("user.remove", { name: "ann@here.test" });
  await assert.rejects(client.call("user.remove", { name: "ann@here.test" }), { code: "unknown" });
});

test("ids that are not there are named, not failed", async (t) => {
  const { client } = await running(t);
  const id = "0000000000000000";
  assert.deepEqual(await client.call("queue.show", { id }), {});
  assert.deepEqual(await client.call("queue.remove", { ids: [id] }), { messages: 0, recipients: 0, octets: 0, unknown: [id] });
  assert.deepEqual(await client.call("queue.retry", { ids: [id] }), { messages: 0, recipients: 0, octets: 0, unknown: [id] });
  await assert.rejects(client.call("queue.content", { id }), { code: "no-message" });
});

test("the socket is its owner's alone and goes with the server", async (t) => {
  const { path, folder } = await running(t);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(folder).isDirectory(), true);
});

test("bad requests are answered in words, each in its turn", async (t) => {
  const { path } = await running(t);
  const requests = [
    "nonsense",
    "[]",
    '{"v":9,"id":1}',
    '{"v":1,"id":2,"method":"toString"}',
    '{"v":1,"id":3,"method":"queue.list","params":{"limit":0}}',
  ];
  const answers = (await raw(path, `${requests.join("\n")}\n`, 5)).map((line) => JSON.parse(line) as { error: { code: string } });
  assert.deepEqual(
    answers.map(({ error }) => error.code),
    ["bad-request", "bad-request", "version", "unknown-method", "bad-request"],
  );
});

test("a request without end is cut off at its limit", async (t) => {
  const { path, client } = await running(t);
  await raw(path, "x".repeat(REQUEST_LIMIT + 10), 1);
  assert.ok((await client.call("status", {})).pid === process.pid);
});

test("many clients at once", async (t) => {
  const { folder } = await running(t);
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectControl(folder)));
  const pids = await Promise.all(clients.map((client) => client?.call("status", {})));
  assert.ok(pids.every((status) => status?.pid === process.pid));
  await Promise.all(clients.map((client) => client?.close()));
});

test("no server is an answer, and a path too long for a socket is said", async (t) => {
  const folder = tempFolder(t);
  assert.equal(await connectControl(folder), undefined);
  const deep = join(folder, "x".repeat(100));
  mkdirSync(deep);
  chmodSync(deep, 0o700);
  assert.equal(await connectControl(deep), undefined);
  const nobody: Administration = { call: () => Promise.reject(new Error("never")), close: async () => {} };
  await assert.rejects(startControlServer(deep, nobody), /path of \d+ octets/);
  assert.equal(existsSync(join(deep, "control.sock")), false);
});
