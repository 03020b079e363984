import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Leases } from "./leases.ts";

test("leases follow the transaction, whatever is done in it", () => {
  const step = fc.record({
    what: fc.constantFrom("add", "end", "commit", "rollback"),
    id: fc.constantFrom("A", "B", "C"),
    index: fc.integer({ min: 0, max: 3 }),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const leases = new Leases();
    let kept = new Set<string>();
    let now = new Set<string>();
    for (const { what, id, index } of steps) {
      if (what === "add") {
        leases.add(id, index);
        now.add(`${id}${index}`);
      } else if (what === "end") {
        leases.end(id, index);
        now.delete(`${id}${index}`);
      } else if (what === "commit") {
        leases.committed();
        kept = new Set(now);
      } else {
        leases.rolledBack();
        now = new Set(kept);
      }
      assert.equal(leases.size, now.size);
      for (const one of "ABC") for (let i = 0; i < 4; i++) assert.equal(leases.has(one, i), now.has(`${one}${i}`));
    }
  });
  fc.assert(property);
});

test("a scan begins where the last one found nothing free, or at what was freed before it", () => {
  const leases = new Leases();
  assert.equal(leases.scanFrom, 0);
  leases.scanned(50);
  leases.free(60);
  assert.equal(leases.scanFrom, 50);
  leases.free(40);
  assert.equal(leases.scanFrom, 40);
  leases.rolledBack();
  assert.equal(leases.scanFrom, 0);
});
