/**
 * DMARC policy records (RFC 9989 4.7, 4.8).
 *
 * Rules
 * 1. A text is a DMARC record where it begins with `v=DMARC1`, in this case; anything else is none of our business.
 * 2. What is wrong after that is left out in favour of its default and told in `problems`; unknown tags are left out silently.
 * 3. A `p`, `sp` or `np` that is not valid makes the record worth "none" where it has an address for reports, and nothing
 *    otherwise (4.10.1). A record without `p` is one with `p=none` (4.7).
 * 4. Linear in the length of the text; at most URI_LIMIT addresses of each kind are kept.
 */

/** What a domain owner asks for: RFC 9989 4.7, tag "p". */
export type DmarcRequest = "none" | "quarantine" | "reject";

/** RFC 9989 4.7, tag "fo". */
export type FailureOption = "0" | "1" | "d" | "s";

export interface DmarcRecord {
  /** As found. */
  readonly text: string;
  /** False where no DMARC may be applied by this record (rule 3). */
  readonly usable: boolean;
  readonly p: DmarcRequest;
  readonly sp: DmarcRequest | undefined;
  readonly np: DmarcRequest | undefined;
  readonly adkim: "relaxed" | "strict";
  readonly aspf: "relaxed" | "strict";
  readonly psd: "y" | "n" | "u";
  /** The `t` tag: the policy is being tried out, and one level less is asked for. */
  readonly testing: boolean;
  readonly fo: readonly FailureOption[];
  /** URIs, without the obsolete size after "!". */
  readonly rua: readonly string[];
  readonly ruf: readonly string[];
  /** What the domain's owner should mend, in sentences. */
  readonly problems: readonly string[];
}

/** Addresses kept of `rua` and of `ruf`: whoever wants more reports than that wants someone else to be flooded. */
export const URI_LIMIT = 10;

/** Whether a TXT record is a DMARC record. */
export function isDmarcRecord(text: string): boolean {
  return /^[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/.test(text); // ABNF: the tag has no case, its value has
}

/** The record; `undefined` where the text is none. */
export function parseDmarcRecord(text: string): DmarcRecord | undefined {
  if (!isDmarcRecord(text)) return undefined;
  const problems: string[] = [];
  const tags = readTags(text, problems);
  let valid = true;
  const request = (name: string): DmarcRequest | undefined => {
    const value = tags.get(name);
    if (value === undefined) return undefined;
    const lower = value.toLowerCase();
    if (lower === "none" || lower === "quarantine" || lower === "reject") return lower;
    problems.push(`${name}=${value} is none of none, quarantine and reject`);
    valid = false;
    return undefined;
  };
  const choice = <T extends string>(name: string, allowed: readonly T[], otherwise: T): T => {
    const value = tags.get(name);
    if (value === undefined) return otherwise;
    const found = allowed.find((one) => one === value.toLowerCase());
    if (found === undefined) problems.push(`${name}=${value} is none of ${allowed.join(", ")}; ${otherwise} is taken`);
    return found ?? otherwise;
  };
  const p = request("p");
  const sp = request("sp");
  const np = request("np");
  const rua = reportUris("rua", tags.get("rua"), problems);
  const usable = valid || rua.length > 0;
  if (p === undefined && !tags.has("p")) problems.push("there is no p tag: none is taken");
  return {
    text,
    usable,
    p: valid ? (p ?? "none") : "none",
    sp: valid ? sp : undefined,
    np: valid ? np : undefined,
    adkim: choice("adkim", ["r", "s"], "r") === "s" ? "strict" : "relaxed",
    aspf: choice("aspf", ["r", "s"], "r") === "s" ? "strict" : "relaxed",
    psd: choice("psd", ["y", "n", "u"], "u"),
    testing: choice("t", ["y", "n"], "n") === "y",
    fo: failureOptions(tags.get("fo"), problems),
    rua,
    ruf: reportUris("ruf", tags.get("ruf"), problems),
    problems,
  };
}

const known = new Set(["p", "sp", "np", "adkim", "aspf", "psd", "t", "fo", "rua", "ruf"]);
const removed = new Set(["pct", "rf", "ri"]);

function readTags(text: string, problems: string[]): Map<string, string> {
  const tags = new Map<string, string>();
  for (const part of text.split(";").slice(1)) {
    const tag = part.trim();
    if (tag === "") continue;
    const equals = tag.indexOf("=");
    const name = tag.slice(0, Math.max(0, equals)).trim().toLowerCase();
    const value = tag.slice(equals + 1).trim();
    if (!/^[a-z]+$/.test(name) || value === "" || !/^[\x20-\x7e]*$/.test(value))
      problems.push(`"${tag.slice(0, 80)}" is no tag with a value`);
    else if (removed.has(name)) problems.push(`${name}= is a tag of RFC 7489 that no longer counts`);
    else if (known.has(name)) {
      if (tags.has(name)) problems.push(`${name}= stands twice: the first is taken`);
      else tags.set(name, value);
    }
  }
  return tags;
}

function failureOptions(value: string | undefined, problems: string[]): readonly FailureOption[] {
  if (value === undefined) return ["0"];
  const found = new Set<FailureOption>();
  for (const part of value.split(":")) {
    const option = part.trim().toLowerCase();
    if (option === "0" || option === "1" || option === "d" || option === "s") found.add(option);
    else problems.push(`fo=${value.slice(0, 80)}: "${option.slice(0, 20)}" is none of 0, 1, d, s`);
  }
  if (found.has("0") && found.has("1")) {
    problems.push("fo= holds 0 and 1, of which only one may stand: 1 is taken");
    found.delete("0");
  }
  return found.size === 0 ? ["0"] : [...found];
}

/** A scheme and something after it, without what RFC 9989 4.8 wants encoded. */
const uri = /^[a-z][a-z0-9+.-]*:[^\s!,]+$/i;

function reportUris(name: string, value: string | undefined, problems: string[]): readonly string[] {
  if (value === undefined) return [];
  const uris: string[] = [];
  for (const part of value.split(",")) {
    const text = part.trim().replace(/!\d+[kmgt]?$/i, ""); // obs-dmarc-report-size
    if (!uri.test(text)) problems.push(`${name}=: "${text.slice(0, 80)}" is no URI (mailto:reports@example.org)`);
    else if (uris.length >= URI_LIMIT) {
      problems.push(`${name}= holds more than ${URI_LIMIT} addresses: the rest is left out`);
      break;
    } else uris.push(text);
  }
  return uris;
}
