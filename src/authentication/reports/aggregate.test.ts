import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromUtf8 } from "../../util/bytes.ts";
import { authorOfFields, checkDmarc, type DkimIdentifier, type SpfIdentifier } from "../dmarc/index.ts";
import { tableDns } from "../testing.ts";
import { AggregateCollector, aggregateReport, type CountedMessage, ROW_LIMIT } from "./collector.ts";
import { parseAggregateReport, TEXT_LIMIT } from "./parse.ts";
import { type AggregateReport, reportFileName, reportSubject } from "./report.ts";
import { aggregateXml, HUMAN_LIMIT, SIGNATURE_LIMIT } from "./write.ts";

const about = { organization: "Here", email: "reports@here.test", id: "2026.11.24-1", begin: 1_795_000_000, end: 1_795_086_400 };

const dns = tableDns({
  "_dmarc.example.com": [{ TXT: "v=DMARC1; p=reject; sp=quarantine; rua=mailto:r@example.com; adkim=s" }],
  "_dmarc.silent.test": [{ TXT: "v=DMARC1; p=reject" }],
  "_dmarc.watching.test": [{ TXT: "v=DMARC1; p=none; rua=mailto:r@watching.test" }],
});

async function message(
  from: string,
  spf: SpfIdentifier,
  dkim: readonly DkimIdentifier[],
  more: Partial<CountedMessage> = {},
): Promise<CountedMessage> {
  const dmarc = await checkDmarc({ author: authorOfFields([from]), spf, dkim }, dns);
  return { ip: "192.0.2.9", dmarc, spf: { ...spf, identity: "mailfrom" }, dkim, action: "accept", override: undefined, ...more };
}
const pass = (domain: string): DkimIdentifier & SpfIdentifier => ({ result: "pass", domain });

test("equal messages are one row; what differs is another; each policy is a report", async () => {
  const collector = new AggregateCollector();
  const good = await message("a@example.com", pass("example.com"), [{ ...pass("example.com"), selector: "s1" }]);
  for (let i = 0; i < 3; i++) collector.add(good);
  collector.add({ ...good, ip: "::ffff:192.0.2.9" });
  collector.add(await message("a@example.com", { result: "fail", domain: "example.com" }, [], { action: "reject" }));
  collector.add(await message("a@news.example.com", pass("bounce.example.com"), []));
  collector.add(await message("a@watching.test", pass("watching.test"), []));
  const taken = collector.take();
  assert.deepEqual(
    taken.map(({ policy, rua }) => [policy.domain, policy.p, policy.sp, policy.adkim, ...rua]),
    [
      ["example.com", "reject", "quarantine", "s", "mailto:r@example.com"],
      ["watching.test", "none", "none", "r", "mailto:r@watching.test"],
    ],
  );
  assert.deepEqual(
    taken[0]?.records.map(({ count, disposition, dkim, spf, headerFrom }) => [count, disposition, dkim, spf, headerFrom]),
    [
      [4, "pass", "pass", "pass", "example.com"],
      [1, "reject", "fail", "fail", "example.com"],
      [1, "pass", "fail", "pass", "news.example.com"],
    ],
  );
  assert.equal(taken[1]?.records[0]?.disposition, "none");
  assert.deepEqual(collector.take(), []);
});

test("not counted: no address for reports, no record, deferred, not settled", async () => {
  const collector = new AggregateCollector();
  collector.add(await message("a@silent.test", pass("silent.test"), []));
  collector.add(await message("a@nothing.test", pass("nothing.test"), []));
  collector.add(await message("a@example.com", pass("example.com"), [], { action: "defer" }));
  collector.add(await message("a@example.com", { result: "temperror", domain: "example.com" }, []));
  assert.deepEqual(collector.take(), []);
});

test(`at most ${ROW_LIMIT} rows for a policy; the rest is counted as left out`, async () => {
  const collector = new AggregateCollector();
  const one = await message("a@example.com", pass("example.com"), []);
  for (let i = 0; i < ROW_LIMIT + 7; i++) collector.add({ ...one, ip: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` });
  collector.add({ ...one, ip: "10.0.0.0" });
  assert.equal(collector.leftOut, 7);
  assert.equal(collector.take()[0]?.records.length, ROW_LIMIT);
});

test("signatures: strictly aligned first, then relaxed, then passed, then failed; bounded", async () => {
  const collector = new AggregateCollector();
  const dkim: DkimIdentifier[] = [
    { result: "fail", domain: "a.test" },
    pass("b.test"),
    pass("sub.watching.test"),
    pass("watching.test"),
    { result: "fail", domain: undefined },
  ];
  collector.add(await message("a@watching.test", pass("x.test"), dkim));
  collector.add(
    await message(
      "b@watching.test",
      pass("y.test"),
      Array.from({ length: SIGNATURE_LIMIT + 1 }, (_, i) => pass(`d${i}.net`)),
    ),
  );
  const [counted] = collector.take();
  assert.deepEqual(
    counted?.records[0]?.dkimResults.map(({ domain }) => domain),
    ["watching.test", "sub.watching.test", "b.test", "a.test"],
  );
  assert.equal(counted?.records[1]?.dkimResults.length, SIGNATURE_LIMIT);
});

test("a report as XML", async () => {
  const collector = new AggregateCollector();
  const override = { type: "local_policy", comment: 'a <b> & "c"' } as const;
  collector.add(await message("a@example.com", { result: "fail", domain: "example.com" }, [], { action: "quarantine", override }));
  const [counted] = collector.take();
  assert.ok(counted);
  const xml = fromUtf8(aggregateXml(aggregateReport(counted, about))) ?? "";
  assert.match(
    xml,
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2\.0">\n {2}<version>1\.0<\/version>/,
  );
  assert.match(xml, /<discovery_method>treewalk<\/discovery_method>\n {4}<p>reject<\/p>\n {4}<sp>quarantine<\/sp>/);
  assert.match(xml, /<comment>a &lt;b&gt; &amp; &quot;c&quot;<\/comment>/);
  assert.match(xml, /<envelope_from>example\.com<\/envelope_from>/);
});

const word = fc.string({
  unit: fc.oneof(fc.constantFrom("&", "<", ">", '"', "'", "é", "\u{1f4e7}", "]]>", "&amp;"), fc.stringMatching(/^[a-z0-9.-]$/)),
  maxLength: 12,
});
const opt = (keys: readonly string[]) => fc.dictionary(fc.constantFrom(...keys), word, { maxKeys: keys.length });
const domain = fc.constantFrom("example.com", "a.test");
const record = fc
  .record({
    sourceIp: fc.ipV4(),
    count: fc.nat(),
    disposition: fc.constantFrom("none", "pass", "quarantine", "reject"),
    dkim: fc.constantFrom("pass", "fail"),
    spf: fc.constantFrom("pass", "fail"),
    reasons: fc.array(fc.record({ type: fc.constant("other"), comment: word }), { maxLength: 2 }),
    headerFrom: domain,
    dkimResults: fc.array(fc.record({ domain, selector: word, result: fc.constant("pass") }), { maxLength: 2 }),
    spfResult: fc.record({ domain, result: fc.constant("fail"), human: word }),
  })
  .chain((base) => opt(["envelopeFrom", "envelopeTo"]).map((more) => ({ ...base, ...more })));

test("what is written is read again", () => {
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 4 }),
      opt(["method", "sp", "np", "fo", "adkim", "aspf", "testing"]),
      word,
      (records, more, name) => {
        const report: AggregateReport = {
          ...about,
          organization: name,
          errors: [],
          policy: { domain: "example.com", p: "none", ...more },
          records,
        };
        const parsed = parseAggregateReport(fromUtf8(aggregateXml(report)) ?? "");
        assert.deepEqual(parsed, { ok: true, report: structuredClone(report) }); // of plain objects, as the reader makes them
      },
    ),
  );
});

test("a report of RFC 7489, as most send it", () => {
  const parsed = parseAggregateReport(`<?xml version="1.0"?>
<!-- a comment --><feedback>
 <report_metadata><org_name>far.test</org_name><email>noreply@far.test</email><report_id>17</report_id>
  <date_range><begin>1700000000</begin><end>1700086399</end></date_range></report_metadata>
 <policy_published><domain>example.com</domain><adkim>r</adkim><p>none</p><sp>none</sp><pct>100</pct></policy_published>
 <record><row><source_ip>2001:db8::1</source_ip><count>2</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim>
   <spf>fail</spf><reason><type>forwarded</type><comment/></reason></policy_evaluated></row>
  <identifiers><header_from>example.com</header_from></identifiers>
  <auth_results><dkim><domain>example.com</domain><result>pass</result></dkim><spf><domain>x.test</domain><result>softfail</result></spf></auth_results>
 </record></feedback>\n`);
  assert.ok(parsed.ok);
  const [first] = parsed.report.records;
  assert.deepEqual(
    [parsed.report.organization, parsed.report.begin, first?.count, first?.reasons[0]?.type],
    ["far.test", 1_700_000_000, 2, "forwarded"],
  );
});

const broken = [
  "",
  "x",
  "<a/>",
  "<feedback/>",
  "<feedback><policy_published><domain>a</domain></policy_published></feedback>",
  "<feedback>",
];
for (const document of broken) test(`no report: ${document}`, () => assert.equal(parseAggregateReport(document).ok, false));

test("texts are bounded, in what is written and in what is read", () => {
  const long = "x".repeat(5000);
  const base: AggregateReport = { ...about, errors: [long], policy: { domain: "a.test", p: "none" }, records: [] };
  assert.ok(aggregateXml(base).length < 2 * HUMAN_LIMIT + 1000);
  const document = `<feedback><policy_published><domain>${long}</domain></policy_published><record/></feedback>`;
  const parsed = parseAggregateReport(document);
  assert.equal(parsed.ok && parsed.report.policy.domain.length, TEXT_LIMIT);
});

test("names of file and mail (RFC 9990)", () => {
  const report: AggregateReport = { ...about, errors: [], policy: { domain: "example.com", p: "none" }, records: [] };
  assert.equal(reportFileName(report, "mx.here.test"), "mx.here.test!example.com!1795000000!1795086400!202611241.xml.gz");
  assert.equal(
    reportSubject(report, "mx.here.test"),
    "Report Domain: example.com Submitter: mx.here.test Report-ID: <2026.11.24-1@mx.here.test>",
  );
  assert.equal(
    reportFileName({ ...report, policy: { domain: "../x", p: "none" } }, "h", "xml"),
    "h!.._x!1795000000!1795086400!202611241.xml",
  );
});
