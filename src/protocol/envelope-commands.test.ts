import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { reply } from "../mail/reply.ts";
import { parseCapabilities } from "./capabilities.ts";
import { holdParameter, mailCommand } from "./envelope-commands.ts";
import { isReply, NO_PARAMETER_SUPPORT, readMailParameters } from "./parameters.ts";
import { defaultLeniencies, parsePathArgument } from "./path.ts";
import { runs } from "./testing.ts";

const peer = parseCapabilities(reply(250, "mx\nDELIVERBY\nMT-PRIORITY"));
const support = { ...NO_PARAMETER_SUPPORT, deliverBy: true, mtPriority: true, futureRelease: true };
const NOW = Date.UTC(2026, 10, 28, 11);

test("what one end writes of times and priority the other reads", () => {
  const deliverBy = fc.record({
    seconds: fc.integer({ min: -999_999_999, max: 999_999_999 }),
    mode: fc.constantFrom("return", "notify"),
    trace: fc.boolean(),
  });
  const hold = fc.oneof(
    fc.integer({ min: 1, max: 999_999_999 }).map((seconds) => ({ kind: "for", seconds }) as const),
    fc.integer({ min: 0, max: 4e9 }).map((second) => ({ kind: "until", at: second * 1000 }) as const),
  );
  const asked = fc.record({ deliverBy, hold, priority: fc.integer({ min: -9, max: 9 }) }, { requiredKeys: [] });
  fc.assert(
    fc.property(asked, ({ deliverBy: by, hold: held, priority }) => {
      const envelope = {
        ...({ reversePath: null, recipients: [], body: "7BIT", smtpUtf8: false } as const),
        ...(by === undefined ? {} : { deliverBy: { at: NOW + by.seconds * 1000, mode: by.mode, trace: by.trace } }),
        ...(priority === undefined ? {} : { priority }),
      };
      const line = mailCommand(envelope, undefined, peer, held === undefined ? [] : [holdParameter(held)], NOW);
      const path = parsePathArgument(line.slice("MAIL FROM:".length), defaultLeniencies);
      assert.ok(path.kind === "path");
      const read = readMailParameters(path.parameters, support);
      assert.ok(!isReply(read), line);
      // With mode R there is always a second left: without one it would be no request.
      const seconds = by?.mode === "return" ? Math.max(1, by.seconds) : by?.seconds;
      assert.deepEqual([read.priority, read.hold], [priority, held]);
      assert.deepEqual(read.deliverBy, by === undefined ? undefined : { ...by, seconds });
    }),
    runs(300),
  );
});

test("without the time there is no BY: a wrong one would be worse", () => {
  const envelope = { reversePath: null, recipients: [], body: "7BIT", smtpUtf8: false } as const;
  const deliverBy = { at: NOW, mode: "notify", trace: false } as const;
  assert.equal(mailCommand({ ...envelope, deliverBy }, undefined, peer), "MAIL FROM:<>");
});
