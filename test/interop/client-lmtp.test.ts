/** Our client delivers by LMTP (RFC 2033): to Dovecot behind a unix socket, to aiosmtpd behind one and over TCP with STARTTLS. */
import assert from "node:assert/strict";
import { before, it } from "node:test";
import {
  createTransport,
  DataError,
  RecipientsRefusedError,
  SmtpClient,
  SmtpConnection,
  type TranscriptLine,
} from "../../src/client/index.ts";
import { memoryContent } from "../../src/mail/content.ts";
import { type Mailbox, parseMailbox } from "../../src/mail/mailbox.ts";
import { dial } from "../../src/net/dial.ts";
import { suiteCleanup } from "../support/cleanup.ts";
import { describeUnless, skipFor } from "../support/programs.ts";
import { type Aiosmtpd, missingAiosmtpd, startAiosmtpd } from "./aiosmtpd.ts";
import { assertArrived, letter } from "./client-letters.ts";
import { type Dovecot, missingDovecot, startDovecot } from "./dovecot.ts";
import { account } from "./submission.ts";

const from = "alice@elsewhere.test";
const at = (user: string): string => `${user}@dovecot.test`;
/** Over the quota of `full`. */
const large = `${"q".repeat(70)}\r\n`.repeat(50);

describeUnless(skipFor(missingDovecot()), "our client to Dovecot's LMTP", () => {
  const suite = suiteCleanup();
  let server: Dovecot;
  before(async () => {
    server = await startDovecot(suite);
  });

  it("step by step: a reply for each recipient after the content", async () => {
    const lines: TranscriptLine[] = [];
    const client = await SmtpClient.connect({ host: server.lmtp, protocol: "lmtp", transcript: (line) => void lines.push(line) });
    assert.equal((await client.ehlo("client.test")).code, 250);
    assert.ok(lines.some(({ text }) => text === "LHLO client.test"));
    const sent = letter({ from, to: at("bob"), name: "lmtp steps", body: large });
    assert.equal((await client.mail(from)).code, 250);
    for (const [user, code] of [
      ["bob", 250],
      ["nobody", 550],
      ["full", 250],
      ["carol", 250],
    ] as const) {
      assert.equal((await client.rcpt(at(user))).code, code, user);
    }
    const replies = await client.data(sent);
    assert.deepEqual(
      replies.map(({ code }) => code),
      [250, 552, 250],
    );
    assert.equal((await client.quit()).code, 221);
    for (const user of ["bob", "carol"]) await assertArrived(server.mail, user, "lmtp steps", sent);
    assert.equal(server.mail.count("full"), 0);
  });

  it("sendMail: some refused, at RCPT or after the content; and all of them", async () => {
    const client = await SmtpClient.connect({ host: server.lmtp, protocol: "lmtp" });
    const sent = letter({ from, to: at("bob"), name: "lmtp refused", body: large });
    const refused = await client.sendMail(from, [at("nobody"), at("bob"), at("full")], sent);
    assert.deepEqual(
      [...refused].map(([who, { code }]) => [who, code]),
      [
        [at("nobody"), 550],
        [at("full"), 552],
      ],
    );
    await assert.rejects(client.sendMail(from, [at("nobody")], sent), RecipientsRefusedError);
    await assert.rejects(client.sendMail(from, [at("full")], sent), (error) => error instanceof DataError && error.status === "5.2.2");
    await client.quit();
    await assertArrived(server.mail, "bob", "lmtp refused", sent);
  });

  it("20 messages through 3 connections, by URL", async () => {
    const lines: TranscriptLine[] = [];
    const pool = createTransport(`lmtp://${server.lmtp}?tls=none&connections=3`, { transcript: (line) => void lines.push(line) });
    const sent = Array.from({ length: 20 }, (_, i) => letter({ from, to: at("bob"), name: `lmtp pool ${i}` }));
    const results = await Promise.all(sent.map((raw) => pool.send({ raw })));
    await pool.close();
    assert.ok(results.every(({ recipients }) => recipients[0]?.status === "accepted"));
    for (const [i, raw] of sent.entries()) await assertArrived(server.mail, "bob", `lmtp pool ${i}`, raw);
    assert.equal(lines.filter(({ direction, text }) => direction === "->" && text.startsWith("LHLO ")).length, 3);
  });

  it("by BDAT, in several chunks, with a reply for each recipient", async () => {
    const content = letter({ from, to: at("bob"), name: "lmtp bdat", body: `.\r\n${`${"y".repeat(900)}\r\n`.repeat(1000)}` });
    const chunks = Array.from({ length: 10 }, (_, i) => content.subarray((i * content.length) / 10, ((i + 1) * content.length) / 10));
    const connection = await SmtpConnection.open({ host: server.lmtp, port: 0, name: "client.test", protocol: "lmtp", tls: "none", dial });
    const recipients = ["bob", "full", "carol"].map((user) => ({ mailbox: parseMailbox(at(user)) as Mailbox }));
    const envelope = { reversePath: parseMailbox(from) as Mailbox, recipients, body: "7BIT", smtpUtf8: false } as const;
    const results = await connection.send(envelope, memoryContent(chunks), { via: "BDAT" });
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ["accepted", "refused", "accepted"],
      JSON.stringify(results),
    );
    await connection.quit();
    for (const user of ["bob", "carol"]) await assertArrived(server.mail, user, "lmtp bdat", content);
  });

  it("8-bit content and 5 MB", async () => {
    const client = await SmtpClient.connect({ host: server.lmtp, protocol: "lmtp" });
    const eight = letter({ from, to: at("bob"), name: "lmtp eight", body: "Grüße\r\n", charset: "utf-8" });
    const huge = letter({ from, to: at("bob"), name: "lmtp huge", body: `${"z".repeat(70)}\r\n`.repeat(75_000) });
    await client.sendMail(from, at("bob"), eight);
    await client.sendMail(from, at("bob"), huge);
    await client.quit();
    await assertArrived(server.mail, "bob", "lmtp eight", eight);
    await assertArrived(server.mail, "bob", "lmtp huge", huge);
  });
});

describeUnless(skipFor(missingAiosmtpd()), "our client to aiosmtpd's LMTP", () => {
  const suite = suiteCleanup();
  let server: Aiosmtpd;
  before(async () => {
    server = await startAiosmtpd(suite);
  });

  it("unix socket: each recipient has its own end", async () => {
    const transport = createTransport(`lmtp://${server.lmtp}?tls=none`, { retry: false });
    const users = ["bob", "nobody", "full", "jürgen", "later"];
    const result = await transport.send({ from, to: users.map((user) => `${user}@aiosmtpd.test`), subject: "lmtp each", text: "Grüße\n" });
    await transport.close();
    assert.deepEqual(
      result.recipients.map(({ status, code, lasting }) => [status, code, lasting]),
      [
        ["accepted", 250, undefined],
        ["refused", 550, "permanent"],
        ["refused", 552, "permanent"],
        ["accepted", 250, undefined],
        ["refused", 451, "temporary"],
      ],
    );
    const message = await server.messages.first("lmtp each", ({ content }) => content.includes("Subject: lmtp each"));
    assert.equal(message.listener, "lmtp");
    assert.ok(message.mailOptions.includes("SMTPUTF8"));
  });

  it("TCP: LHLO, STARTTLS, LHLO, login, then as ever", async () => {
    const lines: TranscriptLine[] = [];
    const url = `lmtp://${account.user}:${encodeURIComponent(account.password)}@${server.host}:${server.ports.lmtpTls}`;
    const transport = createTransport(url, { tls: { authorities: server.authority }, transcript: (line) => void lines.push(line) });
    const raw = letter({ from, to: "bob@aiosmtpd.test", name: "lmtp tls", body: "hello\r\n" });
    await transport.send({ raw });
    await transport.close();
    const verbs = lines.filter(({ direction }) => direction === "->").map(({ text }) => text.split(/[ :]/)[0]);
    assert.deepEqual(verbs.slice(0, 4), ["LHLO", "STARTTLS", "LHLO", "AUTH"]);
    const message = await server.messages.first("lmtp tls", ({ content }) => content.includes("Subject: lmtp tls"));
    assert.equal(message.login, account.user);
    assert.ok(message.content.equals(raw));
  });
});
