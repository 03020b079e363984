import assert from "node:assert/strict";
import { test } from "node:test";
import { describeReply, formatReply } from "../../mail/reply.ts";
import { FakeClock } from "../../util/testing.ts";
import type { DmarcRequest, DmarcResult, DmarcVerdict } from "../dmarc/index.ts";
import type { SpfResult, SpfVerdict } from "../spf/check.ts";
import { QUARANTINE_REASON_LIMIT, quarantineField } from "./quarantine.ts";
import { type AuthenticationSettings, type CheckSettings, defaultCheckSettings, settingsFor } from "./settings.ts";
import { settle } from "./settle.ts";
import { type ArcFinding, type Checked, type Findings, verdict } from "./verdict.ts";

const done = <T>(value: T): Checked<T> => ({ kind: "done", value });
const crashed: Checked<never> = { kind: "crashed", why: "it broke" };

function spf(result: SpfVerdict, explanation?: string): Checked<SpfResult> {
  const more = { identity: "mailfrom", domain: "example.com", sender: "a@example.com", mechanism: "-all", at: "example.com" } as const;
  return done({ result, ...more, explanation, why: "the SPF reason", steps: [] });
}

function dmarc(result: DmarcVerdict, requested: DmarcRequest | undefined, more: Partial<DmarcResult> = {}): Checked<DmarcResult> {
  return done({
    result,
    author: "example.com",
    policyDomain: "example.com",
    organizational: "example.com",
    record: undefined,
    tag: "p",
    published: requested,
    requested,
    alignments: [],
    why: "the DMARC reason",
    steps: [],
    ...more,
  });
}

const noArc: ArcFinding = { result: "none", sets: [] };
const base: Findings = { spf: spf("none"), dkim: done([]), dmarc: dmarc("none", "none"), arc: done(noArc), list: false, listed: undefined };

function decide(findings: Partial<Findings>, settings: Partial<CheckSettings> = {}) {
  return verdict({ ...base, ...findings }, { defaults: { ...defaultCheckSettings, ...settings }, domains: new Map() });
}
const action = (findings: Partial<Findings>, settings: Partial<CheckSettings> = {}): string => decide(findings, settings).action;

const reject = dmarc("fail", "reject");
const quarantine = dmarc("fail", "quarantine");
const signed = done([{ result: "pass", domain: "list.test" }]);

const table: [string, Partial<Findings>, Partial<CheckSettings>, string][] = [
  ["nothing is known", {}, {}, "accept"],
  ["DMARC passes, SPF fails", { dmarc: dmarc("pass", "reject"), spf: spf("fail") }, { onSpfFail: "reject" }, "accept"],
  ["p=none", { dmarc: dmarc("fail", "none"), spf: spf("fail") }, {}, "accept"],
  ["p=quarantine", { dmarc: quarantine }, {}, "quarantine"],
  ["p=quarantine, accepted here", { dmarc: quarantine }, { onQuarantine: "accept" }, "accept"],
  ["p=reject alone is quarantine (RFC 9989 7.4)", { dmarc: reject }, {}, "quarantine"],
  ["p=reject, SPF softfail", { dmarc: reject, spf: spf("softfail") }, {}, "quarantine"],
  ["p=reject, SPF fail, nobody signs", { dmarc: reject, spf: spf("fail") }, {}, "reject"],
  ["p=reject, SPF fail, a forwarder signs", { dmarc: reject, spf: spf("fail"), dkim: signed }, {}, "quarantine"],
  [
    "p=reject, SPF fail, a signature could not be checked",
    { dmarc: reject, spf: spf("fail"), dkim: done([{ result: "temperror", domain: "l.test" }]) },
    {},
    "quarantine",
  ],
  ["p=reject, SPF fail, a list", { dmarc: reject, spf: spf("fail"), list: true }, {}, "quarantine"],
  [
    "p=reject, SPF fail, an ARC chain passes",
    { dmarc: reject, spf: spf("fail"), arc: done({ result: "pass", sets: [] }) },
    {},
    "quarantine",
  ],
  ["p=reject, listed", { dmarc: reject, dkim: signed, listed: "zen.test" }, {}, "reject"],
  [
    "p=reject, no reverse name, where that is asked for",
    { dmarc: reject, iprev: done({ result: "fail", address: "", name: undefined, names: [], why: "", steps: [] }) },
    { agreement: [["no-reverse-name"]] },
    "reject",
  ],
  ["p=reject, an empty agreement", { dmarc: reject, spf: spf("fail") }, { agreement: [[]] }, "quarantine"],
  ["p=reject, the operator asks for it", { dmarc: reject, dkim: signed }, { onReject: "reject" }, "reject"],
  ["p=reject, never rejected here", { dmarc: reject, spf: spf("fail") }, { onReject: "quarantine" }, "quarantine"],
  ["p=reject, accepted here", { dmarc: reject, spf: spf("fail") }, { onReject: "accept" }, "accept"],
  ["SPF fail alone", { spf: spf("fail") }, {}, "accept"],
  ["SPF fail alone, rejected here", { spf: spf("fail") }, { onSpfFail: "reject" }, "reject"],
  ["SPF fail alone, quarantined here", { spf: spf("fail") }, { onSpfFail: "quarantine" }, "quarantine"],
  ["SPF softfail is no fail", { spf: spf("softfail") }, { onSpfFail: "reject" }, "accept"],
  ["DNS failed, the policy unknown", { dmarc: dmarc("temperror", undefined) }, {}, "defer"],
  ["DNS failed, p=quarantine", { dmarc: dmarc("temperror", "quarantine") }, {}, "defer"],
  ["DNS failed, p=none", { dmarc: dmarc("temperror", "none") }, {}, "accept"],
  ["DNS failed, accepted here", { dmarc: dmarc("temperror", undefined) }, { onDnsFailure: "accept" }, "accept"],
  ["SPF temperror without DMARC", { spf: spf("temperror") }, {}, "accept"],
  ["a useless record", { dmarc: dmarc("permerror", "none") }, {}, "accept"],
  ["a malformed author", { dmarc: dmarc("permerror", "none", { author: undefined }) }, {}, "quarantine"],
  [
    "a malformed author, rejected here",
    { dmarc: dmarc("permerror", "none", { author: undefined }) },
    { onMalformedAuthor: "reject" },
    "reject",
  ],
  ["SPF crashed", { spf: crashed, dmarc: dmarc("pass", "none") }, {}, "defer"],
  ["DKIM crashed", { dkim: crashed }, {}, "defer"],
  ["ARC crashed", { arc: crashed }, {}, "defer"],
  ["DMARC crashed", { dmarc: crashed }, {}, "defer"],
  ["iprev crashed: knowledge that is missing", { dmarc: reject, iprev: crashed }, { agreement: [["no-reverse-name"]] }, "quarantine"],
];
for (const [name, findings, settings, expected] of table) {
  test(`verdict: ${name}`, () => {
    const found = decide(findings, settings);
    assert.equal(found.action, expected, found.reason);
    assert.notEqual(found.reason, "");
    assert.equal(found.instead, undefined);
    if (found.action === "reject") assert.ok(found.reply.code === 550 && found.reply.status?.startsWith("5."));
    if (found.action === "defer") assert.ok(found.reply.code === 451 && found.reply.status?.startsWith("4."));
    const shadow = decide(findings, { ...settings, mode: "report-only" });
    assert.equal(shadow.action, "accept");
    assert.equal(shadow.instead, expected === "accept" ? undefined : expected);
  });
}

test("the peer of a rejected message reads what happened and what to do", () => {
  const found = decide({ dmarc: reject, spf: spf("fail", "see http://example.com/why") });
  assert.ok(found.action === "reject");
  assert.match(describeReply(found.reply), /^550 5\.7\.26 .*example\.com.*DMARC.*explains: see http.*postmaster/);
  for (const line of formatReply(found.reply).split("\r\n")) assert.ok(line.length <= 510);
});

test("names from outside cannot leave their line", () => {
  const hostile = "x\r\n250 OK";
  const found = decide({ dmarc: dmarc("fail", "reject", { author: hostile, policyDomain: hostile }) }, { onReject: "reject" });
  assert.ok(found.action === "reject");
  for (const line of formatReply(found.reply)
    .split("\r\n")
    .filter((text) => text !== ""))
    assert.match(line, /^550[ -]5\.7\.26 /);
});

const set = (sealer: string | undefined, dmarcResult: string | undefined) => ({ sealer, dmarc: dmarcResult });
const chains: [string, ArcFinding, string][] = [
  ["the trusted sealer saw it pass", { result: "pass", sets: [set("good.test", "pass")] }, "accept"],
  ["in capitals", { result: "pass", sets: [set("GOOD.test", "pass")] }, "accept"],
  ["two trusted sealers, the first saw it pass", { result: "pass", sets: [set("good.test", "pass"), set("fine.test", "fail")] }, "accept"],
  ["nobody saw it pass", { result: "pass", sets: [set("good.test", "fail")] }, "quarantine"],
  ["the sealer is not trusted", { result: "pass", sets: [set("evil.test", "pass")] }, "quarantine"],
  ["someone not trusted sealed after it", { result: "pass", sets: [set("good.test", "pass"), set("evil.test", "pass")] }, "quarantine"],
  ["someone not trusted sealed before it", { result: "pass", sets: [set("evil.test", "pass"), set("good.test", "fail")] }, "quarantine"],
  ["a chain that fails", { result: "fail", sets: [set("good.test", "pass")] }, "quarantine"],
  ["a seal without a name", { result: "pass", sets: [set(undefined, "pass")] }, "quarantine"],
];
for (const [name, arc, expected] of chains) {
  test(`ARC: ${name}`, () => {
    const found = decide({ dmarc: reject, arc: done(arc) }, { trustedSealers: new Set(["good.test", "fine.test"]) });
    assert.equal(found.action, expected);
    assert.equal(found.override?.type, expected === "accept" ? "trusted_forwarder" : "local_policy");
  });
}

test("a trusted sealer also speaks where DNS fails", () => {
  const arc = done<ArcFinding>({ result: "pass", sets: [set("good.test", "pass")] });
  assert.equal(action({ dmarc: dmarc("temperror", undefined), arc }, { trustedSealers: new Set(["good.test"]) }), "accept");
});

test("what deviates from the domain's wish is kept for its reports", () => {
  assert.equal(decide({ dmarc: reject }).override?.type, "local_policy");
  assert.equal(decide({ dmarc: reject, spf: spf("fail") }).override, undefined);
  assert.equal(decide({ dmarc: quarantine }).override, undefined);
  const tested = dmarc("fail", "quarantine", { published: "reject" });
  assert.equal(decide({ dmarc: tested }).override?.type, "policy_test_mode");
  assert.equal(decide({ dmarc: dmarc("fail", "none", { published: "quarantine" }) }).override?.type, "policy_test_mode");
  assert.equal(decide({ dmarc: reject }, { mode: "report-only" }).override?.comment, "report-only mode");
});

test("settings of a domain hold for the names below it; the longest name counts", () => {
  const settings: AuthenticationSettings = {
    defaults: defaultCheckSettings,
    domains: new Map<string, Partial<CheckSettings>>([
      ["example.com", { onReject: "reject" }],
      ["news.example.com", { mode: "report-only" }],
    ]),
  };
  assert.equal(settingsFor("a.EXAMPLE.com", settings).onReject, "reject");
  assert.equal(settingsFor("x.news.example.com", settings).onReject, "agreed");
  assert.equal(settingsFor("x.news.example.com", settings).mode, "report-only");
  assert.equal(settingsFor("notexample.com", settings).onReject, "agreed");
  assert.equal(settingsFor(undefined, settings), defaultCheckSettings);
  assert.equal(verdict({ ...base, dmarc: reject, dkim: signed }, settings).action, "reject");
});

test("a check becomes a value, whatever happens to it", async () => {
  const clock = new FakeClock();
  assert.deepEqual(await settle(() => Promise.resolve(1), 1000, clock), { kind: "done", value: 1 });
  assert.deepEqual(await settle(() => Promise.reject(new Error("no")), 1000, clock), { kind: "crashed", why: "no" });
  assert.deepEqual(
    await settle(
      () => {
        throw new Error("at once");
      },
      1000,
      clock,
    ),
    { kind: "crashed", why: "at once" },
  );
  const late = settle(() => new Promise<never>(() => {}), 1000, clock);
  clock.advance(1000);
  assert.deepEqual(await late, { kind: "crashed", why: "it took longer than 1 s" });
  assert.equal(clock.pending, 0);
});

test("the mark of a quarantined message is one folded ASCII field", () => {
  const field = new TextDecoder().decode(quarantineField(`a (b) \\ \r\nBcc: x@y.test ä ${"word ".repeat(500)}`));
  assert.match(field, /^X-Postrider-Quarantine: yes \(a \\\(b\\\) \\\\ \?\?Bcc: x@y\.test \? word/);
  assert.doesNotMatch(field.slice(0, -2).replaceAll("\r\n\t", ""), /[\r\n]/);
  for (const line of field.split("\r\n")) assert.ok(line.length <= 78);
  assert.ok(field.length < 2 * QUARANTINE_REASON_LIMIT);
});
