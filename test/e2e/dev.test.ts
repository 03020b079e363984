/** The try-out, as `npm start` runs it. */
import assert from "node:assert/strict";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { tempFolder } from "../support/temp-folder.ts";
import { missing, Running, run, tryOutOf } from "./processes.ts";

const anyPorts = ["--submission", "0", "--submissions", "0", "--recipient", "0"];

async function started(t: TestContext): Promise<{ server: Running; data: string }> {
  const data = join(tempFolder(t), "data");
  const server = new Running(t, ["dev", "--data", data, ...anyPorts]);
  await server.said(/Ctrl-C stops/);
  return { server, data };
}

test("dev sends a welcome the whole way, takes the next, refuses a second one, and stops", async (t) => {
  const { server, data } = await started(t);
  assert.match(server.text, /arrived {2}Welcome to Postrider[\s\S]*route {4}submitted \d+ -> queued, synced .*arrived \d+/);
  assert.equal(statSync(data).mode & 0o777, 0o700);
  assert.equal(statSync(join(data, "password")).mode & 0o777, 0o600);

  const args = [
    "send",
    "--data",
    data,
    "--to",
    "bob@recipient.test, c@x.test",
    "--bcc",
    "hidden@x.test",
    "--subject",
    "Grüße",
    "--transcript",
  ];
  const sent = await run(args, "from standard input\n");
  assert.equal(sent.code, 0, sent.err);
  assert.equal(sent.out.match(/accepted {2}250 2\.0\.0/g)?.length, 3);
  assert.match(sent.err, /-> AUTH SCRAM-SHA-256-PLUS \*\*\*/);
  assert.ok(!sent.err.includes(Buffer.from(tryOutOf(data).password).toString("base64").slice(2, 20)));
  await server.said(/arrived {2}Grüße[\s\S]*hidden@x\.test[\s\S]*from standard input/);

  const second = await run(["dev", "--data", data, ...anyPorts]);
  assert.equal(second.code, 75);
  assert.match(second.err, /is in use by process \d+/);

  const { password } = tryOutOf(data);
  assert.equal(await server.end("SIGTERM"), 0);
  const again = new Running(t, ["dev", "--data", data, ...anyPorts]);
  await again.said(/Ctrl-C stops/);
  assert.ok(again.text.includes(password), "the next start prints the same password");
  assert.equal(await again.end("SIGINT"), 0);
});

test("send: refusals and failures have their exit codes", async (t) => {
  const { data } = await started(t);
  const { submission, certificate } = tryOutOf(data);
  const notOwned = await run(["send", "--data", data, "--from", "eve@x.test", "--to", "a@b.test", "--body", "x", "--json"]);
  assert.equal(notOwned.code, 77);
  assert.equal((JSON.parse(notOwned.out) as { recipients: { code: number }[] }).recipients[0]?.code, 553);
  const login = ["send", "--data", data, "--user", "nobody", "--password-stdin", "--from", "a@b.test", "--to", "a@b.test", "--body", "x"];
  assert.equal((await run(login, "wrong\n")).code, 77);
  assert.equal((await run(["send", "--data", data])).code, 64); // no recipient
  assert.equal(
    (await run(["send", "--server", "127.0.0.1:1", "--tls", "none", "--from", "a@b.test", "--to", "a@b.test", "--body", "x"])).code,
    69,
  );
  const untrusted = [
    "send",
    "--server",
    `127.0.0.2:${submission}`,
    "--ca",
    certificate,
    "--from",
    "a@b.test",
    "--to",
    "a@b.test",
    "--body",
    "x",
  ];
  assert.equal((await run(untrusted)).code, 69);
  assert.equal((await run(["send", "--bogus"])).code, 64);
  assert.equal((await run(["send", "--data", data, "--to", "a@b.test", "--body", "x", "--attach", "/nonexistent"])).code, 66);
});

test("send --raw takes a message as it is, but for Bcc", async (t) => {
  const { server, data } = await started(t);
  const eml = join(data, "message.eml");
  writeFileSync(eml, "From: alice@example.test\nTo: bob@recipient.test\nBcc: secret@x.test\nSubject: raw\n\nplain line\n");
  const sent = await run(["send", "--data", data, "--raw", eml]);
  assert.equal(sent.code, 0, sent.err);
  assert.match(sent.out, /secret@x\.test\s+accepted/);
  await server.said(/arrived {2}raw[\s\S]*plain line/);
});

test("smtplib's own few lines reach the recipient", { skip: missing("python3") }, async (t) => {
  const { server, data } = await started(t);
  const script = /<<'EOF'\n([\s\S]*?)\nEOF/.exec(server.text)?.[1] as string;
  const python = await run(["-"], script, "python3");
  assert.equal(python.code, 0, python.err);
  await server.said(/arrived {2}Hello from Python[\s\S]*Sent by smtplib/);
  assert.ok(tryOutOf(data).certificate.startsWith(data));
});

test("curl submits over implicit TLS", { skip: missing("curl") }, async (t) => {
  const { server, data } = await started(t);
  const { submissions, account, password, certificate } = tryOutOf(data);
  const args = ["-sS", "--url", `smtps://localhost:${submissions}`, "--cacert", certificate, "--user", `${account}:${password}`];
  const curl = await run(
    [...args, "--mail-from", account, "--mail-rcpt", "x@recipient.test", "-T", "-"],
    "Subject: by curl\n\ncurled\n",
    "curl",
  );
  assert.equal(curl.code, 0, curl.err);
  await server.said(/arrived {2}by curl/);
});

test("swaks as the try-out prints it", { skip: missing("swaks") }, async (t) => {
  const { server } = await started(t);
  const command = /swaks [\s\S]*?recipient\.test$/m.exec(server.text)?.[0] as string;
  const swaks = await run(["-c", command], "", "sh");
  assert.equal(swaks.code, 0, swaks.out);
  await server.said(/arrived {2}test /);
});
