/**
 * Mail from other servers, checked while it arrives: SPF, DKIM, ARC, DMARC and iprev; what they found goes in front of it.
 *
 * Rules
 * 1. Questions to DNS begin as soon as they can be put: the envelope's with the content, the keys' with the header section.
 * 2. Each check is under its limit, and one that crashes or does not end is 451: never a yes.
 * 3. Fields that bear our name are taken out before ours is written (RFC 8601 5); so is the mark of a quarantine.
 * 4. The checks read the message as it came; what is kept is the message without those fields.
 */

import { SignatureCheck, type SignatureVerification } from "../../authentication/dkim.ts";
import {
  type AuthenticationResults,
  type AuthenticationSettings,
  arcFacts,
  arcFinding,
  arcMethod,
  authenticationResultsField,
  authorOf,
  type CheckDns,
  type Checked,
  checkDmarc,
  checkIprev,
  checkSpf,
  type DmarcResult,
  dkimFacts,
  dkimIdentifiers,
  dkimMethods,
  dmarcMethod,
  type IprevResult,
  iprevMethod,
  listedBy,
  type MethodResult,
  QUARANTINE_FIELD,
  quarantineField,
  type SpfResult,
  settle,
  spfMethod,
  unfoldedResults,
  type Verdict,
  verdict,
  withoutForged,
} from "../../authentication/index.ts";
import type { CheckResult, EventSink } from "../../mail/event.ts";
import { reply } from "../../mail/reply.ts";
import type { ArcSealer } from "../../message/dkim/arc-seal.ts";
import type { HeaderSection } from "../../message/header-section.ts";
import { type Arrival, type Inspection, type Refusal, refuse } from "../../server/policy.ts";
import type { Clock } from "../../util/clock.ts";

export interface ArrivalCheckOptions {
  /** Our name in Authentication-Results. */
  readonly hostname: string;
  readonly dns: CheckDns;
  readonly settings: AuthenticationSettings;
  /** Zones of DNS block lists. */
  readonly blockLists: readonly string[];
  /** Milliseconds for each of the checks, once all of the message is here. */
  readonly timeout: number;
  /** Seals what is handed on (ARC). */
  readonly sealer?: ArcSealer;
  readonly clock: Clock;
  readonly events: EventSink;
  /** Hears of each message that was checked whole: for reports. */
  readonly onChecked?: (checked: CheckedArrival) => void;
}

/** What was found about one message, and what came of it. */
export interface CheckedArrival {
  readonly arrival: Arrival;
  readonly section: HeaderSection;
  readonly spf: SpfResult;
  readonly signatures: SignatureVerification;
  readonly dmarc: DmarcResult;
  readonly results: AuthenticationResults;
  readonly verdict: Verdict;
}

interface Found {
  readonly spf: Checked<SpfResult>;
  readonly iprev: Checked<IprevResult>;
  readonly listed: Checked<string | undefined>;
  readonly signatures: Checked<SignatureVerification>;
  readonly dmarc: Checked<DmarcResult>;
}

export class ArrivalCheck implements Inspection {
  readonly #options: ArrivalCheckOptions;
  readonly #arrival: Arrival;
  readonly #check: SignatureCheck;
  readonly #spf: Promise<Checked<SpfResult>>;
  readonly #iprev: Promise<Checked<IprevResult>>;
  readonly #listed: Promise<Checked<string | undefined>>;
  #section: HeaderSection | undefined;
  #broken: Error | undefined;

  constructor(arrival: Arrival, options: ArrivalCheckOptions) {
    const { hostname, dns, timeout, clock, blockLists, sealer } = options;
    const { peer, mail, now } = arrival;
    this.#options = options;
    this.#arrival = arrival;
    this.#check = new SignatureCheck({ dns, now, ...(sealer === undefined ? {} : { form: "relaxed" }) });
    const question = { ip: peer.address, helo: peer.helo, mailFrom: mail.reversePath, receiver: hostname };
    this.#spf = settle(() => checkSpf(question, dns, { timeout, clock }), timeout + GRACE, clock);
    this.#iprev = settle(() => checkIprev(peer.address, dns), timeout, clock);
    this.#listed = settle(() => listedBy(peer.address, blockLists, dns), timeout, clock);
  }

  header(section: HeaderSection): readonly Uint8Array[] {
    this.#section = section;
    this.body(section.whole);
    const { chunks } = withoutForged(section, [this.#options.hostname], [QUARANTINE_FIELD]);
    return [...chunks, section.whole.subarray(section.bytes.length)];
  }

  body(chunk: Uint8Array): void {
    if (this.#broken !== undefined) return;
    try {
      this.#check.push(chunk);
    } catch (error) {
      this.#broken = error instanceof Error ? error : new Error(String(error));
    }
  }

  async end(): Promise<readonly Uint8Array[] | Refusal> {
    const found = await this.#find();
    const section = this.#section as HeaderSection;
    const ruling = this.#rule(section, found);
    this.#tell(found, ruling);
    const results = { authservId: this.#options.hostname, methods: methodsOf(found, this.#arrival) };
    if (ruling.action === "reject" || ruling.action === "defer") {
      this.#report(section, found, results, ruling);
      return refuse(ruling.reply, ruling.reason);
    }
    const sealed = this.#seal(found, unfoldedResults(results));
    if ("kind" in sealed) return sealed;
    this.#report(section, found, results, ruling);
    const mark = ruling.action === "quarantine" ? [quarantineField(ruling.reason)] : [];
    return [...sealed, authenticationResultsField(results), ...mark];
  }

  async #find(): Promise<Found> {
    const { timeout, clock, dns } = this.#options;
    const broken = this.#broken;
    const signatures =
      broken === undefined ? await settle(() => this.#check.finish(), timeout, clock) : ({ kind: "crashed", why: broken.message } as const);
    const [spf, iprev, listed] = await Promise.all([this.#spf, this.#iprev, this.#listed]);
    const section = this.#section as HeaderSection;
    const dmarc = await settle(
      () => {
        const identifiers = signatures.kind === "done" ? dkimIdentifiers(signatures.value.dkim.results) : [];
        return checkDmarc({ author: authorOf(section), spf: spf.kind === "done" ? spf.value : undefined, dkim: identifiers }, dns);
      },
      timeout,
      clock,
    );
    return { spf, iprev, listed, signatures, dmarc };
  }

  #rule(section: HeaderSection, { spf, iprev, listed, signatures, dmarc }: Found): Verdict {
    const of = <T>(take: (done: SignatureVerification) => T): Checked<T> =>
      signatures.kind === "done" ? { kind: "done", value: take(signatures.value) } : signatures;
    const findings = {
      spf,
      dmarc,
      iprev,
      dkim: of(({ dkim }) => dkim.results.map(({ verdict: result, domain }) => ({ result, domain }))),
      arc: of(({ arc, message }) => arcFinding(arc, message.arc)),
      list: section.has("list-id") || section.has("list-post"),
      listed: listed.kind === "done" ? listed.value : undefined,
    };
    return verdict(findings, this.#options.settings);
  }

  #seal({ signatures }: Found, authenticationResults: string): readonly Uint8Array[] | Refusal {
    const { sealer } = this.#options;
    if (sealer === undefined || signatures.kind !== "done") return [];
    const { arc, message } = signatures.value;
    if (arc.verdict === "temperror") {
      return refuse(reply(451, "4.7.0", "The ARC chain could not be checked just now; please try again later"), arc.reason);
    }
    const sealed = sealer.seal(message, { validation: arc.verdict, authenticationResults, now: this.#arrival.now });
    return sealed.kind === "sealed" ? [sealed.fields] : [];
  }

  #tell({ spf, iprev, signatures, dmarc }: Found, { action, reason, instead }: Verdict): void {
    const { id, peer, mail } = this.#arrival;
    const results: CheckResult[] = [
      { method: "spf", ...(spf.kind === "done" ? { result: spf.value.result, domain: spf.value.domain } : { result: "crashed" }) },
    ];
    if (signatures.kind === "crashed") results.push({ method: "dkim", result: "crashed" });
    else {
      const { dkim, arc } = signatures.value;
      for (const { verdict: result, domain } of dkim.results) results.push({ method: "dkim", result, ...(domain && { domain }) });
      if (dkim.results.length === 0) results.push({ method: "dkim", result: "none" });
      results.push({ method: "arc", result: arc.verdict });
    }
    const author = dmarc.kind === "done" ? dmarc.value.author : undefined;
    results.push({ method: "dmarc", result: dmarc.kind === "done" ? dmarc.value.result : "crashed", ...(author && { domain: author }) });
    results.push({ method: "iprev", result: iprev.kind === "done" ? iprev.value.result : "crashed" });
    this.#options.events({
      ...{ type: "checked", id, session: peer.session, peer: peer.address, from: mail.reversePath, results, action, reason },
      ...(instead === undefined ? {} : { instead }),
    });
  }

  #report(section: HeaderSection, { spf, signatures, dmarc }: Found, results: AuthenticationResults, ruling: Verdict): void {
    if (spf.kind !== "done" || signatures.kind !== "done" || dmarc.kind !== "done") return;
    const { onChecked } = this.#options;
    onChecked?.({
      arrival: this.#arrival,
      section,
      spf: spf.value,
      signatures: signatures.value,
      dmarc: dmarc.value,
      results,
      verdict: ruling,
    });
  }
}

/** SPF ends by itself at its limit, and then says so better than we could. */
const GRACE = 1000;

function methodsOf({ spf, iprev, signatures, dmarc }: Found, { peer }: Arrival): MethodResult[] {
  const methods: MethodResult[] = [];
  if (dmarc.kind === "done") methods.push(dmarcMethod(dmarc.value));
  if (spf.kind === "done") methods.push(spfMethod(spf.value));
  if (signatures.kind === "done") {
    const { dkim, arc } = signatures.value;
    methods.push(...dkimMethods(dkimFacts(dkim.results)), arcMethod(arcFacts(arc, peer.address)));
  }
  if (iprev.kind === "done") methods.push(iprevMethod(iprev.value));
  return methods;
}
