/**
 * The DNS tree walk (RFC 9989 4.10): which record counts for a domain, and which domain is its organization's.
 *
 * Rules
 * 1. At most QUERY_LIMIT questions for a walk: the domain itself, then its last seven labels, label by label to the top.
 * 2. Several records at one name are none (4.10, steps 2 and 6).
 * 3. A question that failed ends the walk without a conclusion: no parent's policy is put in place of one that could not be read.
 * 4. A name is asked for once in a check, whatever walks pass it.
 */
import type { CheckDns } from "../dns.ts";
import { type Steps, shown } from "../step.ts";
import { type DmarcRecord, isDmarcRecord, parseDmarcRecord } from "./record.ts";

/** RFC 9989 4.10. */
export const QUERY_LIMIT = 8;

/** What stands at `_dmarc.` of a name. */
export type Found =
  | { readonly kind: "record"; readonly name: string; readonly record: DmarcRecord }
  | { readonly kind: "none"; readonly name: string }
  | { readonly kind: "several"; readonly name: string; readonly count: number }
  | { readonly kind: "failed"; readonly name: string; readonly why: string };

export type Walk =
  | {
      readonly kind: "walked";
      readonly start: string;
      readonly organizational: string;
      /** Every record found, the longest name first. */
      readonly records: readonly (Found & { readonly kind: "record" })[];
    }
  | { readonly kind: "failed"; readonly start: string; readonly why: string };

/** The names to ask for, in order, without `_dmarc.`. */
export function walkNames(domain: string): string[] {
  const labels = domain.split(".");
  const names = [domain];
  for (let keep = Math.min(labels.length - 1, QUERY_LIMIT - 1); keep >= 1; keep--) names.push(labels.slice(-keep).join("."));
  return names;
}

/** The walks of one check. Domains are A-labels in lower case. */
export class TreeWalks {
  readonly #dns: CheckDns;
  readonly #steps: Steps;
  readonly #found = new Map<string, Promise<Found>>();
  readonly #walks = new Map<string, Promise<Walk>>();

  constructor(dns: CheckDns, steps: Steps) {
    this.#dns = dns;
    this.#steps = steps;
  }

  /** What stands at one name. */
  at(name: string): Promise<Found> {
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    const found = this.#ask(name);
    this.#found.set(name, found);
    return found;
  }

  walk(start: string): Promise<Walk> {
    const known = this.#walks.get(start);
    if (known !== undefined) return known;
    const walk = this.#walk(start);
    this.#walks.set(start, walk);
    return walk;
  }

  async #ask(name: string): Promise<Found> {
    const answer = await this.#dns.txt(`_dmarc.${name}`);
    const at = `_dmarc.${shown(name)}`;
    if (answer.kind === "failed") {
      this.#steps.add(`${at} could not be asked for: ${answer.why}`, 1);
      return { kind: "failed", name, why: `${at} could not be asked for: ${answer.why}` };
    }
    const texts = answer.kind === "found" ? answer.records.filter(isDmarcRecord) : [];
    const [text] = texts;
    if (text === undefined) {
      this.#steps.add(`${at}: no DMARC record`, 1);
      return { kind: "none", name };
    }
    if (texts.length > 1) {
      this.#steps.add(`${at} has ${texts.length} DMARC records: none of them counts`, 1);
      return { kind: "several", name, count: texts.length };
    }
    const record = parseDmarcRecord(text) as DmarcRecord;
    this.#steps.add(`${at} says: ${shown(text, 1000)}`, 1);
    for (const problem of record.problems) this.#steps.add(`${at}: ${shown(problem)}`, 2);
    return { kind: "record", name, record };
  }

  async #walk(start: string): Promise<Walk> {
    const records: (Found & { kind: "record" })[] = [];
    for (const name of walkNames(start)) {
      const found = await this.at(name);
      if (found.kind === "failed") return { kind: "failed", start, why: found.why };
      if (found.kind !== "record") continue;
      records.push(found);
      if (found.record.psd !== "u") break;
    }
    return { kind: "walked", start, organizational: organizationalDomain(start, records), records };
  }
}

/** RFC 9989 4.10.2; `records` from the longest name to the shortest. */
function organizationalDomain(start: string, records: readonly { readonly name: string; readonly record: DmarcRecord }[]): string {
  for (const { name, record } of records) {
    if (record.psd === "n") return name;
    if (record.psd === "y" && name !== start) return oneLabelMore(start, name);
  }
  return records.at(-1)?.name ?? start;
}

/** The domain one label below `above`, towards `start`, which ends in it. */
function oneLabelMore(start: string, above: string): string {
  const dot = start.lastIndexOf(".", start.length - above.length - 2);
  return start.slice(dot + 1);
}
