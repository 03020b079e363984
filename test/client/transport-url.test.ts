/** A transport's URL, and where its mail goes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTransport, parseTransportUrl, RecipientsRefusedError, SmtpError } from "../../src/client/index.ts";
import { ScriptedServer } from "../../src/testing/scripted-server.ts";

describe("a transport's URL", () => {
  it("says where, how and as whom", () => {
    assert.deepEqual(parseTransportUrl("smtp://us%40er:p%3Aw%2F@mail.test:2587?tls=starttls&name=me.test&connections=3&auth=plain,login"), {
      host: "mail.test",
      port: 2587,
      auth: { user: "us@er", password: "p:w/", mechanisms: ["PLAIN", "LOGIN"] },
      tlsMode: "required",
      name: "me.test",
      pool: { maxConnections: 3 },
    });
    assert.deepEqual(parseTransportUrl("smtps://mail.test"), { host: "mail.test", tlsMode: "implicit" });
    assert.deepEqual(parseTransportUrl("smtp://[::1]:25?tls=none"), { host: "::1", port: 25, tlsMode: "none" });
    assert.deepEqual(parseTransportUrl("lmtp:///run/lmtp"), { host: "/run/lmtp", protocol: "lmtp" });
    assert.deepEqual(parseTransportUrl("direct:"), { direct: true });
    assert.deepEqual(parseTransportUrl("smtp://h?verify=no&tlsName=x.test"), { host: "h", tls: { verify: false, name: "x.test" } });
  });

  it("is refused where it is not understood, without the password", () => {
    const wrong = [
      "http://mail.test",
      "mail.test",
      "smtp://",
      "smtp://h/path",
      "smtp://h?tls=start",
      "smtp://h?tls=constructor",
      "smtps://h?tls=none",
      "smtp://h?pool=1",
      "smtp://h?connections=0",
      "smtp://h?verify=maybe",
      "smtp://u:secret#x@h",
      "smtp://u:secret%zz@h",
    ];
    for (const url of wrong)
      assert.throws(
        () => parseTransportUrl(url),
        (error) => error instanceof TypeError && !error.message.includes("secret"),
        url,
      );
  });

  it("needs a place, and no login where it goes direct", () => {
    assert.throws(() => createTransport({}), /needs a host/);
    assert.throws(() => createTransport("direct:", { auth: { user: "u", password: "p" } }), /auth has no use/);
  });
});

describe("direct to MX", () => {
  const session = (recipient: string) =>
    `<- 220 mx\n-> EHLO *\n<- 250 mx\n-> MAIL *\n<- 250 ok\n-> RCPT TO:<${recipient}>\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 ok\n-> QUIT\n<- 221 bye\n`;
  const draft = { from: "a@b.test", subject: "s", text: "t" };

  it("sends to each domain's own hosts, the next where one does not answer", async () => {
    // One server stands for both domains: its connections come one after the other.
    await using server = await ScriptedServer.start([session("c@one.test"), session("d@two.test")]);
    const asked: string[] = [];
    const transport = createTransport("direct:", {
      port: server.port,
      lookUp: async (domain) => {
        asked.push(domain);
        return { kind: "found", hosts: ["127.0.0.9", "127.0.0.1"] };
      },
    });
    await transport.send({ ...draft, to: "c@one.test" });
    const { recipients } = await transport.send({ ...draft, to: "d@two.test" });
    assert.equal(recipients[0]?.host, `127.0.0.1:${server.port}`);
    await transport.close();
    await server.done();
    assert.deepEqual(asked, ["one.test", "two.test"]);
  });

  it("tells what DNS says, each domain for itself", async () => {
    await using server = await ScriptedServer.start(session("c@one.test"));
    const transport = createTransport("direct:", {
      port: server.port,
      retry: false,
      lookUp: async (domain) =>
        domain === "one.test" ? { kind: "found", hosts: ["127.0.0.1"] } : { kind: domain === "none.test" ? "none" : "failed", why: "so" },
    });
    const { recipients } = await transport.send({ ...draft, to: ["c@one.test", "x@none.test", "y@slow.test"] });
    assert.deepEqual(
      recipients.map(({ status, lasting }) => [status, lasting]),
      [
        ["accepted", undefined],
        ["failed", "permanent"],
        ["failed", "temporary"],
      ],
    );
    await assert.rejects(
      transport.send({ ...draft, to: "x@none.test" }),
      (error) => error instanceof SmtpError && !(error instanceof RecipientsRefusedError),
    );
    await transport.close();
    await server.done();
  });
});
