/**
 * Counts what aggregate reports tell (RFC 9990), while messages come by: one row for each set of equal facts.
 *
 * Rules
 * 1. Counted is what a record applied to, what was decided for good, and only for domains that ask for reports (`rua`).
 *    A deferred message comes again; one that DNS could not settle is neither pass nor fail (RFC 9989 5.3.6).
 * 2. Bounded: POLICY_LIMIT policies, ROW_LIMIT rows for each; what does not fit is counted in `leftOut`, and lost.
 * 3. In memory alone: who must not lose counts in a crash keeps them elsewhere.
 */
import type { DmarcResult } from "../dmarc/index.ts";
import { parseIp } from "../ip.ts";
import type { PolicyOverride, Verdict } from "../policy/verdict.ts";
import type { SpfVerdict } from "../spf/check.ts";
import type { AggregateRecord, AggregateReport, PublishedPolicy, ReportedDkim } from "./report.ts";
import { SIGNATURE_LIMIT } from "./write.ts";

/** Policy domains counted in one period; a domain whose record changes counts again. */
export const POLICY_LIMIT = 10_000;
/** Rows for one policy; about half a kilobyte each. */
export const ROW_LIMIT = 2000;
/** Rows over all policies. */
export const TOTAL_ROW_LIMIT = 100_000;

export interface CountedMessage {
  readonly ip: string;
  readonly dmarc: Pick<DmarcResult, "record" | "policyDomain" | "author" | "result" | "requested" | "alignments">;
  readonly spf: { readonly result: SpfVerdict; readonly domain: string; readonly identity: "mailfrom" | "helo" };
  readonly dkim: readonly { readonly result: string; readonly domain: string | undefined; readonly selector?: string | undefined }[];
  readonly action: Verdict["action"];
  readonly override: PolicyOverride | undefined;
}

export interface CountedPolicy {
  readonly policy: PublishedPolicy;
  /** Where reports shall go. */
  readonly rua: readonly string[];
  readonly errors: readonly string[];
  readonly records: readonly AggregateRecord[];
}

interface Counting {
  readonly counted: Omit<CountedPolicy, "records">;
  readonly rows: Map<string, { readonly row: Omit<AggregateRecord, "count">; count: number }>;
}

export class AggregateCollector {
  #policies = new Map<string, Counting>();
  #rows = 0;
  #leftOut = 0;

  /** Messages that found no place since the last `take`. */
  get leftOut(): number {
    return this.#leftOut;
  }

  add(message: CountedMessage): void {
    const { record, policyDomain, author, result } = message.dmarc;
    if (record === undefined || policyDomain === undefined || author === undefined || record.rua.length === 0) return;
    if ((result !== "pass" && result !== "fail") || message.action === "defer") return;
    const key = `${policyDomain} ${record.text}`;
    let counting = this.#policies.get(key);
    if (counting === undefined) {
      if (this.#policies.size >= POLICY_LIMIT) {
        this.#leftOut++;
        return;
      }
      counting = { counted: { policy: publishedPolicy(policyDomain, record), rua: record.rua, errors: record.problems }, rows: new Map() };
      this.#policies.set(key, counting);
    }
    const row = rowOf(message, author);
    const rowKey = JSON.stringify(row);
    const known = counting.rows.get(rowKey);
    if (known !== undefined) known.count++;
    else if (counting.rows.size >= ROW_LIMIT || this.#rows >= TOTAL_ROW_LIMIT) this.#leftOut++;
    else {
      this.#rows++;
      counting.rows.set(rowKey, { row, count: 1 });
    }
  }

  /** What was counted, one for each report; counting begins anew. */
  take(): CountedPolicy[] {
    const policies = this.#policies;
    this.#policies = new Map();
    this.#rows = 0;
    this.#leftOut = 0;
    return [...policies.values()].map(({ counted, rows }) => ({
      ...counted,
      records: [...rows.values()].map(({ row, count }) => ({ ...row, count })),
    }));
  }
}

/** The report of what was counted, by whom and for when. */
export function aggregateReport(
  counted: CountedPolicy,
  about: Pick<AggregateReport, "organization" | "email" | "id" | "begin" | "end" | "generator" | "contact">,
): AggregateReport {
  return { ...about, errors: counted.errors, policy: counted.policy, records: counted.records };
}

function publishedPolicy(domain: string, record: NonNullable<DmarcResult["record"]>): PublishedPolicy {
  return {
    domain,
    method: "treewalk",
    p: record.p,
    sp: record.sp ?? record.p,
    np: record.np ?? record.sp ?? record.p,
    fo: record.fo.join(":"),
    adkim: record.adkim === "strict" ? "s" : "r",
    aspf: record.aspf === "strict" ? "s" : "r",
    testing: record.testing ? "y" : "n",
  };
}

function rowOf(message: CountedMessage, author: string): Omit<AggregateRecord, "count"> {
  const { dmarc, spf, override } = message;
  const aligned = (method: "spf" | "dkim"): string =>
    dmarc.alignments.some((a) => a.method === method && a.result === "pass" && (a.aligned === "strict" || a.aligned === "relaxed"))
      ? "pass"
      : "fail";
  return {
    sourceIp: parseIp(message.ip)?.text ?? message.ip,
    disposition: disposition(message),
    dkim: aligned("dkim"),
    spf: aligned("spf"),
    reasons: override === undefined ? [] : [override],
    headerFrom: author,
    envelopeFrom: spf.identity === "helo" ? "" : spf.domain,
    dkimResults: reportedSignatures(message),
    spfResult: { domain: spf.domain, result: spf.result },
  };
}

/** RFC 9990: "pass" where a policy other than none had nothing to do. */
function disposition({ action, dmarc }: CountedMessage): string {
  if (action === "quarantine" || action === "reject") return action;
  return dmarc.result === "pass" && dmarc.requested !== undefined && dmarc.requested !== "none" ? "pass" : "none";
}

/** RFC 9990: those that passed in strict alignment first, then in relaxed alignment, then others that passed, then the rest. */
function reportedSignatures({ dkim, dmarc }: CountedMessage): ReportedDkim[] {
  const rank = (domain: string, result: string): number => {
    if (result !== "pass") return 3;
    const aligned = dmarc.alignments.find((a) => a.method === "dkim" && a.domain === domain.toLowerCase())?.aligned;
    return aligned === "strict" ? 0 : aligned === "relaxed" ? 1 : 2;
  };
  const signatures: (ReportedDkim & { readonly rank: number })[] = [];
  for (const { domain, selector, result } of dkim) {
    if (domain !== undefined) signatures.push({ domain, selector: selector ?? "", result, rank: rank(domain, result) });
  }
  signatures.sort((a, b) => a.rank - b.rank);
  return signatures.slice(0, SIGNATURE_LIMIT).map(({ rank: _, ...signature }) => signature);
}
