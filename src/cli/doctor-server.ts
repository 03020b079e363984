/**
 * The server that sends for the domain: the names of its addresses, and the name it gives in EHLO (RFC 5321 4.1.4, RFC 1912 2.1).
 *
 * Rules
 * 1. Receivers judge the address that they see: each of them needs a name that leads back to it.
 */
import { type CheckDns, checkIprev } from "../authentication/index.ts";
import { domainKey, isDomain } from "../mail/domain.ts";
import { reverseName } from "../net/address.ts";
import { type Examination, type Finding, unknown } from "./doctor-finding.ts";
import { shown } from "./terminal.ts";

export async function examineServer({ domain, dns, server }: Examination): Promise<Finding[]> {
  if (server === undefined || server.addresses.length === 0) {
    return [{ area: "PTR", level: "info", text: "left out: no address of a sending server is known (--ip, or --config)" }];
  }
  const { helo, origin } = server;
  const findings: Finding[] = [];
  for (const address of server.addresses) findings.push(await examineAddress(address, helo ?? `mail.${domain}`, origin, dns));
  if (helo !== undefined) findings.push(await examineHelo(helo, server.addresses, dns));
  return findings;
}

async function examineAddress(address: string, name: string, origin: string, dns: CheckDns): Promise<Finding> {
  const { result, why, names } = await checkIprev(address, dns);
  if (result === "temperror") return unknown("PTR", `the name of ${address}`, shown(why));
  const record = `${reverseName(address)}. IN PTR ${name}.\n`;
  if (result === "pass") {
    const other = names.includes(domainKey(name)) ? "" : `; EHLO says ${name}, and some receivers want them to be the same`;
    return { area: "PTR", level: other === "" ? "ok" : "warning", text: `${shown(why)}${other}`, ...(other === "" ? {} : { record }) };
  }
  const todo =
    result === "permerror"
      ? "Have whoever gave you the address publish its name (many receivers refuse mail without one)."
      : "Let the name and the address lead to one another.";
  return { area: "PTR", level: "problem", text: `${shown(why)} (${origin})`, todo, record };
}

async function examineHelo(helo: string, addresses: readonly string[], dns: CheckDns): Promise<Finding> {
  if (!isDomain(helo) || !helo.includes(".")) {
    return { area: "HELO", level: "problem", text: `${shown(helo)} is no full domain name`, todo: "Set `hostname` in the configuration." };
  }
  const [four, six] = await Promise.all([dns.a(helo), dns.aaaa(helo)]);
  const found = [four, six].flatMap((answer) => (answer.kind === "found" ? answer.records : []));
  const missing = addresses.filter((address) => !found.includes(address));
  if (missing.length === 0) return { area: "HELO", level: "ok", text: `${helo} leads to ${addresses.join(" and ")}` };
  const failed = [four, six].find((answer) => answer.kind === "failed");
  if (failed?.kind === "failed") return unknown("HELO", `the addresses of ${helo}`, failed.why);
  const record = missing.map((address) => `${helo}. IN ${address.includes(":") ? "AAAA" : "A"} ${address}\n`).join("");
  const text = found.length === 0 ? `${helo} has no address` : `${helo} leads to ${found.join(", ")}, not to ${missing.join(", ")}`;
  return {
    area: "HELO",
    level: found.length === 0 ? "problem" : "warning",
    text,
    todo: "Publish the address of the name that EHLO says.",
    record,
  };
}
