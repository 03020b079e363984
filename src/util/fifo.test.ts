import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fifo } from "./fifo.ts";

test("it behaves as an array does", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("push" as const), times: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ do: fc.constantFrom("shift" as const, "unshift" as const), times: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ do: fc.constantFrom("clear" as const, "drain" as const), times: fc.constant(1) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      let next = 0;
      for (const { do: what, times } of steps) {
        for (let i = 0; i < times; i++) {
          if (what === "push") {
            fifo.push(next);
            model.push(next++);
          } else if (what === "unshift") {
            fifo.unshift(next);
            model.unshift(next++);
          } else if (what === "shift") assert.equal(fifo.shift(), model.shift());
          else if (what === "clear") fifo.clear();
          else assert.deepEqual(fifo.drain(), model);
        }
        if (what === "clear" || what === "drain") model = [];
        assert.equal(fifo.length, model.length);
        assert.equal(fifo.peek(), model[0]);
      }
    }),
    { numRuns: 30 },
  );
});
