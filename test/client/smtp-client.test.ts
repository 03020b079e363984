/** SmtpClient, step by step, with the behaviour and the exceptions of Python's smtplib. Each server is a script. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  AuthenticationError,
  type ClientOptions,
  ConnectError,
  DataError,
  DisconnectedError,
  formatTranscriptLine,
  HelloError,
  NotSupportedError,
  OutcomeUnknownError,
  RecipientsRefusedError,
  SenderRefusedError,
  SmtpClient,
  SmtpTimeoutError,
  TlsError,
} from "../../src/client/index.ts";
import { ScriptedServer } from "../../src/testing/scripted-server.ts";

const greeting = "<- 220 mx\n";
const hello = "-> EHLO client.test\n<- 250-mx says hello\n<- 250-SIZE 1000\n<- 250 8BITMIME\n";
const bye = "-> QUIT\n<- 221 bye\n";

async function against(
  script: string,
  options: ClientOptions,
  test: (client: SmtpClient, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  await using server = await ScriptedServer.start(script);
  {
    await using client = new SmtpClient({ host: server.host, port: server.port, localHostname: "client.test", ...options });
    await test(client, server);
  }
  await server.done();
}

describe("steps", () => {
  it("connects, and gives each reply whatever it is", () =>
    against(
      `${greeting}${hello}-> VRFY <a@b.test>\n<- 252 maybe\n-> EXPN list\n<- 550 5.1.1 none\n-> NOOP\n<- 250 ok\n-> HELP\n<- 214-one\n<- 214 two\n-> RSET\n<- 250 ok\n-> XFOO bar\n<- 500 what\n${bye}`,
      {},
      async (client) => {
        assert.deepEqual(await client.connect(), { code: 220, text: "mx" });
        assert.equal((await client.ehlo()).code, 250);
        assert.equal((await client.verify("a@b.test")).code, 252);
        assert.deepEqual(await client.expn("list"), { code: 550, status: "5.1.1", text: "none" });
        assert.equal((await client.noop()).code, 250);
        assert.equal(await client.help(), "one\ntwo");
        assert.equal((await client.rset()).code, 250);
        assert.equal((await client.docmd("XFOO", "bar")).code, 500);
        assert.equal((await client.quit()).code, 221);
        assert.equal(client.connected, false);
      },
    ));

  it("knows what EHLO offered", () =>
    against(greeting + hello + bye, {}, async (client) => {
      await client.connect();
      assert.equal(client.doesEsmtp, false);
      await client.ehloOrHeloIfNeeded();
      await client.ehloOrHeloIfNeeded();
      assert.equal(client.doesEsmtp, true);
      assert.equal(client.hasExtension("size"), true);
      assert.equal(client.hasExtension("DSN"), false);
      assert.equal(client.esmtpFeatures.get("SIZE"), "1000");
      assert.equal(client.ehloReply?.code, 250);
      assert.equal(client.heloReply, undefined);
    }));

  it("goes on with HELO where EHLO is refused, and no further where both are", async () => {
    await against(
      `${greeting}-> EHLO client.test\n<- 502 what\n-> HELO client.test\n<- 250 mx\n-> MAIL FROM:<a@b.test>\n<- 250 ok\n${bye}`,
      {},
      async (client) => {
        await client.connect();
        await client.ehloOrHeloIfNeeded();
        assert.equal(client.doesEsmtp, false);
        assert.equal((await client.mail("a@b.test")).code, 250);
      },
    );
    await against(`${greeting}-> EHLO client.test\n<- 502 what\n-> HELO client.test\n<- 550 no\n${bye}`, {}, async (client) => {
      await client.connect();
      await assert.rejects(client.ehloOrHeloIfNeeded(), HelloError);
    });
  });

  it("sends MAIL, RCPT and DATA, and stuffs dots", () =>
    against(
      `${greeting}${hello}-> MAIL FROM:<> RET=HDRS\n<- 250 ok\n-> RCPT TO:<postmaster>\n<- 250 ok\n-> RCPT TO:<"a b"@c.test>\n<- 550 no\n-> DATA\n<- 354 go\n-> a\n-> ..\n-> ...b\n-> .\n<- 250 taken\n${bye}`,
      {},
      async (client) => {
        await client.connect();
        await client.ehlo();
        assert.equal((await client.mail("", ["RET=HDRS"])).code, 250);
        assert.equal((await client.rcpt("postmaster")).code, 250);
        assert.equal((await client.rcpt('"a b"@c.test')).code, 550);
        assert.deepEqual(await client.data("a\n.\n..b"), [{ code: 250, text: "taken" }]);
      },
    ));

  it("rejects DATA that is refused, and gives the reply to the end of data", () =>
    against(
      `${greeting}-> DATA\n<- 503 first\n-> MAIL FROM:<a@b>\n<- 250 ok\n-> RCPT TO:<c@d>\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 554 no\n${bye}`,
      {},
      async (client) => {
        await client.connect();
        await assert.rejects(client.data("x"), (error) => error instanceof DataError && error.code === 503);
        await client.docmd("MAIL FROM:<a@b>");
        await client.docmd("RCPT TO:<c@d>");
        assert.equal((await client.data("x"))[0]?.code, 554);
      },
    ));

  it("has several commands on their way", () =>
    against(`${greeting}-> NOOP\n-> VRFY x\n<- 250 one\n<- 252 two\n${bye}`, {}, async (client) => {
      await client.connect();
      client.putCommand("NOOP");
      client.putCommand("VRFY", "x");
      assert.equal((await client.getReply()).text, "one");
      assert.equal((await client.getReply()).text, "two");
      await assert.rejects(client.getReply(), /no command of putCommand/);
    }));

  it("refuses what would end a command before anything is written", () =>
    against(greeting + hello + bye, {}, async (client) => {
      await client.connect();
      await client.ehlo();
      for (const address of ["a@b\r\nRCPT TO:<x@y>", "a@b>\nX", "<a@b> SIZE=1", "a b@c", "a@b\0"]) {
        await assert.rejects(async () => client.mail(address), TypeError, address);
        await assert.rejects(async () => client.rcpt(address), TypeError, address);
        await assert.rejects(client.sendMail("a@b.test", address, "x"), TypeError, address);
      }
      await assert.rejects(client.mail("a@b", ["X=1\r\nRSET"]), TypeError);
      await assert.rejects(client.docmd("NOOP\r\nRSET"), TypeError);
      await assert.rejects(client.ehlo("x\ny"), TypeError);
    }));

  it("must be connected, and can connect again", () =>
    against(`${greeting}${bye}=== again\n${greeting}${bye}`, {}, async (client) => {
      await assert.rejects(client.noop(), (error) => error instanceof DisconnectedError && /call connect/.test(error.message));
      await client.connect();
      await client.quit();
      await assert.rejects(client.noop(), DisconnectedError);
      await client.connect();
    }));

  it("rejects a greeting that is no 220", async () => {
    await against("<- 554 no\n-> QUIT\n<- 221 bye\n", {}, async (client) => {
      await assert.rejects(
        client.connect(),
        (error) => error instanceof ConnectError && error.code === 554 && error.lasting === "permanent",
      );
    });
    await assert.rejects(new SmtpClient({ host: "127.0.0.1", port: 1 }).connect(), ConnectError);
  });

  it("closes at a 421, whatever it answers", () =>
    against(`${greeting}-> NOOP\n<- 421 4.3.2 stopping\n`, {}, async (client) => {
      await client.connect();
      assert.equal((await client.noop()).code, 421);
      assert.equal(client.connected, false);
    }));

  it("times out, and says in what", () =>
    against(`${greeting}-> NOOP\nsilence\n`, { timeout: 50 }, async (client) => {
      await client.connect();
      await assert.rejects(
        client.noop(),
        (error) => error instanceof SmtpTimeoutError && /no answer within .* sending a command/.test(error.message),
      );
    }));

  it("tells everybody who waits that the connection is lost", () =>
    against(`${greeting}-> NOOP\nclose\n`, {}, async (client) => {
      await client.connect();
      await assert.rejects(client.noop(), DisconnectedError);
    }));
});

describe("TLS and login", () => {
  it("starts TLS, forgets what it knew, and logs in", async () => {
    await using server = await ScriptedServer.start(
      `${greeting}-> EHLO *\n<- 250-mx\n<- 250 STARTTLS\n-> STARTTLS\n<- 220 go\ntls\n-> EHLO *\n<- 250-mx\n<- 250 AUTH PLAIN\n-> AUTH PLAIN AHUAcA==\n<- 235 2.7.0 ok\n${bye}`,
    );
    const lines: string[] = [];
    {
      await using client = await SmtpClient.connect({
        host: server.host,
        port: server.port,
        tls: { authorities: server.certificate },
        transcript: (line) => lines.push(formatTranscriptLine(line)),
      });
      assert.equal((await client.starttls()).code, 220);
      assert.equal(client.ehloReply, undefined);
      assert.equal(client.hasExtension("STARTTLS"), false);
      assert.equal(client.tlsFacts?.verified, true);
      assert.equal((await client.login("u", "p")).code, 235);
    }
    await server.done();
    assert.ok(lines.some((line) => / ms -> AUTH PLAIN \*\*\*$/.test(line)));
    assert.doesNotMatch(lines.join("\n"), /AHUAcA/);
  });

  it("speaks TLS from the first byte", async () => {
    await using server = await ScriptedServer.start(`tls\n${greeting}-> NOOP\n<- 250 ok\n${bye}`);
    {
      await using client = await SmtpClient.connect({
        host: server.host,
        port: server.port,
        implicitTls: true,
        tls: { authorities: server.certificate },
      });
      assert.equal((await client.noop()).code, 250);
    }
    await server.done();
  });

  it("trusts no certificate that it does not know", async () => {
    await using server = await ScriptedServer.start(
      `${greeting}-> EHLO *\n<- 250-mx\n<- 250 STARTTLS\n-> STARTTLS\n<- 220 go\ntls fails\n`,
    );
    await using client = await SmtpClient.connect({ host: server.host, port: server.port });
    await assert.rejects(client.starttls(), TlsError);
    await server.done();
  });

  it("says where STARTTLS or AUTH are not offered, or refused", () =>
    against(
      `${greeting}${hello}${bye}=== refused\n${greeting}-> EHLO *\n<- 250-mx\n<- 250 STARTTLS\n-> STARTTLS\n<- 454 4.7.0 no\n${bye}`,
      {},
      async (client) => {
        await client.connect();
        await assert.rejects(client.starttls(), NotSupportedError);
        await assert.rejects(client.login("u", "p"), NotSupportedError);
        await client.quit();
        await client.connect();
        await assert.rejects(
          client.starttls(),
          (error) => error instanceof TlsError && error.code === 454 && error.lasting === "temporary",
        );
      },
    ));

  it("can be used after a login that failed; passwordInClear allows one outside TLS", () =>
    against(
      `${greeting}-> EHLO *\n<- 250-mx\n<- 250 AUTH PLAIN\n-> AUTH PLAIN *\n<- 535 5.7.8 no\n-> NOOP\n<- 250 ok\n${bye}`,
      { passwordInClear: true },
      async (client) => {
        await client.connect();
        await assert.rejects(
          client.login("u", "wrong"),
          (error) => error instanceof AuthenticationError && error.code === 535 && error.status === "5.7.8",
        );
        assert.equal((await client.noop()).code, 250);
      },
    ));

  it("takes a mechanism of the caller's", () =>
    against(
      `${greeting}-> EHLO *\n<- 250-mx\n<- 250 AUTH X-OWN\n-> AUTH X-OWN Zmlyc3Q=\n<- 334 cQ==\n-> YQ==\n<- 235 ok\n${bye}`,
      {},
      async (client) => {
        await client.connect();
        const text = (words: string) => new TextEncoder().encode(words);
        await client.auth({
          name: "X-OWN",
          needsPrivacy: false,
          initial: () => ({ kind: "response", bytes: text("first") }),
          respond: () => ({ kind: "response", bytes: text("a") }),
          answered: () => ({ kind: "cancel", why: "nothing was asked" }),
          done: () => undefined,
        });
      },
    ));
});

describe("whole messages", () => {
  const envelope = "-> MAIL FROM:<a@b.test> SIZE=*\n<- 250 ok\n-> RCPT TO:<c@d.test>\n<- 250 ok\n";

  it("sendMail: says EHLO by itself, gives the refused ones", () =>
    against(
      `${greeting}${hello}${envelope}-> RCPT TO:<e@f.test>\n<- 550 5.1.1 no\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n-> RSET\n<- 250 ok\n${bye}`,
      {},
      async (client, server) => {
        await client.connect();
        const refused = await client.sendMail("a@b.test", ["c@d.test", "Eve <e@f.test>"], "Subject: s\n\nt\r");
        assert.deepEqual([...refused], [["Eve <e@f.test>", { code: 550, status: "5.1.1", text: "no" }]]);
        assert.equal(server.texts[0], "Subject: s\r\n\r\nt\r\n");
      },
    ));

  it("sendMail: its exceptions, with RSET behind each", async () => {
    const cases = [
      ["-> MAIL *\n<- 550 no\n-> RSET\n<- 250 ok\n", SenderRefusedError, 550],
      ["-> MAIL *\n<- 250 ok\n-> RCPT *\n<- 550 no\n-> RSET\n<- 250 ok\n", RecipientsRefusedError, 550],
      [`${envelope}-> DATA\n<- 451 no\n-> RSET\n<- 250 ok\n`, DataError, 451],
      [`${envelope}-> DATA\n<- 354 go\ncontent\n<- 554 no\n-> RSET\n<- 250 ok\n`, DataError, 554],
    ] as const;
    for (const [steps, kind, code] of cases) {
      await against(greeting + hello + steps + bye, {}, async (client) => {
        await client.connect();
        await assert.rejects(client.sendMail("a@b.test", "c@d.test", "x"), (error) => error instanceof kind && error.code === code);
      });
    }
    await against(`${greeting}${hello}${envelope}-> DATA\n<- 354 go\ncontent\nclose\n`, {}, async (client) => {
      await client.connect();
      await assert.rejects(client.sendMail("a@b.test", "c@d.test", "x"), OutcomeUnknownError);
    });
    await against(`${greeting}${hello}-> MAIL *\n<- 421 stopping\n`, {}, async (client) => {
      await client.connect();
      await assert.rejects(
        client.sendMail("a@b.test", "c@d.test", "x"),
        (error) => error instanceof SenderRefusedError && error.code === 421,
      );
      assert.equal(client.connected, false);
    });
  });

  it("sendMail: parameters, and SMTPUTF8 only where it is offered", () =>
    against(
      `${greeting}-> EHLO *\n<- 250-mx\n<- 250-SMTPUTF8\n<- 250 DSN\n-> MAIL FROM:<ä@b.test> SMTPUTF8 RET=HDRS\n<- 250 ok\n-> RCPT TO:<c@d.test> NOTIFY=NEVER\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n${bye}=== none\n${greeting}${hello}${bye}`,
      {},
      async (client) => {
        await client.connect();
        await client.sendMail("ä@b.test", "c@d.test", "x", { mailOptions: ["SMTPUTF8", "RET=HDRS"], rcptOptions: ["NOTIFY=NEVER"] });
        await client.quit();
        await client.connect();
        await assert.rejects(client.sendMail("a@b.test", "c@d.test", "x", { mailOptions: ["SMTPUTF8"] }), NotSupportedError);
        await assert.rejects(client.sendMail("ä@b.test", "c@d.test", "x"), NotSupportedError);
      },
    ));

  it("sendMail: a size that the server does not take is said before anything is sent", () =>
    against(greeting + hello + bye, {}, async (client) => {
      await client.connect();
      await assert.rejects(client.sendMail("a@b.test", "c@d.test", "x".repeat(2000)), NotSupportedError);
    }));

  it("sendMessage: the envelope is that of the header, the Resent- block before all, Bcc in none", () =>
    against(
      `${greeting}-> EHLO *\n<- 250 mx\n-> MAIL FROM:<r@b.test>\n<- 250 ok\n-> RCPT TO:<to@d.test>\n<- 250 ok\n-> RCPT TO:<bcc@d.test>\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n-> MAIL FROM:<s@b.test>\n<- 250 ok\n-> RCPT TO:<x@d.test>\n<- 250 ok\n-> RCPT TO:<z@d.test>\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n${bye}`,
      {},
      async (client, server) => {
        await client.connect();
        await client.sendMessage({
          raw: "Resent-Date: Mon, 1 Jan 2024 00:00:00 +0000\nResent-From: r@b.test\nResent-To: to@d.test\nResent-Bcc: bcc@d.test\nFrom: a@b.test\nTo: x@y.test\n\nt\n",
        });
        await client.sendMessage({ from: ["a@b.test", "b@b.test"], sender: "s@b.test", to: "x@d.test", bcc: "z@d.test", text: "t" });
        assert.equal(server.texts.length, 2);
        assert.doesNotMatch(server.texts.join(""), /bcc|z@d/i);
      },
    ));

  it("LMTP: LHLO, one reply for each recipient, over a unix socket too", async () => {
    const folder = mkdtempSync(join(tmpdir(), "postrider-lmtp-"));
    const script = `${greeting}-> LHLO *\n<- 250 mx\n-> MAIL *\n<- 250 ok\n-> RCPT *\n<- 250 ok\n-> RCPT *\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 one\n<- 452 two\n-> RSET\n<- 250 ok\n${bye}`;
    try {
      await using server = await ScriptedServer.start(script, { path: join(folder, "lmtp") });
      {
        await using client = await SmtpClient.connect({ host: server.host, protocol: "lmtp" });
        const refused = await client.sendMail("a@b.test", ["c@d.test", "e@f.test"], "x");
        assert.deepEqual([...refused], [["e@f.test", { code: 452, text: "two" }]]);
      }
      await server.done();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
