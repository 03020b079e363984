import assert from "node:assert/strict";
import { test } from "node:test";
import { Gate } from "./gate.ts";

test("lets a few through and the rest in order", async () => {
  const gate = new Gate(2);
  const entered: number[] = [];
  const all = [0, 1, 2, 3].map((n) => gate.enter().then(() => entered.push(n)));
  await Promise.all(all.slice(0, 2));
  assert.deepEqual(entered, [0, 1]);
  assert.equal(gate.full, true);
  gate.leave();
  await all[2];
  gate.leave();
  await all[3];
  assert.deepEqual(entered, [0, 1, 2, 3]);
  gate.leave();
  gate.leave();
  assert.equal(gate.full, false);
});
