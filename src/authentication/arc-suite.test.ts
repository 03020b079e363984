/**
 * ValiMail's suite of ARC sealing (arc-sign-tests.yml), read where it lies: beside the project, or in POSTRIDER_SUITES.
 *
 * Rules
 * 1. Each case is one subtest. Fields are compared as sets of tags, as the suite's own runner does; b= must be the same, octet for octet.
 * 2. The chain that came with the message is verified first, with the suite's own records; what we add must then verify too.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { memoryContent } from "../mail/content.ts";
import { ArcSealer } from "../message/dkim/arc-seal.ts";
import { DkimKey } from "../message/dkim/key.ts";
import { fieldText, readHeaderSection } from "../message/header-section.ts";
import { utf8 } from "../util/bytes.ts";
import { verifySignatures } from "./dkim.ts";
import type { CheckDns } from "./dns.ts";

interface Scenario {
  readonly description: string;
  readonly domain: string;
  readonly sel: string;
  readonly privatekey: string;
  readonly "txt-records": Readonly<Record<string, string>>;
  readonly tests: Readonly<Record<string, Case>>;
}

interface Case {
  readonly message: string;
  readonly t: number;
  readonly "sig-headers": string;
  readonly "srv-id": string;
  readonly AS: string;
  readonly AMS: string;
  readonly AAR: string;
}

const suites = process.env.POSTRIDER_SUITES ?? fileURLToPath(new URL("../../../shared/data", import.meta.url));
const file = join(suites, "arc-sign-tests.yml");
/** Cases in the suite; a reader that loses some must not look green. */
const CASES = 17;

if (existsSync(file)) {
  const scenarios = parseAllDocuments(readFileSync(file, "utf8")).map((document) => document.toJS() as Scenario);
  for (const scenario of scenarios) {
    describe(`ARC suite: ${scenario.description}`, () => {
      for (const [name, each] of Object.entries(scenario.tests)) it(name, () => runCase(scenario, each));
    });
  }
  it(`the ARC suite has ${CASES} cases`, () => {
    assert.equal(
      scenarios.reduce((sum, { tests }) => sum + Object.keys(tests).length, 0),
      CASES,
    );
  });
} else {
  for (let i = 1; i <= CASES; i++)
    it(`ARC suite, case ${i} of ${CASES}`, { skip: "arc-sign-tests.yml is not here (set POSTRIDER_SUITES)" }, () => {});
}

async function runCase(scenario: Scenario, each: Case): Promise<void> {
  const dns = dnsOf(scenario["txt-records"]);
  const content = utf8(each.message.replaceAll("\n", "\r\n"));
  const now = each.t * 1000;
  const { message, arc } = await verifySignatures(memoryContent([content]), { dns, now, form: "relaxed" });
  assert.notEqual(arc.verdict, "temperror");
  const key = new DkimKey({ domain: scenario.domain, selector: scenario.sel, privateKey: scenario.privatekey });
  const names = each["sig-headers"].split(":").map((name) => ({ name, oversign: "never" }) as const);
  const sealed = new ArcSealer(key, { names, signatureInOneLine: true }).seal(message, {
    validation: arc.verdict === "temperror" ? "fail" : arc.verdict,
    authenticationResults: mergedResults(content, each["srv-id"]),
    now,
  });
  if (each.AS.trim() === "") {
    assert.equal(sealed.kind, "left");
    return;
  }
  assert.equal(sealed.kind, "sealed");
  const { section } = readHeaderSection(sealed.fields);
  assert.deepEqual(tagSet(section.value("ARC-Authentication-Results")), tagSet(each.AAR));
  assert.deepEqual(tagSet(section.value("ARC-Message-Signature")), tagSet(each.AMS));
  assert.deepEqual(tagSet(section.value("ARC-Seal")), tagSet(each.AS));
  const again = await verifySignatures(memoryContent([sealed.fields, content]), { dns, now });
  assert.equal(again.arc.verdict, arc.verdict === "fail" ? "fail" : "pass", again.arc.reason);
}

function dnsOf(records: Readonly<Record<string, string>>): Pick<CheckDns, "txt"> {
  return {
    txt: (name) => {
      const record = records[name];
      return Promise.resolve(record === undefined ? { kind: "no-domain" } : { kind: "found", records: [record] });
    },
  };
}

/** The Authentication-Results of this server in one, as RFC 8617 4.1.1 wants it. */
function mergedResults(content: Uint8Array, server: string): string {
  const texts = readHeaderSection(content)
    .section.all("Authentication-Results")
    .map((field) => fieldText(field).replaceAll(/[ \t]+/g, " "));
  const parts = texts.map((text) => text.split(";").map((part) => part.trim())).filter(([id]) => id === server);
  return [server, ...parts.flatMap(([, ...results]) => results).filter((result) => result !== "")].join("; ");
}

function tagSet(text: string | undefined): string[] {
  const tags = (text ?? "").split(";").map((tag) => tag.replaceAll(/[ \t\r\n]+/g, ""));
  return tags.filter((tag) => tag !== "").sort();
}
