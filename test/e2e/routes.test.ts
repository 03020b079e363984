/** Where mail goes: a smarthost with a login, LMTP, Maildir, by sender, nowhere. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Route } from "../../src/delivery/route.ts";
import type { RecipientResult } from "../../src/protocol/client-session.ts";
import { ALICE, PASSWORD, send, startRecipient, startRelay } from "../../src/relay/testing.ts";
import { ScriptedServer } from "../../src/testing/scripted-server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { run } from "./processes.ts";

const any = { kind: "any" } as const;
const ok = (results: readonly RecipientResult[]): boolean => results.every((result) => "reply" in result && result.reply.code === 250);

test("a smarthost: inside TLS, logged in, and by the sender's own", async (t) => {
  const recipient = await startRecipient(t);
  const smarthost = await startRelay(t, recipient.port);
  const login = { user: ALICE, password: PASSWORD };
  const to = {
    kind: "host",
    host: "127.0.0.1",
    port: smarthost.ports.submission,
    tls: "required",
    verify: false,
    credentials: login,
  } as const;
  const other = await startRecipient(t);
  const routes: readonly Route[] = [
    { domain: any, from: { kind: "null" }, to: { kind: "discard" } },
    { domain: { kind: "exact", domain: "example.test" }, to: { kind: "host", host: "127.0.0.1", port: other.port } },
    { domain: any, from: { kind: "mailbox", key: ALICE }, to },
  ];
  const relay = await startRelay(t, other.port, { routes });
  assert.ok(ok(await send(relay, "submission", { to: ["bob@far.test"] })));
  const { text } = await recipient.message(0);
  assert.match(text, /with ESMTPSA/);
  const { outcome } = await relay.event("attempted");
  assert.ok(outcome.action === "delivered" && /^TLSv1/.test(outcome.at.tls ?? ""));
  assert.ok(ok(await send(relay, "submission", { to: ["info@example.test"] })));
  await other.message(0);
  assert.ok(ok(await send(relay, "submission", { from: null, to: ["carol@far.test"] })));
  const gone = await relay.event("attempted", ({ recipient: { localPart } }) => localPart === "carol");
  assert.ok("reply" in gone.outcome && /Discarded/.test(gone.outcome.reply.text));
});

test("a login that is refused delays, and says so; without TLS no password is sent", async (t) => {
  const recipient = await startRecipient(t);
  const smarthost = await startRelay(t, recipient.port);
  const hop = { kind: "host", host: "127.0.0.1", verify: false } as const;
  for (const [to, words] of [
    [{ ...hop, port: smarthost.ports.submission, tls: "required", credentials: { user: ALICE, password: "wrong" } }, /"code":535/],
    [{ ...hop, port: recipient.port, tls: "required", credentials: { user: ALICE, password: PASSWORD } }, /STARTTLS/i],
  ] as const) {
    const relay = await startRelay(t, recipient.port, { routes: [{ domain: any, to }] });
    await send(relay, "submission", { to: ["bob@far.test"] });
    const { outcome } = await relay.event("attempted");
    assert.equal(outcome.action, "delayed");
    assert.match(JSON.stringify(outcome), words);
    assert.doesNotMatch(JSON.stringify(relay.events), /correct horse|"wrong"/);
  }
  assert.equal(recipient.arrived.length, 0);
});

test("LMTP over a unix socket: each recipient has its own transaction, and its own end", async (t) => {
  const path = join(tempFolder(t), "lmtp");
  const server = await ScriptedServer.start(
    `
    <- 220 box LMTP
    -> LHLO *
    <- 250-box
    <- 250 PIPELINING
    -> MAIL FROM:<alice@example.test>
    <- 250 2.1.0 OK
    -> RCPT TO:<bob@example.test>
    <- 250 2.1.5 OK
    -> DATA
    <- 354 Go on
    content
    <- 250 2.0.0 Kept
    -> MAIL FROM:<alice@example.test>
    <- 250 2.1.0 OK
    -> RCPT TO:<full@example.test>
    <- 250 2.1.5 OK
    -> DATA
    <- 354 Go on
    content
    <- 552 5.2.2 Mailbox full
    silence
    `,
    { path },
  );
  t.after(() => server.close());
  const routes: readonly Route[] = [
    { domain: any, from: { kind: "null" }, to: { kind: "discard" } },
    { domain: any, to: { kind: "host", host: path, port: 0, protocol: "lmtp", tls: "none" } },
  ];
  const relay = await startRelay(t, 1, { routes, delivery: { maxConnections: 1 } });
  await send(relay, "submission", { to: ["bob@example.test", "full@example.test"] });
  const bob = await relay.event("attempted", ({ recipient: { localPart } }) => localPart === "bob");
  assert.ok(bob.outcome.action === "delivered" && bob.outcome.final === true);
  const full = await relay.event("attempted", ({ recipient: { localPart } }) => localPart === "full");
  assert.ok(full.outcome.action === "failed" && full.outcome.status === "5.2.2");
  await relay.event("bounced");
});

test("Maildir: whole and in new/, with whom it was for; once for an address; an address is never a path", async (t) => {
  const folder = tempFolder(t);
  const routes: readonly Route[] = [{ domain: any, to: { kind: "maildir", folder: join(folder, "{domain}/{local}") } }];
  const relay = await startRelay(t, 1, { routes });
  const content = `Return-Path: <forged@x.test>\r\nSubject: hello\r\n\r\n${"a line of text\r\n".repeat(50_000)}.dot\r\n`;
  await send(relay, "submission", { to: ["Bob@Example.test"], content });
  const { outcome } = await relay.event("attempted");
  assert.equal(outcome.action, "delivered");
  const inbox = join(folder, "example.test/bob/new");
  const [name = ""] = readdirSync(inbox);
  const text = readFileSync(join(inbox, name), "latin1");
  assert.ok(text.startsWith("Return-Path: <alice@example.test>\nDelivered-To: Bob@Example.test\nReceived: "));
  assert.doesNotMatch(text, /forged|\r/);
  assert.ok(text.endsWith(`${"a line of text\n".repeat(50_000)}.dot\n`));
  assert.deepEqual(readdirSync(join(folder, "example.test/bob/tmp")), []);

  await send(relay, "submission", { to: ["bob@example.test"], content: "Delivered-To: bob@example.test\r\nSubject: again\r\n\r\nx\r\n" });
  const loop = await relay.event("attempted", (event) => event.outcome.action === "failed");
  assert.ok(loop.outcome.action === "failed" && loop.outcome.status === "5.4.6");
  await send(relay, "submission", { to: ['"../../etc"@example.test'] });
  const path = await relay.event("attempted", (event) => event.outcome.action === "failed" && event.outcome.status === "5.1.3");
  assert.ok(path);
  assert.deepEqual(readdirSync(join(folder, "example.test")).toSorted(), ["alice", "bob"]); // alice has the reports
});

test("a folder that cannot be written delays", async (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, "file"), "");
  mkdirSync(join(folder, "x"));
  const relay = await startRelay(t, 1, { routes: [{ domain: any, to: { kind: "maildir", folder: join(folder, "file/{local}") } }] });
  await send(relay, "submission", { to: ["bob@example.test"] });
  const { outcome } = await relay.event("attempted");
  assert.equal(outcome.action, "delayed");
});

test("hold: it stays, with its reason, and is no attempt", async (t) => {
  const relay = await startRelay(t, 1, { routes: [{ domain: any, to: { kind: "hold" } }] });
  await send(relay, "submission", { to: ["bob@far.test"] });
  await relay.event("attempted");
  await relay.stop();
  const listed = JSON.parse((await run(["queue", "list", "--json", "--data", relay.folder])).out) as {
    list: { recipients: { attempts: number; last: string }[] }[];
  };
  assert.deepEqual(
    listed.list[0]?.recipients.map(({ attempts, last }) => [attempts, last]),
    [[0, "held by its route"]],
  );
});

test("routes in the configuration: what does not go together is told", async (t) => {
  const folder = tempFolder(t);
  const config = join(folder, "postrider.toml");
  const head = 'hostname = "mail.example.test"\n[listen]\nsubmission = ["127.0.0.1:2587"]\n';
  const route = (lines: string): string => `[[route]]\ndomain = "*"\n${lines}\n`;
  writeFileSync(join(folder, "secret"), "sesame\n");
  writeFileSync(
    config,
    head +
      route('from = "a@b.test"\nto = "smtp://smart.test:587"\nuser = "me"\npassword_file = "secret"') +
      route(
        'to = "smtps://smart.test"\nuser = "me"\ntoken_url = "https://login.test/token"\nclient_id = "x"\nrefresh_token_file = "secret"',
      ) +
      route('from = "<>"\nto = "lmtp:///run/lmtp"') +
      route('from = "*.b.test"\nto = "maildir:/var/mail/{domain}/{local}"') +
      route('to = "hold"'),
  );
  assert.equal((await run(["config", "check", "--config", config])).code, 0);
  writeFileSync(
    config,
    head +
      route('to = "maildir:relative"') +
      route('to = "hold"\nuser = "me"\npassword_file = "secret"') +
      route('to = "smtp://a.test"\nuser = "me"') +
      route('to = "smtps://a.test"\ntls = "required"') +
      route('to = "smtp://a.test"\ntls = "none"\nuser = "me"\npassword_file = "secret"') +
      route('from = "a b"\nto = "mx"'),
  );
  const { code, err, out } = await run(["config", "check", "--config", config]);
  assert.equal(code, 78);
  for (const words of [
    /route\[0\]\.to: expected/,
    /route\[1\]\.to: tls and user/,
    /route\[2\]\.user: expected either/,
    /route\[3\]\.tls: the target says/,
    /route\[4\]\.tls: a password/,
    /route\[5\]\.from: expected/,
  ])
    assert.match(err + out, words);
  writeFileSync(config, head + route('to = "smtp://smart.test:587"\nuser = "me"\npassword_file = "missing"'));
  const missing = await run(["config", "check", "--config", config]);
  assert.match(missing.err + missing.out, /route\[0\]\.password_file: .*missing/);
});
