/**
 * `postrider doctor`: what DNS has for a domain beside what it should have.
 *
 * Rules
 * 1. Each fact is a finding with a level; the exit code is that of the worst: problem 65, else unknown 75, else 0.
 * 2. What is advised is a record to paste, wherever one would help.
 */
import { getServers } from "node:dns";
import { existsSync } from "node:fs";
import type { Config } from "../config/index.ts";
import { type KeyFile, KeysError } from "../keys/index.ts";
import { domainKey, isDomain } from "../mail/domain.ts";
import { canonicalAddress, isLoopback, isUnspecified } from "../net/address.ts";
import { keysToCheck } from "./dkim-check.ts";
import type { DkimOptions } from "./dkim-keys.ts";
import { type Asking, withDns } from "./dns-access.ts";
import { examineDkim } from "./doctor-dkim.ts";
import { examineDmarc } from "./doctor-dmarc.ts";
import { type Area, type Examination, type Finding, type Level, type SendingServer, unknown } from "./doctor-finding.ts";
import { aliasLookup, examineMx, examineTlsPolicies } from "./doctor-mx.ts";
import { examineServer } from "./doctor-server.ts";
import { examineSpf } from "./doctor-spf.ts";
import { examineTls } from "./doctor-tls.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { configPath, loadConfig } from "./load-config.ts";
import { type Paint, painter, print, type Style, shown } from "./terminal.ts";

export interface DoctorOptions extends DkimOptions {
  readonly ip?: readonly string[];
  readonly helo?: string;
  readonly selector?: readonly string[];
  readonly connect?: boolean;
  readonly port: number;
}

export async function doctor(given: string, options: DoctorOptions): Promise<number> {
  if (!isDomain(given)) throw new CliError(exitCodes.usage, `${JSON.stringify(given)} is no domain name.`);
  for (const address of options.ip ?? []) {
    if (canonicalAddress(address) === undefined) throw new CliError(exitCodes.usage, `--ip ${JSON.stringify(address)} is no IP address.`);
  }
  const domain = domainKey(given);
  // Without --config: the one that other commands would take, where it is there.
  const config = options.config === undefined && !existsSync(configPath(undefined)) ? undefined : loadConfig(options.config).config;
  const findings = await withDns(options, (asking) => examine(domain, options, config, asking), config?.dns.servers);
  const code = codeOf(findings);
  if (options.json === true) await print(`${JSON.stringify({ domain, result: resultOf(findings), findings }, null, 2)}\n`);
  else await print(describe(domain, findings, painter(process.stdout)));
  return code;
}

async function examine(domain: string, options: DoctorOptions, config: Config | undefined, asking: Asking): Promise<Finding[]> {
  const { dns, servers } = asking;
  const { server, findings } = await sendingServer(options, config, asking);
  const examination: Examination = { domain, dns, server };
  const { files, findings: broken } = keysOf(domain, options);
  const [mx, ...others] = await Promise.all([
    examineMx(examination, aliasLookup(servers ?? getServers())),
    examineSpf(examination),
    examineDkim(examination, files, (options.selector ?? []).map(domainKey)),
    examineDmarc(examination),
    examineServer(examination),
    examineTlsPolicies(examination),
  ]);
  const [spf, dkim, dmarc, host, policies] = others;
  const question = { port: options.port, helo: server?.helo ?? "localhost.localdomain", now: Date.now() };
  const tls = options.connect === true ? await Promise.all(mx.hosts.map((each) => examineTls(each, question))) : [];
  return [...mx.findings, ...spf, ...broken, ...dkim, ...dmarc, ...findings, ...host, ...tls, ...policies];
}

/** The keys that are here; one that cannot be read is a finding, and keeps nobody from looking at the rest. */
function keysOf(domain: string, options: DoctorOptions): { readonly files: readonly KeyFile[]; readonly findings: readonly Finding[] } {
  try {
    return { files: keysToCheck(domain, options), findings: [] };
  } catch (error) {
    if (!(error instanceof KeysError)) throw error;
    const { message: text, hint: todo } = error;
    return {
      files: [],
      findings: [{ area: "DKIM", level: "problem", text: text.replace(/\.$/, ""), ...(todo === undefined ? {} : { todo }) }],
    };
  }
}

/** Who sends: what was named, else what the configuration connects from, else the addresses of its name. */
async function sendingServer(
  options: DoctorOptions,
  config: Config | undefined,
  { resolver }: Asking,
): Promise<{ readonly server: SendingServer | undefined; readonly findings: readonly Finding[] }> {
  const helo = options.helo ?? config?.delivery.hostname;
  const named = (options.ip ?? []).map((address) => canonicalAddress(address) as string);
  if (named.length > 0) return { server: { addresses: named, helo, origin: "--ip" }, findings: [] };
  if (config === undefined) return { server: helo === undefined ? undefined : { addresses: [], helo, origin: "--helo" }, findings: [] };
  const { sources } = config.delivery;
  if (sources.length > 0) return { server: { addresses: sources, helo, origin: "delivery.source_addresses" }, findings: [] };
  const listening = config.listen.filter(({ kind }) => kind === "smtp").map(({ endpoint }) => endpoint.host);
  const own = [...new Set(listening)].filter((host) => canonicalAddress(host) !== undefined && !isUnspecified(host) && !isLoopback(host));
  if (own.length > 0) return { server: { addresses: own, helo, origin: "listen.smtp" }, findings: [] };
  const answer = await resolver.addresses(config.hostname, "both");
  if (answer.kind === "found")
    return { server: { addresses: answer.records, helo, origin: `addresses of ${config.hostname}` }, findings: [] };
  const server = { addresses: [], helo, origin: "" };
  if (answer.kind === "failed") return { server, findings: [unknown("HELO", `the addresses of ${config.hostname}`, answer.why)] };
  const text = `${config.hostname} (hostname in the configuration) has no address in DNS`;
  return {
    server,
    findings: [{ area: "HELO", level: "problem", text, todo: "Publish its A or AAAA record, or say with --ip where mail comes from." }],
  };
}

type Result = "fine" | "problems" | "unknown";

function resultOf(findings: readonly Finding[]): Result {
  if (findings.some(({ level }) => level === "problem")) return "problems";
  return findings.some(({ level }) => level === "unknown") ? "unknown" : "fine";
}

function codeOf(findings: readonly Finding[]): number {
  return { fine: exitCodes.ok, problems: exitCodes.data, unknown: exitCodes.temporary }[resultOf(findings)];
}

const styles: Readonly<Record<Level, Style>> = { ok: "green", info: "dim", warning: "yellow", problem: "red", unknown: "yellow" };

function describe(domain: string, findings: readonly Finding[], paint: Paint): string {
  let text = `${paint("bold", domain)}\n`;
  let before: Area | undefined;
  for (const { area, level, text: said, todo } of findings) {
    text += `  ${(area === before ? "" : area).padEnd(7)}  ${paint(styles[level], level.padEnd(7))}  ${shown(said)}\n`;
    if (todo !== undefined) text += `${" ".repeat(20)}${todo}\n`;
    before = area;
  }
  const records = [...new Set(findings.flatMap(({ record }) => record ?? []))].map((record) => record.split("\n").map(shown).join("\n"));
  if (records.length > 0)
    text += `\n${paint("bold", "To publish")} (in place of what is there under the same name and type)\n\n${records.join("")}`;
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  const counts = [plural(count("problem"), "problem"), plural(count("warning"), "warning")];
  if (count("unknown") > 0) counts.push(`${count("unknown")} without an answer (ask again later, or another server with --resolver)`);
  return `${text}\n${counts.join(", ")}\n`;
}

function plural(count: number, noun: string): string {
  return count === 0 ? `no ${noun}s` : count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
