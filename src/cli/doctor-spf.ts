/**
 * The SPF record of a domain: one, valid, within the limits, with this server in it and an end that says no (RFC 7208).
 *
 * Rules
 * 1. Look-ups are counted over the whole record and all that it includes, as if nothing matched: what a receiver needs for a stranger.
 * 2. What is wrong with it is mended in one record, that of all findings: records that each mend one thing would undo one another.
 * 3. Records with macros cannot be counted through: their domain depends on the message.
 */
import { type CheckDns, checkSpf, isSpfRecord, parseSpfRecord, type SpfRecord } from "../authentication/index.ts";
import { zoneText } from "../message/dkim/index.ts";
import { type Examination, type Finding, unknown } from "./doctor-finding.ts";
import { shown } from "./terminal.ts";

/** RFC 7208 4.6.4. */
export const LOOKUP_LIMIT = 10;
/** Records that are read while counting: more is beyond the limit anyhow. */
const RECORDS_LIMIT = 2 * LOOKUP_LIMIT;
/** Faults of included records that are told. */
const PROBLEMS_LIMIT = 5;

export async function examineSpf(examination: Examination): Promise<Finding[]> {
  const { domain, dns, server } = examination;
  const finding = (level: Finding["level"], text: string, todo?: string, record?: string): Finding => ({
    area: "SPF",
    level,
    text,
    ...(todo === undefined ? {} : { todo }),
    ...(record === undefined ? {} : { record }),
  });
  const addresses = server?.addresses ?? [];
  const answer = await dns.txt(domain);
  if (answer.kind === "failed") return [unknown("SPF", `the SPF record of ${domain}`, answer.why)];
  const texts = answer.kind === "found" ? answer.records.filter(isSpfRecord) : [];
  const [text] = texts;
  const advised = zoneText(domain, advisedRecord(addresses));
  if (text === undefined) {
    return [
      finding("problem", `${domain} has no SPF record: anyone may use it in MAIL FROM`, "Publish which servers send for it.", advised),
    ];
  }
  if (texts.length > 1) {
    const said = `${domain} has ${texts.length} SPF records, so none of them counts (RFC 7208 3.2)`;
    return [finding("problem", said, "Make one of them.", zoneText(domain, shown(joined(texts))))];
  }
  const record = parseSpfRecord(text);
  if (typeof record === "string")
    return [finding("problem", `the record is not valid, and counts as an error: ${shown(record)}`, `It is: ${shown(text)}`)];
  let mended = text;
  const findings = [finding("ok", shown(text)), ...(await lookups(domain, record, dns))];
  if (record.directives.some(({ mechanism }) => mechanism.kind === "ptr")) {
    const said = "it uses ptr, which is slow, and which receivers may leave out (RFC 7208 5.5)";
    findings.push(finding("warning", said, "Name the addresses instead."));
  }
  const open = openEnd(record);
  if (open !== undefined) {
    findings.push(open);
    mended = closed(mended);
  }
  for (const address of addresses) {
    const { result, why } = await checkSpf(
      { ip: address, helo: server?.helo ?? domain, mailFrom: { localPart: "postmaster", domain } },
      dns,
    );
    if (result === "pass") findings.push(finding("ok", `it allows ${address}`));
    else if (result === "temperror") findings.push(unknown("SPF", `whether ${address} may send`, shown(why)));
    else {
      const todo = result === "permerror" ? "Mend the record." : `If ${address} sends for ${domain}, add it.`;
      findings.push(finding("problem", `${result} for ${address} (${server?.origin}): ${shown(why)}`, todo));
      if (result !== "permerror") mended = withAddress(mended, address);
    }
  }
  if (mended === text) return findings;
  return findings.map((each) => (each.todo === undefined ? each : { ...each, record: zoneText(domain, shown(mended)) }));
}

const mechanismOf = (address: string): string => (address.includes(":") ? `ip6:${address}` : `ip4:${address}`);

function advisedRecord(addresses: readonly string[]): string {
  return ["v=spf1", "mx", ...addresses.map(mechanismOf), "-all"].join(" ");
}

/** The address before the directive that matches everything, else at the end. */
function withAddress(text: string, address: string): string {
  const terms = text.split(/ +/).filter((term) => term !== "");
  const last = terms.findIndex((term) => /^[+\-~?]?all$|^redirect=/i.test(term));
  terms.splice(last === -1 ? terms.length : last, 0, mechanismOf(address));
  return terms.join(" ");
}

function joined(texts: readonly string[]): string {
  const terms = texts.flatMap((text) => text.split(/ +/).slice(1));
  const rest = terms.filter((term) => !/^[+\-~?]?all$/i.test(term));
  return ["v=spf1", ...new Set(rest), terms.some((term) => /^-all$/i.test(term)) ? "-all" : "~all"].join(" ");
}

/** What is wrong with how the record ends. */
function openEnd({ directives, redirect }: SpfRecord): Finding | undefined {
  const todo = "Say that other addresses may not send.";
  const all = directives.find(({ mechanism }) => mechanism.kind === "all");
  if (all?.qualifier === "+") return { area: "SPF", level: "problem", text: `"${shown(all.text)}" allows everyone`, todo };
  if (all?.qualifier === "?") return { area: "SPF", level: "warning", text: '"?all" says nothing of other addresses', todo };
  if (all !== undefined || redirect !== undefined) return undefined;
  return { area: "SPF", level: "warning", text: "it does not end with all: nothing is said of other addresses", todo };
}

/** The record with -all at its end. */
function closed(text: string): string {
  return [...text.split(/ +/).filter((term) => term !== "" && !/^[+?]?all$/i.test(term)), "-all"].join(" ");
}

async function lookups(domain: string, record: SpfRecord, dns: CheckDns): Promise<Finding[]> {
  const counted: Counted = { count: 0, records: 0, macros: false, problems: [] };
  await countLookups(domain, record, dns, counted, [domain]);
  const findings = counted.problems
    .slice(0, PROBLEMS_LIMIT)
    .map((text): Finding => ({ area: "SPF", level: "problem", text, todo: "Take that out of the record, or have it mended." }));
  const { count } = counted;
  const how = counted.macros ? "at least " : "";
  if (count > LOOKUP_LIMIT) {
    const text = `it takes ${how}${count} look-ups, more than the ${LOOKUP_LIMIT} that receivers do: it counts as an error (RFC 7208 4.6.4)`;
    return [
      ...findings,
      {
        area: "SPF",
        level: "problem",
        text,
        todo: "Name addresses (ip4:, ip6:) instead of names, and leave out services that send no more.",
      },
    ];
  }
  const text = `it takes ${how}${count} of ${LOOKUP_LIMIT} look-ups`;
  return [
    ...findings,
    count > LOOKUP_LIMIT - 2
      ? { area: "SPF", level: "warning", text: `${text}: the next service will be one too many` }
      : { area: "SPF", level: "ok", text },
  ];
}

interface Counted {
  count: number;
  records: number;
  macros: boolean;
  readonly problems: string[];
}

async function countLookups(domain: string, record: SpfRecord, dns: CheckDns, counted: Counted, path: readonly string[]): Promise<void> {
  const ask = async (pieces: NonNullable<SpfRecord["redirect"]>, how: string): Promise<void> => {
    if (pieces.some(({ kind }) => kind === "macro")) {
      counted.macros = true;
      return;
    }
    const name = pieces
      .map((piece) => (piece.kind === "macro" ? "" : piece.text))
      .join("")
      .toLowerCase()
      .replace(/\.$/, "");
    if (path.includes(name)) {
      counted.problems.push(`${how} ${shown(name)} leads back to itself`);
      return;
    }
    if (counted.records >= RECORDS_LIMIT) return;
    counted.records++;
    const answer = await dns.txt(name);
    if (answer.kind === "failed") counted.macros = true;
    const texts = answer.kind === "found" ? answer.records.filter(isSpfRecord) : [];
    const next = texts[0] === undefined ? undefined : parseSpfRecord(texts[0]);
    if (typeof next === "object" && texts.length === 1) await countLookups(name, next, dns, counted, [...path, name]);
    else if (answer.kind !== "failed") {
      const why =
        texts.length > 1
          ? `has ${texts.length} SPF records`
          : typeof next === "string"
            ? `has a record that is not valid: ${shown(next)}`
            : "has no SPF record";
      counted.problems.push(`${how} ${shown(name)}, which ${why}: that is an error (RFC 7208 5.2)`);
    }
  };
  for (const { mechanism } of record.directives) {
    if (mechanism.kind === "ip4" || mechanism.kind === "ip6" || mechanism.kind === "all") continue;
    counted.count++;
    if (mechanism.kind === "include") await ask(mechanism.domain, `${shown(domain)} includes`);
  }
  if (record.redirect !== undefined && !record.directives.some(({ mechanism }) => mechanism.kind === "all")) {
    counted.count++;
    await ask(record.redirect, `${shown(domain)} redirects to`);
  }
}
