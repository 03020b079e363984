/** The SPF suite of openspf.org (release 2014.04, RFC 7208): every case a test of its own. Read where it lies, never copied. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { tableDns, type ZoneRecord } from "../testing.ts";
import { checkSpf } from "./check.ts";

interface Case {
  readonly helo: string;
  readonly host: string;
  readonly mailfrom: string;
  readonly result: string | readonly string[];
  readonly explanation?: string;
}
type Entry = "TIMEOUT" | Readonly<Record<string, unknown>>;
interface Section {
  readonly description: string;
  readonly tests: Readonly<Record<string, Case>>;
  readonly zonedata: Readonly<Record<string, readonly Entry[]>>;
}

const suites = process.env.POSTRIDER_SUITES ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url));
const file = join(suites, "spf-rfc7208-tests.yml");
/** Cases in the suite; a reader that loses some must not look green. */
const CASES = 203;

/** SPF records stand for TXT records, unless the name has a TXT entry; `TXT: NONE` is such an entry without a record. */
function zone(data: Section["zonedata"]): Record<string, ZoneRecord[]> {
  const table: Record<string, ZoneRecord[]> = {};
  for (const [name, entries] of Object.entries(data)) {
    const hasTxt = entries.some((entry) => entry !== "TIMEOUT" && "TXT" in entry);
    const records: ZoneRecord[] = [];
    for (const entry of entries) {
      if (entry === "TIMEOUT") {
        records.push(entry);
        continue;
      }
      const [type, value] = Object.entries(entry)[0] as [string, unknown];
      if (type === "SPF" && !hasTxt) records.push({ TXT: text(value) });
      else if (type === "TXT" && value !== "NONE") records.push({ TXT: text(value) });
      else if (type !== "SPF" && type !== "TXT") records.push({ [type]: value } as ZoneRecord);
    }
    table[name] = records;
  }
  return table;
}

const text = (value: unknown): string => (Array.isArray(value) ? value.join("") : String(value));

async function run(section: Section, given: Case): Promise<void> {
  const at = given.mailfrom.lastIndexOf("@");
  const mailFrom = given.mailfrom === "" ? null : { localPart: given.mailfrom.slice(0, at), domain: given.mailfrom.slice(at + 1) };
  const { result, explanation } = await checkSpf(
    { ip: given.host, helo: given.helo, mailFrom, receiver: "receiver.test" },
    tableDns(zone(section.zonedata)),
  );
  const allowed = typeof given.result === "string" ? [given.result] : given.result;
  assert.ok(allowed.includes(result), `${result}, where ${allowed.join(" or ")} is right`);
  if (given.explanation === undefined) return;
  // The suite writes nibbles as capitals, RFC 7208 7.4 in lower case.
  assert.equal(explanation?.toLowerCase() ?? "DEFAULT", given.explanation === "DEFAULT" ? "DEFAULT" : given.explanation.toLowerCase());
}

if (existsSync(file)) {
  const sections = parseAllDocuments(readFileSync(file, "utf8")).map((document) => document.toJS() as Section);
  test("the SPF suite is whole", () => {
    assert.equal(
      sections.map((section) => Object.keys(section.tests).length).reduce((a, b) => a + b),
      CASES,
    );
  });
  for (const section of sections) {
    for (const [name, given] of Object.entries(section.tests)) {
      test(`SPF suite, ${section.description}: ${name}`, () => run(section, given));
    }
  }
} else {
  for (let i = 1; i <= CASES; i++) {
    test(`SPF suite, case ${i} of ${CASES}`, { skip: "spf-rfc7208-tests.yml is not here (set POSTRIDER_SUITES)" }, () => {});
  }
}
