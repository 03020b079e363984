import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDateTime, parseDateTime } from "./date-time.ts";
import { runs } from "./testing.ts";

test("date-times with a zone", () => {
  assert.equal(parseDateTime("2026-11-28T11:00:00Z"), Date.UTC(2026, 10, 28, 11));
  assert.equal(parseDateTime("2026-11-28t11:00:00.25z"), Date.UTC(2026, 10, 28, 11, 0, 0, 250));
  assert.equal(parseDateTime("2026-11-28T11:00:00+01:30"), Date.UTC(2026, 10, 28, 9, 30));
  assert.equal(parseDateTime("2026-11-28T11:00:00-08:00"), Date.UTC(2026, 10, 28, 19));
  assert.equal(parseDateTime("2016-12-31T23:59:60Z"), Date.UTC(2017, 0, 1));
  assert.equal(parseDateTime("2028-02-29T00:00:00Z"), Date.UTC(2028, 1, 29));
});

test("what is none", () => {
  const texts = [
    "",
    "2026-11-28",
    "2026-11-28T11:00:00",
    "2026-11-28 11:00:00Z",
    "2026-11-28T11:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-11-31T00:00:00Z",
    "2026-11-28T24:00:00Z",
    "2026-11-28T11:60:00Z",
    "2026-11-28T11:00:61Z",
    "2026-11-28T11:00:00+24:00",
    "2026-11-28T11:00:00+0100",
    "2026-11-28T11:00:00.Z",
    "2026-11-28T11:00:00Z ",
    "26-11-28T11:00:00Z",
  ];
  for (const text of texts) assert.equal(parseDateTime(text), undefined, text);
});

test("what is written is read back, to the second", () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }), (date) => {
      assert.equal(parseDateTime(formatDateTime(date.getTime())), Math.floor(date.getTime() / 1000) * 1000);
    }),
    runs(300),
  );
});
