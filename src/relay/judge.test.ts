import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { memoryContent } from "../mail/content.ts";
import type { Envelope, Recipient } from "../mail/envelope.ts";
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import type { Outcome } from "../mail/outcome.ts";
import { days, hours, minutes } from "../util/clock.ts";
import { Judge, type Judged, type RetryOptions } from "./judge.ts";

const arrived = Date.UTC(2026, 10, 24);
const at = { name: "mx.far.test", port: 25 };
const delayed: Outcome = {
  action: "delayed",
  scope: "host",
  status: "4.4.1",
  why: { kind: "connection", text: "refused", doing: "connecting", at },
};
const unknown: Outcome = { action: "delayed", scope: "session", status: "4.4.2", why: { kind: "unknown", text: "lost", at } };
const failed: Outcome = { action: "failed", scope: "recipient", status: "5.1.1", why: { kind: "local", text: "no" } };
const relayed: Outcome = { action: "relayed", at, reply: { code: 250, status: "2.0.0", text: "OK" } };
const passedOn: Outcome = { ...relayed, action: "delivered" };
const inBox: Outcome = { ...passedOn, final: true };

interface Case {
  readonly outcome: Outcome;
  /** Milliseconds since it arrived. */
  readonly after?: number;
  readonly recipient?: Partial<QueuedRecipient>;
  readonly envelope?: Partial<Envelope>;
  readonly origin?: QueuedMessage["origin"];
  readonly options?: RetryOptions;
  readonly domain?: string;
}

function judged({
  outcome,
  after = 0,
  recipient = {},
  envelope = {},
  origin = { kind: "local" },
  options = {},
  domain = "far.test",
}: Case): Judged {
  const one: QueuedRecipient = { mailbox: { localPart: "bob", domain }, index: 0, attempts: 2, delayTold: false, ...recipient };
  const message: QueuedMessage = {
    id: "0123456789ABCDEF",
    envelope: { reversePath: { localPart: "ann", domain: "here.test" }, body: "7BIT", smtpUtf8: false, ...envelope },
    recipients: [one],
    content: memoryContent([]),
    facts: { size: 0, eightBit: false, eightBitHeader: false, binary: false, longestLine: 0 },
    origin,
    arrived,
  };
  return new Judge(options, () => 0.5).judge(message, { recipient: one, outcome }, arrived + after);
}

const kindOf = ({ settlement, outcome, report }: Judged): string =>
  `${settlement.kind} ${outcome.action}${report === undefined ? "" : ` tells ${report.outcome.action}`}`;
const notify = (...on: NonNullable<Recipient["notify"]>): Partial<QueuedRecipient> => ({ notify: on });

const by = (mode: "return" | "notify", { trace = false, at = arrived + days(1) } = {}): Partial<Envelope> => ({
  deliverBy: { at, mode, trace },
});
const byRoute: Outcome = {
  action: "delayed",
  scope: "recipient",
  status: "4.0.0",
  why: { kind: "local", text: "held by its route" },
  untried: { due: arrived + hours(1), ages: false },
};

describe("what is told, by NOTIFY", () => {
  const table: readonly [string, Case, string][] = [
    ["a failure is", { outcome: failed }, "finished failed tells failed"],
    ["a failure is not where it is not asked for", { outcome: failed, recipient: notify("success", "delay") }, "finished failed"],
    ["nothing ever", { outcome: failed, recipient: notify() }, "finished failed"],
    ["a success is not", { outcome: relayed }, "finished relayed"],
    [
      "a success that is handed on to a server that will not tell",
      { outcome: relayed, recipient: notify("success") },
      "finished relayed tells relayed",
    ],
    ["not by us where the next server will tell", { outcome: passedOn, recipient: notify("success") }, "finished delivered"],
    ["by us where it is in the mailbox", { outcome: inBox, recipient: notify("success") }, "finished delivered tells delivered"],
    ["a delay is not at once", { outcome: delayed, after: hours(3.9) }, "deferred delayed"],
    ["a delay is after four hours", { outcome: delayed, after: hours(4) }, "deferred delayed tells delayed"],
    ["once", { outcome: delayed, after: hours(5), recipient: { delayTold: true } }, "deferred delayed"],
    [
      "a delay is where it is asked for",
      { outcome: delayed, after: hours(4), recipient: notify("delay") },
      "deferred delayed tells delayed",
    ],
    [
      "a delay is not where something else is asked for",
      { outcome: delayed, after: hours(4), recipient: notify("failure") },
      "deferred delayed",
    ],
    ["nobody hears of a report's delay", { outcome: delayed, after: hours(5), envelope: { reversePath: null } }, "deferred delayed"],
    ["never where it is turned off", { outcome: delayed, after: days(4), options: { tellDelayAfter: "never" } }, "deferred delayed"],
    ["what is not known is tried again", { outcome: unknown }, "deferred delayed"],
    ["after five days it is over", { outcome: delayed, after: days(5), recipient: { delayTold: true } }, "finished failed tells failed"],
    ["a report's life is a day", { outcome: delayed, after: days(1), envelope: { reversePath: null } }, "finished failed tells failed"],
    [
      "what was held has not waited",
      { outcome: delayed, after: days(6), envelope: { holdUntil: arrived + days(5.9) } },
      "deferred delayed",
    ],
    [
      "a domain may have a life of its own",
      { outcome: delayed, after: hours(2), options: { domains: [{ domain: { kind: "below", domain: "test" }, giveUpAfter: hours(1) }] } },
      "finished failed tells failed",
    ],
    [
      "by its time it is returned",
      { outcome: delayed, after: minutes(10), envelope: { deliverBy: { at: arrived + minutes(10), mode: "return", trace: false } } },
      "finished failed tells failed",
    ],
    [
      "at its time a delay is told",
      { outcome: delayed, after: minutes(10), envelope: { deliverBy: { at: arrived + minutes(10), mode: "notify", trace: false } } },
      "deferred delayed tells delayed",
    ],
    ["that its time means nothing from here on is told", { outcome: relayed, envelope: by("notify") }, "finished relayed tells relayed"],
    ["also where the next server reports", { outcome: passedOn, envelope: by("notify") }, "finished delivered tells relayed"],
    ["not where nothing is asked for", { outcome: relayed, envelope: by("notify"), recipient: notify() }, "finished relayed"],
    ["not where the next server keeps to it", { outcome: { ...passedOn, deliverBy: true }, envelope: by("notify") }, "finished delivered"],
    [
      "but for a trace",
      { outcome: { ...passedOn, deliverBy: true }, envelope: by("return", { trace: true }) },
      "finished delivered tells relayed",
    ],
    ["nor where it is in the mailbox", { outcome: inBox, envelope: by("notify", { trace: true }) }, "finished delivered"],
    ["a route that holds does not stop its time", { outcome: byRoute, after: minutes(10), envelope: by("return") }, "deferred delayed"],
  ];
  for (const [name, given, expected] of table) it(name, () => assert.equal(kindOf(judged(given)), expected));
});

describe("when it is tried again", () => {
  it("by the domain's own intervals, and never after the time it must be there by", () => {
    const options: RetryOptions = {
      jitter: 0,
      intervals: [minutes(5)],
      domains: [{ domain: { kind: "exact", domain: "slow.test" }, intervals: [hours(1)] }],
    };
    assert.equal(judged({ outcome: delayed, options }).next, arrived + minutes(5));
    assert.equal(judged({ outcome: delayed, options, domain: "Slow.test" }).next, arrived + hours(1));
    const by = { at: arrived + minutes(2), mode: "return", trace: false } as const;
    assert.equal(judged({ outcome: delayed, options, envelope: { deliverBy: by } }).next, arrived + minutes(2));
  });

  it("at its time once more, so that its sender hears in time", () => {
    const options: RetryOptions = { jitter: 0, intervals: [hours(1)] };
    const at = arrived + minutes(10);
    assert.equal(judged({ outcome: delayed, options, envelope: by("notify", { at }) }).next, at);
    assert.equal(judged({ outcome: delayed, options, after: minutes(10), envelope: by("notify", { at }) }).next, arrived + minutes(70));
    assert.equal(judged({ outcome: byRoute, envelope: by("return", { at }) }).next, at);
    assert.equal(judged({ outcome: byRoute }).next, arrived + hours(1));
  });

  it("and when its time is over, with 5.4.7 and the last reason", () => {
    const { outcome } = judged({ outcome: delayed, after: minutes(10), envelope: by("return", { at: arrived + minutes(10) }) });
    assert.ok(outcome.action === "failed");
    assert.deepEqual([outcome.status, outcome.why.kind], ["5.4.7", "connection"]);
  });

  it("counts from its release, or from when an operator lets it go before", () => {
    const options: RetryOptions = { jitter: 0, intervals: [minutes(5)] };
    const envelope = { holdUntil: arrived + days(20) };
    assert.equal(judged({ outcome: delayed, after: days(1), envelope, options }).next, arrived + days(1) + minutes(5));
    assert.equal(judged({ outcome: delayed, after: days(24.9), envelope, options }).settlement.kind, "deferred");
    assert.equal(judged({ outcome: delayed, after: days(25), envelope, options }).settlement.kind, "finished");
  });

  it("always later than now, never after its life, and a failure is final", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: days(5) - 1 }), fc.integer({ min: 0, max: 30 }), (after, attempts) => {
        const { next = 0, settlement } = judged({ outcome: delayed, after, recipient: { attempts } });
        assert.ok(next > arrived + after && next <= Math.max(arrived + days(5), arrived + after + 1000));
        assert.ok(settlement.kind === "deferred" && settlement.attempts === attempts + 1);
        assert.equal(judged({ outcome: failed, after, recipient: { attempts } }).settlement.kind, "finished");
      }),
    );
  });

  it("the last reason stays when it is given up", () => {
    const { outcome } = judged({ outcome: delayed, after: days(5) });
    assert.ok(outcome.action === "failed");
    assert.equal(outcome.status, "5.4.1");
    assert.equal(outcome.why.kind, "connection");
  });
});
