/**
 * The evaluation of SPF records (RFC 7208 4.4 to 6.1): one object for each check, over all the records that it leads to.
 *
 * Rules
 * 1. What ends the check wherever it stands (temperror, permerror) is a value that every caller passes on.
 * 2. A void look-up is counted once for a term, by its own question: A or AAAA for "a" and "exists", MX for "mx", PTR for "ptr".
 *    The addresses of MX hosts do not count: a host without IPv6 says nothing about the record.
 */
import { addressOfLiteral } from "../../mail/domain.ts";
import type { CheckDns, DnsAnswer } from "../dns.ts";
import { dottedAddress, type IpAddress, inPrefix, parseIp } from "../ip.ts";
import { NAME_LIMIT, type ReverseNames, reverseNames } from "../reverse.ts";
import { type Steps, shown } from "../step.ts";
import { expandDomain, type MacroLetter, type MacroString, type MacroValues } from "./macro.ts";
import { type Directive, isSpfRecord, type Mechanism, parseSpfRecord, type Qualifier, type SpfRecord } from "./record.ts";

/** RFC 7208 4.6.4: terms that ask DNS, over all records of a check. */
export const LOOKUP_LIMIT = 10;
/** RFC 7208 4.6.4: of those, how many may find nothing. */
export const VOID_LIMIT = 2;

/** RFC 7208 2.6. */
export type SpfVerdict = "none" | "neutral" | "pass" | "fail" | "softfail" | "temperror" | "permerror";

/** Who is checked. */
export interface SpfSender {
  readonly localPart: string;
  readonly domain: string;
  readonly helo: string;
  readonly receiver: string | undefined;
}

export interface Evaluated {
  readonly result: SpfVerdict;
  readonly mechanism?: string;
  /** The domain of the record that decided. */
  readonly at?: string;
  /** Where the result has a reason of its own. */
  readonly why?: string;
  /** The `exp` of the record that decided. */
  readonly explanation?: MacroString;
}

const results: Readonly<Record<Qualifier, SpfVerdict>> = { "+": "pass", "-": "fail", "~": "softfail", "?": "neutral" };

/** Whether a mechanism matches, or what ends the check. */
type Match = boolean | Evaluated;

export class SpfEvaluation {
  readonly ip: IpAddress;
  readonly sender: SpfSender;
  readonly dns: CheckDns;
  readonly #steps: Steps;
  #lookups = 0;
  #voids = 0;
  #names: Promise<ReverseNames> | undefined;

  constructor(ip: IpAddress, sender: SpfSender, dns: CheckDns, steps: Steps) {
    this.ip = ip;
    this.sender = sender;
    this.dns = dns;
    this.#steps = steps;
  }

  /** check_host() for one domain. `depth` is that of its steps. */
  async check(domain: string, depth: number): Promise<Evaluated> {
    const wrong = notCheckable(domain);
    if (wrong !== undefined) return { result: "none", why: `${shown(domain)} ${wrong}` };
    const record = await this.#find(domain, depth);
    if ("result" in record) return record;
    for (const directive of record.directives) {
      const match = await this.#matches(directive.mechanism, domain, depth, directive);
      if (match === false) continue;
      if (match !== true) return match;
      const result = results[directive.qualifier];
      this.#steps.add(`"${shown(directive.text)}" matches: ${result}`, depth);
      return { result, mechanism: directive.text, at: domain, ...(record.explanation && { explanation: record.explanation }) };
    }
    return record.redirect === undefined ? { result: "neutral" } : this.#redirect(record.redirect, domain, depth);
  }

  /** RFC 7208 4.4 and 4.5. */
  async #find(domain: string, depth: number): Promise<SpfRecord | Evaluated> {
    const answer = await this.dns.txt(domain);
    const name = shown(domain);
    if (answer.kind === "failed") return { result: "temperror", why: `the record of ${name} could not be asked for: ${answer.why}` };
    const records = answer.kind === "found" ? answer.records.filter(isSpfRecord) : [];
    const [text] = records;
    if (text === undefined) {
      return { result: "none", why: answer.kind === "no-domain" ? `${name} does not exist` : `${name} has no SPF record` };
    }
    if (records.length > 1) return { result: "permerror", why: `${name} has ${records.length} SPF records where one may stand` };
    this.#steps.add(`${name} says: ${shown(text, 1000)}`, depth);
    const record = parseSpfRecord(text);
    return typeof record === "string" ? { result: "permerror", why: `the SPF record of ${name}: ${shown(record)}` } : record;
  }

  /** RFC 7208 6.1; its explanation is the target's. */
  async #redirect(target: MacroString, domain: string, depth: number): Promise<Evaluated> {
    const over = this.#count();
    if (over !== undefined) return over;
    const to = await this.expand(target, domain);
    this.#steps.add(`redirected to ${shown(to)}`, depth);
    const found = await this.check(to, depth + 1);
    if (found.result !== "none") return found;
    return { result: "permerror", why: `the record of ${shown(domain)} is redirected to ${shown(to)}, which has none` };
  }

  async #matches(mechanism: Mechanism, domain: string, depth: number, directive: Directive): Promise<Match> {
    switch (mechanism.kind) {
      case "all":
        return true;
      case "ip4":
      case "ip6":
        return inPrefix(this.ip.groups, mechanism.network, mechanism.prefix);
      default:
    }
    const over = this.#count();
    if (over !== undefined) return over;
    switch (mechanism.kind) {
      case "include":
        return this.#include(await this.expand(mechanism.domain, domain), depth, directive);
      case "a": {
        const target = mechanism.domain === undefined ? domain : await this.expand(mechanism.domain, domain);
        return this.#holds(await this.#addresses(target), mechanism, target, depth, true);
      }
      case "mx": {
        const target = mechanism.domain === undefined ? domain : await this.expand(mechanism.domain, domain);
        return this.#mx(target, mechanism, depth);
      }
      case "exists": {
        const target = await this.expand(mechanism.domain, domain);
        const answer = await this.dns.a(target); // RFC 7208 5.7: A, whatever the family of the connection
        const match = this.#found(answer, "A", target, depth);
        return typeof match === "boolean" || "result" in match ? (match as Match) : true;
      }
      case "ptr":
        return this.#ptr(mechanism.domain === undefined ? domain : await this.expand(mechanism.domain, domain), depth);
    }
  }

  /** RFC 7208 5.2. */
  async #include(target: string, depth: number, directive: Directive): Promise<Match> {
    const found = await this.check(target, depth + 1);
    switch (found.result) {
      case "pass":
        return true;
      case "temperror":
      case "permerror":
        return found;
      case "none":
        return { result: "permerror", why: `"${shown(directive.text)}" leads to no record: ${found.why ?? ""}` };
      default:
        this.#steps.add(`${shown(target)} does not allow ${this.ip.text}`, depth + 1);
        return false;
    }
  }

  /** RFC 7208 5.4. */
  async #mx(target: string, mechanism: Mechanism & { kind: "a" | "mx" }, depth: number): Promise<Match> {
    const answer = await this.dns.mx(target);
    const records = this.#found(answer, "MX", target, depth);
    if (!Array.isArray(records)) return records as Match;
    if (records.length > NAME_LIMIT) {
      return { result: "permerror", why: `${shown(target)} has ${records.length} MX hosts, more than the ${NAME_LIMIT} of RFC 7208 4.6.4` };
    }
    const hosts = [...records].sort((a, b) => a.preference - b.preference);
    for (const { exchange } of hosts) {
      if (exchange === "" || exchange === ".") continue; // RFC 7505: no host at all
      const match = this.#holds(await this.#addresses(exchange), mechanism, exchange, depth, false);
      if (match !== false) return match;
    }
    return false;
  }

  /** RFC 7208 5.5. Never an error: the owner of the address writes these records, not the sender. */
  async #ptr(target: string, depth: number): Promise<Match> {
    const names = await this.names();
    if (names.kind === "failed") return false;
    if (names.kind !== "found") return this.#void(`PTR of ${this.ip.text}`, depth) ?? false;
    return names.confirmed.some((name) => isWithin(name, target.toLowerCase()));
  }

  #addresses(name: string): Promise<DnsAnswer<string>> {
    return this.ip.family === 4 ? this.dns.a(name) : this.dns.aaaa(name);
  }

  #holds(
    answer: DnsAnswer<string>,
    mechanism: { readonly prefix4: number; readonly prefix6: number },
    name: string,
    depth: number,
    countVoid: boolean,
  ): Match {
    const type = this.ip.family === 4 ? "A" : "AAAA";
    if (!countVoid && answer.kind !== "found" && answer.kind !== "failed") return false;
    const records = this.#found(answer, type, name, depth);
    if (!Array.isArray(records)) return records as Match;
    const length = this.ip.family === 4 ? mechanism.prefix4 : mechanism.prefix6;
    return records.some((record) => {
      const address = parseIp(record);
      return address !== undefined && inPrefix(this.ip.groups, address.groups, length);
    });
  }

  /** The records; `false` where there are none; what ends the check. */
  #found<T>(answer: DnsAnswer<T>, type: string, name: string, depth: number): readonly T[] | false | Evaluated {
    if (answer.kind === "found") return answer.records;
    if (answer.kind === "failed") return { result: "temperror", why: `${type} of ${shown(name)} could not be asked for: ${answer.why}` };
    return this.#void(`${type} of ${shown(name)}`, depth) ?? false;
  }

  #count(): Evaluated | undefined {
    if (++this.#lookups <= LOOKUP_LIMIT) return undefined;
    return { result: "permerror", why: `the records want more than ${LOOKUP_LIMIT} look-ups (RFC 7208 4.6.4)` };
  }

  #void(what: string, depth: number): Evaluated | undefined {
    this.#steps.add(`${what}: nothing found`, depth);
    if (++this.#voids <= VOID_LIMIT) return undefined;
    return { result: "permerror", why: `more than ${VOID_LIMIT} look-ups found nothing (RFC 7208 4.6.4); the last was ${what}` };
  }

  /** The names of the address, asked for once. */
  names(): Promise<ReverseNames> {
    this.#names ??= reverseNames(this.ip, this.dns);
    return this.#names;
  }

  /** A domain-spec for this message; `domain` is the one whose record it stands in. */
  expand(pieces: MacroString, domain: string): Promise<string> {
    return expandDomain(pieces, this.values(domain, 0));
  }

  /** RFC 7208 7.2; `now` is in milliseconds and counts for explanations only. */
  values(domain: string, now: number): MacroValues {
    const { sender, ip } = this;
    const plain: Readonly<Record<Exclude<MacroLetter, "p">, string>> = {
      s: `${sender.localPart}@${sender.domain}`,
      l: sender.localPart,
      o: sender.domain,
      d: domain,
      i: dottedAddress(ip),
      v: ip.family === 4 ? "in-addr" : "ip6",
      h: sender.helo,
      c: ip.text,
      r: sender.receiver ?? "unknown",
      t: String(Math.floor(now / 1000)),
    };
    return (letter) => (letter === "p" ? this.#bestName(domain) : plain[letter]);
  }

  /** RFC 7208 7.3: the domain itself, else a name below it, else any; "unknown" where there is none. */
  async #bestName(domain: string): Promise<string> {
    const { confirmed } = await this.names();
    const lower = domain.toLowerCase();
    return confirmed.find((name) => name === lower) ?? confirmed.find((name) => isWithin(name, lower)) ?? confirmed[0] ?? "unknown";
  }
}

function isWithin(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}

/** RFC 7208 4.3: what makes a domain one that has no record; a sentence about it without its subject. */
export function notCheckable(domain: string): string | undefined {
  if (addressOfLiteral(domain) !== undefined || domain.startsWith("[")) return "is an address literal, which has no SPF record";
  const labels = domain.split(".");
  if (labels.length < 2) return "is no fully qualified domain name";
  if (labels.some((label) => label === "" || label.length > 63) || domain.length > 253) return "is no domain name that DNS could hold";
  return undefined;
}
