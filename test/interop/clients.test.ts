/**
 * Mail programs submit to the real server, over 587 (STARTTLS) and 465 (TLS from the first byte), and what they sent arrives at the
 * recipient's server. Each verifies the certificate.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import nodemailer from "nodemailer";
import { suiteCleanup } from "../support/cleanup.ts";
import { type Postrider, startPostrider } from "../support/postrider.ts";
import { describeUnless, runWell, skipWithout } from "../support/programs.ts";
import { type ArrivedMessage, fieldValues, parts, type RecipientServer, startRecipient } from "../support/recipient.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { typeInto } from "../support/typed.ts";

const user = "user@example.test";
const password = "correct horse battery";

describe("mail programs", () => {
  let server: Postrider;
  let recipient: RecipientServer;
  let folder: string;
  const suite = suiteCleanup();

  before(async () => {
    folder = tempFolder(suite);
    recipient = await startRecipient(suite);
    server = await startPostrider(suite, {
      hostname: "smtp.gmail.com",
      accounts: [
        { name: user, password },
        { name: "user@gmail.com", password: "password" },
      ],
      config: `
[domains]
local = ["example.com"]
recipients = ["*@example.com"]
[[route]]
domain = "*"
to = "smtp://127.0.0.1:${recipient.port}"`,
    });
  });

  /** Our Received line is there, with the protocol that it came by, and the other server's above it is not counted. */
  function assertTraced(message: ArrivedMessage, protocol: string): void {
    const received = fieldValues(message.header, "Received");
    assert.equal(received.length, 1, message.header);
    assert.match(received[0] as string, new RegExp(`by smtp\\.gmail\\.com .*with ${protocol}\\b`));
  }

  const modes = [
    { name: "587", implicit: false, port: () => server.ports.submission },
    { name: "465", implicit: true, port: () => server.ports.submissions },
  ] as const;

  describeUnless(skipWithout("python3"), "Python's smtplib", () => {
    it("runs the mission's program, unchanged but for host, port and certificate", async () => {
      await runWell("python3", ["-"], {
        input: `
import ssl
import smtplib
from email.mime.text import MIMEText

msg = MIMEText("Hello!")             # Creates the DATA content
msg["From"] = "user@gmail.com"       # Header From
msg["To"] = "alice@example.com"      # Header To
msg["Subject"] = "Hello"             # Header Subject

with smtplib.SMTP("localhost", ${server.ports.submission}) as server:
    server.ehlo()                    # EHLO command
    server.starttls(context=ssl.create_default_context(cafile="${server.certificate}"))                # STARTTLS command
    server.ehlo()                    # EHLO again after TLS
    server.login("user@gmail.com", "password")     # AUTH command
    server.send_message(msg)         # MAIL FROM + RCPT TO + DATA
                                     # (extracted from msg headers)
# Connection closes -> QUIT
`,
      });
      const message = await recipient.messageFor("alice@example.com");
      assert.equal(message.from, "user@gmail.com");
      assert.deepEqual(fieldValues(message.header, "Subject"), ["Hello"]);
      assert.equal(fieldValues(message.header, "Date").length, 1);
      assert.match(fieldValues(message.header, "Message-ID")[0] ?? "", /^<.+@smtp\.gmail\.com>$/);
      assert.equal(message.body.toString(), "Hello!\r\n");
      assertTraced(message, "ESMTPSA");
    });

    for (const { name, implicit, port } of modes) {
      it(`sends to several over ${name}: the Bcc recipient gets it, nobody reads of it`, async () => {
        const at = `python-${name}.test`;
        await runWell("python3", ["-"], {
          input: `
import smtplib, ssl
from email.message import EmailMessage
context = ssl.create_default_context(cafile="${server.certificate}")
msg = EmailMessage()
msg["From"] = "${user}"
msg["To"] = "one@${at}, two@${at}"
msg["Cc"] = "three@${at}"
msg["Bcc"] = "hidden@${at}"
msg["Subject"] = "Gr\\u00fc\\u00dfe"
msg.set_content(".a dot\\n..two\\n.\\nthe end, Gr\\u00fc\\u00dfe\\n")
msg.add_attachment(bytes(range(256)) * 20, maintype="application", subtype="octet-stream", filename="all.bin")
raw = msg.as_bytes(policy=msg.policy.clone(linesep="\\r\\n"))
server = smtplib.${implicit ? `SMTP_SSL("localhost", ${port()}, context=context)` : `SMTP("localhost", ${port()})`}
with server:
    ${implicit ? "pass" : "server.starttls(context=context)"}
    server.login("${user}", "${password}")
    refused = server.sendmail("${user}", ["one@${at}", "two@${at}", "three@${at}", "hidden@${at}"], raw)
    assert refused == {}, refused
    open("${folder}/python-${name}.eml", "wb").write(raw)
`,
        });
        for (const who of ["one", "two", "three", "hidden"]) {
          const message = await recipient.messageFor(`${who}@${at}`);
          assert.deepEqual(fieldValues(message.header, "Bcc"), []);
          assert.doesNotMatch(message.content.toString("latin1"), /hidden@/);
          assert.match(message.body.toString("latin1"), /^\.a dot\r\n\.\.two\r\n\.\r\nthe end, /m);
          assertTraced(message, "ESMTPSA");
        }
        const sent = readFileSync(join(folder, `python-${name}.eml`));
        const message = await recipient.messageFor(`one@${at}`);
        assert.ok(message.body.equals(parts(sent).body), "the body is the one that was sent, octet for octet");
      });
    }
  });

  /** The body has what is easily lost: dots, an empty line at the end, UTF-8, a long line. */
  const body = `.\r\n..\r\n.leading\r\n\r\nGrüße\r\n${"x".repeat(900)}\r\n\r\n`;
  const content = (to: string): string => `From: ${user}\r\nTo: ${to}\r\nSubject: test\r\n\r\n${body}`;

  function assertSame(message: ArrivedMessage): void {
    assert.equal(message.body.toString(), body);
    assertTraced(message, "ESMTPSA");
  }

  describeUnless(skipWithout("curl"), "curl", () => {
    for (const { name, implicit, port } of modes) {
      it(`sends to two over ${name}`, async () => {
        const [a, b] = [`a@curl-${name}.test`, `b@curl-${name}.test`];
        const url = `${implicit ? "smtps" : "smtp"}://localhost:${port()}/client.test`;
        const recipients = ["--mail-rcpt", a, "--mail-rcpt", b];
        const login = ["--user", `${user}:${password}`, "--mail-from", user, "--cacert", server.certificate];
        await runWell("curl", ["-sS", "--ssl-reqd", "--url", url, ...login, ...recipients, "--upload-file", "-"], { input: content(a) });
        assertSame(await recipient.messageFor(a));
        assertSame(await recipient.messageFor(b));
      });
    }

    it("is told that its password is wrong", async () => {
      const args = ["-sS", "--ssl-reqd", "--url", `smtp://localhost:${server.ports.submission}`, "--cacert", server.certificate];
      const login = ["--user", `${user}:wrong`, "--mail-from", user, "--mail-rcpt", "a@b.test", "--upload-file", "-"];
      await assert.rejects(runWell("curl", [...args, ...login], { input: content("a@b.test") }), /ended with 67/);
    });
  });

  describeUnless(skipWithout("swaks"), "swaks", () => {
    for (const { name, implicit, port } of modes) {
      for (const mechanism of ["PLAIN", "LOGIN"]) {
        it(`logs in with ${mechanism} over ${name}`, async () => {
          const to = `${mechanism.toLowerCase()}@swaks-${name}.test`;
          const tls = [implicit ? "--tls-on-connect" : "-tls", "--tls-verify", "--tls-ca-path", server.certificate];
          const login = ["--auth", mechanism, "--auth-user", user, "--auth-password", password];
          // swaks ends content with CRLF.CRLF by itself: an empty line at the end would be one more.
          const data = content(to).slice(0, -2);
          const envelope = ["--from", user, "--to", to, "--helo", "client.test", "--data", "-"];
          await runWell("swaks", ["--server", "localhost", "--port", String(port()), ...tls, ...login, ...envelope], { input: data });
          assertSame(await recipient.messageFor(to));
        });
      }
    }
  });

  describeUnless(skipWithout("msmtp"), "msmtp", () => {
    for (const { name, implicit, port } of modes) {
      it(`sends over ${name}`, async () => {
        const to = `a@msmtp-${name}.test`;
        const config = join(folder, `msmtp-${name}`);
        const lines = [
          "defaults",
          "auth on",
          "tls on",
          `tls_trust_file ${server.certificate}`,
          "account test",
          "host localhost",
          `port ${port()}`,
          `tls_starttls ${implicit ? "off" : "on"}`,
          `from ${user}`,
          `user ${user}`,
          `password "${password}"`,
        ];
        writeFileSync(config, `${lines.join("\n")}\n`, { mode: 0o600 });
        await runWell("msmtp", ["-C", config, "-a", "test", to], { input: content(to).replaceAll("\r\n", "\n") });
        assertSame(await recipient.messageFor(to));
      });
    }
  });

  describe("Nodemailer", () => {
    for (const { name, implicit, port } of modes) {
      for (const pool of [false, true]) {
        it(`sends over ${name}${pool ? " through a pool" : ""}`, async () => {
          const at = `nodemailer-${name}${pool ? "-pool" : ""}.test`;
          const transport = nodemailer.createTransport({
            host: "localhost",
            port: port(),
            secure: implicit,
            requireTLS: !implicit,
            auth: { user, pass: password },
            tls: { ca: readFileSync(server.certificate) },
            ...(pool ? { pool: true, maxConnections: 2 } : {}),
          });
          const send = (i: number): Promise<unknown> =>
            transport.sendMail({ from: user, to: `a${i}@${at}`, bcc: `b${i}@${at}`, subject: "Grüße", text: `.dot ${i}\nGrüße\n.\nend\n` });
          await Promise.all(Array.from({ length: pool ? 8 : 1 }, (_, i) => send(i)));
          transport.close();
          for (let i = 0; i < (pool ? 8 : 1); i++) {
            const message = await recipient.messageFor(`a${i}@${at}`);
            assert.match(message.body.toString(), new RegExp(`^\\.dot ${i}\r\n.*\r\n\\.\r\nend\r\n$`, "s"));
            assert.deepEqual(fieldValues(message.header, "Bcc"), []);
            await recipient.messageFor(`b${i}@${at}`);
            assertTraced(message, "ESMTPSA");
          }
        });
      }
    }
  });

  describe("the mission's conversation, typed by hand", () => {
    const mail = [
      "From: user@gmail.com",
      "To: ALICE",
      "Subject: Hello",
      "Date: Thu, 06 Feb 2026 10:00:00 +0000",
      "",
      "This is the email body.",
    ];

    it("through openssl s_client on 587", { skip: skipWithout("openssl") }, async (t) => {
      const verify = ["-CAfile", server.certificate, "-verify_return_error"];
      const connect = ["-connect", `localhost:${server.ports.submission}`];
      const { type, typeOn, ended } = typeInto(t, "openssl", ["s_client", "-crlf", "-quiet", "-starttls", "smtp", ...connect, ...verify]);
      // s_client says EHLO and STARTTLS by itself.
      const hello = await type("EHLO myclient.local");
      assert.match(hello, /^250-smtp\.gmail\.com at your service\n/);
      assert.match(hello, /\n250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\n/);
      assert.match(hello, /\n250-SIZE 35882577\n/);
      assert.doesNotMatch(hello, /STARTTLS/);
      assert.equal(await type("AUTH LOGIN"), "334 VXNlcm5hbWU6");
      assert.equal(await type("dXNlckBnbWFpbC5jb20="), "334 UGFzc3dvcmQ6");
      assert.equal(await type("cGFzc3dvcmQ="), "235 2.7.0 Authentication successful");
      assert.equal(await type("MAIL FROM:<user@gmail.com>"), "250 2.1.0 OK");
      assert.equal(await type("RCPT TO:<alice@openssl.test>"), "250 2.1.5 OK");
      assert.match(await type("DATA"), /^354 /);
      for (const line of mail) typeOn(line);
      assert.match(await type("."), /^250 2\.0\.0 OK, message accepted/);
      assert.equal(await type("QUIT"), "221 2.0.0 closing connection");
      assert.equal(await ended, 0);
      const message = await recipient.messageFor("alice@openssl.test");
      assert.equal(message.body.toString(), "This is the email body.\r\n");
      assert.deepEqual(fieldValues(message.header, "Date"), ["Thu, 06 Feb 2026 10:00:00 +0000"]);
      assertTraced(message, "ESMTPSA");
    });

    it("through telnet on 25", { skip: skipWithout("telnet") }, async (t) => {
      const { reply, type, typeOn, ended } = typeInto(t, "telnet", ["127.0.0.1", String(server.ports.smtp)]);
      assert.equal(await reply(), "220 smtp.gmail.com ESMTP ready");
      assert.match(await type("EHLO myclient.local"), /^250-smtp\.gmail\.com at your service\n/);
      assert.equal(await type("MAIL FROM:<user@gmail.com>"), "250 2.1.0 OK");
      assert.match(await type("RCPT TO:<alice@elsewhere.test>"), /^550 5\.7\.1 /);
      assert.equal(await type("RCPT TO:<telnet@example.com>"), "250 2.1.5 OK");
      assert.match(await type("DATA"), /^354 /);
      for (const line of mail) typeOn(line);
      assert.match(await type("."), /^250 2\.0\.0 OK, message accepted/);
      assert.equal(await type("QUIT"), "221 2.0.0 closing connection");
      await ended;
      const message = await recipient.messageFor("telnet@example.com");
      assert.equal(message.body.toString(), "This is the email body.\r\n");
      assertTraced(message, "ESMTP");
    });
  });

  it("is stopped by SIGTERM with exit code 0", async () => {
    assert.equal(await server.stop(), 0);
  });
});
