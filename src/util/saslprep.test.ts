import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { prepare } from "./saslprep.ts";
import { leftToRight, prohibited, rightToLeft, unassigned } from "./stringprep-tables.ts";

test("the examples of RFC 4013 3", () => {
  assert.equal(prepare("I\u00adX", true), "IX");
  assert.equal(prepare("user", true), "user");
  assert.equal(prepare("USER", true), "USER");
  assert.equal(prepare("\u00aa", true), "a");
  assert.equal(prepare("\u2168", true), "IX");
  assert.equal(prepare("\u0007", true), undefined);
  assert.equal(prepare("\u0627\u0031", true), undefined);
});

test("strictly: bidirectional text, and what Unicode 3.2 did not know", () => {
  assert.equal(prepare("\u0627\u0031\u0628", true), "\u0627\u0031\u0628");
  assert.equal(prepare("\u0627a\u0628", true), undefined);
  assert.equal(prepare("\u0627\u0031"), "\u0627\u0031");
  assert.equal(prepare("\u{1f600}", true), undefined);
  assert.equal(prepare("\u{1f600}"), "\u{1f600}");
});

test("spaces become one kind, and what nobody sees goes", () => {
  assert.equal(prepare("a\u00a0b\u3000c"), "a b c");
  assert.equal(prepare("\u200b\ufeff"), "");
  assert.equal(prepare("u\u0308"), "\u00fc");
  for (const bad of ["a\0", "\x7f", "\u0085", "\ue000", "\ud800", "\ufffe", "\u{1fffe}", "\u200e", "\u2ff0", "\u{e0041}"]) {
    assert.equal(prepare(bad), undefined, JSON.stringify(bad));
  }
});

test("the tables are those of RFC 3454", () => {
  // Code points of each table and their digest, as Python's stringprep module has them.
  const expected = {
    unassigned: "f1a45b0334ff4e4c",
    prohibited: "b3cfcc58c3c338e7",
    rightToLeft: "7758885bca841e83",
    leftToRight: "b50efbe349aa954d",
  };
  const tables = { unassigned, prohibited, rightToLeft, leftToRight };
  for (const [name, table] of Object.entries(tables)) {
    const bits = new Uint8Array(0x110000);
    for (let point = 0; point < bits.length; point++) if (table.has(point)) bits[point] = 1;
    const digest = createHash("sha256").update(bits).digest("hex").slice(0, 16);
    assert.equal(digest, expected[name as keyof typeof expected], name);
  }
});

test("what is prepared stays as it is, and strictly is the same or nothing", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 20 }), (text) => {
      const prepared = prepare(text);
      if (prepared !== undefined) assert.equal(prepare(prepared), prepared);
      const strict = prepare(text, true);
      if (strict !== undefined) assert.equal(strict, prepared);
    }),
  );
});
