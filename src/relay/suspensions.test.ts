/** What is suspended waits, and comes back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueuedMessage } from "../mail/message.ts";
import type { QueueStore, Suspension } from "../queue/store.ts";
import { FakeClock } from "../util/testing.ts";
import { LOOK_MS, Suspensions } from "./suspensions.ts";

test("what is suspended without an end is looked at again: who made it due may have been quicker than the news", async () => {
  const clock = new FakeClock();
  const all: Suspension[] = [
    { kind: "domain", value: "a.test", reason: "", made: 0 },
    { kind: "domain", value: "b.test", reason: "", made: 0, until: clock.now() + 1000 },
    { kind: "account", value: "ann", reason: "", made: 0, until: clock.now() + 2 * LOOK_MS },
  ];
  const store = { suspensions: async () => all, onSuspension: () => {} } as unknown as QueueStore;
  const suspensions = new Suspensions({ store, clock, shared: false, onTrouble: assert.fail });
  await suspensions.start();
  const to = (domain: string, account = "bob") =>
    suspensions.among({
      envelope: { reversePath: null },
      origin: { kind: "submission", account },
      recipients: [{ mailbox: { localPart: "u", domain }, index: 0 }],
    } as unknown as QueuedMessage)[0]?.outcome;
  assert.deepEqual(
    [to("a.test"), to("b.test"), to("c.test", "ann"), to("c.test")].map(
      (one) => one?.action === "delayed" && (one.untried?.due ?? 0) - clock.now(),
    ),
    [LOOK_MS, 1000, LOOK_MS, false],
  );
});
