import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../../util/testing.ts";
import { STEP_LIMIT } from "../step.ts";
import { tableDns, type Zone } from "../testing.ts";
import { checkSpf, type SpfResult } from "./check.ts";
import { LOOKUP_LIMIT, VOID_LIMIT } from "./evaluation.ts";
import { EXPLANATION_LIMIT } from "./explanation.ts";

const mailbox = (text: string) => {
  const at = text.lastIndexOf("@");
  return { localPart: text.slice(0, at), domain: text.slice(at + 1) };
};

function check(zone: Zone, ip: string, from: string | null, helo = "mail.example.com"): Promise<SpfResult> {
  return checkSpf({ ip, helo, mailFrom: from === null ? null : mailbox(from), receiver: "mx.here.test" }, tableDns(zone));
}

/** RFC 7208, appendix A. */
const appendixA: Zone = {
  "example.com": [{ MX: [10, "mail-a.example.com"] }, { MX: [20, "mail-b.example.com"] }, { A: "192.0.2.10" }, { A: "192.0.2.11" }],
  "amy.example.com": [{ A: "192.0.2.65" }],
  "bob.example.com": [{ A: "192.0.2.66" }],
  "mail-a.example.com": [{ A: "192.0.2.129" }],
  "mail-b.example.com": [{ A: "192.0.2.130" }],
  "example.org": [{ MX: [10, "mail-c.example.org"] }],
  "mail-c.example.org": [{ A: "192.0.2.140" }],
  "65.2.0.192.in-addr.arpa": [{ PTR: "amy.example.com" }],
  "140.2.0.192.in-addr.arpa": [{ PTR: "mail-c.example.org" }],
  "4.0.0.10.in-addr.arpa": [{ PTR: "bob.example.com" }],
};

const examples: [string, Readonly<Record<string, string>>][] = [
  ["v=spf1 +all", { "192.0.2.1": "pass", "2001:db8::1": "pass" }],
  ["v=spf1 a -all", { "192.0.2.10": "pass", "192.0.2.11": "pass", "192.0.2.12": "fail" }],
  ["v=spf1 a:example.org -all", { "192.0.2.10": "fail", "192.0.2.140": "fail" }],
  ["v=spf1 mx -all", { "192.0.2.129": "pass", "192.0.2.130": "pass", "192.0.2.10": "fail" }],
  ["v=spf1 mx:example.org -all", { "192.0.2.140": "pass", "192.0.2.129": "fail" }],
  ["v=spf1 mx mx:example.org -all", { "192.0.2.129": "pass", "192.0.2.130": "pass", "192.0.2.140": "pass" }],
  ["v=spf1 mx/30 mx:example.org/30 -all", { "192.0.2.131": "pass", "192.0.2.143": "pass", "192.0.2.132": "fail" }],
  ["v=spf1 ptr -all", { "192.0.2.65": "pass", "192.0.2.140": "fail", "10.0.0.4": "fail" }],
  ["v=spf1 ip4:192.0.2.128/28 -all", { "192.0.2.65": "fail", "192.0.2.129": "pass" }],
];
for (const [record, cases] of examples) {
  for (const [ip, result] of Object.entries(cases)) {
    test(`RFC 7208 A.1: ${record} from ${ip}`, async () => {
      const zone = { ...appendixA, "example.com": [{ TXT: record }, ...(appendixA["example.com"] ?? [])] };
      assert.equal((await check(zone, ip, "joe@example.com")).result, result);
    });
  }
}

test("RFC 7208 A.2: several domains", async () => {
  const zone: Zone = {
    ...appendixA,
    "example.org": [{ TXT: "v=spf1 include:example.com include:example.net -all" }],
    "la.example.org": [{ TXT: "v=spf1 redirect=example.org" }],
    "example.com": [{ TXT: "v=spf1 ip4:192.0.2.1 -all" }],
    "example.net": [{ TXT: "v=spf1 ip4:192.0.2.2 -all" }],
  };
  for (const domain of ["example.org", "la.example.org"]) {
    assert.equal((await check(zone, "192.0.2.1", `a@${domain}`)).result, "pass");
    assert.equal((await check(zone, "192.0.2.2", `a@${domain}`)).result, "pass");
    const failed = await check(zone, "192.0.2.3", `a@${domain}`);
    assert.deepEqual([failed.result, failed.mechanism, failed.at], ["fail", "-all", "example.org"]);
  }
});

test("RFC 7208 A.3 and A.4: one record for each user and each host", async () => {
  const zone: Zone = {
    "example.com": [{ TXT: "v=spf1 exists:%{l}._spf.%{d} -all" }],
    "mary._spf.example.com": [{ A: "127.0.0.2" }],
    "example.org": [{ TXT: "v=spf1 exists:_h.%{h}._l.%{l}._o.%{o}._i.%{i}._spf.%{d} ?all" }],
    "_h.mail.example.com._l.joe._o.example.org._i.192.0.2.9._spf.example.org": [{ A: "127.0.0.2" }],
  };
  assert.equal((await check(zone, "192.0.2.9", "mary@example.com")).result, "pass");
  assert.equal((await check(zone, "192.0.2.9", "fred@example.com")).result, "fail");
  assert.equal((await check(zone, "192.0.2.9", "joe@example.org")).result, "pass");
  assert.equal((await check(zone, "192.0.2.10", "joe@example.org")).result, "neutral");
});

test("the null reverse-path is checked as postmaster at the EHLO name", async () => {
  const zone: Zone = { "mail.example.com": [{ TXT: "v=spf1 exists:%{l}.%{o} -all" }], "postmaster.mail.example.com": [{ A: "127.0.0.2" }] };
  const found = await check(zone, "192.0.2.9", null, "Mail.Example.COM.");
  assert.deepEqual(
    [found.result, found.identity, found.domain, found.sender],
    ["pass", "helo", "mail.example.com", "postmaster@mail.example.com"],
  );
  assert.equal((await check({}, "192.0.2.9", null, "[192.0.2.9]")).result, "none");
});

test("an IPv4 peer on an IPv6 socket is an IPv4 peer", async () => {
  const zone: Zone = { "example.com": [{ TXT: "v=spf1 ip4:192.0.2.9 -all" }] };
  assert.equal((await check(zone, "::ffff:192.0.2.9", "a@example.com")).result, "pass");
  assert.equal((await check(zone, "::ffff:192.0.2.8", "a@example.com")).result, "fail");
});

test("U-labels are asked for as A-labels", async () => {
  const zone: Zone = { "xn--bcher-kva.test": [{ TXT: "v=spf1 +all" }] };
  assert.equal((await check(zone, "192.0.2.9", "a@bücher.test")).domain, "xn--bcher-kva.test");
  assert.equal((await check(zone, "192.0.2.9", "a@bücher.test")).result, "pass");
});

test(`${LOOKUP_LIMIT} terms may ask DNS, over all records; one more is permerror`, async () => {
  const zone = (count: number): Zone => ({
    "example.com": [{ TXT: "v=spf1 include:b.test -all" }],
    "b.test": [{ TXT: `v=spf1 ${"a:there.test ".repeat(count - 1)}ip4:192.0.2.9 -all` }],
    "there.test": [{ A: "192.0.2.1" }],
  });
  assert.equal((await check(zone(LOOKUP_LIMIT), "192.0.2.9", "a@example.com")).result, "pass");
  const over = await check(zone(LOOKUP_LIMIT + 1), "192.0.2.9", "a@example.com");
  assert.equal(over.result, "permerror");
  assert.match(over.why, /more than 10 look-ups/);
});

test(`${VOID_LIMIT} of them may find nothing`, async () => {
  const zone = (count: number): Zone => ({
    "example.com": [{ TXT: `v=spf1 ${Array.from({ length: count }, (_, i) => `a:gone${i}.test`).join(" ")} ip4:192.0.2.9 -all` }],
  });
  assert.equal((await check(zone(VOID_LIMIT), "192.0.2.9", "a@example.com")).result, "pass");
  assert.equal((await check(zone(VOID_LIMIT + 1), "192.0.2.9", "a@example.com")).result, "permerror");
});

test("an MX whose hosts have no address of the family is no void look-up", async () => {
  const hosts = Array.from({ length: 5 }, (_, i) => ({ MX: [i, `mx${i}.test`] as const }));
  const zone: Zone = {
    "example.com": [{ TXT: "v=spf1 mx ip6:2001:db8::/32 -all" }, ...hosts],
    ...Object.fromEntries(hosts.map(({ MX }) => [MX[1], [{ A: "192.0.2.1" }]])),
  };
  assert.equal((await check(zone, "2001:db8::9", "a@example.com")).result, "pass");
});

test("what DNS cannot answer is temperror, never an absence", async () => {
  const zone: Zone = { "example.com": ["TIMEOUT"], "b.test": [{ TXT: "v=spf1 include:example.com +all" }] };
  assert.equal((await check(zone, "192.0.2.9", "a@example.com")).result, "temperror");
  assert.equal((await check(zone, "192.0.2.9", "a@b.test")).result, "temperror");
});

test("a check that takes too long is temperror, and holds no timer afterwards", async () => {
  const clock = new FakeClock();
  const table = tableDns({});
  const asked = Promise.withResolvers<void>();
  const dns = {
    ...table,
    txt: () => {
      asked.resolve();
      return new Promise<never>(() => {});
    },
  };
  const checked = checkSpf({ ip: "192.0.2.9", helo: "h.test", mailFrom: mailbox("a@b.test") }, dns, { clock, timeout: 20_000 });
  await asked.promise;
  clock.advance(20_000);
  assert.equal((await checked).result, "temperror");
  const quick = await checkSpf({ ip: "192.0.2.9", helo: "h.test", mailFrom: mailbox("a@b.test") }, table, { clock });
  assert.equal(quick.result, "none");
  assert.equal(clock.pending, 0);
});

test("a DNS that throws is no verdict: the check rejects", async () => {
  const dns = { ...tableDns({}), txt: () => Promise.reject(new Error("broken")) };
  await assert.rejects(checkSpf({ ip: "192.0.2.9", helo: "h.test", mailFrom: mailbox("a@b.test") }, dns), /broken/);
});

test("an explanation is one clean line of bounded length, for fail alone", async () => {
  const zone: Zone = {
    "example.com": [{ TXT: "v=spf1 -all exp=why.test" }],
    "why.test": [{ TXT: `%{l} may not, see http://x.test/?${"x".repeat(1000)}` }],
    "soft.test": [{ TXT: "v=spf1 ~all exp=why.test" }],
  };
  const { explanation = "" } = await check(zone, "192.0.2.9", '"a\r\nb"@example.com');
  assert.match(explanation, /^"a\?\?b" may not, see/);
  assert.equal(explanation.length, EXPLANATION_LIMIT + 1);
  assert.equal((await check(zone, "192.0.2.9", "a@soft.test")).explanation, undefined);
});

test("the steps tell what was found, and are bounded", async () => {
  const zone: Zone = {
    "example.com": [{ TXT: "v=spf1 include:b.test -all" }],
    "b.test": [{ TXT: "v=spf1 ip4:192.0.2.0/24 -all" }],
  };
  const { steps, why } = await check(zone, "192.0.2.9", "a@example.com");
  assert.deepEqual(
    steps.map(({ depth, text }) => `${depth} ${text}`),
    [
      "0 may 192.0.2.9 send for example.com (MAIL FROM)?",
      "0 example.com says: v=spf1 include:b.test -all",
      "1 b.test says: v=spf1 ip4:192.0.2.0/24 -all",
      '1 "ip4:192.0.2.0/24" matches: pass',
      '0 "include:b.test" matches: pass',
      `0 pass: ${why}`,
    ],
  );
  assert.ok(steps.length <= STEP_LIMIT + 1);
});
