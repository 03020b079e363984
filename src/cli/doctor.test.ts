import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tableDns, type Zone } from "../authentication/testing.ts";
import { examineDkim } from "./doctor-dkim.ts";
import { examineDmarc } from "./doctor-dmarc.ts";
import type { Examination, Finding } from "./doctor-finding.ts";
import { aliasLookup, examineMx } from "./doctor-mx.ts";
import { examineServer } from "./doctor-server.ts";
import { examineSpf } from "./doctor-spf.ts";

const server = { addresses: ["192.0.2.1"], helo: "mx.a.test", origin: "--ip" };
const examination = (zone: Zone, more: Partial<Examination> = {}): Examination => ({
  domain: "a.test",
  dns: tableDns(zone),
  server,
  ...more,
});
const levels = (findings: readonly Finding[]): string[] => findings.map(({ level }) => level);
const problems = (findings: readonly Finding[]): string =>
  findings
    .filter(({ level }) => level !== "ok")
    .map(({ level, text }) => `${level}: ${text}`)
    .join("\n");
const records = (findings: readonly Finding[]): string[] => [...new Set(findings.flatMap(({ record }) => record ?? []))];

const mxCases: [name: string, zone: Zone, words: RegExp, alias?: string][] = [
  ["no such domain", {}, /^problem: a\.test does not exist/],
  ["no MX and no address", { "a.test": [{ TXT: "x" }] }, /^problem: a\.test has no MX and no address/],
  ["an address alone", { "a.test": [{ A: "192.0.2.1" }] }, /^warning: a\.test has no MX/],
  ["a null MX", { "a.test": [{ MX: [0, ""] }] }, /^info: a\.test takes no mail at all/],
  [
    "a null MX beside others",
    { "a.test": [{ MX: [0, ""] }, { MX: [1, "m.test"] }], "m.test": [{ A: "192.0.2.1" }] },
    /^problem: a null MX stands beside/,
  ],
  ["an IP address", { "a.test": [{ MX: [1, "192.0.2.1"] }] }, /^problem: 1 192\.0\.2\.1: this is an IP address/],
  ["a host without an address", { "a.test": [{ MX: [1, "m.test"] }] }, /^problem: 1 m\.test: it has no address/],
  [
    "a host that DNS does not tell of",
    { "a.test": [{ MX: [1, "m.test"] }], "m.test": ["TIMEOUT"] },
    /^unknown: no answer about the addresses of m\.test/,
  ],
  ["DNS that is silent", { "a.test": ["TIMEOUT"] }, /^unknown: no answer about the MX of a\.test/],
  [
    "an alias",
    { "a.test": [{ MX: [1, "m.test"] }], "m.test": [{ A: "192.0.2.1" }] },
    /^problem: 1 m\.test: this is an alias \(CNAME\) of x\.test/,
    "x.test",
  ],
];
for (const [name, zone, words, alias] of mxCases) {
  test(`MX: ${name}`, async () => {
    const { findings } = await examineMx(examination(zone), async () => alias);
    assert.match(problems(findings), words);
  });
}

test("MX: the hosts that mail goes to, the best first", async () => {
  const zone: Zone = {
    "a.test": [{ MX: [20, "m2.test"] }, { MX: [10, "m1.test"] }],
    "m1.test": [{ A: "192.0.2.1" }, { AAAA: "2001:db8::1" }],
    "m2.test": [{ A: "192.0.2.2" }],
  };
  const { findings, hosts } = await examineMx(examination(zone), async () => undefined);
  assert.deepEqual(levels(findings), ["ok", "ok"]);
  assert.deepEqual(hosts, [
    { name: "m1.test", addresses: ["192.0.2.1", "2001:db8::1"] },
    { name: "m2.test", addresses: ["192.0.2.2"] },
  ]);
});

test("without a DNS server nothing is called an alias", async () => assert.equal(await aliasLookup([])("m.test"), undefined));

const txt = (record: string): Zone => ({
  "a.test": [{ TXT: record }],
  "b.test": [{ TXT: "v=spf1 a mx -all" }],
  "none.test": [{ TXT: "x" }],
});
const many = (count: number): string => Array.from({ length: count }, (_, i) => `exists:e${i}.test`).join(" ");
const spfCases: [name: string, zone: Zone, words: RegExp, record?: string][] = [
  ["none", { "a.test": [{ TXT: "x" }] }, /^problem: a\.test has no SPF record/, "v=spf1 mx ip4:192.0.2.1 -all"],
  ["two", { "a.test": [{ TXT: "v=spf1 a -all" }, { TXT: "v=spf1 mx ~all" }] }, /has 2 SPF records/, "v=spf1 a mx -all"],
  ["not valid", txt("v=spf1 ip4:nowhere -all"), /^problem: the record is not valid/],
  ["good", txt("v=spf1 ip4:192.0.2.1 -all"), /^$/],
  ["soft at its end", txt("v=spf1 ip4:192.0.2.1 ~all"), /^$/],
  ["open", txt("v=spf1 ip4:192.0.2.1 +all"), /^problem: "\+all" allows everyone/, "v=spf1 ip4:192.0.2.1 -all"],
  [
    "without an end, and without this server",
    txt("v=spf1 ip4:192.0.2.9"),
    /^warning: it does not end with all[\s\S]*problem: neutral for 192\.0\.2\.1/,
    "v=spf1 ip4:192.0.2.9 ip4:192.0.2.1 -all",
  ],
  [
    "without this server",
    txt("v=spf1 ip4:192.0.2.9 -all"),
    /^problem: fail for 192\.0\.2\.1 \(--ip\)/,
    "v=spf1 ip4:192.0.2.9 ip4:192.0.2.1 -all",
  ],
  ["with too many look-ups", txt(`v=spf1 ip4:192.0.2.1 include:b.test ${many(8)} -all`), /^problem: it takes 11 look-ups/],
  ["with nearly too many", txt(`v=spf1 ip4:192.0.2.1 ${many(9)} -all`), /^warning: it takes 9 of 10 look-ups/],
  ["with macros", txt("v=spf1 ip4:192.0.2.1 include:%{d1}.x.test -all"), /^$/],
  [
    "that includes nothing",
    txt("v=spf1 ip4:192.0.2.1 include:none.test -all"),
    /^problem: a\.test includes none\.test, which has no SPF record/,
  ],
  ["that includes itself", txt("v=spf1 ip4:192.0.2.1 include:a.test -all"), /^problem: a\.test includes a\.test leads back to itself/],
  ["with ptr", txt("v=spf1 ip4:192.0.2.1 ptr -all"), /^warning: it uses ptr/],
  ["redirected", { ...txt("v=spf1 redirect=c.test"), "c.test": [{ TXT: "v=spf1 ip4:192.0.2.1 -all" }] }, /^$/],
  ["DNS that is silent", { "a.test": ["TIMEOUT"] }, /^unknown: no answer about the SPF record/],
];
for (const [name, zone, words, record] of spfCases) {
  test(`SPF: ${name}`, async () => {
    const findings = await examineSpf(examination(zone));
    assert.match(problems(findings), words);
    assert.deepEqual(records(findings), record === undefined ? [] : [`a.test. IN TXT "${record}"\n`]);
  });
}

test("SPF: records that include one another widely are not followed for ever", async () => {
  const zone: Record<string, Zone[string]> = {
    "a.test": [{ TXT: `v=spf1 ${Array.from({ length: 30 }, (_, i) => `include:n${i}.test`).join(" ")} -all` }],
  };
  for (let i = 0; i < 30; i++)
    zone[`n${i}.test`] = [{ TXT: `v=spf1 ${Array.from({ length: 30 }, (_, j) => `include:n${j}.test`).join(" ")} -all` }];
  const asked: string[] = [];
  const findings = await examineSpf({ domain: "a.test", dns: tableDns(zone, asked), server: undefined });
  assert.ok(findings.length < 10);
  assert.ok(asked.length <= 21, `${asked.length} questions`);
});

const dmarcCases: [name: string, zone: Zone, words: RegExp, record?: string][] = [
  [
    "none",
    { "a.test": [{ TXT: "x" }] },
    /^problem: a\.test has no DMARC record/,
    '_dmarc.a.test. IN TXT "v=DMARC1; p=none; rua=mailto:dmarc-reports@a.test"\n',
  ],
  ["two", { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=none" }, { TXT: "v=DMARC1; p=reject" }] }, /has 2 DMARC records/],
  ["not valid", { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=all" }] }, /^problem: the record has no valid policy/],
  ["good", { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=reject; rua=mailto:r@a.test" }] }, /^$/],
  [
    "without reports",
    { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=reject" }] },
    /^warning: it names nobody for reports/,
    '_dmarc.a.test. IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc-reports@a.test"\n',
  ],
  [
    "reports to others who have not agreed",
    { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=reject; rua=mailto:r@b.example" }] },
    /^problem: no reports will go to mailto:r@b\.example/,
    'a.test._report._dmarc.b.example. IN TXT "v=DMARC1"\n',
  ],
  [
    "reports to others who agree",
    { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=reject; rua=mailto:r@b.example" }], "a.test._report._dmarc.b.example": [{ TXT: "v=DMARC1" }] },
    /^$/,
  ],
  ["an old tag", { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=reject; pct=50; rua=mailto:r@a.test" }] }, /^warning: pct= is a tag of RFC 7489/],
  ["DNS that is silent", { "_dmarc.a.test": ["TIMEOUT"] }, /^unknown: no answer about _dmarc\.a\.test/],
];
for (const [name, zone, words, record] of dmarcCases) {
  test(`DMARC: ${name}`, async () => {
    const findings = await examineDmarc(examination(zone));
    assert.match(problems(findings), words);
    if (record !== undefined) assert.deepEqual(records(findings), [record]);
  });
}

test("DMARC: the organization's record counts for a name below it", async () => {
  const dns = tableDns({ "_dmarc.a.test": [{ TXT: "v=DMARC1; p=reject" }] });
  const [finding] = await examineDmarc({ domain: "news.a.test", dns, server });
  assert.match(finding?.text ?? "", /that of a\.test counts/);
  assert.equal(finding?.level, "ok");
});

const reverse = "1.2.0.192.in-addr.arpa";
const serverCases: [name: string, zone: Zone, words: RegExp][] = [
  ["good", { [reverse]: [{ PTR: "mx.a.test" }], "mx.a.test": [{ A: "192.0.2.1" }] }, /^$/],
  ["no name", { "mx.a.test": [{ A: "192.0.2.1" }] }, /^problem: 192\.0\.2\.1 has no name/],
  [
    "a name that leads elsewhere",
    { [reverse]: [{ PTR: "x.test" }], "x.test": [{ A: "192.0.2.2" }], "mx.a.test": [{ A: "192.0.2.1" }] },
    /^problem: 192\.0\.2\.1 is called x\.test, which has other addresses/,
  ],
  [
    "another name",
    { [reverse]: [{ PTR: "x.test" }], "x.test": [{ A: "192.0.2.1" }], "mx.a.test": [{ A: "192.0.2.1" }] },
    /^warning: .*EHLO says mx\.a\.test/,
  ],
  ["EHLO that leads nowhere", { [reverse]: [{ PTR: "x.test" }], "x.test": [{ A: "192.0.2.1" }] }, /problem: mx\.a\.test has no address/],
  [
    "DNS that is silent",
    { [reverse]: ["TIMEOUT"], "mx.a.test": ["TIMEOUT"] },
    /^unknown: no answer about the name of 192\.0\.2\.1[\s\S]*unknown: no answer about the addresses of mx\.a\.test/,
  ],
];
for (const [name, zone, words] of serverCases) {
  test(`server: ${name}`, async () => assert.match(problems(await examineServer(examination(zone))), words));
}

test("server: left out where none is known; a short name is a problem", async () => {
  assert.deepEqual(levels(await examineServer(examination({}, { server: undefined }))), ["info"]);
  const findings = await examineServer(examination({}, { server: { ...server, helo: "localhost" } }));
  assert.match(problems(findings), /localhost is no full domain name/);
});

const ed = "v=DKIM1; k=ed25519; p=ehUSOENkasTpzaSSRn5M8YvcP4B1muLQ9GhyIos7wa0=";
const dkimCases: [name: string, record: string | undefined, words: RegExp][] = [
  ["published", ed, /^$/],
  ["absent", undefined, /^problem: there is no record at s\._domainkey\.a\.test/],
  ["testing", `${ed}; t=y`, /^warning: s is published \(Ed25519\); t=y/],
  ["taken back", "v=DKIM1; p=", /^problem: s was taken back/],
  ["no key record", "hello", /^problem: the TXT record at .* is no key record/],
  ["cut", "v=DKIM1; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", /^problem: s cannot be used/],
  ["of an unknown kind", "v=DKIM1; k=ec; p=AAAA", /^warning: s is of kind k=ec/],
];
for (const [name, record, words] of dkimCases) {
  test(`DKIM: a selector that was named: ${name}`, async () => {
    const zone: Zone = record === undefined ? {} : { "s._domainkey.a.test": [{ TXT: record }] };
    assert.match(problems(await examineDkim(examination(zone), [], ["s"])), words);
  });
}

test("DKIM: without a selector nothing can be looked at", async () => {
  assert.deepEqual(levels(await examineDkim(examination({}), [], [])), ["warning"]);
});

test("whatever stands in DNS is examined and not stumbled over", async () => {
  const tag = fc
    .tuple(fc.constantFrom("p", "sp", "rua", "k", "t", "h", "x"), fc.string({ maxLength: 20 }))
    .map(([name, value]) => `${name}=${value}`);
  const term = fc.constantFrom("mx", "a:", "include:a.test", "include:%{d}", "ip4:192.0.2.1", "ip6:::", "?all", "redirect=a.test", "ptr");
  const record = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.array(term).map((terms) => `v=spf1 ${terms.join(" ")}`),
    fc.array(tag).map((tags) => `v=DMARC1; ${tags.join("; ")}`),
    fc.array(tag).map((tags) => `v=DKIM1; ${tags.join("; ")}`),
  );
  const some = fc.array(record, { maxLength: 3 }).map((texts) => texts.map((TXT) => ({ TXT })));
  await fc.assert(
    fc.asyncProperty(some, some, some, async (own, dmarc, key) => {
      const found = examination({ "a.test": own, "_dmarc.a.test": dmarc, "s._domainkey.a.test": key });
      const findings = [...(await examineSpf(found)), ...(await examineDmarc(found)), ...(await examineDkim(found, [], ["s"]))];
      assert.ok(findings.length >= 3);
    }),
    { numRuns: 300 },
  );
});
