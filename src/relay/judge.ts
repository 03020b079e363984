/**
 * What an attempt's outcome means for its recipient: done, to be tried again, or given up; and whether the sender hears of it.
 *
 * Rules
 * 1. Unknown and 4xx are tried again until the life of the message is over; reports made here live shorter (RFC 3464 2 has none of them last).
 * 2. A sender hears of a failure unless NOTIFY says otherwise, of a success only where NOTIFY asks for it, of a delay once, where NOTIFY
 *    is absent or asks for it (RFC 3461 4.1).
 * 3. Where the message says by when it should be there (RFC 2852), that is kept to: with mode R it is given up then, with mode N its sender
 *    hears of the delay then.
 * 4. What was held for its sender (RFC 4865) has waited from its release on.
 */
import type { Attempted } from "../delivery/delivery.ts";
import { type DomainPattern, matchesDomain } from "../delivery/route.ts";
import { domainKey } from "../mail/domain.ts";
import type { NotifyOn } from "../mail/envelope.ts";
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import { type Done, describeReason, isUnfinished, type Outcome, type Unfinished } from "../mail/outcome.ts";
import { inClass } from "../mail/status.ts";
import type { ReportedRecipient } from "../message/delivery-status.ts";
import { DEFAULT_GIVE_UP_AFTER, RetrySchedule, type RetryScheduleOptions } from "../queue/retry-schedule.ts";
import type { Settlement } from "../queue/store.ts";
import { days, hours } from "../util/clock.ts";

export interface RetryOptions extends RetryScheduleOptions {
  /** Milliseconds until a report made here is given up. */
  readonly giveUpReportsAfter?: number;
  /** Milliseconds until a sender hears that a message is delayed; "never". */
  readonly tellDelayAfter?: number | "never";
  /** Schedules of single domains; the first match wins, and what it does not say is as for all. */
  readonly domains?: readonly (RetryScheduleOptions & { readonly domain: DomainPattern })[];
}

export const DEFAULT_GIVE_UP_REPORTS_AFTER = days(1);
export const DEFAULT_TELL_DELAY_AFTER = hours(4);

/** What is recorded of one recipient, and what its sender is told. */
export interface Judged {
  readonly recipient: QueuedRecipient;
  /** As it counts: a delay that has lasted too long has become a failure. */
  readonly outcome: Outcome;
  readonly settlement: Settlement;
  /** When it is tried again, where it is. */
  readonly next?: number;
  /** Absent: nobody is told. */
  readonly report?: ReportedRecipient;
}

export class Judge {
  readonly #schedule: RetrySchedule;
  readonly #ofReports: RetrySchedule;
  readonly #ofDomains: readonly { readonly domain: DomainPattern; readonly schedule: RetrySchedule }[];
  readonly #tellDelayAfter: number;
  readonly #random: () => number;

  /** Throws a RangeError for what makes no schedule. */
  constructor(options: RetryOptions = {}, random: () => number = Math.random) {
    const {
      domains = [],
      giveUpReportsAfter = DEFAULT_GIVE_UP_REPORTS_AFTER,
      tellDelayAfter = DEFAULT_TELL_DELAY_AFTER,
      ...common
    } = options;
    this.#schedule = new RetrySchedule(common);
    this.#ofReports = new RetrySchedule({
      ...common,
      giveUpAfter: Math.min(giveUpReportsAfter, common.giveUpAfter ?? DEFAULT_GIVE_UP_AFTER),
    });
    this.#ofDomains = domains.map(({ domain, ...own }) => ({ domain, schedule: new RetrySchedule({ ...common, ...own }) }));
    this.#tellDelayAfter = tellDelayAfter === "never" ? Number.POSITIVE_INFINITY : tellDelayAfter;
    this.#random = random;
  }

  judge(message: QueuedMessage, { recipient, outcome }: Attempted, now: number): Judged {
    if (!isUnfinished(outcome)) return this.#done(message, recipient, outcome, now);
    if (outcome.action === "failed") return this.#failed(message, recipient, outcome, now);
    const { untried } = outcome;
    if (untried?.ages === false) return putOff(message, recipient, outcome, Math.min(untried.due, nextTerm(message, now)));
    const begun = beginOf(message, now);
    const schedule = this.#scheduleFor(message, recipient);
    const attempts = recipient.attempts + 1;
    const next = schedule.nextAttempt({ arrived: begun, attempts, now, random: this.#random() });
    if (isTooLate(message, now)) return this.#failed(message, recipient, tooLate(outcome), now);
    if (next.kind === "expired") return this.#failed(message, recipient, expired(outcome), now);
    const term = nextTerm(message, now);
    const report = this.#delayReport(message, recipient, outcome, now, begun + schedule.giveUpAfter);
    const judged =
      untried === undefined
        ? deferred(message, recipient, outcome, Math.min(next.at, term), attempts)
        : putOff(message, recipient, outcome, Math.min(untried.due, term, begun + schedule.giveUpAfter));
    return report === undefined ? judged : { ...judged, settlement: { ...judged.settlement, delayTold: true }, report };
  }

  /** Puts off what failed and could not be reported: nothing is lost without a word. */
  postpone({ id }: QueuedMessage, { recipient, outcome }: Judged, why: string, due: number): Judged {
    const last = `${isUnfinished(outcome) ? describeReason(outcome.why) : outcome.action}; no report could be made: ${why}`;
    const attempts = recipient.attempts + 1;
    return { recipient, outcome, next: due, settlement: { kind: "deferred", id, index: recipient.index, due, attempts, last } };
  }

  #done(message: QueuedMessage, recipient: QueuedRecipient, outcome: Exclude<Outcome, Unfinished>, now: number): Judged {
    const settlement = finished(message, recipient);
    const why = outcome.action === "expanded" ? undefined : tellsSuccess(message, recipient, outcome);
    if (outcome.action === "expanded" || why === undefined) return { recipient, outcome, settlement };
    // What is not final was passed on, whoever reports from there on (RFC 3464 2.3.3).
    const told: Done = outcome.final === true ? outcome : { action: "relayed", at: outcome.at, reply: outcome.reply };
    const passedOn = why === "success" ? {} : { passedOn: why };
    return { recipient, outcome, settlement, report: { recipient, outcome: told, attempted: now, ...passedOn } };
  }

  #failed(message: QueuedMessage, recipient: QueuedRecipient, outcome: Unfinished, now: number): Judged {
    const judged = { recipient, outcome, settlement: finished(message, recipient) };
    return wants(recipient, "failure") ? { ...judged, report: { recipient, outcome, attempted: now } } : judged;
  }

  #delayReport(
    message: QueuedMessage,
    recipient: QueuedRecipient,
    outcome: Unfinished,
    now: number,
    retryUntil: number,
  ): ReportedRecipient | undefined {
    const { reversePath, deliverBy } = message.envelope;
    if (recipient.delayTold || reversePath === null || !wants(recipient, "delay")) return undefined;
    const by = deliverBy?.mode === "notify" ? deliverBy.at : Number.POSITIVE_INFINITY;
    if (now < Math.min(beginOf(message, now) + this.#tellDelayAfter, by)) return undefined;
    return { recipient, outcome, attempted: now, retryUntil };
  }

  #scheduleFor({ envelope }: QueuedMessage, { mailbox }: QueuedRecipient): RetrySchedule {
    if (envelope.reversePath === null) return this.#ofReports;
    const key = domainKey(mailbox.domain);
    return this.#ofDomains.find(({ domain }) => matchesDomain(domain, key))?.schedule ?? this.#schedule;
  }
}

type Deferred = Judged & { readonly settlement: Extract<Settlement, { kind: "deferred" }> };

function deferred({ id }: QueuedMessage, recipient: QueuedRecipient, outcome: Unfinished, due: number, attempts: number): Deferred {
  const last = describeReason(outcome.why);
  return { recipient, outcome, next: due, settlement: { kind: "deferred", id, index: recipient.index, due, attempts, last } };
}

/** Nothing was tried, and no attempt is counted. */
function putOff(message: QueuedMessage, recipient: QueuedRecipient, outcome: Unfinished, due: number): Deferred {
  return deferred(message, recipient, outcome, due, recipient.attempts);
}

/**
 * RFC 3461 5.2.2, 6.2: a success is told here where we have delivered it for good, or handed it to a server that will not tell. RFC 2852 4.1.4,
 * unless NOTIFY=NEVER: a trace by each that passes it on, and with mode N that its time means nothing from here on.
 */
function tellsSuccess(
  { envelope: { deliverBy } }: QueuedMessage,
  { notify }: QueuedRecipient,
  outcome: Done,
): "success" | ReportedRecipient["passedOn"] {
  if (notify?.includes("success") && (outcome.action === "relayed" || outcome.final === true)) return "success";
  if (deliverBy === undefined || outcome.final === true || notify?.length === 0) return undefined;
  if (outcome.deliverBy !== true && deliverBy.mode === "notify") return "untimed";
  return outcome.deliverBy === true && deliverBy.trace ? "traced" : undefined;
}

/** RFC 4865: what was held for its sender has waited for nobody; nor what an operator let go before its time. */
function beginOf({ arrived, envelope }: QueuedMessage, now: number): number {
  return Math.max(arrived, Math.min(envelope.holdUntil ?? 0, now));
}

/** The time is over by which it had to be delivered or returned. */
export function isTooLate({ envelope: { deliverBy } }: Pick<QueuedMessage, "envelope">, now: number): boolean {
  return deliverBy?.mode === "return" && now >= deliverBy.at;
}

/** When it has to be looked at for its BY: to be returned, or for its sender to hear of the delay. */
export function nextTerm({ envelope: { deliverBy } }: Pick<QueuedMessage, "envelope">, now: number): number {
  return deliverBy === undefined || deliverBy.at <= now ? Number.POSITIVE_INFINITY : deliverBy.at;
}

/** RFC 2852 4.1.5: x.4.7; the last reason stays. */
function tooLate(outcome: Unfinished): Unfinished {
  return { action: "failed", scope: outcome.scope, status: "5.4.7", why: outcome.why };
}

/** What becomes of those for whom it is too late to begin. */
export const overdue: Unfinished = {
  action: "failed",
  scope: "message",
  status: "5.4.7",
  why: { kind: "local", text: "the time is over by which its sender wanted it delivered or returned" },
};

function finished({ id }: QueuedMessage, { index }: QueuedRecipient): Settlement {
  return { kind: "finished", id, index };
}

/** RFC 3461 4.1: without NOTIFY a failure is told, and a delay may be. */
function wants({ notify }: QueuedRecipient, on: NotifyOn): boolean {
  return notify === undefined ? on !== "success" : notify.includes(on);
}

/** RFC 3463 3.5: x.4.7, delivery time expired; the last reason stays. */
function expired(outcome: Unfinished): Unfinished {
  const status = outcome.status.endsWith(".0.0") ? "5.4.7" : inClass(5, outcome.status);
  return { action: "failed", scope: outcome.scope, status, why: outcome.why };
}
