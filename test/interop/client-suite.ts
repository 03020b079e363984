/**
 * What our client does with any submission server of others: each mechanism that is offered, step by step and through a transport, and
 * messages of each kind, compared with what arrived.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, it } from "node:test";
import {
  AuthenticationError,
  type CreateTransportOptions,
  type Credentials,
  createTransport,
  NotSupportedError,
  RecipientsRefusedError,
  SmtpClient,
  SmtpConnection,
  type TlsSettings,
  type TranscriptLine,
  type Transport,
} from "../../src/client/index.ts";
import { memoryContent } from "../../src/mail/content.ts";
import { type Mailbox, parseMailbox } from "../../src/mail/mailbox.ts";
import { dial } from "../../src/net/dial.ts";
import { suiteCleanup } from "../support/cleanup.ts";
import { fieldValues } from "../support/recipient.ts";
import type { Cleanup } from "../support/temp-folder.ts";
import { assertArrived, letter, recorder } from "./client-letters.ts";
import { account, type SubmissionServer } from "./submission.ts";

export interface Expected {
  /** All that it offers and our client knows, the strongest first. */
  readonly mechanisms: readonly string[];
  /** Beside 8BITMIME and DSN, which each of them has. */
  readonly extensions: readonly ("SMTPUTF8" | "CHUNKING" | "PIPELINING")[];
  /** Its reports name ENVID and ORCPT, as RFC 3464 has it. */
  readonly reportsBearParameters: boolean;
}

type Kind = "starttls" | "implicit";
const kinds: readonly Kind[] = ["starttls", "implicit"];
/** Those that our client knows but for the -PLUS forms, which none of these servers has. */
const known = ["SCRAM-SHA-256", "SCRAM-SHA-1", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN", "CRAM-MD5"];
const MESSAGES = 20;
const CONNECTIONS = 3;
const ATTACHMENT = 5 * 1024 * 1024;

/** `start` is called once, before the first test. */
export function submissionSuite(expected: Expected, start: (t: Cleanup) => Promise<SubmissionServer>): void {
  const suite = suiteCleanup();
  let server: SubmissionServer;
  before(async () => {
    server = await start(suite);
  });

  const from = (): string => `${account.user}@${server.domain}`;
  const at = (user: string): string => `${user}@${server.domain}`;
  const offers = (extension: Expected["extensions"][number]): boolean => expected.extensions.includes(extension);
  const strongest = expected.mechanisms[0] as string;

  function tls(): TlsSettings {
    const { authority, certificate } = server;
    return { authorities: authority, ...(certificate === undefined ? {} : { certificate }) };
  }

  function credentials(mechanism: string, wrong = false): Credentials {
    const mechanisms = [mechanism];
    const { user } = account;
    if (mechanism === "EXTERNAL") return { user, external: true, mechanisms, ...(wrong ? { authorization: "bob" } : {}) };
    if (mechanism === "OAUTHBEARER" || mechanism === "XOAUTH2") {
      return { user, token: wrong ? "not-a-token" : (server.token as string), mechanisms };
    }
    return { user, password: wrong ? "wrong" : account.password, mechanisms };
  }

  /** Connected, said EHLO, and inside TLS. */
  async function connected(kind: Kind, lines: TranscriptLine[] = []): Promise<SmtpClient> {
    const client = await SmtpClient.connect({
      host: server.host,
      port: server.ports[kind],
      implicitTls: kind === "implicit",
      tls: tls(),
      localHostname: "client.test",
      transcript: (line) => void lines.push(line),
    });
    assert.equal((await client.ehlo()).code, 250);
    if (kind === "starttls") {
      assert.equal((await client.starttls()).code, 220);
      assert.equal((await client.ehlo()).code, 250);
    }
    assert.match(client.tlsFacts?.protocol ?? "", /^TLSv1\.3$/);
    return client;
  }

  async function loggedIn(kind: Kind = "starttls"): Promise<SmtpClient> {
    const client = await connected(kind);
    await client.login(credentials(strongest));
    return client;
  }

  function transport(kind: Kind, mechanism: string, options: CreateTransportOptions = {}): Transport {
    const { user, password, ...rest } = credentials(mechanism);
    const login = password === undefined ? "" : `${user}:${encodeURIComponent(password)}@`;
    const url = `${kind === "implicit" ? "smtps" : "smtp"}://${login}${server.host}:${server.ports[kind]}`;
    const auth = password === undefined ? { auth: { user, ...rest } } : {};
    return createTransport(`${url}?auth=${mechanism}&connections=${CONNECTIONS}&name=client.test`, { tls: tls(), ...auth, ...options });
  }

  const said = (lines: readonly TranscriptLine[], what: RegExp): number =>
    lines.filter(({ direction, text }) => direction === "->" && what.test(text)).length;

  it("offers what these tests try, and no mechanism outside TLS", async () => {
    const client = await SmtpClient.connect({ host: server.host, port: server.ports.starttls, tls: tls(), localHostname: "client.test" });
    await assert.rejects(client.login(account.user, account.password), NotSupportedError);
    await client.starttls();
    await client.ehlo();
    const { capabilities } = client;
    assert.deepEqual(new Set(capabilities?.mechanisms.filter((name) => known.includes(name))), new Set(expected.mechanisms));
    assert.deepEqual(
      capabilities?.mechanisms.filter((name) => name.endsWith("-PLUS")),
      [],
    );
    for (const extension of ["8BITMIME", "DSN", ...expected.extensions]) assert.ok(client.hasExtension(extension), extension);
    for (const extension of ["SMTPUTF8", "CHUNKING", "PIPELINING"] as const) {
      assert.equal(client.hasExtension(extension), offers(extension), extension);
    }
    await client.quit();
  });

  for (const mechanism of expected.mechanisms) {
    for (const kind of kinds) {
      it(`${mechanism}, ${kind}: step by step`, async () => {
        const name = `steps ${mechanism} ${kind}`;
        const lines: TranscriptLine[] = [];
        const client = await connected(kind, lines);
        const reply = await client.login(credentials(mechanism));
        assert.equal(reply.code, 235);
        assert.equal(said(lines, /^AUTH /), 1);
        assert.equal(said(lines, new RegExp(`^AUTH ${mechanism}\\b`)), 1);
        assert.ok(!lines.some(({ text }) => text.includes(account.password)), "the transcript bears no password");
        const sent = letter({ from: from(), to: at("bob"), name });
        assert.equal((await client.sendMail(from(), at("bob"), sent)).size, 0);
        assert.equal((await client.quit()).code, 221);
        await assertArrived(server.mail, "bob", name, sent);
      });
    }

    it(`${mechanism}: ${MESSAGES} messages through ${CONNECTIONS} connections`, async () => {
      // Each way of TLS has its turn.
      const kind = kinds[expected.mechanisms.indexOf(mechanism) % 2] as Kind;
      const lines: TranscriptLine[] = [];
      const pool = transport(kind, mechanism, { transcript: (line) => void lines.push(line) });
      const sent = Array.from({ length: MESSAGES }, (_, i) =>
        letter({ from: from(), to: at("bob"), name: `pool ${mechanism} ${i}`, body: `${i}\r\n.\r\n` }),
      );
      const results = await Promise.all(sent.map((raw) => pool.send({ raw })));
      await pool.close();
      for (const { recipients } of results) assert.deepEqual([recipients[0]?.status, recipients[0]?.code], ["accepted", 250]);
      for (const [i, raw] of sent.entries()) await assertArrived(server.mail, "bob", `pool ${mechanism} ${i}`, raw);
      assert.equal(said(lines, new RegExp(`^AUTH ${mechanism}\\b`)), CONNECTIONS);
      assert.equal(said(lines, /^AUTH /), CONNECTIONS);
      assert.equal(said(lines, /^QUIT/), CONNECTIONS);
    });

    it(`${mechanism}: what is wrong is an AuthenticationError, and the connection is still good`, async () => {
      const client = await connected("starttls");
      await assert.rejects(client.login(credentials(mechanism, true)), (error) => {
        assert.ok(error instanceof AuthenticationError, String(error));
        assert.deepEqual([error.code, error.lasting, error.phase], [535, "permanent", "auth"], String(error));
        assert.ok(!error.message.includes("wrong") && !error.message.includes("not-a-token"), error.message);
        return true;
      });
      assert.equal((await client.noop()).code, 250);
      assert.equal((await client.login(credentials(mechanism))).code, 235);
      await client.quit();
    });
  }

  it("takes the strongest by itself", async () => {
    const lines: TranscriptLine[] = [];
    const client = await connected("implicit", lines);
    await client.login(account.user, account.password);
    const strongestPassword = expected.mechanisms.find((name) => /^SCRAM|^PLAIN/.test(name));
    assert.equal(said(lines, new RegExp(`^AUTH ${strongestPassword}\\b`)), 1);
    assert.equal(said(lines, /^AUTH /), 1);
    await client.quit();
  });

  for (const mechanism of ["DIGEST-MD5", "SCRAM-SHA-256-PLUS"]) {
    it(`${mechanism}, which cannot be had: nothing is sent`, async () => {
      const lines: TranscriptLine[] = [];
      const client = await connected("implicit", lines);
      await assert.rejects(client.login({ ...account, mechanisms: [mechanism] }), AuthenticationError);
      await client.quit();
      const pool = transport("starttls", "PLAIN", {
        auth: { ...account, mechanisms: [mechanism] },
        transcript: (line) => void lines.push(line),
      });
      await assert.rejects(pool.send({ raw: letter({ from: from(), to: at("bob"), name: "never" }) }), (error) => {
        assert.ok(error instanceof AuthenticationError, String(error));
        assert.deepEqual(
          error.result?.recipients.map(({ status }) => status),
          ["failed"],
        );
        return true;
      });
      await pool.close();
      assert.equal(said(lines, /^(AUTH|MAIL|RCPT|DATA)\b/), 0);
    });
  }

  it("a wrong password, through a transport: no message, and one attempt", async () => {
    const lines: TranscriptLine[] = [];
    const auth = { ...account, password: "wrong", mechanisms: ["PLAIN"] };
    const pool = transport("starttls", "PLAIN", { auth, transcript: (line) => void lines.push(line) });
    await assert.rejects(pool.send({ raw: letter({ from: from(), to: at("bob"), name: "never" }) }), AuthenticationError);
    await pool.close();
    assert.equal(said(lines, /^AUTH /), 1);
    assert.equal(said(lines, /^MAIL\b/), 0);
  });

  it("some recipients refused, and all of them", async () => {
    const client = await loggedIn();
    const sent = letter({ from: from(), to: at("bob"), name: "some refused" });
    const refused = await client.sendMail(from(), [at("bob"), at("nobody"), at("carol")], sent);
    assert.deepEqual([...refused.keys()], [at("nobody")]);
    assert.equal(refused.get(at("nobody"))?.code, 550);
    await assert.rejects(client.sendMail(from(), [at("nobody"), at("none")], sent), (error) => {
      assert.ok(error instanceof RecipientsRefusedError, String(error));
      return error.recipients.size === 2;
    });
    const after = letter({ from: from(), to: at("bob"), name: "after all refused" });
    await client.sendMail(from(), at("bob"), after);
    await client.quit();
    for (const user of ["bob", "carol"]) await assertArrived(server.mail, user, "some refused", sent);
    await assertArrived(server.mail, "bob", "after all refused", after);
  });

  it("8-bit content, as it is", async () => {
    const sent = letter({ from: from(), to: at("bob"), name: "eight", body: "Grüße aus Köln, 日本\r\n", charset: "utf-8" });
    const client = await loggedIn();
    await client.sendMail(from(), at("bob"), sent);
    await client.quit();
    await assertArrived(server.mail, "bob", "eight", sent);
    const { sign, sent: recorded } = recorder();
    const pool = transport("starttls", strongest, { sign, encoding: "offered" });
    await pool.send({ from: from(), to: at("bob"), subject: "eight draft", text: "Grüße aus Köln\n.\nEnde\n" });
    // What one server offers is known from the first message on.
    await pool.send({ from: from(), to: at("carol"), subject: "eight again", text: "Grüße aus Köln\n.\nEnde\n" });
    await pool.close();
    assert.ok(recorded().includes("Grüße"), "the text went as 8 bit");
    const [draft] = await server.mail.messages("bob", 1, "eight draft", ({ header }) => header.includes("Subject: eight draft"));
    const [again] = await server.mail.messages("carol", 1, "eight again", ({ header }) => header.includes("Subject: eight again"));
    for (const message of [draft, again]) assert.equal(message?.body.toString(), "Grüße aus Köln\r\n.\r\nEnde\r\n");
  });

  if (offers("SMTPUTF8")) {
    it("addresses and a header in UTF-8", async () => {
      const name = "Grüße-utf8";
      const sent = letter({ from: from(), to: at("köln"), name, body: "hallo\r\n", charset: "utf-8" });
      const client = await loggedIn();
      await client.sendMail(from(), at("köln"), sent);
      await client.quit();
      const [message] = await server.mail.messages("köln", 1, name, () => true);
      assert.ok(message?.content.subarray(-sent.length).equals(sent));
      const pool = transport("implicit", strongest);
      const result = await pool.send({ from: from(), to: at("köln"), subject: "second", text: "hallo\n" });
      await pool.close();
      assert.equal(result.recipients[0]?.status, "accepted");
      await server.mail.messages("köln", 2, "UTF-8", () => true);
    });
  } else {
    it("an address in UTF-8 is not sent to a server that does not take it", async () => {
      const client = await loggedIn();
      await assert.rejects(client.sendMail(from(), at("köln"), letter({ from: from(), to: at("bob"), name: "never" })), NotSupportedError);
      assert.equal((await client.noop()).code, 250);
      await client.quit();
    });
  }

  it("an attachment of 5 MB", async () => {
    const octets = randomBytes(ATTACHMENT);
    const { sign, sent } = recorder();
    const pool = transport("starttls", strongest, { sign, encoding: "offered" });
    let handedOver = 0;
    const result = await pool.send(
      {
        from: from(),
        to: at("carol"),
        subject: "large",
        text: "see the file\n",
        attachments: [{ filename: "all.bin", content: octets }],
      },
      { progress: (octetsSent) => (handedOver = octetsSent) },
    );
    await pool.close();
    assert.equal(result.size, sent().length);
    assert.ok(handedOver >= ATTACHMENT);
    await assertArrived(server.mail, "carol", "large", sent());
    const file = sent().toString("latin1").split("Content-Transfer-Encoding: base64\r\n")[1] ?? "";
    assert.ok(Buffer.from(file.slice(0, file.indexOf("\r\n--")), "base64").equals(octets), "the file is in it, octet for octet");
  });

  if (offers("CHUNKING")) {
    it("by BDAT, in several chunks", async () => {
      const sent = letter({ from: from(), to: at("bob"), name: "bdat", body: `.\r\n${`${"y".repeat(900)}\r\n`.repeat(2000)}.\r\n` });
      const chunks = Array.from({ length: 40 }, (_, i) => sent.subarray((i * sent.length) / 40, ((i + 1) * sent.length) / 40));
      const connection = await SmtpConnection.open({
        host: server.host,
        port: server.ports.starttls,
        name: "client.test",
        tls: "required",
        authorities: server.authority,
        credentials: credentials(strongest),
        dial,
      });
      const mailbox = (address: string): Mailbox => parseMailbox(address) as Mailbox;
      const recipients = [{ mailbox: mailbox(at("bob")) }, { mailbox: mailbox(at("nobody")) }];
      const envelope = { reversePath: mailbox(from()), recipients, body: "7BIT", smtpUtf8: false } as const;
      const [bob, nobody] = await connection.send(envelope, memoryContent(chunks), { via: "BDAT" });
      assert.equal(bob?.kind, "accepted", JSON.stringify(bob));
      assert.equal(nobody?.kind, "refused", JSON.stringify(nobody));
      await connection.quit();
      await assertArrived(server.mail, "bob", "bdat", sent);
    });
  }

  it("DSN parameters: the report of a success comes back, and only where it was asked for", async () => {
    const quiet = letter({ from: from(), to: at("bob"), name: "dsn never" });
    const client = await loggedIn();
    await client.sendMail(from(), at("bob"), quiet, { mailOptions: ["RET=HDRS", "ENVID=QQ-314"], rcptOptions: ["NOTIFY=NEVER"] });
    await client.quit();
    await assertArrived(server.mail, "bob", "dsn never", quiet);
    const sent = letter({ from: from(), to: at("carol"), name: "dsn success", body: "secret\r\n" });
    const pool = transport("implicit", strongest);
    await pool.send({ raw: sent, dsn: { notify: ["success"], envelopeId: "QQ+315", ret: "headers" } });
    await pool.close();
    await assertArrived(server.mail, "carol", "dsn success", sent);
    const [report] = await server.mail.messages(account.user, 1, "reports", () => true);
    const text = report?.content.toString("latin1").replace(/\r\n(?=[ \t])/g, "") ?? "";
    assert.match(text, new RegExp(`^Final-Recipient: ?rfc822; ?carol@${server.domain}\r$`, "im"));
    assert.match(text, /^Action: ?delivered/im);
    assert.match(text, /^Subject: dsn success\r$/m);
    assert.doesNotMatch(text, /secret/, "RET=HDRS brings back the header alone");
    if (expected.reportsBearParameters) {
      // Exim shows xtext (RFC 3461 4) as it came over the wire, where + is +2B.
      assert.match(text, /^Original-Envelope-Id: ?QQ\+(?:2B)?315\r$/im);
      assert.match(fieldValues(text, "Original-Recipient")[0] ?? "", new RegExp(`^rfc822; ?carol@${server.domain}$`, "i"));
    }
    assert.equal(server.mail.count(account.user), 1, "NOTIFY=NEVER was heard");
  });
}
