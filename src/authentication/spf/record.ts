/**
 * SPF records (RFC 7208 3, 4.6.1, 5, 6): the text taken apart.
 *
 * Rules
 * 1. The whole record is read before any of it is evaluated: one error anywhere makes it worthless (4.6).
 * 2. Terms are parted by spaces alone; names of mechanisms and modifiers have no case.
 * 3. `exp` and `redirect` are known modifiers: a malformed one is an error, never an unknown modifier (6).
 */
import { isIPv6 } from "../../mail/domain.ts";
import { ipv6Groups } from "../../net/address.ts";
import { isAscii } from "../../util/bytes.ts";
import { ipv4Network } from "../ip.ts";
import { type MacroString, parseDomainSpec, parseMacroString } from "./macro.ts";

export type Qualifier = "+" | "-" | "~" | "?";

export type Mechanism =
  | { readonly kind: "all" }
  | { readonly kind: "include" | "exists"; readonly domain: MacroString }
  /** Without a domain: the one whose record this is. Prefix lengths are in bits. */
  | { readonly kind: "a" | "mx"; readonly domain: MacroString | undefined; readonly prefix4: number; readonly prefix6: number }
  | { readonly kind: "ptr"; readonly domain: MacroString | undefined }
  | { readonly kind: "ip4" | "ip6"; readonly network: readonly number[]; readonly prefix: number };

export interface Directive {
  readonly qualifier: Qualifier;
  readonly mechanism: Mechanism;
  /** As the record writes it. */
  readonly text: string;
}

export interface SpfRecord {
  readonly directives: readonly Directive[];
  readonly redirect: MacroString | undefined;
  readonly explanation: MacroString | undefined;
}

/** Characters of a record that are read; RFC 7208 3.4 advises to stay below 450. */
export const RECORD_LIMIT = 16 * 1024;

/** Whether a TXT record is an SPF record at all (RFC 7208 4.5): only one that is matters, however broken. */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/** The record, or a sentence about the first thing that is wrong; the text must be one that `isSpfRecord` knows. */
export function parseSpfRecord(text: string): SpfRecord | string {
  if (text.length > RECORD_LIMIT) return `the record has more than ${RECORD_LIMIT} characters`;
  if (!isAscii(text)) return "the record holds characters outside ASCII (RFC 7208 3.1)";
  const directives: Directive[] = [];
  let redirect: MacroString | undefined;
  let explanation: MacroString | undefined;
  for (const term of text.slice("v=spf1".length).split(" ")) {
    if (term === "") continue;
    const [, name, value = ""] = /^([a-z][a-z0-9._-]*)=(.*)$/is.exec(term) ?? [];
    if (name === undefined) {
      const directive = parseDirective(term);
      if (typeof directive === "string") return directive;
      directives.push(directive);
      continue;
    }
    const lower = name.toLowerCase();
    if (lower !== "redirect" && lower !== "exp") {
      const unknown = parseMacroString(value, { explanationLetters: true, spaces: false });
      if (typeof unknown === "string") return `"${term}": ${unknown}`;
      continue;
    }
    if ((lower === "redirect" ? redirect : explanation) !== undefined) return `"${lower}=" stands in the record twice`;
    const domain = parseDomainSpec(value);
    if (typeof domain === "string") return `"${term}": ${domain}`;
    if (lower === "redirect") redirect = domain;
    else explanation = domain;
  }
  return { directives, redirect, explanation };
}

function parseDirective(term: string): Directive | string {
  const [, sign = "", name = "", rest = ""] = /^([+\-~?]?)([^:/]*)(.*)$/s.exec(term) as RegExpExecArray;
  const mechanism = parseMechanism(name.toLowerCase(), rest);
  if (typeof mechanism === "string") return `"${term}": ${mechanism}`;
  return { qualifier: (sign === "" ? "+" : sign) as Qualifier, mechanism, text: term };
}

/** `rest` begins with ":" or "/", or is "". */
function parseMechanism(name: string, rest: string): Mechanism | string {
  switch (name) {
    case "all":
      return rest === "" ? { kind: "all" } : "nothing may follow all";
    case "include":
    case "exists": {
      if (!rest.startsWith(":")) return `${name} wants a domain after a colon`;
      const domain = parseDomainSpec(rest.slice(1));
      return typeof domain === "string" ? domain : { kind: name, domain };
    }
    case "ptr": {
      if (rest === "") return { kind: "ptr", domain: undefined };
      if (!rest.startsWith(":")) return "ptr takes no prefix length";
      const domain = parseDomainSpec(rest.slice(1));
      return typeof domain === "string" ? domain : { kind: "ptr", domain };
    }
    case "a":
    case "mx":
      return parseHosts(name, rest);
    case "ip4":
    case "ip6":
      return rest.startsWith(":") ? parseNetwork(name, rest.slice(1)) : `${name} wants an address after a colon`;
    default:
      return "there is no such mechanism";
  }
}

function parseHosts(kind: "a" | "mx", rest: string): Mechanism | string {
  const [cidr = "", four, six] = /(?:\/(\d+))?(?:\/\/(\d+))?$/.exec(rest) ?? [];
  const prefix4 = prefixLength(four, 32);
  const prefix6 = prefixLength(six, 128);
  if (prefix4 === undefined || prefix6 === undefined) return `"${cidr}" is no prefix length`;
  const target = rest.slice(0, rest.length - cidr.length);
  if (target === "") return { kind, domain: undefined, prefix4, prefix6 };
  if (!target.startsWith(":")) return `"${rest}" is neither a domain nor a prefix length`;
  const domain = parseDomainSpec(target.slice(1));
  return typeof domain === "string" ? domain : { kind, domain, prefix4, prefix6 };
}

function parseNetwork(kind: "ip4" | "ip6", text: string): Mechanism | string {
  const [, address = "", length] = /^([^/]*)(?:\/(\d+))?$/.exec(text) ?? [];
  const network = kind === "ip4" ? ipv4Network(address) : isIPv6(address) ? ipv6Groups(address) : undefined;
  if (network === undefined) return `"${text}" is no IPv${kind.slice(2)} address`;
  const prefix = prefixLength(length, kind === "ip4" ? 32 : 128);
  return prefix === undefined ? `/${length} is no prefix length of IPv${kind.slice(2)}` : { kind, network, prefix };
}

/** No leading zeros, as in addresses (RFC 7208 12). Absent: the whole address. */
function prefixLength(digits: string | undefined, whole: number): number | undefined {
  if (digits === undefined) return whole;
  return /^(?:0|[1-9]\d{0,2})$/.test(digits) && Number(digits) <= whole ? Number(digits) : undefined;
}
