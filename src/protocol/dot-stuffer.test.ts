import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DotStuffer } from "./dot-stuffer.ts";
import { allCuts, cutAt, framingText, latin1, octets, places, runs, textOf } from "./testing.ts";

function stuff(pieces: readonly Uint8Array[]): string {
  const stuffer = new DotStuffer();
  const out: Uint8Array[] = [];
  for (const piece of pieces) stuffer.push(piece, out);
  stuffer.end(out);
  return textOf(out);
}

const cases: [content: string, wire: string][] = [
  ["", ".\r\n"],
  ["\r\n", "\r\n.\r\n"],
  ["a", "a\r\n.\r\n"],
  ["a\r\n", "a\r\n.\r\n"],
  [".", "..\r\n.\r\n"],
  [".\r\n", "..\r\n.\r\n"],
  ["..\r\n.", "...\r\n..\r\n.\r\n"],
  ["a\r\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n"],
  ["a.\r\n.b.", "a.\r\n..b.\r\n.\r\n"],
  ["a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"],
  ["a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"],
  ["a\r", "a\r\n.\r\n"],
  ["\r\r\n\n\r", "\r\n\r\n\r\n\r\n.\r\n"],
  ["\0\xff\x80", "\0\xff\x80\r\n.\r\n"],
];

for (const [content, wire] of cases) {
  test(`${JSON.stringify(content)} on the wire, at every cut`, () => {
    for (const pieces of allCuts(latin1(content))) assert.equal(stuff(pieces), wire);
  });
}

test("only the end ends: no CRLF.CRLF before it, no bare CR or LF, at any cut the same", () => {
  fc.assert(
    fc.property(framingText(), places(), (text, at) => {
      const bytes = latin1(text);
      const wire = stuff([bytes]);
      assert.equal(stuff(octets(bytes)), wire);
      assert.equal(stuff(cutAt(bytes, at)), wire);
      assert.equal(`\r\n${wire}`.indexOf("\r\n.\r\n"), wire.length - 3);
      assert.ok(!/\r(?!\n)|(?<!\r)\n/.test(wire));
    }),
    runs(500),
  );
});

test("clean content goes through as it is: the chunk itself, or slices around the dots", () => {
  const clean = latin1("a line\r\nanother.\r\n");
  const dotted = latin1("a\r\n.b\r\n");
  const out: Uint8Array[] = [];
  const stuffer = new DotStuffer();
  stuffer.push(clean, out);
  assert.equal(out[0], clean);
  stuffer.push(dotted, out);
  assert.deepEqual(
    out.slice(1).map((piece) => textOf([piece])),
    ["a\r\n", ".", ".b\r\n"],
  );
  assert.equal(out[1]?.buffer, dotted.buffer);
  assert.equal(out[3]?.buffer, dotted.buffer);
});
