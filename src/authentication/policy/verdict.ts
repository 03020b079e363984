/**
 * What is done with a message that was checked: a pure function of what was found and of the settings.
 *
 * Rules
 * 1. A check that crashed or did not end defers (451); it never means "continue". Only report-only mode lets such mail pass.
 * 2. A DMARC pass is accepted: whatever SPF says by itself does not count then.
 * 3. A published "reject" alone is no reason to reject (RFC 9989 5.4, 7.4): without other knowledge it is "quarantine".
 * 4. A published "none" changes nothing (RFC 9989 5.4).
 * 5. What the peer reads (`reply`) and what the operator reads (`reason`) are two things; a deviation from what the domain asks
 *    for is kept for its reports (`override`).
 */
import { type Reply, reply } from "../../mail/reply.ts";
import type { DmarcRequest, DmarcResult } from "../dmarc/index.ts";
import type { IprevResult } from "../iprev.ts";
import type { SpfResult } from "../spf/check.ts";
import { shown } from "../step.ts";
import { type AuthenticationSettings, type CheckSettings, type Knowledge, settingsFor } from "./settings.ts";

/** What came of a check, or that nothing did. */
export type Checked<T> = { readonly kind: "done"; readonly value: T } | { readonly kind: "crashed"; readonly why: string };

export interface ArcFinding {
  readonly result: "none" | "pass" | "fail" | "temperror";
  /** The sets of the chain from instance 1 on. */
  readonly sets: readonly {
    /** d= of the seal. */
    readonly sealer: string | undefined;
    /** What the set's ARC-Authentication-Results says of DMARC: "pass", "fail", ... */
    readonly dmarc: string | undefined;
  }[];
}

export interface Findings {
  readonly spf: Checked<SpfResult>;
  readonly dkim: Checked<readonly { readonly result: string; readonly domain: string | undefined }[]>;
  readonly dmarc: Checked<DmarcResult>;
  readonly arc: Checked<ArcFinding>;
  /** Absent where it was not checked. */
  readonly iprev?: Checked<IprevResult>;
  /** The message names a list (List-Id, List-Post). */
  readonly list: boolean;
  /** The block list that names the peer, in words. */
  readonly listed: string | undefined;
}

/** RFC 9990, "PolicyOverride". */
export interface PolicyOverride {
  readonly type: "local_policy" | "mailing_list" | "other" | "policy_test_mode" | "trusted_forwarder";
  readonly comment: string;
}

type Decided =
  | { readonly action: "accept" | "quarantine" }
  /** Always with a reply: 550 for reject, 451 for defer. */
  | { readonly action: "reject" | "defer"; readonly reply: Reply };

export type Verdict = Decided & {
  /** For the operator: one sentence. */
  readonly reason: string;
  /** In report-only mode: what would have been done. */
  readonly instead: Decided["action"] | undefined;
  /** Why less was done than the domain asks for. */
  readonly override: PolicyOverride | undefined;
};

type Ruling = Decided & { readonly reason: string; readonly override?: PolicyOverride };

export function verdict(findings: Findings, settings: AuthenticationSettings): Verdict {
  const author = findings.dmarc.kind === "done" ? findings.dmarc.value.author : undefined;
  const own = settingsFor(author, settings);
  const ruling = rule(findings, own);
  const { override } = ruling;
  if (own.mode === "enforce" || ruling.action === "accept") return { ...ruling, instead: undefined, override };
  const reason = `report-only, otherwise ${ruling.action}: ${ruling.reason}`;
  return { action: "accept", reason, instead: ruling.action, override: { type: "local_policy", comment: "report-only mode" } };
}

function rule(findings: Findings, settings: CheckSettings): Ruling {
  const { spf, dkim, dmarc, arc } = findings;
  if (spf.kind === "crashed") return crashed("SPF", spf.why);
  if (dkim.kind === "crashed") return crashed("DKIM", dkim.why);
  if (arc.kind === "crashed") return crashed("ARC", arc.why);
  if (dmarc.kind === "crashed") return crashed("DMARC", dmarc.why);
  const found = dmarc.value;
  switch (found.result) {
    case "pass":
      return { action: "accept", reason: `DMARC passed: ${found.why}` };
    case "fail":
      return failed(found, spf.value, findings, settings);
    case "temperror":
      return unsettled(found, spf.value, arc.value, settings);
    case "permerror":
      return found.author === undefined ? malformed(found, settings) : bySpf(spf.value, found.why, settings);
    case "none":
      return bySpf(spf.value, found.why, settings);
  }
}

/** A block list or iprev that crashed is knowledge that is missing, and no more: see `knows`. */
function crashed(method: string, why: string): Ruling {
  const text = "This message could not be checked just now; please try again later";
  return { action: "defer", reply: reply(451, "4.7.0", text), reason: `${method} could not be checked: ${why}` };
}

function failed(found: DmarcResult, spf: SpfResult, findings: Findings, settings: CheckSettings): Ruling {
  const asked = found.requested ?? "none";
  const override = testMode(found);
  if (asked === "none") return { ...bySpf(spf, `${found.why}; ${asksFor(found, asked)}`, settings), ...(override && { override }) };
  const sealer = findings.arc.kind === "done" ? trustedForwarder(findings.arc.value, settings.trustedSealers) : undefined;
  if (sealer !== undefined) {
    const reason = `${found.why}, but ${sealer}, whose seal is trusted, saw DMARC pass`;
    return { action: "accept", reason, override: { type: "trusted_forwarder", comment: `arc=pass, sealed by ${sealer}` } };
  }
  if (asked === "quarantine") {
    if (settings.onQuarantine === "accept") return deviation("accept", found, asked, "such mail is accepted here");
    return { action: "quarantine", reason: `${found.why}; ${asksFor(found, asked)}`, ...(override && { override }) };
  }
  switch (settings.onReject) {
    case "accept":
      return deviation("accept", found, asked, "such mail is accepted here");
    case "quarantine":
      return deviation("quarantine", found, asked, "such mail is quarantined here");
    case "reject":
      return rejected(found, spf, "such mail is rejected here");
    case "agreed": {
      const group = settings.agreement.find((members) => members.length > 0 && members.every((member) => knows(member, findings)));
      if (group === undefined) return deviation("quarantine", found, asked, "nothing else speaks against the message (RFC 9989 7.4)");
      return rejected(found, spf, `other knowledge agrees (${group.join(", ")})`);
    }
  }
}

function deviation(action: "accept" | "quarantine", found: DmarcResult, asked: DmarcRequest, why: string): Ruling {
  return { action, reason: `${found.why}; ${asksFor(found, asked)}, but ${why}`, override: { type: "local_policy", comment: why } };
}

function asksFor(found: DmarcResult, asked: DmarcRequest): string {
  const test = found.published !== undefined && found.published !== asked ? `, tried out as ${asked} (t=y)` : "";
  return `${shown(found.policyDomain ?? "")} asks for ${found.tag ?? "p"}=${found.published ?? asked}${test}`;
}

function testMode(found: DmarcResult): PolicyOverride | undefined {
  if (found.published === undefined || found.published === found.requested) return undefined;
  return { type: "policy_test_mode", comment: `t=y: ${found.published} is tried out` };
}

/** RFC 7372 3.3: 5.7.26, several checks failed. RFC 9989 7.2 wants the word DMARC in the text. */
function rejected(found: DmarcResult, spf: SpfResult, why: string): Ruling {
  const author = shown(found.author ?? "");
  const lines = [
    `This message shows an author at ${author}, but neither SPF nor DKIM proves that it comes from there,`,
    `and ${shown(found.policyDomain ?? author)} asks that such messages be rejected (DMARC).`,
  ];
  if (spf.explanation !== undefined) lines.push(`${shown(spf.at ?? spf.domain)} explains: ${spf.explanation}`);
  lines.push(`If you are its author: send it through a server of ${author}, or ask the postmaster there.`);
  const reason = `${found.why}; ${asksFor(found, "reject")}, and ${why}`;
  return { action: "reject", reply: reply(550, "5.7.26", lines.join("\n")), reason };
}

function unsettled(found: DmarcResult, spf: SpfResult, arc: ArcFinding, settings: CheckSettings): Ruling {
  if (found.requested === "none") return bySpf(spf, `${found.why}; nothing would be done about it`, settings);
  const sealer = trustedForwarder(arc, settings.trustedSealers);
  if (sealer !== undefined) return { action: "accept", reason: `${found.why}, but ${sealer}, whose seal is trusted, saw DMARC pass` };
  if (settings.onDnsFailure === "accept") return { action: "accept", reason: `${found.why}; such mail is accepted here` };
  const author = shown(found.author ?? "");
  const text = `DNS did not say what is needed to check that this message comes from ${author} (DMARC); please try again later`;
  return { action: "defer", reply: reply(451, "4.7.0", text), reason: found.why };
}

function malformed(found: DmarcResult, settings: CheckSettings): Ruling {
  const reason = found.why;
  if (settings.onMalformedAuthor !== "reject") return { action: settings.onMalformedAuthor, reason };
  const text = "This message does not say who its author is: it needs one From field with one address (RFC 5322 3.6.2)";
  return { action: "reject", reply: reply(550, "5.6.0", text), reason };
}

/** Where DMARC has nothing to say: SPF by itself, which refuses nothing unless the operator asks for it. */
function bySpf(spf: SpfResult, why: string, settings: CheckSettings): Ruling {
  if (spf.result !== "fail" || settings.onSpfFail === "accept") return { action: "accept", reason: why };
  const reason = `SPF fails: ${spf.why}`;
  if (settings.onSpfFail === "quarantine") return { action: "quarantine", reason };
  const lines = [`The domain ${shown(spf.domain)} does not allow your server to send for it (SPF).`];
  if (spf.explanation !== undefined) lines.push(`${shown(spf.at ?? spf.domain)} explains: ${spf.explanation}`);
  return { action: "reject", reply: reply(550, "5.7.23", lines.join("\n")), reason }; // RFC 7372 3.2
}

/**
 * The newest sealer that is trusted and saw DMARC pass. Whoever sealed after it must be trusted as well: what they did to the message
 * is vouched for by nobody else.
 */
function trustedForwarder(arc: ArcFinding, trusted: ReadonlySet<string>): string | undefined {
  if (arc.result !== "pass") return undefined;
  for (let i = arc.sets.length - 1; i >= 0; i--) {
    const { sealer, dmarc } = arc.sets[i] as ArcFinding["sets"][number];
    if (sealer === undefined || !trusted.has(sealer.toLowerCase())) return undefined;
    if (dmarc === "pass") return sealer;
  }
  return undefined;
}

/** Whether something is known to be true. What could not be found out is not known. */
function knows(knowledge: Knowledge, { spf, dkim, arc, iprev, list, listed }: Findings): boolean {
  switch (knowledge) {
    case "spf-fail":
      return spf.kind === "done" && spf.value.result === "fail";
    case "no-forwarder": {
      if (list || dkim.kind !== "done" || arc.kind !== "done") return false;
      const mayAnswer = ({ result }: { readonly result: string }): boolean => result === "pass" || result === "temperror";
      return !dkim.value.some(mayAnswer) && !mayAnswer(arc.value);
    }
    case "no-reverse-name":
      return iprev?.kind === "done" && (iprev.value.result === "fail" || iprev.value.result === "permerror");
    case "listed":
      return listed !== undefined;
  }
}
