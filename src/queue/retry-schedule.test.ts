import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { days, hours, minutes } from "../util/clock.ts";
import { DEFAULT_INTERVALS, RetrySchedule } from "./retry-schedule.ts";

describe("retry schedule", () => {
  const plain = new RetrySchedule({ jitter: 0 });

  test("the intervals in order, then the last one again", () => {
    const at = (attempts: number) => plain.nextAttempt({ arrived: 0, attempts, now: 1000, random: 0.5 });
    assert.deepEqual(at(1), { kind: "retry", at: 1000 + minutes(5) });
    assert.deepEqual(at(4), { kind: "retry", at: 1000 + minutes(40) });
    assert.deepEqual(at(DEFAULT_INTERVALS.length), { kind: "retry", at: 1000 + hours(4) });
    assert.deepEqual(at(500), { kind: "retry", at: 1000 + hours(4) });
  });

  test("RFC 5321 4.5.4.1: at least 30 minutes after a few failures, and 4 days or more until it gives up", () => {
    assert.ok(DEFAULT_INTERVALS.slice(3).every((ms) => ms * 0.9 >= minutes(30)));
    assert.ok(plain.giveUpAfter >= days(4));
  });

  test("a last attempt at the end of the life, then expired", () => {
    const end = days(5);
    assert.deepEqual(plain.nextAttempt({ arrived: 0, attempts: 40, now: end - hours(1), random: 0 }), { kind: "retry", at: end });
    assert.deepEqual(plain.nextAttempt({ arrived: 0, attempts: 41, now: end, random: 0 }), { kind: "expired" });
  });

  test("any schedule ends, and never goes back in time", () => {
    const property = fc.property(
      fc.array(fc.integer({ min: 1000, max: days(1) }), { minLength: 1, maxLength: 8 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (intervals, jitter, giveUpAfter, random) => {
        const schedule = new RetrySchedule({ intervals, jitter, giveUpAfter });
        let now = 5;
        for (let attempts = 1; ; attempts++) {
          const next = schedule.nextAttempt({ arrived: 0, attempts, now, random });
          if (next.kind === "expired") return now >= giveUpAfter;
          if (next.at < now + 1000 || attempts > 1001) return false;
          now = next.at;
        }
      },
    );
    fc.assert(property);
  });

  test("what makes no schedule is refused", () => {
    for (const options of [{ intervals: [] }, { intervals: [10] }, { intervals: [Number.NaN] }, { jitter: 2 }, { giveUpAfter: -1 }]) {
      assert.throws(() => new RetrySchedule(options), RangeError);
    }
  });
});
