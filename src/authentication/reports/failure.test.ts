import assert from "node:assert/strict";
import { test } from "node:test";
import { readHeaderSection } from "../../message/header-section.ts";
import { concat, fromLatin1, utf8 } from "../../util/bytes.ts";
import { authorOfFields, checkDmarc, type DkimIdentifier, type SpfIdentifier } from "../dmarc/index.ts";
import { property } from "../results/results.ts";
import { tableDns } from "../testing.ts";
import { FEEDBACK_FIELD_LIMIT, failureReport, failureReportsAsked, parseFeedback, RETURNED_HEADER_LIMIT } from "./failure.ts";

const pass = (domain: string): DkimIdentifier & SpfIdentifier => ({ result: "pass", domain });

const cases: [string, SpfIdentifier, DkimIdentifier[], string[]][] = [
  ["fo=0; ruf=mailto:f@a.test", { result: "fail", domain: "a.test" }, [], ["dmarc"]],
  ["fo=0; ruf=mailto:f@a.test", pass("a.test"), [], []],
  ["fo=1; ruf=mailto:f@a.test", pass("a.test"), [], ["dmarc"]],
  ["fo=1; ruf=mailto:f@a.test", pass("a.test"), [pass("a.test")], []],
  ["fo=d:s; ruf=mailto:f@a.test", { result: "softfail", domain: "b.test" }, [{ result: "fail", domain: "b.test" }], ["dkim", "spf"]],
  ["fo=1:d:s", { result: "fail", domain: "a.test" }, [], []],
  ["fo=1; ruf=mailto:f@a.test; psd=y", { result: "fail", domain: "a.test" }, [], []],
];
for (const [tags, spf, dkim, expected] of cases) {
  test(`failure reports asked for: ${tags}, SPF ${spf.result}, ${dkim.length} signatures`, async () => {
    const dns = tableDns({ "_dmarc.a.test": [{ TXT: `v=DMARC1; p=none; ${tags}` }] });
    const dmarc = await checkDmarc({ author: authorOfFields(["x@a.test"]), spf, dkim }, dns);
    assert.deepEqual(failureReportsAsked(dmarc, spf, dkim), expected);
  });
}

function report(header: string, domain = "a.test"): string {
  const chunks = failureReport({
    failure: "dmarc",
    from: { localPart: "postmaster", domain: "here.test" },
    to: { localPart: "f", domain: "a.test" },
    reportingMta: "mx.here.test",
    messageId: "1@mx.here.test",
    domain,
    results: {
      authservId: "mx.here.test",
      methods: [{ method: "dmarc", result: "fail", properties: [property("header", "from", domain)] }],
    },
    failed: ["dkim", "spf"],
    dkim: { domain: "a.test", selector: "s" },
    spf: { domain: "a.test", record: 'v=spf1 "-all' },
    delivery: "spam",
    ip: "192.0.2.9",
    reversePath: null,
    arrived: 0,
    header: readHeaderSection(utf8(header)).section,
    now: 1000,
    boundary: "BOUNDARY",
  });
  return fromLatin1(concat([...chunks]));
}

test("a failure report: three parts, the machine's read again", () => {
  const text = report("From: x@a.test\r\nSubject: hi\r\n\r\nsecret body");
  assert.match(text, /^Content-Type: multipart\/report; report-type=feedback-report;\r\n boundary="BOUNDARY"\r\n/m);
  assert.doesNotMatch(text, /secret/);
  const [, , machine = "", headers = ""] = text.split("--BOUNDARY");
  assert.match(headers, /\r\n\r\nFrom: x@a\.test\r\nSubject: hi\r\n/);
  const parsed = parseFeedback(utf8(machine.slice(machine.indexOf("\r\n\r\n") + 4)));
  assert.ok(parsed.ok);
  const { type, fields } = parsed.feedback;
  assert.equal(type, "auth-failure");
  assert.deepEqual(
    ["auth-failure", "identity-alignment", "source-ip", "original-mail-from", "spf-dns"].map((name) => fields.get(name)?.[0]),
    ["dmarc", "dkim, spf", "192.0.2.9", "<>", 'txt : a.test : "v=spf1 \\"-all"'],
  );
});

test("what comes from outside stays in its line, and everything is ASCII", () => {
  const text = report("From: \u00e4@a.test\r\nX: --BOUNDARY\r\n\r\n", "a.test\r\nBcc: v@victim.test\u00e4");
  assert.match(text, /^[\x00-\x7f]*$/);
  assert.doesNotMatch(text, /^Bcc:/m);
  assert.equal(text.match(/^--BOUNDARY/gm)?.length, 4);
});

test("a long header section comes back in part", () => {
  const field = `X: ${"y".repeat(900)}\r\n`;
  const text = report(`${field.repeat(Math.ceil(RETURNED_HEADER_LIMIT / field.length) + 5)}\r\n`);
  assert.equal(text.match(/^X: /gm)?.length, Math.floor(RETURNED_HEADER_LIMIT / field.length));
});

test("feedback of others, and what is none", () => {
  const parsed = parseFeedback(
    utf8("Feedback-Type: Abuse\r\nUser-Agent: Some/1\r\nVersion: 1\r\nOriginal-Rcpt-To: a@x.test\r\nOriginal-Rcpt-To: b@x.test\r\n"),
  );
  assert.ok(parsed.ok);
  assert.equal(parsed.feedback.type, "abuse");
  assert.deepEqual(parsed.feedback.fields.get("original-rcpt-to"), ["a@x.test", "b@x.test"]);
  assert.equal(parseFeedback(utf8("Version: 1\r\n")).ok, false);
  assert.equal(parseFeedback(utf8("Feedback-Type: a\r\nFeedback-Type: b\r\n")).ok, false);
  assert.equal(parseFeedback(utf8(`Feedback-Type: a\r\n${"X: y\r\n".repeat(FEEDBACK_FIELD_LIMIT)}`)).ok, false);
});
