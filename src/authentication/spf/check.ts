/**
 * SPF: may this address send for this domain? check_host() of RFC 7208 4.
 *
 * Rules
 * 1. At most LOOKUP_LIMIT terms that ask DNS, VOID_LIMIT terms whose question came back empty, NAME_LIMIT hosts of an MX
 *    (4.6.4): beyond them permerror. The limits count over included and redirected records together.
 * 2. DNS that fails is temperror (4.4, 5), but for the names of an address (5.5) and for explanations (6.2). So is a check that takes too long.
 * 3. An explanation is asked for after the result is known, and only for fail; whatever is wrong with it leaves it out (6.2).
 * 4. What is checked is the MAIL FROM identity; for the null reverse-path it is postmaster@ the EHLO name (2.4).
 * 5. Received-SPF (9.1) is not written: Authentication-Results says the same to those who read it (9.2, RFC 8601).
 */
import { domainKey } from "../../mail/domain.ts";
import type { ReversePath } from "../../mail/envelope.ts";
import { type Clock, seconds, systemClock } from "../../util/clock.ts";
import type { CheckDns } from "../dns.ts";
import { type IpAddress, parseIp } from "../ip.ts";
import { type Step, Steps, shown } from "../step.ts";
import { limitTime } from "../time-limit.ts";
import { notCheckable, SpfEvaluation, type SpfVerdict } from "./evaluation.ts";
import { explain } from "./explanation.ts";

export type { SpfVerdict };

export interface SpfQuestion {
  /** The peer's address; an IPv4-mapped one counts as IPv4. */
  readonly ip: string;
  /** What EHLO or HELO said. */
  readonly helo: string;
  readonly mailFrom: ReversePath;
  /** Our own name, for explanations. */
  readonly receiver?: string;
}

export interface SpfOptions {
  /** For the whole check, in milliseconds; 20 s by default, the least that RFC 7208 4.6.4 wants. */
  readonly timeout?: number;
  readonly clock?: Clock;
}

export interface SpfResult {
  readonly result: SpfVerdict;
  /** Which name was checked. */
  readonly identity: "mailfrom" | "helo";
  /** A-labels, lower case; what was checked, even where it is no domain at all. */
  readonly domain: string;
  /** The mailbox that was checked, `postmaster@helo` for the null reverse-path. */
  readonly sender: string;
  /** The directive that decided, as its record writes it; the records on the way to it stand before it. */
  readonly mechanism: string | undefined;
  /** The domain whose record holds that directive. */
  readonly at: string | undefined;
  /** What the domain has to say to whoever was refused: one line of text from outside. */
  readonly explanation: string | undefined;
  /** One sentence for people. */
  readonly why: string;
  readonly steps: readonly Step[];
}

const TIMEOUT = seconds(20);

/** Rejects only where `dns` does. */
export async function checkSpf(question: SpfQuestion, dns: CheckDns, options: SpfOptions = {}): Promise<SpfResult> {
  const { mailFrom, helo } = question;
  const identity = mailFrom === null ? "helo" : "mailfrom";
  const domain = domainKey(mailFrom === null ? helo : mailFrom.domain);
  const localPart = mailFrom === null || mailFrom.localPart === "" ? "postmaster" : mailFrom.localPart;
  const steps = new Steps();
  const end = (result: SpfVerdict, why: string, more: Partial<SpfResult> = {}): SpfResult => {
    steps.add(`${result}: ${why}`);
    const sender = `${localPart}@${domain}`;
    return {
      mechanism: undefined,
      at: undefined,
      explanation: undefined,
      result,
      identity,
      domain,
      sender,
      why,
      steps: steps.list,
      ...more,
    };
  };
  const ip = parseIp(question.ip);
  const name = shown(domain);
  steps.add(`may ${shown(question.ip)} send for ${name} (${identity === "helo" ? "the EHLO name, as MAIL FROM was empty" : "MAIL FROM"})?`);
  if (ip === undefined) return end("none", "the peer has no IP address");
  const wrong = notCheckable(domain);
  if (wrong !== undefined) return end("none", `${name} ${wrong}`); // RFC 7208 4.3
  const { dns: limited, over, end: stop } = limitTime(dns, options.timeout ?? TIMEOUT, options.clock ?? systemClock);
  try {
    const sender = { localPart, domain, helo, receiver: question.receiver };
    const evaluation = new SpfEvaluation(ip, sender, limited, steps);
    const found = await evaluation.check(domain, 0);
    if (over()) return end("temperror", "the check took too long"); // RFC 7208 4.6.4
    const explanation = found.result === "fail" ? await explain(evaluation, found, options.clock ?? systemClock) : undefined;
    return end(found.result, found.why ?? sentence(found.result, ip, found.mechanism, found.at), {
      mechanism: found.mechanism,
      at: found.at,
      explanation,
    });
  } finally {
    stop();
  }
}

const meanings: Readonly<Record<SpfVerdict, string>> = {
  none: "says nothing about",
  neutral: "neither allows nor forbids",
  pass: "allows",
  fail: "forbids",
  softfail: "suspects",
  temperror: "could not be asked about",
  permerror: "cannot be evaluated for",
};

function sentence(result: SpfVerdict, ip: IpAddress, mechanism: string | undefined, at: string | undefined): string {
  const where =
    mechanism === undefined ? "nothing in the record matches, and so it" : `"${shown(mechanism)}" in the record of ${shown(at ?? "")}`;
  return `${where} ${meanings[result]} ${ip.text}`;
}
