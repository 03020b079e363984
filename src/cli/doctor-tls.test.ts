import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { getCACertificates, setDefaultCACertificates, TLSSocket } from "node:tls";
import { selfSignedCertificate } from "../net/certificate.ts";
import { days } from "../util/clock.ts";
import { examineTls } from "./doctor-tls.ts";

/** A server that says these lines, one for each line that it hears, and turns to TLS after a 220 that is not its first. */
async function server(t: TestContext, replies: readonly string[], pair?: { certificate: string; key: string }): Promise<number> {
  const open = new Set<Socket>();
  const listener = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    let next = 0;
    const say = (): void => {
      const reply = replies[next++];
      if (reply === undefined) socket.destroy();
      else for (const part of reply.split("|")) socket.write(part);
      if (next < 2 || !reply?.startsWith("220") || pair === undefined) return;
      socket.removeAllListeners("data");
      new TLSSocket(socket, { isServer: true, cert: pair.certificate, key: pair.key }).on("error", () => {});
    };
    socket.on("data", say);
    say();
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    listener.close();
  });
  return (listener.address() as { port: number }).port;
}

const host = { name: "mx.test", addresses: ["127.0.0.1"] };
const now = Date.now();
const examine = (port: number) => examineTls(host, { port, helo: "client.test", now });
const good = ["220 mx.test\r\n", "250-mx.test\r\n|250-SIZE\r\n250 STARTTLS\r\n", "220 go\r\n"];

function trusting(t: TestContext, certificate: string): void {
  const before = getCACertificates("default");
  setDefaultCACertificates([certificate]);
  t.after(() => setDefaultCACertificates(before));
}

test("a certificate that is trusted and names the host", async (t) => {
  const pair = selfSignedCertificate({ names: ["mx.test"], validity: days(90) });
  trusting(t, pair.certificate);
  const finding = await examine(await server(t, good, pair));
  assert.equal(finding.level, "ok", finding.text);
  assert.match(finding.text, /^mx\.test \(127\.0\.0\.1\): TLSv1\.3, certificate for mx\.test until \d{4}-\d\d-\d\d$/);
});

test("one that names another host, and one that ends soon", async (t) => {
  const other = selfSignedCertificate({ names: ["other.test"] });
  const soon = selfSignedCertificate({ names: ["mx.test"], validity: days(10) });
  const before = getCACertificates("default");
  setDefaultCACertificates([other.certificate, soon.certificate]);
  t.after(() => setDefaultCACertificates(before));
  const foreign = await examine(await server(t, good, other));
  assert.equal(foreign.level, "warning");
  assert.match(foreign.text, /its certificate does not name it \(names DNS:other\.test/);
  const ending = await examine(await server(t, good, soon));
  assert.equal(ending.level, "warning");
  assert.match(ending.text, /its certificate ends on/);
});

const others: [name: string, replies: readonly string[], level: string, words: RegExp][] = [
  ["does not offer it", ["220 mx\r\n", "250 mx\r\n"], "problem", /does not offer STARTTLS/],
  ["refuses it", ["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "454 not now\r\n"], "problem", /refuses STARTTLS: 454 not now/],
  ["greets with a refusal", ["554 go away\r\n"], "problem", /greets with 554 go away/],
  ["goes away", ["220 mx\r\n"], "unknown", /closed the connection/],
  ["talks without an end", ["220-x\r\n".repeat(20_000)], "unknown", /do not end/],
  [
    "says no TLS after its 220",
    ["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n", "220 nonsense\r\n"],
    "unknown",
    /mx\.test \(127\.0\.0\.1\), port/,
  ],
];
for (const [name, replies, level, words] of others) {
  test(`a server that ${name}`, async (t) => {
    const finding = await examine(await server(t, replies));
    assert.equal(finding.level, level, finding.text);
    assert.match(finding.text, words);
  });
}

test("nobody listens", async (t) => {
  const port = await server(t, []);
  const finding = await examineTls({ name: "mx.test", addresses: ["127.255.255.254"] }, { port, helo: "client.test", now });
  assert.equal(finding.level, "unknown");
  assert.match(finding.text, /ECONNREFUSED/);
});
