import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeClock } from "../util/testing.ts";
import { LocalQuota } from "./quota.ts";

describe("a quota of one process", () => {
  test("grants what is left of the window, and all of the next one", async () => {
    const clock = new FakeClock(60_000);
    const quota = new LocalQuota(clock);
    const take = (want: number, key = "a") => quota.take({ key, want, limit: 10, window: 1000 });
    assert.deepEqual([await take(6), await take(6), await take(1), await take(6, "b")], [6, 4, 0, 6]);
    clock.advance(999);
    assert.equal(await take(1), 0);
    clock.advance(1);
    assert.equal(await take(11), 10);
    assert.equal(await quota.nodes(), 1);
  });
});
