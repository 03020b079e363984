/** `postrider verify`, `doctor` and `dkim` as processes, with a DNS server on loopback that a test may change between two calls. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { TLSSocket } from "node:tls";
import { ArcSealer } from "../../src/message/dkim/arc-seal.ts";
import { DkimKey, DkimSigner, generateDkimKey, keyRecordText, readSignedMessage, txtStrings } from "../../src/message/dkim/index.ts";
import { selfSignedCertificate } from "../../src/net/certificate.ts";
import { concat, utf8 } from "../../src/util/bytes.ts";
import { type DnsServer, startDnsServer, type Zone } from "../support/dns-server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { type Finished, run } from "./processes.ts";

const pem = generateDkimKey("ed25519");
const key = new DkimKey({ domain: "author.test", selector: "s1", privateKey: pem });
const list = new DkimKey({ domain: "list.test", selector: "s1", privateKey: pem });
const text =
  "From: Alice <alice@author.test>\r\nTo: bob@recipient.test\r\nSubject: Lunch\r\nDate: Tue, 1 Jul 2025 10:52:37 +0200\r\n\r\nAt noon?\r\n";
const signed = Buffer.from(concat([new DkimSigner({ keys: [key] }).sign([utf8(text)], { now: Date.now() }), utf8(text)])).toString();

const goodZone = (): Zone => ({
  "author.test": { TXT: ["v=spf1 ip4:192.0.2.1 -all"], MX: [{ preference: 10, exchange: "mx.author.test" }] },
  "_dmarc.author.test": { TXT: ["v=DMARC1; p=reject; rua=mailto:reports@author.test"] },
  [key.recordName]: { TXT: [txtStrings(keyRecordText(key))] },
  [list.recordName]: { TXT: [txtStrings(keyRecordText(list))] },
  "mx.author.test": { A: ["192.0.2.1"] },
  "1.2.0.192.in-addr.arpa": { PTR: ["mx.author.test"] },
  "nopolicy.test": { TXT: ["v=spf1 ip4:192.0.2.1 -all"] },
  "down.test": { fault: "SERVFAIL" },
  "_dmarc.down.test": { fault: "SERVFAIL" },
});

async function dnsServer(t: TestContext, zone: Zone = goodZone()): Promise<DnsServer> {
  const server = await startDnsServer(zone);
  t.after(() => server.close());
  return server;
}

const peer = ["--ip", "192.0.2.1", "--helo", "mx.author.test", "--from", "alice@author.test"];

test("verify explains a message that passes everything", async (t) => {
  const { endpoint } = await dnsServer(t);
  const { code, out, err } = await run(["verify", "-", ...peer, "--resolver", endpoint], signed);
  assert.equal(code, 0, err);
  for (const words of [
    /^standard input \(.*\)\n {2}From {5}Alice <alice@author\.test>/,
    /^SPF {4}pass {7}"ip4:192\.0\.2\.1" in the record of author\.test allows 192\.0\.2\.1$/m,
    /^PTR {4}pass /m,
    /^DKIM {3}pass {7}the signature of author\.test is good$/m,
    /^ARC {4}none /m,
    /^DMARC {2}pass /m,
    /It is proven who sent this\.\nA receiver with Postrider's defaults would accept it/,
    /author\.test says: v=spf1 ip4:192\.0\.2\.1 -all/,
    /it covers .*from/,
    /_dmarc\.author\.test says: v=DMARC1; p=reject/,
  ])
    assert.match(out, words);
  assert.ok(!out.includes("\x1b"), "no colours where nobody looks at a terminal");
});

test("verify --json has the same under stable names", async (t) => {
  const { endpoint } = await dnsServer(t);
  const path = join(tempFolder(t), "message.eml");
  writeFileSync(path, signed.replaceAll("\r\n", "\n"));
  const { code, out } = await run(["verify", path, ...peer, "--resolver", endpoint, "--json"]);
  assert.equal(code, 0);
  const names = Object.fromEntries(
    Object.entries(JSON.parse(out) as Record<string, unknown>).map(([name, value]) => [
      name,
      typeof value === "object" ? Object.keys(value ?? {}).join(" ") : "",
    ]),
  );
  assert.deepEqual(names, {
    proof: "",
    size: "",
    lineEndsMended: "",
    from: "0",
    author: "0",
    spf: "result why identity domain sender mechanism at steps",
    iprev: "result why address name names steps",
    dkim: "signatures skipped steps",
    arc: "result why sets steps",
    dmarc: "result why author policyDomain record tag published requested alignments steps",
    receiver: "action reason",
  });
  const { proof, lineEndsMended, author, spf, dkim, dmarc, receiver } = JSON.parse(out);
  assert.deepEqual([proof, lineEndsMended, author], ["proven", true, ["author.test"]]);
  assert.deepEqual([spf.result, spf.mechanism, dmarc.result, dmarc.published], ["pass", "ip4:192.0.2.1", "pass", "reject"]);
  const [signature] = dkim.signatures;
  assert.deepEqual(
    [signature.result, signature.domain, signature.selector, signature.algorithm],
    ["pass", "author.test", "s1", "ed25519-sha256"],
  );
  assert.ok(spf.steps.length > 0 && dkim.steps.length > 0 && dmarc.steps.length > 0);
  assert.equal(receiver.action, "accept");
});

test("verify: a changed message and a foreign address are told apart and fail with 65; the reply is shown", async (t) => {
  const { endpoint } = await dnsServer(t);
  const args = ["--ip", "203.0.113.9", "--helo", "x.test", "--from", "alice@author.test", "--resolver", endpoint];
  const { code, out } = await run(["verify", "-", ...args], signed.replace("noon", "night"));
  assert.equal(code, 65);
  assert.match(out, /^SPF {4}fail {7}"-all" in the record of author\.test forbids 203\.0\.113\.9$/m);
  assert.match(out, /^DKIM {3}fail {7}the body was changed after signing/m);
  assert.match(out, /body hash: \S+, signed was \S+/);
  assert.match(out, /^DMARC {2}fail /m);
  assert.match(out, /would reject it: [\s\S]*\n {2}550[- ]5\.7\.26 This message shows an author at author\.test/);
});

test("verify leaves out what was not given, and says so", async (t) => {
  const { endpoint } = await dnsServer(t);
  const { code, out } = await run(["verify", "-", "--resolver", endpoint], signed);
  assert.equal(code, 0, "DKIM alone proves it");
  assert.match(out, /^SPF {4}left out {3}it needs the address .*--ip/m);
  const unsigned = await run(["verify", "-", "--ip", "192.0.2.1", "--resolver", endpoint], text);
  assert.equal(unsigned.code, 65);
  assert.match(unsigned.out, /^SPF {4}left out {3}it needs MAIL FROM/m);
  assert.match(unsigned.out, /SPF was left out, and might have proven it/);
});

test("verify: without a policy an aligned identifier counts; DNS that does not answer is 75", async (t) => {
  const { endpoint } = await dnsServer(t);
  const from = (domain: string): string => text.replace("author.test", domain);
  const ask = (domain: string, ip = "192.0.2.1") =>
    run(["verify", "-", "--ip", ip, "--helo", "mx.test", "--from", `a@${domain}`, "--resolver", endpoint], from(domain));
  const aligned = await ask("nopolicy.test");
  assert.equal(aligned.code, 0, aligned.out);
  assert.match(aligned.out, /^DMARC {2}none /m);
  assert.equal((await ask("nopolicy.test", "203.0.113.9")).code, 65);
  const down = await ask("down.test");
  assert.equal(down.code, 75, down.out);
  assert.match(down.out, /^SPF {4}temperror/m);
  assert.match(down.out, /would defer it/);
});

test("verify reads an ARC chain", async (t) => {
  const { endpoint } = await dnsServer(t);
  const read = readSignedMessage([utf8(signed)], { form: "relaxed" });
  const sealed = new ArcSealer(list).seal(read, { validation: "none", authenticationResults: "list.test; dmarc=pass", now: Date.now() });
  assert.ok(sealed.kind === "sealed");
  const { code, out } = await run(["verify", "-", "--resolver", endpoint], Buffer.from(sealed.fields).toString() + signed);
  assert.equal(code, 0, out);
  assert.match(out, /^ARC {4}pass /m);
  assert.match(out, /ARC set 1 by list\.test, which found cv=none/);
});

test("verify: what is given wrongly is said", async (t) => {
  const { endpoint } = await dnsServer(t);
  const wrong: [args: string[], code: number, words: RegExp][] = [
    [["/nowhere.eml", "--resolver", endpoint], 66, /there is no file \/nowhere\.eml/],
    [["-", "--ip", "here"], 64, /no IP address/],
    [["-", "--from", "not an address"], 64, /is no address/],
    [["-", "--ip", "192.0.2.1", "--from", "<>"], 64, /--helo/],
    [["-", "--resolver", "dns.example"], 64, /not an IP address/],
  ];
  const ended = await Promise.all(wrong.map(([args]) => run(["verify", ...args], signed)));
  for (const [i, [, code, words]] of wrong.entries()) {
    const ran = ended[i] as Finished;
    assert.equal(ran.code, code, ran.err);
    assert.match(ran.err, words);
  }
  const nothing = await run(["verify", "-", "--resolver", endpoint], "");
  assert.equal(nothing.code, 65, "an empty message proves nothing");
  const odd = await run(["verify", "-", "--resolver", endpoint], `Subject: \x1b[31mred\r\n${text}`);
  assert.ok(!odd.out.includes("\x1b"), "controls of strangers are not shown");
});

/** The zone's TXT records out of what a command printed. */
function publish(zone: Zone, printed: string): void {
  for (const [, name = "", many, one] of printed.matchAll(/^(\S+)\. IN TXT (?:\(\n([^)]*)\)|("[^\n]*"))$/gm)) {
    const strings = [...(many ?? one ?? "").matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, string = ""]) => string);
    zone[name] = { TXT: [strings], ttl: 0 };
  }
}

test("dkim: new, check, rotate to the end", async (t) => {
  const { endpoint, zone } = await dnsServer(t, {});
  const folder = join(tempFolder(t), "keys");
  const config = join(folder, "..", "postrider.toml");
  const dkim = (command: string, ...args: string[]) =>
    run(["dkim", command, "example.test", "--folder", folder, ...(command === "new" ? [] : ["--resolver", endpoint]), ...args]);

  const made = await dkim("new", "--selector", "First");
  assert.equal(made.code, 0, made.err);
  const path = join(folder, "example.test/first.pem");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(folder, "example.test")).mode & 0o777, 0o700);
  assert.match(made.out, /^first\._domainkey\.example\.test\. IN TXT \(\n {2}"v=DKIM1; k=rsa; p=[^"]{237}"\n {2}"[^"]+"\n\)\n/m);
  assert.match(made.out, /^first-ed25519\._domainkey\.example\.test\. IN TXT "v=DKIM1; k=ed25519; p=[^"]{44}"$/m);
  assert.match(made.out, /\[\[dkim\]\]\ndomain = "example\.test"\nselector = "first"\nkey = ".*first\.pem"\n/);
  const secret = readFileSync(path, "utf8");
  assert.ok(!made.out.includes(secret.split("\n")[5] as string), "nothing of the private key is printed");

  const again = await dkim("new", "--selector", "first");
  assert.equal(again.code, 73);
  assert.match(again.err, /is there already, and a key is never overwritten/);
  assert.equal(readFileSync(path, "utf8"), secret);

  const absent = await dkim("check");
  assert.equal(absent.code, 65);
  assert.match(
    absent.out,
    /absent {5}first {10}RSA-2048[\s\S]*Publish this record[^\n]*\n\nfirst\._domainkey\.example\.test\. IN TXT \(\n/,
  );
  publish(zone, made.out);
  const there = await dkim("check", "--json");
  assert.equal(there.code, 0, there.out);
  assert.deepEqual(
    (JSON.parse(there.out) as { keys: { selector: string; result: string }[] }).keys.map(({ selector, result }) => [selector, result]),
    [
      ["first", "published"],
      ["first-ed25519", "published"],
    ],
  );

  const begun = await dkim("rotate", "--selector", "second");
  assert.equal(begun.code, 0, begun.err);
  assert.match(begun.out, /1 of 4, publish[\s\S]*New keys: second, second-ed25519\. Mail is signed with first, first-ed25519 as before/);
  const early = await dkim("rotate");
  assert.equal(early.code, 65);
  assert.match(early.out, /Nothing was switched: DNS does not have the new keys/);
  publish(zone, begun.out);
  const verified = await dkim("rotate");
  assert.equal(verified.code, 0);
  assert.match(verified.out, /2 of 4, verified in DNS/);

  // Gone again, or DNS that is silent: nothing is switched, whatever was verified before.
  const name = "second._domainkey.example.test";
  const kept = zone[name];
  zone[name] = { fault: "SERVFAIL" };
  const silent = await dkim("rotate");
  assert.equal(silent.code, 75);
  assert.match(silent.out, /Nothing was done: DNS could not tell/);
  delete zone[name];
  assert.equal((await dkim("rotate")).code, 65);
  zone[name] = kept ?? {};
  assert.match((await dkim("rotate")).out, /2 of 4, verified in DNS/, "it has to be verified anew");

  const switched = await dkim("rotate", "--config", writeConfig(config, ["first", "first-ed25519"]));
  assert.equal(switched.code, 0, switched.err);
  assert.match(switched.out, /3 of 4, switch[\s\S]*selector = "second"\nkey = "keys\/example\.test\/second\.pem"/);
  assert.ok(!switched.out.includes('selector = "first"'));

  const unchanged = await dkim("rotate", "--config", config, "--keep", "0");
  assert.equal(unchanged.code, 65);
  assert.match(unchanged.out, /It still signs with first, first-ed25519\.[\s\S]*It does not sign with second, second-ed25519\./);
  writeConfig(config, ["second", "second-ed25519"]);
  assert.match((await dkim("rotate", "--keep", "0")).out, /No configuration was found that signs for this domain/);
  const waiting = await dkim("rotate", "--config", config);
  assert.equal(waiting.code, 0);
  assert.match(waiting.out, /retire: not yet[\s\S]*stay until 20/);
  const takeBack = await dkim("rotate", "--config", config, "--keep", "0");
  assert.equal(takeBack.code, 65);
  assert.match(takeBack.out, /^first\._domainkey\.example\.test\. IN TXT "v=DKIM1; k=rsa; p="$/m);
  publish(zone, takeBack.out);
  const retired = await dkim("rotate", "--config", config, "--keep", "0", "--json");
  assert.equal(retired.code, 0, retired.err);
  const { step, state } = JSON.parse(retired.out);
  assert.deepEqual([step, state.signing, state.retired], ["retired", ["second", "second-ed25519"], ["first", "first-ed25519"]]);
  assert.ok(existsSync(path), "what is no longer needed is for its owner to remove");

  const checked = await dkim("check", "--config", config);
  assert.equal(checked.code, 0, checked.out);
  assert.ok(!/\bfirst\b/.test(checked.out), "retired keys are not looked at");
  chmodSync(join(folder, "example.test/second.pem"), 0o644);
  assert.match((await dkim("check")).out, /Every user of this machine may read/);
});

function writeConfig(path: string, selectors: readonly string[]): string {
  const tables = selectors.map((one) => `[[dkim]]\ndomain = "example.test"\nselector = "${one}"\nkey = "keys/example.test/${one}.pem"\n`);
  writeFileSync(path, `hostname = "mx.example.test"\n\n${tables.join("\n")}`);
  return path;
}

test("dkim: what is given wrongly, and keys that are none, are said", async (t) => {
  const folder = join(tempFolder(t), "keys");
  const wrong: [args: string[], code: number, words: RegExp][] = [
    [["new", "not a domain"], 64, /no domain name/],
    [["new", "example.test", "--selector", "a_-;"], 64, /no selector/],
    [["check"], 66, /there is no key/],
    [["rotate", "example.test"], 66, /has no keys/],
    [["check", "--config", "/nowhere.toml"], 78, /no configuration file/],
  ];
  const ended = await Promise.all(wrong.map(([args]) => run(["dkim", ...args, "--folder", folder])));
  for (const [i, [, code, words]] of wrong.entries()) {
    const ran = ended[i] as Finished;
    assert.equal(ran.code, code, ran.err);
    assert.match(ran.err, words);
  }
  assert.equal((await run(["dkim", "new", "example.test", "--algorithm", "ed25519", "--folder", folder, "--selector", "a"])).code, 0);
  writeFileSync(join(folder, "example.test/a.pem"), "no key");
  const damaged = await run(["dkim", "check", "example.test", "--folder", folder]);
  assert.equal(damaged.code, 65);
  assert.match(damaged.err, /a\.pem: DKIM key a of example\.test: .*cannot be read/);
  writeFileSync(join(folder, "example.test/rotation.json"), "{}");
  const { endpoint } = await dnsServer(t, { "example.test": { A: ["192.0.2.1"] } });
  const looked = await run(["doctor", "example.test", "--folder", folder, "--resolver", endpoint]);
  assert.equal(looked.code, 65, looked.err);
  assert.match(looked.out, /DKIM {5}problem {2}.*rotation\.json cannot be read/, "and the rest is looked at all the same");
  assert.match(looked.out, /DMARC {4}problem/);
  const state = await run(["dkim", "rotate", "example.test", "--folder", folder]);
  assert.equal(state.code, 65);
  assert.match(state.err, /rotation\.json cannot be read/);
});

test("doctor: a domain in order", async (t) => {
  const { endpoint } = await dnsServer(t);
  const args = ["doctor", "author.test", "--ip", "192.0.2.1", "--helo", "mx.author.test", "--selector", "s1", "--resolver", endpoint];
  const { code, out, err } = await run(args);
  assert.equal(code, 0, out + err);
  for (const words of [
    /^ {2}MX {7}ok {7}10 mx\.author\.test: 192\.0\.2\.1$/m,
    /^ {2}SPF {6}ok {7}v=spf1 ip4:192\.0\.2\.1 -all$/m,
    /it allows 192\.0\.2\.1/,
    /^ {2}DKIM {5}ok {7}s1 is published \(Ed25519\)$/m,
    /^ {2}DMARC {4}ok {7}v=DMARC1; p=reject/m,
    /reports go to mailto:reports@author\.test/,
    /^ {2}PTR {6}ok /m,
    /^ {2}HELO {5}ok {7}mx\.author\.test leads to 192\.0\.2\.1$/m,
    /^ {2}MTA-STS {2}info /m,
    /^no problems, no warnings$/m,
  ])
    assert.match(out, words);
  assert.ok(!out.includes("To publish"));
});

test("doctor: a domain with nothing gets the records to paste, and they mend it", async (t) => {
  const { endpoint, zone } = await dnsServer(t, { "bare.test": { ttl: 0 }, "bare-mx.test": { A: ["192.0.2.7"] } });
  const folder = join(tempFolder(t), "keys");
  assert.equal((await run(["dkim", "new", "bare.test", "--selector", "k", "--algorithm", "rsa2048", "--folder", folder])).code, 0);
  const args = ["doctor", "bare.test", "--ip", "192.0.2.7", "--helo", "bare-mx.test", "--folder", folder, "--resolver", endpoint];
  const { code, out } = await run(args);
  assert.equal(code, 65, out);
  assert.match(out, /^bare\.test\. IN MX 10 bare-mx\.test\.$/m);
  assert.match(out, /^bare\.test\. IN TXT "v=spf1 mx ip4:192\.0\.2\.7 -all"$/m);
  assert.match(out, /^7\.2\.0\.192\.in-addr\.arpa\. IN PTR bare-mx\.test\.$/m);
  publish(zone, out);
  zone["bare.test"] = { ...zone["bare.test"], MX: [{ preference: 10, exchange: "bare-mx.test" }] };
  zone["7.2.0.192.in-addr.arpa"] = { PTR: ["bare-mx.test"] };
  const mended = await run([...args, "--json"]);
  assert.equal(mended.code, 0, mended.out);
  const { result, findings } = JSON.parse(mended.out) as { result: string; findings: { area: string; level: string; text: string }[] };
  assert.equal(result, "fine");
  assert.deepEqual(
    findings.filter(({ level }) => level === "warning").map(({ area, text: said }) => [area, said]),
    [["DMARC", "p=none asks receivers to do nothing about mail that is not proven"]],
  );
});

test("doctor: DNS that does not answer is 75; a configuration says who sends", async (t) => {
  const zone = goodZone();
  zone["author.test"] = { ...zone["author.test"], fault: { MX: "SERVFAIL" } };
  const { endpoint } = await dnsServer(t, zone);
  const folder = tempFolder(t);
  writeFileSync(join(folder, "postrider.toml"), `hostname = "mx.author.test"\n[dns]\nservers = ["${endpoint}"]\n`);
  const { code, out, err } = await run(["doctor", "author.test", "--selector", "s1", "--config", join(folder, "postrider.toml")]);
  assert.equal(code, 75, out + err);
  assert.match(out, /^ {2}MX {7}unknown {2}no answer about the MX of author\.test: /m);
  assert.match(out, /it allows 192\.0\.2\.1/);
  assert.match(out, /1 without an answer/);
});

test("doctor: an MX that is an alias", async (t) => {
  const zone = goodZone();
  zone["author.test"] = { ...zone["author.test"], MX: [{ preference: 10, exchange: "alias.test" }] };
  zone["alias.test"] = { CNAME: "mx.author.test" };
  const { endpoint } = await dnsServer(t, zone);
  const { code, out } = await run(["doctor", "author.test", "--selector", "s1", "--resolver", endpoint]);
  assert.equal(code, 65);
  assert.match(out, /10 alias\.test: this is an alias \(CNAME\) of mx\.author\.test/);
});

/** A server that greets, and offers STARTTLS where it has a certificate. */
async function mailServer(t: TestContext, certificate?: { certificate: string; key: string }): Promise<number> {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.write("220-mx.author.test\r\n220 ready\r\n");
    socket.on("data", (chunk) => {
      const line = chunk.toString();
      if (line.startsWith("EHLO"))
        socket.write(certificate === undefined ? "250 mx.author.test\r\n" : "250-mx.author.test\r\n250 STARTTLS\r\n");
      else if (line.startsWith("STARTTLS") && certificate !== undefined) {
        socket.removeAllListeners("data");
        socket.write("220 go ahead\r\n");
        const tls = new TLSSocket(socket, { isServer: true, cert: certificate.certificate, key: certificate.key });
        tls.on("error", () => {});
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

test("doctor --connect looks at STARTTLS and the certificate", async (t) => {
  const zone = goodZone();
  zone["mx.author.test"] = { A: ["127.0.0.1"] };
  const { endpoint } = await dnsServer(t, zone);
  const examine = (port: number) =>
    run(["doctor", "author.test", "--connect", "--port", String(port), "--selector", "s1", "--resolver", endpoint]);
  const selfSigned = await examine(await mailServer(t, selfSignedCertificate({ names: ["mx.author.test"] })));
  assert.match(
    selfSigned.out,
    /^ {2}TLS {6}warning {2}mx\.author\.test \(127\.0\.0\.1\): TLSv1\.3, but its certificate is self-signed \(names DNS:mx\.author\.test, until 20/m,
  );
  assert.equal(selfSigned.code, 0, selfSigned.out);
  const plain = await examine(await mailServer(t));
  assert.equal(plain.code, 65);
  assert.match(plain.out, /does not offer STARTTLS/);
  const expired = await examine(
    await mailServer(t, selfSignedCertificate({ names: ["mx.author.test"], now: Date.UTC(2020, 1, 1), validity: 86_400_000 })),
  );
  assert.match(expired.out, /its certificate expired on 2020-02-02/);
});
