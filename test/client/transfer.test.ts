/** What a client asks of a message's way, and what a server's LIMITS make of it. Each server is a script. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { type CreateTransportOptions, createTransport, NotSupportedError, SmtpClient } from "../../src/client/index.ts";
import { ScriptedServer } from "../../src/testing/scripted-server.ts";

const hello = (...keywords: string[]): string =>
  `<- 220 mx\n-> EHLO client.test\n<- 250-mx\n${keywords.map((keyword) => `<- 250-${keyword}\n`).join("")}<- 250 PIPELINING\n`;
const bye = "-> QUIT\n<- 221 bye\n";
const draft = { from: "a@b.test", to: "c@d.test", subject: "s", text: "t" };

/** One transaction that is taken for all; `mail`: the parameters of MAIL. */
function taken(to: readonly string[], mail = ""): string {
  const rcpt = to.map((address) => `-> RCPT TO:<${address}>\n`).join("");
  return `-> MAIL FROM:<a@b.test>${mail}\n${rcpt}-> DATA\n${"<- 250 ok\n".repeat(to.length + 1)}<- 354 go\ncontent\n<- 250 2.0.0 taken\n`;
}

async function against(
  scripts: string | readonly string[],
  test: (transport: ReturnType<typeof createTransport>) => Promise<void>,
  options: CreateTransportOptions = {},
): Promise<void> {
  await using server = await ScriptedServer.start(scripts);
  {
    await using transport = createTransport({
      host: server.host,
      port: server.port,
      tlsMode: "none",
      name: "client.test",
      retry: false,
      ...options,
    });
    await test(transport);
  }
  await server.done();
}

async function stepping(script: string, test: (client: SmtpClient) => Promise<void>): Promise<void> {
  await using server = await ScriptedServer.start(script);
  {
    await using client = await SmtpClient.connect({ host: server.host, port: server.port, localHostname: "client.test" });
    await test(client);
  }
  await server.done();
}

const statuses = (recipients: readonly { readonly address: string; readonly status: string }[]): string[] =>
  recipients.map(({ address, status }) => `${address} ${status}`);

describe("when it goes and how soon", () => {
  const all = ["FUTURERELEASE 86400 2099-01-01T00:00:00Z", "DELIVERBY", "MT-PRIORITY"];

  it("is said in MAIL", () =>
    against(
      `${hello(...all)}${taken(["c@d.test"], " BY=*;RT MT-PRIORITY=3 HOLDFOR=2")}${taken(["c@d.test"], " HOLDUNTIL=2098-12-24T18:00:00Z")}${bye}`,
      async (transport) => {
        const deliverBy = { within: 3_600_000, otherwise: "return", trace: true } as const;
        await transport.send({ ...draft, holdFor: 1500, deliverBy, transferPriority: 3 });
        await transport.send({ ...draft, holdUntil: new Date("2098-12-24T18:00:00Z") });
      },
    ));

  it("throws before a connection is asked for where it makes no sense", () =>
    against([], async (transport) => {
      await assert.rejects(transport.send({ ...draft, holdFor: -1 }), TypeError);
      await assert.rejects(transport.send({ ...draft, transferPriority: 10 }), TypeError);
    }));

  it("fails before MAIL where the server would not keep to it", () =>
    against(`${hello("DSN")}${taken(["c@d.test"])}${bye}`, async (transport) => {
      const failing = async (message: object, expected: RegExp): Promise<void> => {
        const error: unknown = await transport.send({ ...draft, ...message }).catch((thrown: unknown) => thrown);
        assert.ok(error instanceof NotSupportedError);
        assert.match(error.message, expected);
      };
      await failing({ holdFor: 1000 }, /does not offer FUTURERELEASE \(5\.3\.3\)/);
      await failing({ deliverBy: { within: 1000, otherwise: "return" } }, /does not offer DELIVERBY \(5\.4\.7\)/);
      // Nobody is harmed where these are not known.
      await transport.send({ ...draft, deliverBy: { within: 1000, otherwise: "notify" }, transferPriority: 1 });
    }));

  it("works step by step as well", () =>
    stepping(
      `${hello(...all)}${taken(["c@d.test"], " MT-PRIORITY=-1 RET=HDRS HOLDFOR=1")}${taken(["c@d.test"], " HOLDFOR=9")}${bye}`,
      async (client) => {
        await client.sendMail("a@b.test", "c@d.test", "Subject: x\n\ny\n", {
          holdFor: 1000,
          transferPriority: -1,
          mailOptions: ["RET=HDRS"],
        });
        await client.sendMessage({ ...draft, holdFor: 9000 });
        await assert.rejects(client.sendMail("a@b.test", "c@d.test", "x", { holdFor: 1e9 }), NotSupportedError);
        await assert.rejects(client.sendMail("a@b.test", "c@d.test", "x", { holdFor: 0 }), TypeError);
      },
    ));
});

describe("LIMITS (RFC 9422)", () => {
  const five = ["1@d.test", "2@d.test", "3@d.test", "4@d.test", "5@d.test"];

  it("RCPTMAX: no more recipients in one transaction", () =>
    against(
      `${hello("LIMITS RCPTMAX=2")}${taken(five.slice(0, 2))}${taken(five.slice(2, 4))}${taken(five.slice(4))}${bye}`,
      async (transport) => {
        const { recipients } = await transport.send({ ...draft, to: five });
        assert.deepEqual(
          statuses(recipients),
          five.map((address) => `${address} accepted`),
        );
      },
    ));

  it("MAILMAX: no more transactions through one connection", () =>
    against(
      [
        `${hello("LIMITS MAILMAX=2 RCPTMAX=2")}${taken(five.slice(0, 2))}${taken(five.slice(2, 4))}${bye}`,
        `${hello("LIMITS MAILMAX=2 RCPTMAX=2")}${taken(five.slice(4))}${taken(["c@d.test"])}${bye}`,
      ],
      async (transport) => {
        await transport.send({ ...draft, to: five });
        await transport.send(draft);
      },
    ));

  it("RCPTDOMAINMAX: no more domains through one connection", () =>
    against(
      [
        `${hello("LIMITS RCPTDOMAINMAX=1")}${taken(["1@d.test", "3@D.test"])}${bye}`,
        `${hello("LIMITS RCPTDOMAINMAX=1")}${taken(["2@e.test"])}${bye}`,
      ],
      async (transport) => {
        const { recipients } = await transport.send({ ...draft, to: ["1@d.test", "2@e.test", "3@D.test"] });
        assert.deepEqual(statuses(recipients), ["1@d.test accepted", "2@e.test accepted", "3@D.test accepted"]);
      },
      { pool: { maxConnections: 1 } },
    ));

  it("keeps the results of several transactions apart", () =>
    against(
      `${hello("LIMITS RCPTMAX=1")}${taken(["1@d.test"])}-> MAIL FROM:<a@b.test>\n-> RCPT TO:<2@d.test>\n-> DATA\n<- 250 ok\n<- 550 5.1.1 no\n<- 554 none\n-> RSET\n<- 250 ok\n${taken(["3@d.test"])}${bye}`,
      async (transport) => {
        const { recipients } = await transport.send({ ...draft, to: ["1@d.test", "2@d.test", "3@d.test"] });
        assert.deepEqual(statuses(recipients), ["1@d.test accepted", "2@d.test refused", "3@d.test accepted"]);
      },
    ));

  it("sends nothing that can be read only once and would have to be sent twice", () =>
    against(`${hello("LIMITS RCPTMAX=1", "SIZE")}${bye}`, async (transport) => {
      const raw = Readable.from([Buffer.from("Subject: x\r\n\r\ny\r\n")]);
      const sending = transport.send({ raw, envelope: { from: "a@b.test", to: ["1@d.test", "2@d.test"] } });
      await assert.rejects(sending, /can be read only once/);
    }));

  it("step by step: several transactions, and an error before the first where this connection cannot carry them", () =>
    stepping(
      `${hello("LIMITS RCPTMAX=2 MAILMAX=3")}${taken(five.slice(0, 2))}-> MAIL FROM:<a@b.test>\n-> RCPT TO:<3@d.test>\n-> DATA\n<- 452 4.3.1 full\n<- 503 no\n<- 503 no\n-> RSET\n<- 250 ok\n${bye}`,
      async (client) => {
        await assert.rejects(client.sendMail("a@b.test", [...five, "6@d.test", "7@d.test"], "x"), /connect again/);
        const refused = await client.sendMail("a@b.test", five.slice(0, 3), "x");
        assert.deepEqual([...refused], [["3@d.test", { code: 452, status: "4.3.1", text: "full" }]]);
        await assert.rejects(client.sendMail("a@b.test", five.slice(0, 3), "x"), NotSupportedError);
      },
    ));
});
