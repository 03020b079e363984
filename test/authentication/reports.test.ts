/** DMARC reports: counted while mail comes in, queued once a day, and those of others read as they pass. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { deflateRawSync, gzipSync } from "node:zlib";
import { aggregateXml, defaultAuthenticationSettings } from "../../src/authentication/index.ts";
import { DkimKey, generateDkimKey } from "../../src/message/dkim/index.ts";
import { mimeParts } from "../../src/message/mime-parts.ts";
import type { RelayOptions } from "../../src/relay/relay.ts";
import { ReportJournal } from "../../src/relay/reports/journal.ts";
import { readDocument } from "../../src/relay/reports/received-reports.ts";
import type { ReportOptions } from "../../src/relay/reports/reporting.ts";
import { type Recipient, send, startRecipient, startRelay, type TestRelay } from "../../src/relay/testing.ts";
import { latin1 } from "../../src/util/bytes.ts";
import { FakeClock } from "../../src/util/testing.ts";
import { run } from "../e2e/processes.ts";
import { startDnsServer, type Zone } from "../support/dns-server.ts";
import { movableClock } from "../support/movable-clock.ts";
import { tempFolder } from "../support/temp-folder.ts";

const key = new DkimKey({ domain: "example.test", selector: "s1", privateKey: generateDkimKey("ed25519") });
const zone = (): Zone => ({
  "author.test": { TXT: ["v=spf1 -all"] },
  "_dmarc.author.test": {
    TXT: [
      "v=DMARC1; p=none; fo=1:d:s; rua=mailto:agg@author.test,mailto:agg@elsewhere.test,mailto:no@refusing.test; ruf=mailto:fail@author.test",
    ],
  },
  "author.test._report._dmarc.elsewhere.test": { TXT: ["v=DMARC1;"] },
  "silent.test": { TXT: ["v=spf1 -all"] },
  "_dmarc.silent.test": { TXT: ["v=DMARC1; p=none"] },
});

const reports = (more: Partial<ReportOptions> = {}): ReportOptions => ({
  aggregate: true,
  failures: false,
  organization: "Example",
  from: { localPart: "postmaster", domain: "example.test" },
  inbox: new Set(),
  ...more,
});

async function scene(
  t: TestContext,
  options: ReportOptions,
  more: Partial<RelayOptions> & { folder?: string } = {},
): Promise<{ relay: TestRelay; recipient: Recipient; forward(ms: number): void }> {
  const dns = await startDnsServer(zone());
  t.after(() => dns.close());
  const recipient = await startRecipient(t);
  const { clock, forward } = movableClock();
  const relay = await startRelay(t, recipient.port, {
    dns: { servers: [dns.endpoint], timeout: 1000 },
    checks: { settings: defaultAuthenticationSettings, blockLists: [], exempt: [], timeout: 5000 },
    keys: [{ key }],
    reports: options,
    clock,
    ...more,
  });
  return { relay, recipient, forward };
}

const DAY = 86_400_000;
const spoof = (relay: TestRelay, domain: string): Promise<unknown> =>
  send(relay, "smtp", {
    from: `alice@${domain}`,
    to: ["info@example.test"],
    content: `From: alice@${domain}\r\nSubject: secret subject\r\n\r\nsecret body\r\n`,
  });

test("a day's mail is reported to the domains that ask, where they may be sent, also over a restart; once", async (t) => {
  const folder = tempFolder(t);
  const first = await scene(t, reports(), { folder });
  await spoof(first.relay, "author.test");
  await spoof(first.relay, "author.test");
  await spoof(first.relay, "silent.test");
  for (let n = 0; n < 3; n++) await first.recipient.message(n);
  await first.relay.stop();

  const { relay, recipient, forward } = await scene(t, reports(), { folder });
  await spoof(relay, "author.test");
  await recipient.message(0);
  await relay.event("done");
  forward(DAY + 2 * 3_600_000);
  const sent = [await recipient.message(1), await recipient.message(2)];
  const to = sent.map(({ message }) => message.envelope.recipients.map(({ mailbox }) => `${mailbox.localPart}@${mailbox.domain}`).join());
  assert.deepEqual(to.toSorted(), ["agg@author.test", "agg@elsewhere.test"]);
  for (const { text, message } of sent) {
    assert.equal(message.envelope.reversePath?.localPart, "postmaster");
    assert.match(text, /^DKIM-Signature: [\s\S]*d=example\.test/m);
    assert.match(text, /^Subject: Report Domain: author\.test\s+Submitter: mail\.example\.test/m);
    const part = mimeParts(latin1(text)).find(({ type }) => type === "application/gzip");
    assert.match(part?.fileName ?? "", /^mail\.example\.test!author\.test!\d+!\d+!\w+\.xml\.gz$/);
    const read = readDocument(part?.content ?? new Uint8Array());
    assert.ok(typeof read !== "string" && read.kind === "aggregate");
    assert.equal(read.report.policy.domain, "author.test");
    assert.deepEqual(
      read.report.records.map(({ count, sourceIp, spf, dkim, disposition }) => [count, sourceIp, spf, dkim, disposition]),
      [[3, "127.0.0.1", "fail", "fail", "none"]],
    );
    assert.equal(read.report.end - read.report.begin, 86_399);
  }
  await relay.event("done", ({ id }) => id !== "");
  forward(DAY);
  await spoof(relay, "silent.test");
  await recipient.message(3); // nothing more of the day before came in between
  assert.match((recipient.arrived[3] as (typeof recipient.arrived)[number]).text, /secret body/);
});

test("a failure report tells of one message without its body; there are not many in an hour", async (t) => {
  const { relay, recipient } = await scene(t, reports({ aggregate: false, failures: true }));
  await spoof(relay, "author.test");
  const texts = [await recipient.message(0), await recipient.message(1), await recipient.message(2)].map(({ text }) => text);
  const [report = ""] = texts.filter((text) => /feedback-report/.test(text));
  assert.match(report, /^To: <fail@author\.test>/m);
  assert.match(report, /Auth-Failure: (dmarc|spf)/);
  assert.match(report, /secret subject/);
  assert.doesNotMatch(report, /secret body/);
  for (let i = 0; i < 15; i++) await spoof(relay, "author.test");
  const toAuthor = () => recipient.arrived.filter(({ message }) => message.envelope.recipients[0]?.mailbox.domain === "author.test").length;
  await recipient.message(16 + 20 - 1);
  assert.equal(toAuthor(), 20);
});

test("reports of others are read as they pass, delivered as ever, and shown", async (t) => {
  const { relay, recipient } = await scene(t, reports({ aggregate: false, inbox: new Set(["info@example.test"]) }));
  const xml = aggregateXml({
    ...{
      organization: "Else\u001b[31mwhere",
      email: "dmarc@elsewhere.test",
      id: "r1",
      begin: 1_700_000_000,
      end: 1_700_086_399,
      errors: [],
    },
    policy: { domain: "example.test", p: "reject" },
    records: [
      {
        count: 7,
        sourceIp: "192.0.2.1",
        disposition: "none",
        dkim: "pass",
        spf: "fail",
        reasons: [],
        headerFrom: "example.test",
        dkimResults: [{ domain: "example.test", selector: "s1", result: "pass" }],
        spfResult: { domain: "example.test", result: "fail" },
      },
      {
        count: 2,
        sourceIp: "203.0.113.9",
        disposition: "reject",
        dkim: "fail",
        spf: "fail",
        reasons: [],
        headerFrom: "example.test",
        dkimResults: [],
      },
    ],
  });
  const mime = (type: string, name: string, content: Uint8Array): string =>
    `From: dmarc@elsewhere.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nA report\r\n--b\r\nContent-Type: ${type}; name="${name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from(content).toString("base64")}\r\n--b--\r\n`;
  const bring = (content: string) => send(relay, "smtp", { from: "dmarc@elsewhere.test", to: ["info@example.test"], content });
  await bring(mime("application/gzip", "r.xml.gz", gzipSync(xml)));
  await bring(mime("application/zip", "r.zip", zip("r.xml", xml)));
  await bring("From: a@b.test\r\nSubject: hello\r\n\r\nno report\r\n");
  await bring(
    "From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\nReported-Domain: example.test\r\n\r\n--b--\r\n",
  );
  for (let n = 0; n < 4; n++) await recipient.message(n);
  const data = ["--data", relay.folder];
  const listed = await run(["reports", "list", ...data]);
  assert.equal(listed.code, 0, listed.err);
  assert.match(listed.out, /aggregate\s+Else.\[31mwhere\s+example\.test\s+9\s+7\s+2/);
  assert.match(listed.out, /unreadable.*there is no report in it/);
  assert.match(listed.out, /abuse .*example\.test/);
  assert.equal(listed.out.split("\n").length, 6);
  const [id = ""] = /^[0-9A-Z]{16}/m.exec(listed.out) ?? [];
  const one = await run(["reports", "show", id, ...data]);
  assert.match(one.out, /DMARC aggregate report about example\.test \(p=reject/);
  assert.match(one.out, /^ *7 {2}192\.0\.2\.1\s+example\.test\s+pass example\.test\s+fail\s+none/m);
  assert.match(one.out, /^ *2 {2}203\.0\.113\.9\s+example\.test\s+fail\s+fail\s+reject/m);
  assert.doesNotMatch(one.out, /\x1b/);
  assert.equal((await run(["reports", "show", "0000000000000000", ...data])).code, 66);
  assert.equal(JSON.parse((await run(["reports", "list", "--json", "--domain", "example.test", ...data])).out).length, 3);
  const folder = tempFolder(t);
  writeFileSync(join(folder, "r.zip"), zip("r.xml", xml));
  assert.match((await run(["reports", "read", join(folder, "r.zip")])).out, /203\.0\.113\.9/);
  writeFileSync(join(folder, "bad.zip"), zip("r.xml", xml).subarray(0, 60));
  assert.equal((await run(["reports", "read", join(folder, "bad.zip")])).code, 65);
});

test("the journal has a limit, and passes over what a crash has cut", async (t) => {
  const folder = tempFolder(t);
  const troubles: string[] = [];
  const clock = new FakeClock();
  const journal = new ReportJournal({ folder, clock, limit: 2000, onTrouble: (why) => troubles.push(why) });
  const message = {
    ip: "192.0.2.1",
    dmarc: { record: undefined, policyDomain: "a.test", author: "a.test", result: "fail", requested: "none", alignments: [] },
    spf: { result: "fail", domain: "a.test", identity: "mailfrom" },
    dkim: [],
    action: "accept",
    override: undefined,
  } as const;
  for (let i = 0; i < 20; i++) {
    journal.add(message);
    await journal.flush();
  }
  assert.deepEqual(troubles.length, 1);
  assert.match(troubles[0] ?? "", /is full/);
  const [day = ""] = [new Date(clock.now()).toISOString().slice(0, 10)];
  const path = join(folder, `${day}.jsonl`);
  assert.ok(readFileSync(path).length <= 2000);
  writeFileSync(path, `${JSON.stringify({ ...message, dmarc: { ...message.dmarc, record: "v=DMARC1; p=none" } })}\n{"ip":"19`);
  const read = [];
  for await (const one of journal.read(day)) read.push(one.dmarc.record?.p);
  assert.deepEqual(read, ["none"]);
  assert.deepEqual(await journal.finished(), []);
});

/** One file, deflated, as zip writes it when it does not know the size beforehand. */
function zip(name: string, content: Uint8Array): Buffer {
  const packed = deflateRawSync(content);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(8, 6);
  local.writeUInt16LE(8, 8);
  local.writeUInt16LE(name.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(8, 10);
  central.writeUInt32LE(packed.length, 20);
  central.writeUInt32LE(content.length, 24);
  central.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  return Buffer.concat([local, Buffer.from(name), packed, central, Buffer.from(name), end]);
}
