import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatDuration, parseDuration } from "./duration.ts";

describe("durations", () => {
  it("are read", () => {
    const durations: Record<string, number | undefined> = {
      "30s": 30_000,
      "5m": 300_000,
      "4h": 14_400_000,
      "5d": 432_000_000,
      "1w": 604_800_000,
    };
    Object.assign(durations, {
      "1h30m": 5_400_000,
      "0.5h": 1_800_000,
      "250ms": 250,
      "0s": 0,
      "1m1h": undefined,
      "1h1h": undefined,
      "5": undefined,
    });
    Object.assign(durations, { "": undefined, "-5m": undefined, "5 m": undefined, "99999999999999999d": undefined, "5M": undefined });
    for (const [text, ms] of Object.entries(durations)) assert.equal(parseDuration(text), ms, text);
  });

  it("are written so that they are read back", () => {
    fc.assert(fc.property(fc.nat(), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)));
  });
});
