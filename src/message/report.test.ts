import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import type { Reason } from "../mail/outcome.ts";
import { concat, fromLatin1, fromUtf8, latin1, utf8 } from "../util/bytes.ts";
import { contentText, readWithPython } from "./contents.test.ts";
import type { ReportedRecipient } from "./delivery-status.ts";
import { contentFacts } from "./facts.ts";
import { readHeaderSection } from "./header-section.ts";
import { type DeliveryReport, deliveryReport, RETURNED_LIMIT } from "./report.ts";

const now = Date.UTC(2026, 10, 23, 12, 0, 0);
const mx = { name: "mx1.far.test", address: "192.0.2.25", port: 25 };
const rcpt = "while sending RCPT TO";
const original = latin1("From: Ann <ann@here.test>\r\nTo: bob@far.test\r\nSubject: Lunch\r\nMessage-ID: <1@here.test>\r\n\r\nAt noon?\r\n");

function failed(address: string, why: Reason, status: "5.1.1" | "5.4.7" | "5.6.7" = "5.1.1"): ReportedRecipient {
  const [localPart, domain] = address.split("@") as [string, string];
  return { recipient: { mailbox: { localPart, domain } }, outcome: { action: "failed", scope: "recipient", status, why }, attempted: now };
}

const noSuchUser: Reason = { kind: "reply", reply: { code: 550, status: "5.1.1", text: "No such user\nhere" }, doing: rcpt, at: mx };

function options(changes: Partial<DeliveryReport> = {}, content = original): DeliveryReport {
  return {
    reportingMta: "mail.here.test",
    postmaster: { localPart: "postmaster", domain: "here.test" },
    to: { localPart: "ann", domain: "here.test" },
    id: "0000000000BOVNCE",
    about: "0123456789ABCDEF",
    arrived: now - 3_600_000,
    recipients: [failed("bob@far.test", noSuchUser)],
    original: { header: readHeaderSection(content).section },
    utf8: false,
    now,
    boundary: "report-0123456789",
    ...changes,
  };
}

const withContent = (content: Uint8Array) => ({
  header: readHeaderSection(content).section,
  content: { chunks: [content], facts: contentFacts([content]) },
});

const make = (changes: Partial<DeliveryReport> = {}, content = original) => concat(deliveryReport(options(changes, content)).chunks);

const severalFailures: Partial<DeliveryReport> = {
  envelopeId: "order 7",
  to: { localPart: "änn", domain: "here.test" },
  utf8: true,
  recipients: [
    {
      ...failed("bob@far.test", { kind: "dns", text: "far.test does not exist" }),
      recipient: { mailbox: { localPart: "bob", domain: "far.test" }, originalRecipient: { type: "rfc822", address: "robert@near.test" } },
    },
    failed("jürgen@fern.test", { kind: "reply", reply: { code: 550, text: "gibt's nicht: jürgen" }, doing: rcpt, at: mx }),
    failed("carl@far.test", { kind: "connection", text: "connection refused", doing: "while connecting", at: mx }, "5.4.7"),
    {
      recipient: { mailbox: { localPart: "dora", domain: "far.test" } },
      outcome: { action: "delayed", scope: "host", status: "4.4.1", why: { kind: "unknown", text: "lost the connection", at: mx } },
      attempted: now,
      retryUntil: now + 86_400_000,
    },
  ],
  original: withContent(utf8("Subject: Grüße\r\n\r\nHallo\r\n")),
};

for (const [name, changes] of [
  ["bounce", {}],
  ["bounce-utf8", severalFailures],
] as const) {
  test(`the report is that of test/golden/${name}.eml`, () => {
    const file = new URL(`../../test/golden/${name}.eml`, import.meta.url);
    const made = make(changes);
    // A new golden file is written by removing the old one; it is then for a person to read.
    if (!existsSync(file)) {
      writeFileSync(file, made);
      assert.fail("written anew: read it, then run again");
    }
    assert.equal(fromUtf8(made), fromUtf8(readFileSync(file)));
  });
}

test("a reader of MIME finds the three parts and the fields", (t) => {
  const read = readWithPython(make(), t);
  if (read === undefined) return;
  assert.deepEqual(
    read.parts.map((part) => part.type),
    ["multipart/report", "text/plain", "message/delivery-status", "text/plain", "text/plain", "text/rfc822-headers"],
  );
  assert.equal(read.defects, 0);
});

test("one chunk per thing, and SMTPUTF8 only for a reverse-path that needs it", () => {
  assert.equal(deliveryReport(options()).smtpUtf8, false);
  assert.equal(deliveryReport(options({ utf8: true })).smtpUtf8, false);
  assert.equal(deliveryReport(options({ to: { localPart: "änn", domain: "here.test" } })).smtpUtf8, true);
});

test("without UTF-8 an address is written in xtext, its words in quoted-printable, and all is ASCII", () => {
  const report = make({ recipients: [failed("jür\\gen@fern.test", noSuchUser)] }, latin1("Subject: gr\xfc\xdfe\r\n\r\n"));
  const facts = contentFacts([report]);
  assert.equal(facts.eightBit, false);
  const text = fromLatin1(report);
  assert.match(text, /Final-Recipient: utf-8; j\\x\{FC\}r\\x\{5C\}gen@fern\.test\r\n/);
  assert.match(text, /Subject: Undelivered Mail: 1 address\r\n/);
  assert.match(
    text,
    /Content-Type: text\/rfc822-headers\r\n.*\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSubject: gr=FC=DFe\r\n/,
  );
});

test("RET=FULL brings back the content as it is, unless it is too large, binary or has overlong lines", () => {
  const whole = (content: Uint8Array) =>
    /Content-Type: message\/rfc822/.test(fromLatin1(make({ original: withContent(content) }, content)));
  const text = (body: string) => latin1(`Subject: x\r\n\r\n${body}`);
  assert.ok(whole(text("body\r\n")));
  assert.ok(whole(text("\xe9\r\n")));
  assert.ok(!whole(text("a\0")));
  assert.ok(!whole(text("x".repeat(999))));
  assert.ok(!whole(text("line of text\r\n".repeat(RETURNED_LIMIT / 10))));
  const report = fromLatin1(make({ original: withContent(text("\xe9")) }));
  assert.match(report, /Content-Transfer-Encoding: 8bit\r\n\r\nThis|8bit\r\n\r\n--report/);
  assert.ok(report.includes("Subject: x\r\n\r\n\xe9\r\n\r\n--report-0123456789--\r\n"));
});

test("a header section over the limit is cut after a field", () => {
  const many = latin1(`X: ${"y".repeat(900)}\r\n`.repeat(100));
  const report = fromLatin1(make({}, many));
  const [, part] = report.split("Content-Type: text/rfc822-headers");
  assert.ok(part!.length < RETURNED_LIMIT + 300);
  assert.match(part!, /y\r\n\r\n--report-0123456789--\r\n$/);
});

test("only a Message-ID that is one is referred to", () => {
  assert.match(fromLatin1(make()), /\r\nIn-Reply-To: <1@here\.test>\r\nReferences: <1@here\.test>\r\n/);
  assert.doesNotMatch(fromLatin1(make({}, latin1("Message-ID: <a@b> <c@d>\r\n\r\n"))), /In-Reply-To/);
});

test("a report of delays says so", () => {
  const [, , , delayed] = severalFailures.recipients!;
  const report = fromLatin1(make({ recipients: [delayed!] }));
  assert.match(report, /Subject: Delayed Mail: dora@far\.test\r\n/);
  assert.match(report, /Action: delayed\r\nStatus: 4\.4\.1\r\n/);
  assert.match(report, /Will-Retry-Until: Tue, 24 Nov 2026 12:00:00 \+0000\r\n/);
});

test("whatever a server or a header holds, the report keeps its three parts and its lines their length", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 100 }),
    fc.constantFrom("x\r\n\r\n--report-0123456789--\r\n", "x\r\nAction: delivered", "\u2028", "\ud800", "é".repeat(5000), " ".repeat(5000)),
  );
  fc.assert(
    fc.property(hostile, hostile, contentText, fc.boolean(), fc.boolean(), (text, name, content, isUtf8, full) => {
      const why: Reason = { kind: "reply", reply: { code: 550, text }, doing: rcpt, at: { name, port: 25 } };
      const bytes = latin1(content.replaceAll("--report", ""));
      const header = readHeaderSection(bytes).section;
      const report = make({
        recipients: [failed("bob@far.test", why)],
        utf8: isUtf8,
        original: full ? withContent(bytes) : { header },
      });
      const facts = contentFacts([report]);
      assert.deepEqual({ binary: facts.binary, eightBitHeader: facts.eightBitHeader }, { binary: false, eightBitHeader: false });
      assert.ok(facts.longestLine <= 998);
      const written = fromLatin1(report);
      assert.equal(written.split(/^--report-0123456789\r\n/m).length, 4);
      assert.equal(written.split(/^--report-0123456789--\r\n/m).length, 2);
      assert.equal(written.match(/^Action: .*$/gm)?.length, 1);
      if (!isUtf8 && !full) assert.equal(facts.eightBit, false);
    }),
    { numRuns: 300 },
  );
});
