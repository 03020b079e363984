import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type DeliverByInput, readTransfer } from "./transfer-input.ts";

const NOW = Date.UTC(2026, 10, 28, 11);

test("what is asked for, in whole seconds and never sooner", () => {
  assert.deepEqual(readTransfer({}, NOW), { extras: {} });
  assert.deepEqual(readTransfer({ holdFor: 1500, transferPriority: -4 }, NOW), {
    hold: { kind: "for", seconds: 2 },
    extras: { priority: -4 },
  });
  assert.deepEqual(readTransfer({ holdUntil: new Date(NOW + 1) }, NOW).hold, { kind: "until", at: NOW + 1000 });
  assert.deepEqual(readTransfer({ deliverBy: { within: 60_000, otherwise: "return" } }, NOW).extras, {
    deliverBy: { at: NOW + 60_999, mode: "return", trace: false },
  });
});

test("what makes no sense throws", () => {
  for (const holdFor of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) assert.throws(() => readTransfer({ holdFor }, NOW), TypeError);
  for (const holdUntil of [new Date(Number.NaN), -1, 1e18]) assert.throws(() => readTransfer({ holdUntil }, NOW), TypeError);
  assert.throws(() => readTransfer({ holdFor: 1, holdUntil: NOW }, NOW), /not both/);
  for (const transferPriority of [10, -10, 0.5, Number.NaN]) assert.throws(() => readTransfer({ transferPriority }, NOW), TypeError);
  assert.throws(() => readTransfer({ deliverBy: { within: 0, otherwise: "notify" } }, NOW), /deliverBy.within/);
  assert.throws(() => readTransfer({ deliverBy: { within: 1, otherwise: "bounce" } as unknown as DeliverByInput }, NOW), /otherwise/);
});

test("any numbers: read into what the wire can carry, or a TypeError", () => {
  const input = fc.record({ holdFor: fc.double(), transferPriority: fc.double() }, { requiredKeys: [] });
  fc.assert(
    fc.property(input, (given) => {
      try {
        const { hold, extras } = readTransfer(given, NOW);
        assert.ok(hold === undefined || (hold.kind === "for" && /^[1-9]\d{0,8}$/.test(String(hold.seconds))));
        assert.ok(extras.priority === undefined || /^-?\d$/.test(String(extras.priority)));
      } catch (error) {
        assert.ok(error instanceof TypeError);
      }
    }),
  );
});
