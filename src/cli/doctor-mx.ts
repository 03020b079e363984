/**
 * The MX of a domain: there, a host and no address or alias, and with addresses (RFC 5321 5.1, RFC 2181 10.3, RFC 7505).
 *
 * Rules
 * 1. Aliases are asked for by their type, since every other question follows them.
 */
import type { CheckDns, MailExchanger } from "../authentication/index.ts";
import { isIPv4, isIPv6 } from "../mail/domain.ts";
import { zoneText } from "../message/dkim/index.ts";
import { readResponse } from "../net/dns-message.ts";
import { askServer } from "../net/dns-transport.ts";
import { parseServers } from "../net/resolver.ts";
import { type Examination, type Finding, type MailHost, unknown } from "./doctor-finding.ts";
import { shown } from "./terminal.ts";

/** Of one question for an alias, in milliseconds. */
const TIMEOUT = 3000;
/** Hosts that are looked at. */
const HOSTS_LIMIT = 20;

export type AliasLookup = (name: string) => Promise<string | undefined>;

/** What a name is an alias of; `undefined` where it is none, or nobody could tell. */
export function aliasLookup(servers: readonly string[]): AliasLookup {
  const [server] = parseServers(servers);
  return async (name) => {
    if (server === undefined) return undefined;
    const question = { name, type: "CNAME" } as const;
    try {
      const reading = readResponse(await askServer(server, question, TIMEOUT, new AbortController().signal), question);
      return reading.kind === "found" ? String(reading.records[0]) : undefined;
    } catch {
      return undefined; // said of the host's addresses, where it matters
    }
  };
}

export interface Exchangers {
  readonly findings: readonly Finding[];
  /** The best first. */
  readonly hosts: readonly MailHost[];
}

export async function examineMx({ domain, dns, server }: Examination, aliasOf: AliasLookup): Promise<Exchangers> {
  const answer = await dns.mx(domain);
  if (answer.kind === "failed") return { findings: [unknown("MX", `the MX of ${domain}`, answer.why)], hosts: [] };
  if (answer.kind !== "found") return withoutMx(domain, dns, answer.kind === "no-domain", server?.helo);
  const records = [...answer.records].sort((a, b) => a.preference - b.preference);
  if (records.every(({ exchange }) => exchange === "")) {
    return { findings: [{ area: "MX", level: "info", text: `${domain} takes no mail at all (null MX, RFC 7505)` }], hosts: [] };
  }
  const findings: Finding[] = [];
  if (records.some(({ exchange }) => exchange === "")) {
    findings.push({
      area: "MX",
      level: "problem",
      text: "a null MX stands beside others (RFC 7505 3)",
      todo: `Remove "MX 0 ." from ${domain}.`,
    });
  }
  if (records.length > HOSTS_LIMIT) {
    findings.push({
      area: "MX",
      level: "warning",
      text: `${domain} has ${records.length} MX records; the first ${HOSTS_LIMIT} are looked at`,
    });
  }
  const looked = await Promise.all(
    records
      .filter(({ exchange }) => exchange !== "")
      .slice(0, HOSTS_LIMIT)
      .map((record) => examineHost(record, dns, aliasOf)),
  );
  return {
    findings: [...findings, ...looked.map(({ finding }) => finding)],
    hosts: looked.flatMap(({ host }) => (host === undefined ? [] : [host])),
  };
}

async function withoutMx(domain: string, dns: CheckDns, noDomain: boolean, helo: string | undefined): Promise<Exchangers> {
  const record = `${domain}. IN MX 10 ${helo ?? `mail.${domain}`}.\n`;
  if (noDomain) {
    return {
      findings: [{ area: "MX", level: "problem", text: `${domain} does not exist in DNS`, todo: "Register it, or mind the spelling." }],
      hosts: [],
    };
  }
  const [four, six] = await Promise.all([dns.a(domain), dns.aaaa(domain)]);
  const addresses = [four, six].flatMap((answer) => (answer.kind === "found" ? answer.records : []));
  if (addresses.length > 0) {
    const text = `${domain} has no MX; mail goes to its own address, ${addresses.join(", ")} (RFC 5321 5.1)`;
    return { findings: [{ area: "MX", level: "warning", text, todo: "Name the server.", record }], hosts: [{ name: domain, addresses }] };
  }
  const text = `${domain} has no MX and no address: nobody can answer its mail, and many receivers refuse it`;
  return { findings: [{ area: "MX", level: "problem", text, todo: "Name the server that takes its mail.", record }], hosts: [] };
}

interface LookedHost {
  readonly finding: Finding;
  readonly host?: MailHost;
}

async function examineHost({ preference, exchange }: MailExchanger, dns: CheckDns, aliasOf: AliasLookup): Promise<LookedHost> {
  const name = shown(exchange);
  const says = (level: Finding["level"], text: string, todo?: string): Finding => ({
    area: "MX",
    level,
    text: `${preference} ${name}: ${text}`,
    ...(todo === undefined ? {} : { todo }),
  });
  if (isIPv4(exchange) || isIPv6(exchange)) {
    return {
      finding: says(
        "problem",
        "this is an IP address, and an MX must name a host (RFC 1035 3.3.9)",
        "Give the address a name, and name that in the MX.",
      ),
    };
  }
  const [alias, four, six] = await Promise.all([aliasOf(exchange), dns.a(exchange), dns.aaaa(exchange)]);
  const addresses = [four, six].flatMap((answer) => (answer.kind === "found" ? answer.records : []));
  const host = addresses.length === 0 ? {} : { host: { name: exchange, addresses } };
  if (alias !== undefined) {
    const text = `this is an alias (CNAME) of ${shown(alias)}, which an MX must not be (RFC 5321 5.1)`;
    return { finding: says("problem", text, `Name ${shown(alias)} in the MX.`), ...host };
  }
  if (addresses.length > 0) return { finding: says("ok", addresses.join(", ")), ...host };
  const failed = [four, six].find((answer) => answer.kind === "failed");
  if (failed?.kind === "failed") return { finding: unknown("MX", `the addresses of ${name}`, failed.why) };
  return { finding: says("problem", "it has no address", `Publish an A or AAAA record for ${name}, or take it out of the MX.`) };
}

/** The TXT records that name the two policies on TLS: information, as nothing of ours depends on them. */
export async function examineTlsPolicies({ domain, dns }: Examination): Promise<Finding[]> {
  const look = async (area: "MTA-STS" | "TLS-RPT", name: string, begin: RegExp, record: string): Promise<Finding> => {
    const answer = await dns.txt(name);
    if (answer.kind === "failed") return { area, level: "info", text: `${name} could not be asked for: ${answer.why}` };
    const text = answer.kind === "found" ? answer.records.find((each) => begin.test(each)) : undefined;
    if (text !== undefined) return { area, level: "info", text: `${name} says: ${shown(text)}` };
    return { area, level: "info", text: `there is none (${name}); it could be: ${record.trim()}` };
  };
  const report = zoneText(`_smtp._tls.${domain}`, `v=TLSRPTv1; rua=mailto:tls-reports@${domain}`);
  return [
    await look(
      "MTA-STS",
      `_mta-sts.${domain}`,
      /^v=STSv1[ \t]*;/,
      `v=STSv1; id=1, with a policy at https://mta-sts.${domain}/.well-known/mta-sts.txt`,
    ),
    await look("TLS-RPT", `_smtp._tls.${domain}`, /^v=TLSRPTv1[ \t]*;/, report),
  ];
}
