/** The DMARC record of a domain: there, valid, asking for something, with reports that may be sent (RFC 9989, RFC 9990 3). */

import { TreeWalks } from "../authentication/dmarc/tree-walk.ts";
import { isDmarcRecord, parseDmarcRecord, reportDestinations } from "../authentication/index.ts";
import { Steps } from "../authentication/step.ts";
import { zoneText } from "../message/dkim/index.ts";
import { type Examination, type Finding, unknown } from "./doctor-finding.ts";
import { shown } from "./terminal.ts";

export async function examineDmarc({ domain, dns }: Examination): Promise<Finding[]> {
  const name = `_dmarc.${domain}`;
  const begin = zoneText(name, `v=DMARC1; p=none; rua=mailto:dmarc-reports@${domain}`);
  const answer = await dns.txt(name);
  if (answer.kind === "failed") return [unknown("DMARC", name, answer.why)];
  const texts = answer.kind === "found" ? answer.records.filter(isDmarcRecord) : [];
  const [text] = texts;
  if (texts.length > 1) {
    return [
      {
        area: "DMARC",
        level: "problem",
        text: `${name} has ${texts.length} DMARC records, so none of them counts (RFC 9989 4.10)`,
        todo: "Leave one.",
      },
    ];
  }
  const record = text === undefined ? undefined : parseDmarcRecord(text);
  if (text === undefined || record === undefined) return [await inherited(domain, { dns, begin })];
  const findings: Finding[] = [];
  if (!record.usable)
    findings.push({
      area: "DMARC",
      level: "problem",
      text: `the record has no valid policy: ${shown(text)}`,
      todo: "Mend it:",
      record: begin,
    });
  else findings.push({ area: "DMARC", level: "ok", text: shown(text) });
  for (const problem of record.problems) findings.push({ area: "DMARC", level: "warning", text: shown(problem) });
  if (record.usable && record.p === "none") {
    findings.push({
      area: "DMARC",
      level: "warning",
      text: "p=none asks receivers to do nothing about mail that is not proven",
      todo: "When the reports show that your own mail passes, ask for more: p=quarantine.",
    });
  }
  if (record.testing)
    findings.push({ area: "DMARC", level: "info", text: "t=y: the policy is tried out, and one level less is asked for" });
  return [...findings, ...(await reports(domain, record.rua, { dns, name, text }))];
}

async function inherited(domain: string, { dns, begin }: Pick<Examination, "dns"> & { readonly begin: string }): Promise<Finding> {
  const walk = await new TreeWalks(dns, new Steps()).walk(domain);
  if (walk.kind === "failed") return unknown("DMARC", `the records above ${domain}`, walk.why);
  const above = walk.records.find(({ name }) => name === walk.organizational) ?? walk.records[0];
  if (above !== undefined) {
    return { area: "DMARC", level: "ok", text: `no record of its own; that of ${shown(above.name)} counts: ${shown(above.record.text)}` };
  }
  return {
    area: "DMARC",
    level: "problem",
    text: `${domain} has no DMARC record: anyone may use it in From`,
    todo: "Begin with reports alone, and ask for more when they show that your mail passes.",
    record: begin,
  };
}

async function reports(
  domain: string,
  rua: readonly string[],
  { dns, name, text }: { readonly dns: Examination["dns"]; readonly name: string; readonly text: string },
): Promise<Finding[]> {
  if (rua.length === 0) {
    const record = zoneText(name, `${shown(text).trim().replace(/;?$/, ";")} rua=mailto:dmarc-reports@${domain}`);
    return [
      { area: "DMARC", level: "warning", text: "it names nobody for reports (rua)", todo: "Reports tell who sends in your name.", record },
    ];
  }
  const findings: Finding[] = [];
  for (const destination of await reportDestinations(domain, rua, dns)) {
    const uri = shown(destination.uri);
    if (destination.kind === "allowed") findings.push({ area: "DMARC", level: "ok", text: `reports go to ${uri}` });
    else if (destination.kind === "unknown") findings.push(unknown("DMARC", `whether reports may go to ${uri}`, shown(destination.why)));
    else {
      const host = /@([^@?]+)/.exec(uri)?.[1]?.toLowerCase();
      const leave = host === undefined ? {} : { record: zoneText(`${domain}._report._dmarc.${host}`, "v=DMARC1") };
      findings.push({
        area: "DMARC",
        level: "problem",
        text: `no reports will go to ${uri}: ${shown(destination.why)}`,
        todo: "Whoever runs that domain has to publish its leave, or name another address.",
        ...leave,
      });
    }
  }
  return findings;
}
