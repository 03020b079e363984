/** `postrider/dkim` as a program uses it: a transport that signs, and what arrives verified with keys out of DNS. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTransport } from "../../src/client/index.ts";
import {
  createResolver,
  DkimContentError,
  DkimKey,
  DkimSigner,
  dkimSteps,
  generateDkimKey,
  keyRecordText,
  memoryContent,
  signContent,
  signWith,
  txtStrings,
  verifySignatures,
} from "../../src/dkim.ts";
import { ScriptedServer } from "../../src/testing/scripted-server.ts";
import { startDnsServer } from "../support/dns-server.ts";

const script =
  "<- 220 mx\n-> EHLO *\n<- 250-mx\n<- 250 8BITMIME\n-> MAIL FROM:<a@b.test>\n<- 250 ok\n-> RCPT TO:<c@d.test>\n<- 250 ok\n-> DATA\n<- 354 go\ncontent\n<- 250 taken\n-> QUIT\n<- 221 bye\n";
const keys = (["rsa", "ed25519"] as const).map(
  (kind) => new DkimKey({ domain: "b.test", selector: kind, privateKey: generateDkimKey(kind) }),
);
const signer = new DkimSigner({ keys });
const draft = { from: "a@b.test", to: "c@d.test", subject: "Grüße", text: "Hello, grün\r\n.\r\n" };

async function* chunks(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 50; i++) yield Buffer.alloc(10_000, `part ${i} `);
}

const contents = {
  "a text": draft,
  "attachments in memory and streamed": {
    ...draft,
    html: "<p>Hello</p>",
    attachments: [
      { filename: "a.bin", content: Buffer.alloc(1000, 255) },
      { filename: "b.bin", content: { size: 500_000, open: chunks } },
    ],
  },
  "a message of the caller's own": { raw: "From: a@b.test\nTo: c@d.test\nSubject: raw\n\nas it is\n" },
};

for (const [name, message] of Object.entries(contents)) {
  test(`a transport signs ${name}, and it can be verified where it arrives`, async (t) => {
    const dns = await startDnsServer(Object.fromEntries(keys.map((key) => [key.recordName, { TXT: [txtStrings(keyRecordText(key))] }])));
    t.after(() => dns.close());
    await using server = await ScriptedServer.start(script);
    const transport = createTransport({
      host: server.host,
      port: server.port,
      tlsMode: "none",
      name: "client.test",
      sign: signWith(signer),
    });
    await transport.send(message);
    await transport.close();
    await server.done();
    const resolver = createResolver({ servers: [dns.endpoint] });
    const arrived = memoryContent([Buffer.from(server.texts[0] ?? "")]);
    const { dkim } = await verifySignatures(arrived, { dns: resolver, now: Date.now() });
    resolver.close();
    assert.deepEqual(
      dkim.results.map(({ verdict, algorithm, domain }) => [verdict, algorithm, domain]),
      [
        ["pass", "rsa-sha256", "b.test"],
        ["pass", "ed25519-sha256", "b.test"],
      ],
      dkimSteps(dkim)
        .map(({ text }) => text)
        .join("\n"),
    );
  });
}

test("what cannot be signed is not sent", async () => {
  await using server = await ScriptedServer.start("<- 220 mx\n-> EHLO *\n<- 250 mx\n-> QUIT\n<- 221 bye\n");
  const broken = new DkimSigner({ keys: [new DkimKey({ domain: "b.test", selector: "s", privateKey: generateDkimKey("ed25519") })] });
  const bare = memoryContent([Buffer.from("Subject: no author\r\n\r\n")]);
  await assert.rejects(signContent(broken, bare, { now: 0 }), (error) => error instanceof DkimContentError && error.fault === "no-from");
  await assert.rejects(signWith(broken)(bare), DkimContentError);
  const eightBit = memoryContent([Buffer.from("From: a@b.test\r\n\r\n\xc3\xbc\r\n", "latin1")]);
  await assert.rejects(
    signWith(broken, { mayBeConverted: true })(eightBit),
    (error) => error instanceof DkimContentError && error.fault === "eight-bit",
  );
  const failing = { sign: signWith(broken) };
  const transport = createTransport({ host: server.host, port: server.port, tlsMode: "none", name: "client.test", ...failing });
  await assert.rejects(transport.send({ raw: "Subject: no author\r\n\r\nx\r\n", envelope: { from: "a@b.test", to: "c@d.test" } }), /From/);
  await transport.close();
});
