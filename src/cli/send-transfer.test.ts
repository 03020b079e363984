import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./exit-codes.ts";
import { type TransferOptions, transferOf } from "./send-transfer.ts";

test("what is asked for, as the client takes it", () => {
  assert.deepEqual(transferOf({}), {});
  assert.deepEqual(transferOf({ holdFor: "4h", priority: "+3" }), { holdFor: 14_400_000, transferPriority: 3 });
  assert.deepEqual(transferOf({ holdUntil: "2026-12-24T18:00:00+01:00" }), { holdUntil: Date.UTC(2026, 11, 24, 17) });
  assert.deepEqual(transferOf({ deliverBy: "90s" }), { deliverBy: { within: 90_000, otherwise: "notify" } });
  assert.deepEqual(transferOf({ deliverBy: "90s", orReturn: true }), { deliverBy: { within: 90_000, otherwise: "return" } });
});

test("what cannot be read is said, with an example", () => {
  const cases: readonly (readonly [TransferOptions, RegExp])[] = [
    [{ holdFor: "soon" }, /--hold-for expects a duration such as 90s/],
    [{ holdFor: "999999d" }, /--hold-for expects a duration/],
    [{ holdUntil: "2026-12-24 18:00" }, /--hold-until expects a time with its zone such as/],
    [{ holdFor: "1h", holdUntil: "2026-12-24T18:00:00Z" }, /not both/],
    [{ deliverBy: "0s" }, /--deliver-by expects a duration/],
    [{ orReturn: true }, /by when\?/],
    [{ priority: "10" }, /--priority expects a number from -9 to 9/],
    [{ priority: "high" }, /--priority expects a number/],
  ];
  for (const [options, expected] of cases)
    assert.throws(
      () => transferOf(options),
      (error) => error instanceof CliError && error.code === 64 && expected.test(error.message),
    );
});
