import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../util/bytes.ts";
import { LineEndMender } from "./line-ends.ts";

function mend(pieces: readonly Uint8Array[]): string {
  const mender = new LineEndMender();
  const out: Uint8Array[] = [];
  for (const piece of pieces) mender.push(piece, out);
  mender.end(out);
  return fromLatin1(concat(out));
}

const cases: readonly (readonly [string, string])[] = [
  ["a\r\nb\r\n", "a\r\nb\r\n"],
  ["a\nb\rc\r\n", "a\r\nb\r\nc\r\n"],
  ["\r\r\n\n", "\r\n\r\n\r\n"],
  ["a\r", "a\r\n"],
  ["a\n..b\n.c\n.\n", "a\r\n.b\r\n.c\r\n.\r\n"],
  ["a\r\n..b\r\n", "a\r\n..b\r\n"],
  ["a\n.", "a\r\n."],
  ["a\n.\r.", "a\r\n.\r\n."],
];

for (const [input, expected] of cases) {
  test(`mends ${JSON.stringify(input)}`, () => {
    assert.equal(mend([latin1(input)]), expected);
    assert.equal(mend([...latin1(input)].map((octet) => Uint8Array.of(octet))), expected);
  });
}

test("any cut gives the same, and no bare CR or LF is left", () => {
  const octet = fc.constantFrom(..."\r\n.a");
  fc.assert(
    fc.property(fc.array(octet, { maxLength: 40 }), fc.array(fc.nat(40), { maxLength: 4 }), (octets, cuts) => {
      const whole = latin1(octets.join(""));
      const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
      const pieces = at.slice(1).map((end, i) => whole.subarray(at[i], end));
      const mended = mend(pieces);
      assert.equal(mended, mend([whole]));
      assert.doesNotMatch(mended, /(^|[^\r])\n|\r(?!\n)/);
    }),
  );
});
