/**
 * iprev (RFC 8601 2.7.3, 3): does the address have a name that leads back to it?
 *
 * Rules
 * 1. It says something about the peer's network, nothing about the message: no verdict here is a reason to refuse by itself.
 */
import type { CheckDns } from "./dns.ts";
import { parseIp } from "./ip.ts";
import { reverseNames } from "./reverse.ts";
import { type Step, Steps, shown } from "./step.ts";

export interface IprevResult {
  /** permerror: the address has no name at all. */
  readonly result: "pass" | "fail" | "temperror" | "permerror";
  /** The canonical text of the address. */
  readonly address: string;
  /** The first name that leads back. */
  readonly name: string | undefined;
  /** Every name looked at. */
  readonly names: readonly string[];
  readonly why: string;
  readonly steps: readonly Step[];
}

/** Rejects only where `dns` does. */
export async function checkIprev(address: string, dns: CheckDns): Promise<IprevResult> {
  const steps = new Steps();
  const ip = parseIp(address);
  if (ip === undefined) {
    const why = "the peer has no IP address";
    steps.add(`permerror: ${why}`);
    return { result: "permerror", address, name: undefined, names: [], why, steps: steps.list };
  }
  const found = await reverseNames(ip, dns);
  const { names, confirmed, unknown } = found;
  const end = (result: IprevResult["result"], why: string): IprevResult => {
    steps.add(`${result}: ${why}`);
    return { result, address: ip.text, name: confirmed[0], names, why, steps: steps.list };
  };
  if (found.kind === "failed") return end("temperror", `the names of ${ip.text} could not be asked for: ${found.why ?? ""}`);
  if (found.kind !== "found" || names.length === 0) return end("permerror", `${ip.text} has no name in DNS (no PTR record)`);
  for (const name of names) {
    const how = confirmed.includes(name) ? "leads back" : unknown.includes(name) ? "could not be asked for" : "does not lead back";
    steps.add(`${ip.text} is called ${shown(name)}, which ${how}`, 1);
  }
  if (confirmed[0] !== undefined) return end("pass", `${ip.text} and ${shown(confirmed[0])} name each other`);
  if (unknown[0] !== undefined) return end("temperror", `the addresses of ${shown(unknown[0])} could not be asked for`);
  return end("fail", `${ip.text} is called ${shown(names[0] ?? "")}, which has other addresses`);
}
