import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { indexOfControl, skipPlain } from "./plain-octets.ts";

/** Mostly plain, with what matters at the edges between. */
const octets = fc.uint8Array({ maxLength: 200 }).map((bytes) => bytes.map((c, i) => (c < 200 || i % 7 < 6 ? 13 + (c % 116) : c)));

test("indexOfControl finds what a look at each octet finds, wherever the array lies in its buffer", () => {
  fc.assert(
    fc.property(octets, fc.nat(20), fc.nat(220), (bytes, offset, from) => {
      const buffer = new Uint8Array(offset + bytes.length + 9);
      buffer.set(bytes, offset);
      const part = buffer.subarray(offset, offset + bytes.length);
      const start = Math.min(from, part.length);
      const found = part.findIndex((c, i) => i >= start && c <= 13);
      const view = new DataView(part.buffer, part.byteOffset, part.length);
      assert.equal(indexOfControl(part, view, start), found < 0 ? part.length : found);
    }),
  );
});

test("skipPlain passes over nothing that is not plain, and not over the end", () => {
  fc.assert(
    fc.property(octets, fc.nat(220), (bytes, from) => {
      const start = Math.min(from, bytes.length);
      const at = skipPlain(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), start, bytes.length);
      assert.ok(at >= start && at <= bytes.length);
      assert.ok(bytes.subarray(start, at).every((c) => c > 13 && c < 128));
    }),
  );
});
