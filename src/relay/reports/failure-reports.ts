/**
 * DMARC failure reports (RFC 9991): at once, to the domains that ask for them, about single messages.
 *
 * Rules
 * 1. They show others' mail (its header, no body), so they are off unless the operator asks for them.
 * 2. A policy domain gets HOURLY of them in an hour: a flood of forged mail must not become a flood of reports.
 * 3. Nothing waits for them, and nothing fails with them.
 */
import {
  type AuthFailure,
  type CheckDns,
  failedAlignments,
  failureReport,
  failureReportsAsked,
  isSpfRecord,
  reportDestinations,
} from "../../authentication/index.ts";
import type { Quota } from "../../queue/quota.ts";
import { type Clock, hours } from "../../util/clock.ts";
import type { CheckedArrival } from "../inspection/arrival-check.ts";
import { newBoundary, type ReportSender } from "./report-sender.ts";

export interface FailureReportsOptions {
  readonly sender: ReportSender;
  readonly dns: CheckDns;
  readonly quota: Quota;
  readonly hostname: string;
  readonly clock: Clock;
  readonly onTrouble: (why: string) => void;
}

/** Failure reports to one domain in an hour. */
export const HOURLY = 20;

export class FailureReports {
  readonly #options: FailureReportsOptions;

  constructor(options: FailureReportsOptions) {
    this.#options = options;
  }

  /** Resolves when what is asked for is queued; never rejects. */
  async report(checked: CheckedArrival): Promise<void> {
    const { dmarc, spf, signatures, verdict } = checked;
    if (verdict.action === "defer") return;
    const asked = failureReportsAsked(
      dmarc,
      spf,
      signatures.dkim.results.map(({ verdict: result }) => ({ result })),
    );
    try {
      for (const failure of asked) await this.#send(failure, checked);
    } catch (error) {
      this.#options.onTrouble(`a DMARC failure report: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #send(failure: AuthFailure, { arrival, section, dmarc, spf, signatures, results, verdict }: CheckedArrival): Promise<void> {
    const { sender, dns, quota, hostname, clock } = this.#options;
    const { author = "", policyDomain = author } = dmarc;
    const destinations = await reportDestinations(policyDomain, dmarc.record?.ruf ?? [], dns, "ruf");
    const record = failure === "spf" ? await spfRecordOf(spf.domain, dns) : undefined;
    const broken = signatures.dkim.results.find(({ verdict: found }) => found === "fail" || found === "permerror");
    for (const destination of destinations) {
      if (destination.kind !== "allowed") continue;
      if ((await quota.take({ key: `ruf ${policyDomain}`, want: 1, limit: HOURLY, window: hours(1) })) === 0) return;
      const report = failureReport({
        ...{ failure, from: sender.from, to: destination.mailbox, reportingMta: hostname, messageId: `${newBoundary()}@${hostname}` },
        ...{ domain: author, results, failed: failedAlignments(dmarc), boundary: newBoundary() },
        ...(failure === "dkim" && broken?.domain !== undefined && broken.selector !== undefined
          ? { dkim: { domain: broken.domain, selector: broken.selector } }
          : {}),
        ...(record === undefined ? {} : { spf: { domain: spf.domain, record } }),
        delivery: verdict.action === "reject" ? "reject" : verdict.action === "quarantine" ? "spam" : "delivered",
        ...{ ip: arrival.peer.address, reversePath: arrival.mail.reversePath, arrived: arrival.now, header: section, now: clock.now() },
      });
      await sender.send(destination.mailbox, report);
    }
  }
}

/** It was asked for a moment ago: the resolver remembers it. */
async function spfRecordOf(domain: string, dns: CheckDns): Promise<string | undefined> {
  const answer = await dns.txt(domain);
  return answer.kind === "found" ? answer.records.find(isSpfRecord) : undefined;
}
