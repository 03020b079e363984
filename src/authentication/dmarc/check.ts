/**
 * DMARC: does what was proven (SPF, DKIM) belong to the author that the message shows? RFC 9989, which replaces RFC 7489 and 9091.
 *
 * Rules
 * 1. One aligned pass is enough, whatever else failed or could not be asked (5.3.5).
 * 2. temperror only where an answer that is missing could have made it a pass, or could have brought a policy.
 * 3. Here it is found out what the owner of the domain asks for; what is done is the policy's decision (`policy.ts`): a
 *    published "reject" alone is no reason to reject (5.4, 7.4).
 * 4. No more is asked than the result needs: identical domains and strict alignment need no walk (4.10.2).
 */
import { domainKey } from "../../mail/domain.ts";
import type { CheckDns } from "../dns.ts";
import type { SpfVerdict } from "../spf/check.ts";
import { type Step, Steps, shown } from "../step.ts";
import type { Author } from "./author.ts";
import type { DmarcRecord, DmarcRequest } from "./record.ts";
import { TreeWalks } from "./tree-walk.ts";

export type DmarcVerdict = "none" | "pass" | "fail" | "temperror" | "permerror";

/** What SPF found; its domain is that of MAIL FROM, or of EHLO for the null reverse-path (RFC 9989 3.2.4). */
export interface SpfIdentifier {
  readonly result: SpfVerdict;
  readonly domain: string;
}

/** What DKIM found for one signature; results as in RFC 8601 2.7.1. */
export interface DkimIdentifier {
  readonly result: "none" | "pass" | "fail" | "policy" | "neutral" | "temperror" | "permerror";
  /** The `d` tag; absent where it could not be read: such a signature proves nothing. */
  readonly domain: string | undefined;
  /** The `s` tag. */
  readonly selector?: string | undefined;
}

export interface DmarcQuestion {
  readonly author: Author;
  /** `undefined` where SPF was not checked. */
  readonly spf: SpfIdentifier | undefined;
  readonly dkim: readonly DkimIdentifier[];
}

/** How an identifier stands to the author domain. */
export interface Alignment {
  readonly method: "spf" | "dkim";
  readonly domain: string;
  readonly selector?: string;
  /** What the method itself found. */
  readonly result: string;
  /** `unknown`: DNS could not tell. */
  readonly aligned: "strict" | "relaxed" | "no" | "unknown";
}

export interface DmarcResult {
  readonly result: DmarcVerdict;
  /** The domain that From shows; the one that decided, where there are several. */
  readonly author: string | undefined;
  /** Where the record stands that counts. */
  readonly policyDomain: string | undefined;
  /** Known where a walk was needed. */
  readonly organizational: string | undefined;
  readonly record: DmarcRecord | undefined;
  /** Which tag of the record applies. */
  readonly tag: "p" | "sp" | "np" | undefined;
  /** What that tag says. */
  readonly published: DmarcRequest | undefined;
  /**
   * What the owner asks for if this is no pass, with `t=y` counted: one level less. "none" where nothing applies; `undefined`
   * where DNS could not tell.
   */
  readonly requested: DmarcRequest | undefined;
  readonly alignments: readonly Alignment[];
  /** One sentence for people. */
  readonly why: string;
  readonly steps: readonly Step[];
}

/** Identifiers looked at; signatures beyond it count as not aligned. */
export const IDENTIFIER_LIMIT = 20;

/** Rejects only where `dns` does. */
export async function checkDmarc(question: DmarcQuestion, dns: CheckDns): Promise<DmarcResult> {
  const { author } = question;
  const steps = new Steps();
  const walks = new TreeWalks(dns, steps);
  if (author.kind === "none") {
    const why = `DMARC cannot be applied: ${author.why}`;
    steps.add(why);
    return { ...nothing(undefined, steps), result: author.malformed ? "permerror" : "none", requested: "none", why };
  }
  if (author.kind === "one") return checkAuthor(author.domain, question, dns, walks, steps);
  steps.add(`${author.why}: each is checked, and the strictest policy among those that fail counts (RFC 9989 11.5)`);
  let worst: DmarcResult | undefined;
  for (const domain of author.domains) {
    const result = await checkAuthor(domain, question, dns, walks, steps);
    if (worst === undefined || severity(result) > severity(worst)) worst = result;
  }
  return { ...(worst as DmarcResult), steps: steps.list };
}

/** Fails before errors before passes, the stricter request first. */
function severity({ result, requested }: DmarcResult): number {
  const asked = requested === "reject" ? 3 : requested === "quarantine" ? 2 : requested === undefined ? 1 : 0;
  return (
    { fail: 40, temperror: 30, permerror: 20, none: 10, pass: 0 }[result] + (result === "fail" || result === "temperror" ? 10 * asked : 0)
  );
}

function nothing(author: string | undefined, steps: Steps): Omit<DmarcResult, "result" | "requested" | "why"> {
  return {
    author,
    policyDomain: undefined,
    organizational: undefined,
    record: undefined,
    tag: undefined,
    published: undefined,
    alignments: [],
    steps: steps.list,
  };
}

async function checkAuthor(author: string, question: DmarcQuestion, dns: CheckDns, walks: TreeWalks, steps: Steps): Promise<DmarcResult> {
  steps.add(`From shows ${shown(author)}`);
  const policy = await discover(author, walks);
  const end = (result: DmarcVerdict, requested: DmarcRequest | undefined, why: string, more: Partial<DmarcResult> = {}): DmarcResult => {
    steps.add(`${result}: ${why}`);
    return { ...nothing(author, steps), ...more, result, requested, why };
  };
  if (policy.kind === "failed") return end("temperror", undefined, policy.why);
  if (policy.kind === "none") return end("none", "none", `${shown(author)} has no DMARC record, nor has its organization`);
  const { record } = policy;
  const where = { policyDomain: policy.name, organizational: policy.organizational, record };
  if (!record.usable) {
    const why = `the DMARC record of ${shown(policy.name)} has no valid policy: ${record.problems.map((problem) => shown(problem)).join("; ")}`;
    return end("permerror", "none", why, where);
  }
  const alignments = await alignAll(author, question, record, walks, steps);
  const organizational = policy.organizational ?? (await knownOrganization(author, alignments, walks));
  const found = { ...where, organizational, alignments };
  const passed = alignments.find(({ result, aligned }) => result === "pass" && (aligned === "strict" || aligned === "relaxed"));
  const { tag, request, unknown } = await applicable(author, policy, dns);
  const tested: DmarcRequest = record.testing ? oneLess(request) : request;
  if (unknown === undefined) {
    const test = tested === request ? "" : `, which t=y makes ${tested}`;
    steps.add(`the record of ${shown(policy.name)} asks for ${tag}=${request}${test}`);
  }
  const asked = unknown === undefined ? { ...found, tag, published: request } : found;
  const requested = unknown === undefined ? tested : undefined;
  if (passed !== undefined) {
    const { method, domain, aligned } = passed;
    return end("pass", requested, `${method.toUpperCase()} proved ${shown(domain)}, in ${aligned} alignment with ${shown(author)}`, asked);
  }
  const open = alignments.find(
    ({ result, aligned }) => (result === "pass" && aligned === "unknown") || (result === "temperror" && aligned !== "no"),
  );
  if (open !== undefined) {
    const why = `${open.method.toUpperCase()} for ${shown(open.domain)} could not be settled, and nothing else proved ${shown(author)}`;
    return end("temperror", requested, why, asked);
  }
  if (unknown !== undefined) return end("temperror", undefined, unknown, asked);
  return end("fail", requested, `neither SPF nor DKIM proved a domain in alignment with ${shown(author)}`, asked);
}

type Policy =
  | { readonly kind: "found"; readonly name: string; readonly record: DmarcRecord; readonly organizational: string | undefined }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly why: string };

/** RFC 9989 4.10.1: the author domain's record, else its organizational domain's, else its public suffix's. */
async function discover(author: string, walks: TreeWalks): Promise<Policy> {
  const own = await walks.at(author);
  if (own.kind === "failed") return { kind: "failed", why: own.why };
  if (own.kind === "record") return { kind: "found", name: author, record: own.record, organizational: undefined };
  const walk = await walks.walk(author);
  if (walk.kind === "failed") return { kind: "failed", why: walk.why };
  const { organizational, records } = walk;
  const found = records.find(({ name }) => name === organizational) ?? records.find(({ record }) => record.psd === "y");
  return found === undefined ? { kind: "none" } : { kind: "found", name: found.name, record: found.record, organizational };
}

/** The organizational domain where alignment made a walk that told it; no walk is made for it. */
async function knownOrganization(author: string, alignments: readonly Alignment[], walks: TreeWalks): Promise<string | undefined> {
  if (!alignments.some(({ aligned }) => aligned === "relaxed")) return undefined;
  const walk = await walks.walk(author);
  return walk.kind === "walked" ? walk.organizational : undefined;
}

interface Applicable {
  readonly tag: "p" | "sp" | "np";
  readonly request: DmarcRequest;
  /** Set where DNS could not tell which tag applies. */
  readonly unknown?: string;
}

/** RFC 9989 4.10.1: "p" for the domain itself, "sp" for names below it, "np" for those that do not exist. */
async function applicable(author: string, policy: Policy & { kind: "found" }, dns: CheckDns): Promise<Applicable> {
  const { record } = policy;
  if (policy.name === author) return { tag: "p", request: record.p };
  const existing: Applicable = record.sp === undefined ? { tag: "p", request: record.p } : { tag: "sp", request: record.sp };
  if (record.np === undefined || record.np === existing.request) return existing;
  const answer = await dns.txt(author); // RFC 9989 3.2.13: NXDOMAIN for the name, whatever the type
  if (answer.kind === "no-domain") return { tag: "np", request: record.np };
  if (answer.kind !== "failed") return existing;
  return { ...existing, unknown: `whether ${shown(author)} exists could not be asked: ${answer.why}` };
}

function oneLess(request: DmarcRequest): DmarcRequest {
  return request === "reject" ? "quarantine" : "none";
}

async function alignAll(
  author: string,
  { spf, dkim }: DmarcQuestion,
  record: DmarcRecord,
  walks: TreeWalks,
  steps: Steps,
): Promise<Alignment[]> {
  const alignments: Alignment[] = [];
  const settle = async (method: "spf" | "dkim", found: SpfIdentifier | DkimIdentifier): Promise<void> => {
    const { result } = found;
    if (found.domain === undefined) return;
    const domain = domainKey(found.domain);
    const selector = "selector" in found && found.selector !== undefined ? { selector: found.selector } : {};
    // Only what passed, or might have, needs an answer.
    const matters = result === "pass" || result === "temperror";
    const aligned = matters ? await align(author, domain, method === "spf" ? record.aspf : record.adkim, walks) : "no";
    alignments.push({ method, domain, ...selector, result, aligned });
    const how = { strict: "the same domain", relaxed: "the same organization", no: "not aligned", unknown: "alignment unknown" }[aligned];
    steps.add(`${method.toUpperCase()} ${result} for ${shown(domain)}${matters ? `: ${how}` : ""}`);
  };
  if (spf !== undefined) await settle("spf", spf);
  for (const signature of dkim.slice(0, IDENTIFIER_LIMIT)) await settle("dkim", signature);
  return alignments;
}

async function align(author: string, domain: string, mode: "relaxed" | "strict", walks: TreeWalks): Promise<Alignment["aligned"]> {
  if (author === domain) return "strict";
  // What has no label in common at its end has no organization in common: nothing to ask.
  if (mode === "strict" || lastLabel(author) !== lastLabel(domain)) return "no";
  const [mine, theirs] = [await walks.walk(author), await walks.walk(domain)];
  if (mine.kind === "failed" || theirs.kind === "failed") return "unknown";
  return mine.organizational === theirs.organizational ? "relaxed" : "no";
}

const lastLabel = (domain: string): string => domain.slice(domain.lastIndexOf(".") + 1);
