/**
 * Our client submits to Python's aiosmtpd: another implementation of logins, UTF-8 addresses and failures; and SCRAM that is bound to the TLS
 * session, checked by GNU SASL.
 */
import assert from "node:assert/strict";
import { before, it } from "node:test";
import {
  AuthenticationError,
  type CreateTransportOptions,
  createTransport,
  DataError,
  DisconnectedError,
  OutcomeUnknownError,
  RecipientsRefusedError,
  SenderRefusedError,
  SmtpClient,
  type TranscriptLine,
  type Transport,
} from "../../src/client/index.ts";
import { suiteCleanup } from "../support/cleanup.ts";
import { describeUnless, skipFor } from "../support/programs.ts";
import { type Aiosmtpd, type Listener, missingAiosmtpd, startAiosmtpd, type TakenMessage } from "./aiosmtpd.ts";
import { letter } from "./client-letters.ts";
import { account } from "./submission.ts";

const from = "alice@aiosmtpd.test";
const bob = "bob@aiosmtpd.test";
/** Its limit for a line is 1,000 octets with CRLF and stuffed dots. */
const body = `.\r\n..\r\n.leading\r\nblanks  \t\r\n\r\n${"x".repeat(990)}\r\n.\r\n\r\n`;

describeUnless(skipFor(missingAiosmtpd()), "our client to aiosmtpd", () => {
  const suite = suiteCleanup();
  let server: Aiosmtpd;
  before(async () => {
    server = await startAiosmtpd(suite);
  });

  async function connected(listener: Listener, lines: TranscriptLine[] = []): Promise<SmtpClient> {
    const client = await SmtpClient.connect({
      host: server.host,
      port: server.ports[listener],
      implicitTls: listener !== "starttls" && listener !== "plain",
      tls: { authorities: server.authority },
      localHostname: "client.test",
      transcript: (line) => void lines.push(line),
    });
    if (listener === "starttls") await client.starttls();
    return client;
  }

  /** To the listener that wants neither TLS nor a login. */
  function plain(options: CreateTransportOptions = {}): Transport {
    return createTransport(`smtp://${server.host}:${server.ports.plain}?tls=none`, { retry: false, ...options });
  }

  function taken(name: string): Promise<TakenMessage> {
    return server.messages.first(name, ({ content }) => content.includes(`\r\nSubject: ${name}\r\n`));
  }

  const mechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"];

  for (const mechanism of mechanisms) {
    for (const listener of ["starttls", "implicit"] as const) {
      it(`${mechanism}, ${listener}: logs in and sends; what is wrong is an AuthenticationError`, async () => {
        const name = `steps ${mechanism} ${listener}`;
        const client = await connected(listener);
        await assert.rejects(client.login({ ...account, password: "wrong", mechanisms: [mechanism] }), (error) => {
          assert.ok(error instanceof AuthenticationError, String(error));
          return error.code === 535 && error.lasting === "permanent";
        });
        assert.equal((await client.login({ ...account, mechanisms: [mechanism] })).code, 235);
        const sent = letter({ from, to: bob, name, body });
        await client.sendMail(from, bob, sent);
        await client.quit();
        const message = await taken(name);
        assert.deepEqual([message.listener, message.login, message.from, message.to], [listener, account.user, from, [bob]]);
        assert.ok(message.content.equals(sent));
      });
    }
  }

  it("takes the strongest by itself, bound to the TLS session", async () => {
    const lines: TranscriptLine[] = [];
    const url = `smtp://${account.user}:${encodeURIComponent(account.password)}@${server.host}:${server.ports.starttls}?connections=3`;
    const pool = createTransport(url, { tls: { authorities: server.authority }, transcript: (line) => void lines.push(line) });
    const sent = Array.from({ length: 20 }, (_, i) => letter({ from, to: bob, name: `pool ${i}`, body: `${i}\r\n` }));
    await Promise.all(sent.map((raw) => pool.send({ raw })));
    await pool.close();
    const logins = lines.filter(({ direction, text }) => direction === "->" && text.startsWith("AUTH "));
    assert.deepEqual(
      logins.map(({ text }) => text),
      Array(3).fill("AUTH SCRAM-SHA-256-PLUS ***"),
    );
    for (const [i, raw] of sent.entries()) assert.ok((await taken(`pool ${i}`)).content.equals(raw));
  });

  it("another TLS session than the server's, as with somebody in the middle: no login", async () => {
    const client = await connected("misbound");
    for (const mechanism of ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]) {
      await assert.rejects(client.login({ ...account, mechanisms: [mechanism] }), AuthenticationError);
    }
    await client.quit();
  });

  it("-PLUS taken out of the offer: the server hears that we would have had it (RFC 5802 6)", async () => {
    const client = await connected("stripped");
    for (const mechanism of ["SCRAM-SHA-256", "SCRAM-SHA-1"]) {
      await assert.rejects(client.login({ ...account, mechanisms: [mechanism] }), AuthenticationError);
    }
    await client.quit();
  });

  it("addresses, header and body in UTF-8, and 8-bit content", async () => {
    const client = await connected("implicit");
    await client.login(account.user, account.password);
    const eight = letter({ from, to: bob, name: "eight", body: "Grüße\r\n", charset: "utf-8" });
    await client.sendMail(from, bob, eight);
    const utf8 = letter({ from: "jürgen@köln.test", to: "用户@例え.test", name: "Grüße", body: "日本\r\n", charset: "utf-8" });
    await client.sendMail("jürgen@köln.test", "用户@例え.test", utf8);
    await client.quit();
    const first = await taken("eight");
    assert.ok(first.content.equals(eight));
    assert.deepEqual(
      first.mailOptions.map((option) => option.split("=")[0]),
      ["SIZE", "BODY"],
    );
    assert.ok(first.mailOptions.includes("BODY=8BITMIME"));
    const second = await taken("Grüße");
    assert.ok(second.content.equals(utf8));
    assert.deepEqual([second.from, second.to], ["jürgen@köln.test", ["用户@例え.test"]]);
    assert.ok(second.mailOptions.includes("SMTPUTF8"));
  });

  it("a draft with a UTF-8 address to a server without SMTPUTF8: no MAIL, and it says why", async () => {
    const lines: TranscriptLine[] = [];
    const transport = plain({ transcript: (line) => void lines.push(line) });
    await assert.rejects(transport.send({ from, to: "jürgen@aiosmtpd.test", subject: "never", text: "x" }), /SMTPUTF8/);
    const result = await transport.send({ from, to: "bob@köln.test", subject: "idn", text: "x" });
    await transport.close();
    assert.equal(result.recipients[0]?.status, "accepted");
    assert.deepEqual((await taken("idn")).to, ["bob@xn--kln-sna.test"]);
    assert.equal(lines.filter(({ text }) => text.startsWith("MAIL ")).length, 1);
  });

  it("an attachment of 5 MB", async () => {
    const client = await connected("starttls");
    await client.login(account.user, account.password);
    const line = `${"z".repeat(70)}\r\n`;
    const sent = letter({ from, to: bob, name: "large", body: line.repeat((5 * 1024 * 1024) / line.length) });
    await client.sendMail(from, bob, sent);
    await client.quit();
    assert.ok((await taken("large")).content.equals(sent));
  });

  it("larger than its SIZE: not sent", async () => {
    const raw = letter({ from, to: bob, name: "never", body: `${"z".repeat(70)}\r\n`.repeat(240_000) });
    const transport = plain();
    await assert.rejects(transport.send({ raw }), /takes 16777216/);
    await transport.close();
  });

  it("the sender, all recipients or the content refused: each has its error", async () => {
    const transport = plain();
    const send = (to: string, sender = from): Promise<unknown> => transport.send({ from: sender, to, subject: "never", text: "x" });
    await assert.rejects(send(bob, "nobody@aiosmtpd.test"), (error) => error instanceof SenderRefusedError && error.status === "5.7.1");
    await assert.rejects(send("nobody@aiosmtpd.test"), (error) => {
      return error instanceof RecipientsRefusedError && error.lasting === "permanent" && error.code === 550;
    });
    await assert.rejects(send("greylisted@aiosmtpd.test"), (error) => {
      return error instanceof RecipientsRefusedError && error.lasting === "temporary" && error.code === 450;
    });
    await assert.rejects(send("full@aiosmtpd.test"), (error) => error instanceof DataError && error.code === 552);
    await assert.rejects(send("later@aiosmtpd.test"), (error) => error instanceof DataError && error.lasting === "temporary");
    assert.equal(transport.state.connections, 1, "and the connection was good for all of them");
    await transport.close();
  });

  it("a 421 in the middle, and a connection lost after the content", async () => {
    const transport = plain();
    await assert.rejects(transport.send({ from, to: "busy@aiosmtpd.test", subject: "never", text: "x" }), (error) => {
      assert.ok(error instanceof RecipientsRefusedError || error instanceof DisconnectedError, String(error));
      return error.lasting === "temporary";
    });
    await assert.rejects(transport.send({ from, to: "lost@aiosmtpd.test", subject: "never", text: "x" }), (error) => {
      return error instanceof OutcomeUnknownError && error.result?.recipients[0]?.status === "unknown";
    });
    const result = await transport.send({ from, to: [bob, "nobody@aiosmtpd.test"], subject: "some", text: "x" });
    assert.deepEqual(
      result.recipients.map(({ status, code }) => [status, code]),
      [
        ["accepted", 250],
        ["refused", 550],
      ],
    );
    await transport.close();
    assert.deepEqual((await taken("some")).to, [bob]);
  });
});
