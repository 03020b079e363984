/** What a transport does with what servers say: results, errors, retries, the pool. Each server is a script. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  AuthenticationError,
  CancelledError,
  ConnectError,
  type CreateTransportOptions,
  createTransport,
  DataError,
  DisconnectedError,
  NotSupportedError,
  OutcomeUnknownError,
  RecipientsRefusedError,
  SenderRefusedError,
  type SendResult,
  SmtpError,
  TlsError,
} from "../../src/client/index.ts";
import { ComposeError } from "../../src/message/compose-error.ts";
import { ScriptedServer } from "../../src/testing/scripted-server.ts";

const greeting = "<- 220 mx\n-> EHLO *\n<- 250-mx\n<- 250 PIPELINING\n";
const taken = "-> MAIL FROM:<a@b.test>\n-> RCPT TO:<c@d.test>\n-> DATA\n<- 250 ok\n<- 250 ok\n<- 354 go\ncontent\n<- 250 2.0.0 taken\n";
const bye = "-> QUIT\n<- 221 bye\n";
const draft = { from: "a@b.test", to: "c@d.test", subject: "s", text: "t" };

/** A transport to the scripts, its options, and what the test does with it; the scripts have to be played to their end. */
async function against(
  scripts: string | readonly string[],
  options: CreateTransportOptions,
  test: (transport: ReturnType<typeof createTransport>, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  await using server = await ScriptedServer.start(scripts);
  const transport = createTransport({ host: server.host, port: server.port, tlsMode: "none", name: "client.test", ...options });
  try {
    await test(transport, server);
  } finally {
    await transport.close();
  }
  await server.done();
}

const failureOf = (sending: Promise<SendResult>): Promise<SmtpError> =>
  sending.then(
    () => assert.fail("it was sent"),
    (error: unknown) => (error instanceof SmtpError ? error : assert.fail(String(error))),
  );

describe("results", () => {
  it("has a report for each recipient: accepted, refused for now, refused for good", () =>
    against(
      `${greeting}-> MAIL FROM:<a@b.test>
-> RCPT TO:<c@d.test>
-> RCPT TO:<e@f.test>
-> RCPT TO:<g@h.test>
-> DATA
<- 250 ok
<- 250 ok
<- 550-5.1.1 no
<- 550 5.1.1 such user
<- 452 4.2.2 full
<- 354 go
content
<- 250 2.0.0 taken
${bye}`,
      { retry: false },
      async (transport) => {
        const result = await transport.send({ ...draft, cc: "e@f.test", bcc: "g@h.test" });
        assert.deepEqual(
          result.recipients.map(({ address, status, code, enhancedCode, text, lasting }) => [
            address,
            status,
            code,
            enhancedCode,
            text,
            lasting,
          ]),
          [
            ["c@d.test", "accepted", 250, "2.0.0", "taken", undefined],
            ["e@f.test", "refused", 550, "5.1.1", "no\nsuch user", "permanent"],
            ["g@h.test", "refused", 452, "4.2.2", "full", "temporary"],
          ],
        );
        assert.match(result.messageId, /^<.+@b\.test>$/);
        assert.equal(result.envelope.from, "a@b.test");
      },
    ));

  it("keeps Bcc in RCPT TO alone", () =>
    against(greeting + taken.replace("c@d.test", "secret@d.test") + bye, {}, async (transport, server) => {
      await transport.send({ from: "a@b.test", bcc: "secret@d.test", text: "t" });
      assert.doesNotMatch(server.texts.join(""), /secret/);
    }));

  it("takes Bcc out of a copy of a raw message", () =>
    against(greeting + taken + bye, {}, async (transport, server) => {
      const raw = Buffer.from("From: a@b.test\nBcc: c@d.test\nSubject: s\n\nt\n.\n..x\nno end");
      const before = Buffer.from(raw);
      await transport.send({ raw });
      assert.deepEqual(raw, before);
      assert.equal(server.texts[0], "From: a@b.test\r\nSubject: s\r\n\r\nt\r\n.\r\n..x\r\nno end\r\n");
    }));

  it("throws before it connects for what cannot be composed", async () => {
    const transport = createTransport({ host: "127.0.0.1", port: 1, dial: () => assert.fail("it dialled") });
    await assert.rejects(transport.send({ ...draft, subject: "a\r\nBcc: x@y.test" }), ComposeError);
    await assert.rejects(transport.send({ ...draft, to: "c@d.test>\r\nRCPT TO:<x@y.test" }), ComposeError);
    await assert.rejects(transport.send({ ...draft, headers: { "X-A\r\nBcc": "b" } }), ComposeError);
    await transport.close();
  });
});

describe("errors", () => {
  const refusals: readonly (readonly [string, string, new (...args: never[]) => SmtpError, Partial<SmtpError>])[] = [
    ["a greeting of 554", "<- 554 no\n-> QUIT\n<- 221 bye\n", ConnectError, { phase: "greeting", code: 554, lasting: "permanent" }],
    ["a greeting of 421", "<- 421 busy\n-> QUIT\n<- 221 bye\n", ConnectError, { phase: "greeting", code: 421, lasting: "temporary" }],
    [
      "MAIL refused",
      `${greeting}-> MAIL *\n-> RCPT *\n-> DATA\n<- 550 5.7.1 no\n<- 503 no\n<- 503 no\n${bye}`,
      SenderRefusedError,
      { phase: "mail", code: 550, status: "5.7.1", lasting: "permanent" },
    ],
    [
      "RCPT refused",
      `${greeting}-> MAIL *\n-> RCPT *\n-> DATA\n<- 250 ok\n<- 550 5.1.1 no\n<- 503 no\n${bye}`,
      RecipientsRefusedError,
      { phase: "rcpt", code: 550, lasting: "permanent" },
    ],
    [
      "552 at RCPT for too many recipients",
      `${greeting}-> MAIL *\n-> RCPT *\n-> DATA\n<- 250 ok\n<- 552 too many\n<- 503 no\n${bye}`,
      RecipientsRefusedError,
      { code: 452, lasting: "temporary" },
    ],
    [
      "the content refused",
      `${greeting}${taken.replace("250 2.0.0 taken", "554 5.6.0 spam")}${bye}`,
      DataError,
      { phase: "sent-dot", code: 554, lasting: "permanent" },
    ],
    [
      "no recipient, but 354: only the dot is sent and the session goes on",
      `${greeting}-> MAIL *\n-> RCPT *\n-> DATA\n<- 250 ok\n<- 550 no\n<- 354 go\n-> .\n<- 554 no recipients\n${bye}`,
      RecipientsRefusedError,
      { code: 550 },
    ],
    ["the connection lost in MAIL", `${greeting}-> MAIL *\n-> RCPT *\n-> DATA\nclose\n`, DisconnectedError, { lasting: "temporary" }],
    ["a reply that is none", `${greeting}-> MAIL *\n-> RCPT *\n-> DATA\n<- hello\n`, DisconnectedError, { lasting: "temporary" }],
    [
      "the connection lost behind the final dot",
      `${greeting}-> MAIL *\n-> RCPT *\n-> DATA\n<- 250 ok\n<- 250 ok\n<- 354 go\ncontent\nclose\n`,
      OutcomeUnknownError,
      { lasting: "unknown", phase: "sent-dot" },
    ],
  ];
  for (const [title, script, kind, facts] of refusals) {
    it(`${title}: ${kind.name}`, () =>
      against(script, { retry: false }, async (transport) => {
        const error = await failureOf(transport.send(draft));
        assert.equal(error.constructor, kind, `${error}`);
        assert.deepEqual(Object.fromEntries(Object.keys(facts).map((key) => [key, error[key as keyof SmtpError]])), facts);
        assert.equal(error.result?.recipients.length, 1);
      }));
  }

  it("explains a port that speaks STARTTLS to who speaks TLS first", () =>
    against("<- 220 mx ESMTP\nsilence\n", { tlsMode: "implicit", retry: false }, async (transport) => {
      const error = await failureOf(transport.send(draft));
      assert.ok(error instanceof TlsError);
      assert.match(error.message, /speaks STARTTLS \(clear text first\), not TLS from the first byte/);
    }));

  it("explains a port that wants TLS first to who waits for a greeting", () =>
    against("silence\n", { retry: false, timeouts: { greeting: 50 } }, async (transport) => {
      assert.match((await failureOf(transport.send(draft))).message, /wants TLS from the first byte/);
    }));

  it("refuses a login where AUTH is not offered, and sends nothing", () =>
    against(`${greeting}${bye}`, { auth: { user: "u", password: "p" }, retry: false }, async (transport) => {
      assert.ok((await failureOf(transport.send(draft))) instanceof AuthenticationError);
    }));

  it("sends no password outside TLS", () =>
    against(
      greeting.replace("PIPELINING", "AUTH PLAIN LOGIN") + bye,
      { auth: { user: "u", password: "p" }, retry: false },
      async (transport) => {
        const error = await failureOf(transport.send(draft));
        assert.ok(error instanceof AuthenticationError);
        assert.match(error.message, /not inside TLS/);
      },
    ));

  it("sends nothing where TLS is required and not offered", () =>
    against(greeting + bye, { tlsMode: "required", retry: false }, async (transport) => {
      assert.ok((await failureOf(transport.send(draft))) instanceof TlsError);
    }));

  it("refuses a UTF-8 local part without SMTPUTF8, and writes a domain as A-labels", () =>
    against(`${greeting}${taken.replace("c@d.test", "c@xn--bcher-kva.test")}${bye}`, { retry: false }, async (transport) => {
      assert.ok((await failureOf(transport.send({ ...draft, to: "zoë@d.test" }))) instanceof NotSupportedError);
      await transport.send({ ...draft, to: "c@bücher.test" });
    }));

  it("does not begin a message that is larger than the server takes", () =>
    against(greeting.replace("PIPELINING", "SIZE 100") + bye, { retry: false }, async (transport) => {
      const error = await failureOf(transport.send({ ...draft, text: "x".repeat(200) }));
      assert.ok(error instanceof NotSupportedError);
      assert.equal(error.lasting, "permanent");
    }));

  it("gives up at the caller's signal", () =>
    against(`${greeting}-> MAIL *\n-> RCPT *\n-> DATA\nsilence\n`, {}, async (transport) => {
      const sending = failureOf(transport.send(draft, { signal: AbortSignal.timeout(100) }));
      assert.ok((await sending) instanceof CancelledError);
    }));
});

describe("retries", () => {
  const retry = { attempts: 3, delay: 1 };

  it("tries a 451 again, on the same connection", () =>
    against(`${greeting}${taken.replace("250 2.0.0 taken", "451 4.3.0 later")}${taken}${bye}`, { retry }, async (transport) => {
      assert.equal((await transport.send(draft)).recipients[0]?.attempts, 2);
    }));

  it("tries only the recipients that were refused for now again", () =>
    against(
      `${greeting}-> MAIL *
-> RCPT TO:<c@d.test>
-> RCPT TO:<e@f.test>
-> DATA
<- 250 ok
<- 250 ok
<- 450 4.7.1 greylisted
<- 354 go
content
<- 250 taken
-> MAIL *
-> RCPT TO:<e@f.test>
-> DATA
<- 250 ok
<- 250 ok
<- 354 go
content
<- 250 taken
${bye}`,
      { retry },
      async (transport) => {
        const { recipients } = await transport.send({ ...draft, cc: "e@f.test" });
        assert.deepEqual(
          recipients.map(({ status, attempts }) => [status, attempts]),
          [
            ["accepted", 1],
            ["accepted", 2],
          ],
        );
      },
    ));

  it("connects again after a greeting of 421, and not after 554", async () => {
    await against(
      ["<- 421 busy\n-> QUIT\nclose\n", greeting + taken + bye],
      { retry },
      async (transport) => void (await transport.send(draft)),
    );
    await against("<- 554 no\n-> QUIT\nclose\n", { retry }, async (transport) => void (await failureOf(transport.send(draft))));
  });

  it("never tries a message again whose outcome is unknown", () =>
    against(`${greeting}${taken.replace("<- 250 2.0.0 taken\n", "close\n")}`, { retry }, async (transport) => {
      assert.ok((await failureOf(transport.send(draft))) instanceof OutcomeUnknownError);
    }));

  it("does not send a stream again that is used up", () =>
    against(`${greeting}${taken.replace("250 2.0.0 taken", "451 4.3.0 later")}${bye}`, { retry }, async (transport) => {
      async function* once() {
        yield "once";
      }
      const error = await failureOf(transport.send({ ...draft, attachments: [{ filename: "a.txt", content: once() }] }));
      assert.equal(error.code, 451);
    }));
});

describe("the pool", () => {
  it("sends one message after the other through a connection, and ends it with QUIT", () =>
    against(greeting + taken.repeat(3) + bye, { pool: { maxConnections: 1 } }, async (transport) => {
      await Promise.all([transport.send(draft), transport.send(draft), transport.send(draft)]);
      assert.deepEqual(transport.state, { connections: 1, idle: 1, waiting: 0, sending: 0 });
    }));

  it("opens no more connections than it may, and ends one after its messages", () =>
    against(
      [greeting + taken.repeat(2) + bye, greeting + taken + bye],
      { pool: { maxConnections: 1, maxMessages: 2 } },
      async (transport) => {
        await Promise.all([transport.send(draft), transport.send(draft), transport.send(draft)]);
      },
    ));

  it("does not count an attempt on an idle connection that the server had closed", () =>
    against([`${greeting}${taken}-> MAIL *\n-> RCPT *\n-> DATA\nclose\n`, greeting + taken + bye], { retry: false }, async (transport) => {
      await transport.send(draft);
      assert.equal((await transport.send(draft)).recipients[0]?.attempts, 1);
    }));

  it("asks a connection that was idle for long before it uses it", () =>
    against([`${greeting}${taken}-> RSET\nclose\n`, greeting + taken + bye], { pool: { probeAfter: 0 } }, async (transport) => {
      await transport.send(draft);
      await transport.send(draft);
    }));

  it("goes on after a refused message with RSET in front of the next", () =>
    against(
      `${greeting}-> MAIL *\n-> RCPT *\n-> DATA\n<- 250 ok\n<- 550 no\n<- 503 no\n-> RSET\n-> MAIL *\n-> RCPT *\n-> DATA\n<- 250 ok\n<- 250 ok\n<- 250 ok\n<- 354 go\ncontent\n<- 250 ok\n${bye}`,
      { retry: false },
      async (transport) => {
        await failureOf(transport.send(draft));
        await transport.send(draft);
      },
    ));

  it("keeps to a rate", () =>
    against(greeting + taken.repeat(3) + bye, { rate: { messages: 2, interval: 100 }, pool: { maxConnections: 1 } }, async (transport) => {
      const begun = performance.now();
      await Promise.all([transport.send(draft), transport.send(draft), transport.send(draft)]);
      assert.ok(performance.now() - begun >= 95);
    }));

  it("verifies its settings", () =>
    against(`${greeting}-> NOOP\n<- 250 ok\n${bye}`, {}, async (transport) => {
      await transport.verify();
    }));
});

describe("what is written", () => {
  it("follows what the server offers: 8 bit, BDAT and BINARYMIME", async () => {
    const octets = Uint8Array.from({ length: 300 }, (_, i) => i % 256);
    await against(
      `<- 220 mx
-> EHLO *
<- 250-mx
<- 250-8BITMIME
<- 250-BINARYMIME
<- 250 CHUNKING
-> MAIL FROM:<a@b.test> BODY=BINARYMIME
<- 250 ok
-> RCPT *
<- 250 ok
-> BDAT * LAST
content
<- 250 ok
${bye}`,
      {},
      async (transport, server) => {
        await transport.send({ ...draft, text: "grün", attachments: [{ filename: "a.bin", content: octets }] });
        assert.ok(Buffer.from(server.contents[0] as Uint8Array).includes(Buffer.from(octets)));
      },
    );
  });

  it("is ASCII where the server offers nothing, or where it is wanted portable", async () => {
    const ascii = async (_: unknown, server: ScriptedServer) => assert.ok(server.contents[0]?.every((octet) => octet < 128));
    await against(greeting + taken + bye, {}, async (transport, server) => {
      await transport.send({ ...draft, text: "grün" });
      await ascii(transport, server);
    });
    await against(
      greeting.replace("PIPELINING", "PIPELINING\n<- 250 8BITMIME").replace("<- 250 PIP", "<- 250-PIP") + taken + bye,
      { encoding: "portable" },
      async (transport, server) => {
        await transport.send({ ...draft, text: "grün" });
        await ascii(transport, server);
      },
    );
  });

  it("converts a raw message of 8 bit for a server that takes 7", () =>
    against(greeting + taken + bye, {}, async (transport, server) => {
      await transport.send({
        raw: "From: a@b.test\nTo: c@d.test\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngrün\n",
      });
      assert.match(server.texts[0] ?? "", /quoted-printable[\s\S]*gr=C3=BCn/i);
    }));

  it("is signed last, or not sent", async () => {
    const sign = (content: Parameters<NonNullable<CreateTransportOptions["sign"]>>[0]) => {
      assert.ok(content.kind === "memory");
      const chunks = [Buffer.from("DKIM-Signature: x\r\n"), ...content.chunks];
      return { kind: "memory", chunks, size: content.size + 19 } as const;
    };
    await against(greeting + taken + bye, { sign }, async (transport, server) => {
      await transport.send(draft);
      assert.match(server.texts[0] ?? "", /^DKIM-Signature: x\r\nFrom: /);
    });
    const broken = (): never => {
      throw new Error("a bad key");
    };
    await against(greeting + bye, { sign: broken }, async (transport) => {
      await assert.rejects(transport.send(draft), /a bad key/);
    });
  });

  it("asks for reports, each recipient with its own address", () =>
    against(
      `<- 220 mx\n-> EHLO *\n<- 250-mx\n<- 250 DSN\n-> MAIL FROM:<a@b.test> RET=HDRS ENVID=id+2B1\n<- 250 ok\n-> RCPT TO:<c@d.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c@d.test\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n${bye}`,
      {},
      async (transport) => {
        await transport.send({ ...draft, dsn: { notify: ["success", "failure"], ret: "headers", envelopeId: "id+1" } });
      },
    ));
});

describe("streams", () => {
  async function* gigabyte(size: number) {
    const chunk = new Uint8Array(65_536).fill(120);
    for (let sent = 0; sent < size; sent += chunk.length) yield chunk;
  }

  it("of unknown size go by DATA as text, whatever the server offers", () =>
    against(
      `<- 220 mx\n-> EHLO *\n<- 250-mx\n<- 250-8BITMIME\n<- 250-BINARYMIME\n<- 250 CHUNKING\n-> MAIL FROM:<a@b.test>\n<- 250 ok\n-> RCPT *\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n${bye}`,
      {},
      async (transport, server) => {
        await transport.send({ ...draft, attachments: [{ filename: "a.bin", content: gigabyte(100_000) }] });
        assert.match(server.texts[0] ?? "", /Content-Transfer-Encoding: base64/);
      },
    ));

  it("given up while a connection is waited for, a message is not sent", () =>
    against(`<- 220 mx\n-> EHLO *\nsilence\n`, { timeouts: { ehlo: 300 }, retry: false }, async (transport) => {
      const begun = performance.now();
      await assert.rejects(transport.send(draft, { signal: AbortSignal.timeout(30) }));
      assert.ok(performance.now() - begun < 290);
    }));
});
