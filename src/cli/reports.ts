/**
 * `postrider reports`: what others say about mail in our name (DMARC aggregate reports, ARF).
 *
 * Rules
 * 1. Read from the data folder of this server, with or without it running; `read` needs neither.
 * 2. What reports hold is others' text: stripped of controls before it is shown.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { AggregateRecord, AggregateReport } from "../authentication/index.ts";
import {
  RECEIVED_BEFORE,
  RECEIVED_FILE,
  type ReceivedReport,
  readDocument,
  reportsIn,
  type StoredReport,
} from "../relay/reports/received-reports.ts";
import { REPORTS_FOLDER } from "../relay/reports/reporting.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { print, shown, table } from "./terminal.ts";

interface ReportsOptions {
  readonly config?: string;
  readonly data?: string;
  readonly json?: boolean;
}

export async function listReports(options: ReportsOptions & { readonly domain?: string; readonly limit: number }): Promise<number> {
  const all = await stored(options);
  const of = options.domain?.toLowerCase();
  const wanted = all.filter((report) => of === undefined || domainOf(report) === of).slice(-options.limit);
  if (options.json === true) await print(`${JSON.stringify(wanted, null, 2)}\n`);
  else if (wanted.length === 0) await print("no reports yet; reports.inbox in the configuration names the addresses they come to\n");
  else await print(table([["ID", "RECEIVED", "KIND", "FROM", "ABOUT", "MESSAGES", "PASS", "FAIL"], ...wanted.map(rowOf)], [5, 6, 7]));
  return exitCodes.ok;
}

export async function showReport(id: string, options: ReportsOptions): Promise<number> {
  const wanted = (await stored(options)).filter((report) => report.id === id.toUpperCase());
  if (wanted.length === 0) throw new CliError(exitCodes.noInput, `there is no report ${id}.`, "`postrider reports list` shows them.");
  return tell(wanted, options);
}

/** A file: a message, or a report by itself, packed or not. */
export async function readReports(file: string, options: ReportsOptions): Promise<number> {
  let content: Buffer;
  try {
    content = readFileSync(file === "-" ? 0 : file);
  } catch (error) {
    throw new CliError(exitCodes.noInput, `cannot read ${file}: ${(error as Error).message}.`, undefined, { cause: error });
  }
  const document = readDocument(content);
  const found = typeof document === "string" ? reportsIn(content) : [document];
  await tell(found, options);
  return found.every(({ kind }) => kind === "unreadable") ? exitCodes.data : exitCodes.ok;
}

async function tell(reports: readonly ReceivedReport[], { json }: ReportsOptions): Promise<number> {
  await print(json === true ? `${JSON.stringify(reports, null, 2)}\n` : reports.map(inWords).join("\n"));
  return exitCodes.ok;
}

async function stored({ config, data }: ReportsOptions): Promise<readonly StoredReport[]> {
  const folder = data === undefined ? (await import("./load-config.ts")).loadConfig(config).config.data : resolve(data);
  const files = [RECEIVED_BEFORE, RECEIVED_FILE].map((name) => join(folder, REPORTS_FOLDER, name)).filter((path) => existsSync(path));
  return files.flatMap((path) => readFileSync(path, "utf8").split("\n").flatMap(parsed));
}

function parsed(line: string): StoredReport[] {
  try {
    return [JSON.parse(line) as StoredReport];
  } catch {
    return []; // the last line of a crash
  }
}

function domainOf(report: ReceivedReport): string | undefined {
  if (report.kind === "aggregate") return report.report.policy.domain.toLowerCase();
  return report.kind === "feedback" ? report.fields["reported-domain"]?.[0]?.toLowerCase() : undefined;
}

const passes = ({ dkim, spf }: AggregateRecord): boolean => dkim === "pass" || spf === "pass";

function rowOf(report: StoredReport): string[] {
  const head = [report.id, new Date(report.at).toISOString().slice(0, 16).replace("T", " ")];
  if (report.kind === "unreadable") return [...head, "unreadable", shown(report.from), shown(report.why), "", "", ""];
  if (report.kind === "feedback") return [...head, shown(report.type), shown(report.from), shown(domainOf(report) ?? ""), "1", "", ""];
  const { organization, policy, records } = report.report;
  const sum = (of: readonly AggregateRecord[]): string => String(of.reduce((all, { count }) => all + count, 0));
  const good = records.filter(passes);
  const bad = records.filter((record) => !passes(record));
  return [...head, "aggregate", shown(organization), shown(policy.domain), sum(records), sum(good), sum(bad)];
}

function inWords(report: ReceivedReport): string {
  if (report.kind === "unreadable") return `no report could be read: ${shown(report.why)}\n`;
  if (report.kind === "aggregate") return aggregateInWords(report.report);
  const lines = Object.entries(report.fields).flatMap(([name, values]) => values.map((value) => `  ${shown(name)}: ${shown(value)}`));
  return `Feedback report: ${shown(report.type)}\n${lines.join("\n")}\n`;
}

function aggregateInWords({ organization, email, id, begin, end, policy, records, errors }: AggregateReport): string {
  const day = (at: number): string => new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ");
  const asks = [
    `p=${policy.p}`,
    ...(policy.sp === undefined ? [] : [`sp=${policy.sp}`]),
    ...(policy.np === undefined ? [] : [`np=${policy.np}`]),
  ];
  const lines = [
    `DMARC aggregate report about ${shown(policy.domain)} (${shown(asks.join(" "))})`,
    `  from ${shown(organization)} <${shown(email)}>, ${shown(id)}`,
    `  ${day(begin)} to ${day(end)} UTC`,
    ...errors.map((error) => `  error in the record: ${shown(error)}`),
    "",
  ];
  const sorted = records.toSorted((a, b) => b.count - a.count);
  const rows = sorted.map((record) => [
    String(record.count),
    shown(record.sourceIp),
    shown(record.headerFrom),
    record.dkim === "pass" ? `pass ${shown(record.dkimResults.find(({ result }) => result === "pass")?.domain ?? "")}`.trim() : "fail",
    record.spf === "pass" ? `pass ${shown(record.spfResult?.domain ?? "")}`.trim() : "fail",
    shown(record.disposition),
    record.reasons.map(({ type }) => shown(type)).join(", "),
  ]);
  return `${lines.join("\n")}\n${table([["COUNT", "SOURCE", "FROM", "DKIM", "SPF", "DONE", "WHY"], ...rows], [0])}`;
}
