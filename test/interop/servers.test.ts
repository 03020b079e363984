/**
 * Postfix and Exim as next hops that DNS names, and each of them as a client of ours: submitting to 587, relaying to 25.
 *
 *   alice -> 587 -> MX: dead, then the other server -> its mailbox        and its reports -> 25 -> home.test
 *   bob   -> the other server -> 587 (login) -> MX -> the recipient       and -> 25 -> home.test
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, it } from "node:test";
import { SmtpConnection } from "../../src/client/index.ts";
import { memoryContent } from "../../src/mail/content.ts";
import type { Envelope, Recipient } from "../../src/mail/envelope.ts";
import { type Mailbox, parseMailbox } from "../../src/mail/mailbox.ts";
import { dial } from "../../src/net/dial.ts";
import { utf8 } from "../../src/util/bytes.ts";
import { suiteCleanup } from "../support/cleanup.ts";
import { startDnsServer } from "../support/dns-server.ts";
import { type LogRecord, type Postrider, startPostrider } from "../support/postrider.ts";
import { describeUnless, missingAccount, skipFor, skipWithout } from "../support/programs.ts";
import { type ArrivedMessage, fieldValues, type RecipientServer, startRecipient } from "../support/recipient.ts";
import type { Cleanup } from "../support/temp-folder.ts";
import { eximUser, startExim } from "./exim.ts";
import { freePort, type OtherServer, type OtherServerOptions } from "./other-server.ts";
import { startPostfix } from "./postfix.ts";

const account = { name: "home", password: "correct-horse-battery", addresses: ["*@home.test"] };
const addresses = { postfix: "127.0.0.2", exim: "127.0.0.3", recipient: "127.0.0.4", dead: "127.0.0.5" } as const;
const users = ["plain", "several", "other", "dsn", "eight", "grey", "köln"] as const;

function mailbox(address: string): Mailbox {
  return parseMailbox(address) as Mailbox;
}

interface Post {
  readonly from: string;
  readonly to: readonly (string | Recipient)[];
  readonly text: string;
  readonly envelope?: Partial<Envelope>;
}

function envelopeOf({ from, to, envelope }: Post): Envelope {
  return {
    reversePath: mailbox(from),
    recipients: to.map((each) => (typeof each === "string" ? { mailbox: mailbox(each) } : each)),
    body: "7BIT",
    smtpUtf8: false,
    ...envelope,
  };
}

/** Sends through a connection and closes it; every recipient must be accepted. */
async function post(connection: SmtpConnection, message: Post): Promise<void> {
  const results = await connection.send(envelopeOf(message), memoryContent([utf8(message.text)]));
  await connection.quit();
  for (const result of results) assert.equal(result.kind, "accepted", JSON.stringify(result));
}

function letter(from: string, to: string, body: string): string {
  return `From: ${from}\r\nTo: ${to}\r\nSubject: test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${body}`;
}

describe("servers of others", () => {
  const suite = suiteCleanup();
  let server: Postrider;
  let recipient: RecipientServer;
  let port: number;

  before(async () => {
    port = await freePort(Object.values(addresses));
    recipient = await startRecipient(suite, { address: addresses.recipient, port });
    const dns = await startDnsServer({
      "postfix.test": {
        MX: [
          { preference: 20, exchange: "mx.postfix.test" },
          { preference: 10, exchange: "dead.test" },
        ],
      },
      "mx.postfix.test": { A: [addresses.postfix] },
      "exim.test": {
        MX: [
          { preference: 20, exchange: "mx.exim.test" },
          { preference: 10, exchange: "dead.test" },
        ],
      },
      "mx.exim.test": { A: [addresses.exim] },
      "dead.test": { A: [addresses.dead] },
      "out.test": { MX: [{ preference: 10, exchange: "mx.out.test" }] },
      "mx.out.test": { A: [addresses.recipient] },
    });
    suite.after(() => dns.close());
    server = await startPostrider(suite, {
      hostname: "mail.home.test",
      accounts: [account],
      config: `
[domains]
local = ["home.test"]
recipients = ["*@home.test"]
[dns]
servers = ["${dns.endpoint}"]
[delivery]
port = ${port}
retry = ["1s"]
[[route]]
domain = "home.test"
to = "smtp://${addresses.recipient}:${port}"`,
    });
  });

  function submit(message: Post): Promise<void> {
    return SmtpConnection.open({
      host: "localhost",
      port: server.ports.submission,
      name: "client.test",
      tls: "required",
      authorities: readFileSync(server.certificate, "utf8"),
      credentials: { user: account.name, password: account.password },
      dial,
    }).then((connection) => post(connection, message));
  }

  function attempted(to: string, action: string): Promise<LogRecord> {
    return server.event("attempted", (record) => record.to === to && record.action === action);
  }

  function optionsFor(name: "postfix" | "exim"): OtherServerOptions {
    return {
      address: addresses[name],
      port,
      hostname: `mx.${name}.test`,
      domain: `${name}.test`,
      users: users.filter((user) => name === "postfix" || user !== "köln"),
      submitTo: { port: server.ports.submission, user: account.name, password: account.password, certificate: server.certificate },
      relayTo: { domain: "home.test", port: server.ports.smtp },
    };
  }

  /** What holds for both of them. */
  function both(name: "postfix" | "exim", start: (t: Cleanup, options: OtherServerOptions) => Promise<OtherServer>): () => OtherServer {
    const domain = `${name}.test`;
    const ownSuite = suiteCleanup();
    let other: OtherServer;

    before(async () => {
      other = await start(ownSuite, optionsFor(name));
    });

    it("is reached by its MX, although the preferred one is dead, inside TLS", async () => {
      const from = `plain-${name}@home.test`;
      const body = `.\r\n..dots\r\n\r\n${"x".repeat(900)}\r\n`;
      await submit({ from, to: [`plain@${domain}`], text: letter(from, `plain@${domain}`, body) });
      const message = await other.mail.message("plain");
      assert.equal(message.body.toString("latin1"), body);
      assert.deepEqual(fieldValues(message.header, "Return-Path"), [`<${from}>`]);
      const [theirs, ours] = fieldValues(message.header, "Received");
      assert.match(theirs ?? "", /mail\.home\.test.*(?:ESMTPS|esmtps)/);
      assert.match(ours ?? "", /by mail\.home\.test .*with ESMTPSA/);
      const event = await server.event("attempted", (record) => record.to === `plain@${domain}`);
      assert.match(String(event.host), new RegExp(`mx\\.${name}\\.test`));
      assert.match(String(event.tls), /^TLSv1\.[23]/);
      assert.equal(event.attempts, 1);
    });

    it("refuses one recipient of several: one report comes back, the others are delivered", async () => {
      const from = `several-${name}@home.test`;
      const to = [`several@${domain}`, `nobody@${domain}`, `other@${domain}`];
      await submit({ from, to, text: letter(from, to.join(", "), "hello\r\n"), envelope: { envelopeId: "id=1 of test" } });
      await other.mail.message("several");
      await other.mail.message("other");
      const report = await recipient.messageFor(from);
      assertBounce(report, `nobody@${domain}`, `mx.${name}.test`);
      assert.equal(recipient.messages.filter((each) => each.to.includes(from)).length, 1);
    });

    it("hears the DSN parameters, and its success report comes back through our 25", async () => {
      const from = `dsn-${name}@home.test`;
      const to: Recipient = {
        mailbox: mailbox(`dsn@${domain}`),
        notify: ["success"],
        originalRecipient: { type: "rfc822", address: "first+name@elsewhere.test" },
      };
      await submit({
        from,
        to: [to],
        text: letter(from, "x@elsewhere.test", "hello\r\n"),
        envelope: { ret: "HDRS", envelopeId: "QQ+314" },
      });
      await other.mail.message("dsn");
      const report = await recipient.messageFor(from);
      assert.equal(report.from, "");
      const text = report.content.toString("latin1");
      // Exim shows xtext (RFC 3461 4) as it came over the wire, where + is +2B.
      assert.match(text, /^Original-Envelope-Id: QQ\+(?:2B)?314\r$/im);
      assert.match(text, /^Original-Recipient: ?rfc822; ?first\+(?:2B)?name@elsewhere\.test\r$/im);
      assert.match(text, /^Action: delivered/im);
      const [received] = fieldValues(report.header, "Received");
      assert.match(received ?? "", new RegExp(`from mx\\.${name}\\.test .*by mail\\.home\\.test .*with ESMTPS\\b`));
    });

    it("gets declared 8-bit content as it is", async () => {
      const from = `eight-${name}@home.test`;
      const body = "Grüße aus Köln\r\n";
      await submit({ from, to: [`eight@${domain}`], text: letter(from, "x", body), envelope: { body: "8BITMIME" } });
      assert.equal((await other.mail.message("eight")).body.toString(), body);
    });

    /** A message into the other server, which sends it on by itself. */
    async function give(message: Post): Promise<void> {
      const connection = await SmtpConnection.open({ host: addresses[name], port, name: "client.test", tls: "none", dial });
      await post(connection, message);
    }

    it("submits to our 587 with TLS and a login", async () => {
      const from = `bob-${name}@home.test`;
      const to = `via-${name}@out.test`;
      await give({ from, to: [to], text: letter(from, to, ".dot\r\nbye\r\n") });
      const message = await recipient.messageFor(to);
      assert.equal(message.from, from);
      assert.equal(message.body.toString(), ".dot\r\nbye\r\n");
      const [ours, theirs] = fieldValues(message.header, "Received");
      assert.match(ours ?? "", new RegExp(`from mx\\.${name}\\.test .*by mail\\.home\\.test .*with ESMTPSA`));
      assert.match(theirs ?? "", new RegExp(`by mx\\.${name}\\.test`));
    });

    it("relays to our 25, for our own domain", async () => {
      const to = `carol-${name}@home.test`;
      await give({ from: "dave@elsewhere.test", to: [to], text: letter("dave@elsewhere.test", to, "hi\r\n") });
      const message = await recipient.messageFor(to);
      assert.equal(message.from, "dave@elsewhere.test");
      assert.equal(message.body.toString(), "hi\r\n");
      assert.match(fieldValues(message.header, "Received")[0] ?? "", new RegExp(`from mx\\.${name}\\.test .*with ESMTPS\\b`));
    });

    return () => other;
  }

  function assertBounce(report: ArrivedMessage, failed: string, remote: string): void {
    assert.equal(report.from, "");
    assert.match(fieldValues(report.header, "Content-Type")[0] ?? "", /^multipart\/report;.*report-type="?delivery-status/);
    const text = report.content.toString("latin1").replace(/\r\n(?=[ \t])/g, "");
    assert.match(text, /^Reporting-MTA: dns; ?mail\.home\.test\r$/im);
    assert.match(text, /^Original-Envelope-Id: id=1 of test\r$/im);
    assert.deepEqual(fieldValues(text, "Final-Recipient"), [`rfc822; ${failed}`]);
    assert.deepEqual(fieldValues(text, "Action"), ["failed"]);
    assert.match(text, /^Status: 5\.\d+\.\d+\r$/im);
    assert.match(text, new RegExp(`^Remote-MTA: dns; ?${remote.replaceAll(".", "\\.")}\r$`, "im"));
    assert.match(text, /^Diagnostic-Code: smtp; ?550[ -]/im);
  }

  const root = process.getuid?.() === 0 ? [] : ["it takes root to run a mail server under its own user"];
  const noPostfix = skipWithout("postfix") || skipFor([...root, ...missingAccount("passwd", "news"), ...missingAccount("group", "games")]);
  const noExim = skipWithout("exim4") || skipFor([...root, ...missingAccount("passwd", eximUser)]);

  describeUnless(noPostfix, "Postfix", () => {
    const postfix = both("postfix", startPostfix);

    it("gets addresses and headers in UTF-8", async () => {
      const from = "jürgen@home.test";
      const text = letter(from, "köln@postfix.test", "hello\r\n");
      await submit({ from, to: ["köln@postfix.test"], text, envelope: { smtpUtf8: true, body: "8BITMIME" } });
      const message = await postfix().mail.message("köln");
      assert.match(message.content.toString(), /^From: jürgen@home\.test\r$/m);
      assert.match(message.content.toString(), /^Return-Path: <jürgen@home\.test>\r$/m);
    });
  });

  describeUnless(noExim, "Exim", () => {
    const exim = both("exim", startExim);

    it("greylists: put off at first, delivered with the next attempt", async () => {
      const from = "grey@home.test";
      await submit({ from, to: ["grey@exim.test"], text: letter(from, "grey@exim.test", "hello\r\n") });
      const first = await attempted("grey@exim.test", "delayed");
      assert.match(String(first.why), /451 greylisted/);
      const second = await server.event("attempted", (record) => record.to === "grey@exim.test" && record.action !== "delayed");
      assert.equal(second.action, "delivered");
      assert.equal(second.attempts, 2);
      assert.equal((await exim().mail.message("grey")).body.toString(), "hello\r\n");
    });
  });
});
