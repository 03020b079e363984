import assert from "node:assert/strict";
import { test } from "node:test";
import { tableDns, type Zone } from "../testing.ts";
import { authorOfFields } from "./author.ts";
import { checkDmarc, type DkimIdentifier, type DmarcResult, IDENTIFIER_LIMIT, type SpfIdentifier } from "./check.ts";

const txt = (text: string): Zone[string] => [{ TXT: text }];
const pass = (domain: string): SpfIdentifier & DkimIdentifier => ({ result: "pass", domain });

interface Given {
  readonly from?: string;
  readonly spf?: SpfIdentifier;
  readonly dkim?: readonly DkimIdentifier[];
}

function check(zone: Zone, { from = "a@news.example.com", spf, dkim = [] }: Given, asked: string[] = []): Promise<DmarcResult> {
  return checkDmarc({ author: authorOfFields([from]), spf, dkim }, tableDns(zone, asked));
}

const relaxed: Zone = { "_dmarc.example.com": txt("v=DMARC1; p=reject") };
const strict: Zone = { "_dmarc.example.com": txt("v=DMARC1; p=reject; adkim=s; aspf=s") };

/** RFC 9989 4.4, table 1, and beyond. */
const alignments: [string, Zone, Given, string, string][] = [
  ["SPF, same organization", relaxed, { spf: pass("foo.example.com") }, "pass", "relaxed"],
  ["SPF, same domain", relaxed, { spf: pass("news.example.com") }, "pass", "strict"],
  ["SPF, another organization", relaxed, { spf: pass("foo.example.net") }, "fail", "no"],
  ["SPF, another organization of the same top", relaxed, { spf: pass("example.org.com") }, "fail", "no"],
  ["DKIM, same organization", relaxed, { dkim: [pass("example.com")] }, "pass", "relaxed"],
  ["DKIM, in capitals", relaxed, { dkim: [pass("NEWS.Example.COM")] }, "pass", "strict"],
  ["strict SPF, same organization", strict, { spf: pass("example.com") }, "fail", "no"],
  ["strict DKIM, same organization", strict, { dkim: [pass("example.com")] }, "fail", "no"],
  ["strict, same domain", strict, { dkim: [pass("news.example.com")] }, "pass", "strict"],
  ["SPF that failed", relaxed, { spf: { result: "softfail", domain: "news.example.com" } }, "fail", "no"],
];
for (const [name, zone, given, result, aligned] of alignments) {
  test(`DMARC: ${name}`, async () => {
    const found = await check(zone, given);
    assert.equal(found.result, result, found.why);
    assert.equal(found.alignments[0]?.aligned, aligned);
  });
}

test("one aligned pass is enough, whatever else could not be asked", async () => {
  const zone: Zone = { "_dmarc.example.com": txt("v=DMARC1; p=reject"), "_dmarc.other.com": ["TIMEOUT"] };
  const found = await check(zone, {
    spf: { result: "temperror", domain: "example.com" },
    dkim: [pass("other.com"), pass("news.example.com")],
  });
  assert.equal(found.result, "pass");
});

test("temperror only where the missing answer could have made it a pass", async () => {
  const temp = { result: "temperror" as const };
  assert.equal((await check(relaxed, { spf: { ...temp, domain: "example.com" } })).result, "temperror");
  assert.equal((await check(relaxed, { spf: { ...temp, domain: "example.net" } })).result, "fail");
  assert.equal((await check(relaxed, { dkim: [{ ...temp, domain: undefined }] })).result, "fail");
  const broken: Zone = { ...relaxed, "_dmarc.b.com": ["TIMEOUT"] };
  assert.equal((await check(broken, { dkim: [pass("b.com")] })).result, "temperror");
  assert.equal((await check(broken, { dkim: [{ result: "fail", domain: "b.com" }] })).result, "fail");
});

test("a policy that cannot be read is temperror, and nothing is known of what it asks for", async () => {
  for (const name of ["_dmarc.news.example.com", "_dmarc.example.com", "_dmarc.com"]) {
    const found = await check({ [name]: ["TIMEOUT"] }, { spf: pass("example.net") });
    assert.deepEqual([found.result, found.requested], ["temperror", undefined], name);
  }
});

const full = "v=DMARC1; p=reject; sp=quarantine; np=none";
const discoveries: [string, Zone, string, (string | undefined)[]][] = [
  [
    "the author domain's own record",
    { "_dmarc.news.example.com": txt("v=DMARC1; p=quarantine"), "_dmarc.example.com": txt(full) },
    "news.example.com",
    ["news.example.com", "p", "quarantine"],
  ],
  [
    "sp for an existing name",
    { "_dmarc.example.com": txt(full), "news.example.com": [{ A: "192.0.2.1" }] },
    "news.example.com",
    ["example.com", "sp", "quarantine"],
  ],
  ["np for a name that is not there", { "_dmarc.example.com": txt(full) }, "news.example.com", ["example.com", "np", "none"]],
  [
    "without np, sp",
    { "_dmarc.example.com": txt("v=DMARC1; p=reject; sp=quarantine") },
    "news.example.com",
    ["example.com", "sp", "quarantine"],
  ],
  ["without both, p", { "_dmarc.example.com": txt("v=DMARC1; p=reject") }, "news.example.com", ["example.com", "p", "reject"]],
  ["p for the domain itself", { "_dmarc.example.com": txt(full) }, "example.com", ["example.com", "p", "reject"]],
  [
    "a public suffix speaks where nobody else does",
    { "_dmarc.com": txt("v=DMARC1; p=none; np=reject; psd=y") },
    "news.example.com",
    ["com", "np", "reject"],
  ],
  [
    "a public suffix is silent where the organization speaks",
    { "_dmarc.com": txt("v=DMARC1; p=reject; psd=y"), "_dmarc.example.com": txt("v=DMARC1; p=none") },
    "news.example.com",
    ["example.com", "p", "none"],
  ],
  [
    "what stands between the author and its organization does not count",
    { "_dmarc.b.example.com": txt("v=DMARC1; p=reject"), "_dmarc.example.com": txt("v=DMARC1; p=none") },
    "a.b.example.com",
    ["example.com", "p", "none"],
  ],
];
for (const [name, zone, domain, expected] of discoveries) {
  test(`policy: ${name}`, async () => {
    const found = await check(zone, { from: `a@${domain}` });
    assert.deepEqual([found.policyDomain, found.tag, found.requested], expected);
    assert.equal(found.result, "fail");
  });
}

test("whether a name exists is asked only where np makes a difference; no answer is temperror", async () => {
  const asked: string[] = [];
  await check({ "_dmarc.example.com": txt("v=DMARC1; p=reject; np=reject") }, {}, asked);
  assert.ok(!asked.includes("TXT news.example.com"));
  const found = await check({ "_dmarc.example.com": txt(full), "news.example.com": ["TIMEOUT"] }, {});
  assert.deepEqual([found.result, found.requested], ["temperror", undefined]);
});

test("t=y asks for one level less", async () => {
  for (const [published, requested] of [
    ["reject", "quarantine"],
    ["quarantine", "none"],
    ["none", "none"],
  ]) {
    const found = await check({ "_dmarc.news.example.com": txt(`v=DMARC1; t=y; p=${published}`) }, {});
    assert.deepEqual([found.published, found.requested], [published, requested]);
  }
});

test("no record is none; several at one name are none; a useless one is permerror", async () => {
  assert.equal((await check({}, { spf: pass("news.example.com") })).result, "none");
  assert.equal((await check({ "_dmarc.example.com": [{ TXT: "v=DMARC1; p=none" }, { TXT: "v=DMARC1; p=reject" }] }, {})).result, "none");
  const broken = await check({ "_dmarc.example.com": txt("v=DMARC1; p=rejct") }, { spf: pass("news.example.com") });
  assert.deepEqual([broken.result, broken.requested], ["permerror", "none"]);
  const reported = await check({ "_dmarc.example.com": txt("v=DMARC1; p=rejct; rua=mailto:r@example.com") }, {});
  assert.deepEqual([reported.result, reported.requested], ["fail", "none"]);
});

test("RFC 9989 11.8: psd=n keeps the organization where it is", async () => {
  const zone: Zone = { "_dmarc.example.com": txt("v=DMARC1; p=reject"), "_dmarc.mail.example.com": txt("v=DMARC1; p=reject; psd=n") };
  assert.equal((await check(zone, { from: "x@evil.example.com", dkim: [pass("mail.example.com")] })).result, "fail");
  assert.equal((await check(zone, { from: "x@a.mail.example.com", dkim: [pass("mail.example.com")] })).result, "pass");
});

test("several authors: the strictest policy among those that fail", async () => {
  const zone: Zone = { "_dmarc.mine.test": txt("v=DMARC1; p=none"), "_dmarc.bank.test": txt("v=DMARC1; p=reject") };
  const found = await check(zone, { from: "me@mine.test, ceo@bank.test", spf: pass("mine.test") });
  assert.deepEqual([found.result, found.author, found.requested], ["fail", "bank.test", "reject"]);
});

test("no author is permerror where the message is malformed, none where it names nobody", async () => {
  assert.equal((await check({}, { from: "nobody" })).result, "permerror");
  assert.equal((await check({}, { from: "undisclosed:;" })).result, "none");
});

test("identical domains with a record of their own ask one question", async () => {
  const asked: string[] = [];
  await check(
    { "_dmarc.example.com": txt("v=DMARC1; p=reject") },
    { from: "a@example.com", spf: pass("example.com"), dkim: [pass("example.com")] },
    asked,
  );
  assert.deepEqual(asked, ["TXT _dmarc.example.com"]);
});

test(`at most ${IDENTIFIER_LIMIT} signatures are looked at`, async () => {
  const dkim = Array.from({ length: IDENTIFIER_LIMIT + 5 }, (_, i) => pass(`d${i}.other.net`));
  assert.equal((await check(relaxed, { dkim })).alignments.length, IDENTIFIER_LIMIT);
});
