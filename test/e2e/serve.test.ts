/** The real server as a process: configuration, signals, faults, and the operator's commands with and without it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Arrival, Inbox } from "../../src/inbox/inbox.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { freePort, Running, run } from "./processes.ts";

interface Setting {
  readonly folder: string;
  readonly config: string;
  readonly submission: number;
  readonly next: number;
}

async function settings(t: TestContext): Promise<Setting> {
  const folder = tempFolder(t);
  const config = join(folder, "postrider.toml");
  const [submission, next] = [await freePort(), await freePort()];
  writeFileSync(
    config,
    `hostname = "mail.example.test"
[listen]
submission = ["127.0.0.1:${submission}"]
[queue]
minimum_free = 0
[[route]]
domain = "*"
to = "smtp://127.0.0.1:${next}"
`,
  );
  return { folder, config, submission, next };
}

async function served(t: TestContext, config: string): Promise<Running> {
  const server = new Running(t, ["serve", "--config", config]);
  await server.said(/"message":"ready"/);
  return server;
}

const addAnn = (config: string) => run(["user", "add", "ann@example.test", "--password-stdin", "--config", config], "long enough\n");

function send({ submission, folder }: Setting, subject: string): ReturnType<typeof run> {
  const args = ["send", "--server", `localhost:${submission}`, "--ca", join(folder, "data/certificate.pem"), "--user", "ann@example.test"];
  return run([...args, "--password-stdin", "--to", "bob@far.test", "--subject", subject, "--body", "text"], "long enough\n");
}

/** Takes connections and says nothing: what is sent to it stays under way. */
async function silentServer(port: number): Promise<{ server: Server; called: Promise<unknown>; close(): Promise<void> }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  }).listen(port, "127.0.0.1");
  await once(server, "listening");
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
  return { server, called: once(server, "connection"), close };
}

test("config check names every problem at once, exit 78; so does serve", async (t) => {
  const config = join(tempFolder(t), "bad.toml");
  writeFileSync(config, 'hostname = "mail.example.test"\nnonsense = 1\n[domains]\nlocal = ["a b"]\n[delivery]\nport = 0\n');
  for (const command of [["config", "check"], ["serve"]]) {
    const { code, err } = await run([...command, "--config", config]);
    assert.equal(code, 78);
    assert.match(err, /3 problems[\s\S]*:2: nonsense: unknown key[\s\S]*:4: domains\.local\[0\][\s\S]*:6: delivery\.port/);
  }
  const none = await run(["serve", "--config", join(tempFolder(t), "none.toml")]);
  assert.equal(none.code, 78);
  assert.match(none.err, /there is no configuration file/);
});

test("accounts without a server and with one; a second server is refused; SIGTERM ends with 0", async (t) => {
  const { config, submission } = await settings(t);
  const added = await addAnn(config);
  assert.equal(added.code, 0, added.err);
  const server = await served(t, config);
  assert.match(server.text, /self-signed/);
  assert.equal((await addAnn(config)).code, 65);
  assert.match((await run(["user", "list", "--config", config])).out, /ann@example\.test {2}ann@example\.test/);
  assert.equal((await run(["user", "remove", "nobody", "--config", config])).code, 67);
  const second = await run(["serve", "--config", config]);
  assert.equal(second.code, 75);
  assert.match(second.err, /in use by process \d+/);
  const folder = tempFolder(t);
  const other = join(folder, "postrider.toml");
  writeFileSync(other, `hostname = "mail.example.test"\n[listen]\nsubmission = ["127.0.0.1:${submission}"]\n[queue]\nminimum_free = 0\n`);
  const taken = await run(["serve", "--config", other]);
  assert.equal(taken.code, 69);
  assert.match(taken.err, /cannot listen on 127\.0\.0\.1:\d+ \(submission\): another program listens there/);
  assert.equal(await server.end("SIGTERM"), 0);
});

test("kill -9 after the 250: delivered after the next start, once", async (t) => {
  const set = await settings(t);
  await addAnn(set.config);
  const silent = await silentServer(set.next);
  const first = await served(t, set.config);
  const sent = await send(set, "survives");
  assert.equal(sent.code, 0, sent.err);
  await silent.called;
  assert.match((await run(["queue", "list", "--config", set.config])).out, /bob@far\.test\s+active\s+now/);
  await first.end("SIGKILL");
  await silent.close();

  const offline = JSON.parse((await run(["queue", "list", "--json", "--config", set.config])).out) as { list: { id: string }[] };
  assert.equal(offline.list.length, 1);
  const id = offline.list[0]?.id as string;
  assert.match(
    (await run(["queue", "show", id, "--header", "--config", set.config])).out,
    /^Received: [\s\S]*Subject: survives\r\n[\s\S]*$/,
  );

  const arrivals: Arrival[] = [];
  const arrived = Promise.withResolvers<void>();
  const onArrival = (arrival: Arrival): void => {
    arrivals.push(arrival);
    arrived.resolve();
  };
  const inbox = new Inbox({ host: "127.0.0.1", port: set.next, hostname: "mx.far.test", onArrival });
  await inbox.start();
  t.after(() => inbox.stop(0));
  const again = await served(t, set.config);
  await arrived.promise;
  await again.said(/"message":"attempted"/);
  assert.equal(arrivals.length, 1);
  assert.match((await run(["queue", "list", "--config", set.config])).out, /the queue is empty/);
  assert.equal(await again.end("SIGTERM"), 0);
});

test("queue: deferred messages are listed with their reason, shown, retried and removed", async (t) => {
  const set = await settings(t);
  await addAnn(set.config);
  const server = await served(t, set.config);
  assert.equal((await send(set, "waits")).code, 0);
  await server.said(/"action":"delayed"/);
  const listed = await run(["queue", "list", "--config", set.config]);
  assert.match(listed.out, /bob@far\.test\s+deferred\s+in .*refused/);
  const id = /^[0-9A-Z]{16}/m.exec(listed.out)?.[0] as string;
  assert.match((await run(["queue", "show", id, "--config", set.config])).out, /1 attempt, next [\s\S]*last: .*refused/);
  assert.match((await run(["queue", "show", id, "--content", "--config", set.config])).out, /\r\n\r\ntext\r\n$/);
  assert.equal((await run(["queue", "retry", "--config", set.config])).code, 64);
  assert.match((await run(["queue", "retry", "--all", "--config", set.config])).out, /due now: 1 message with 1 recipient/);
  await server.said(/"action":"delayed"[\s\S]*"action":"delayed"/);
  assert.equal(await server.end("SIGTERM"), 0);
  const removed = await run(["queue", "remove", id, "0000000000000000", "--config", set.config]);
  assert.equal(removed.code, 66);
  assert.match(removed.out, /^removed 1 message with 1 recipient/);
  assert.match(removed.err, /no message 0000000000000000/);
});
