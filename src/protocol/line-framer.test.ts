import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineFramer } from "./line-framer.ts";
import { allCuts, cutAt, framingText, fromLatin1, latin1, octets, places, runs, textOf } from "./testing.ts";

function framed(pieces: readonly Uint8Array[], limit = 20): string[] {
  const framer = new LineFramer(limit);
  const seen: string[] = [];
  for (const piece of pieces) {
    framer.push(piece);
    for (let next = framer.next(); next !== undefined; next = framer.next()) seen.push(describe(next));
  }
  return seen;
}

function describe(next: NonNullable<ReturnType<LineFramer["next"]>>): string {
  return next.kind === "line" ? `line ${fromLatin1(next.bytes)}` : next.kind === "bare" ? `bare${next.again ? " again" : ""}` : next.kind;
}

/** What the rules at the top of line-framer.ts say, over the whole text at once. */
function expected(text: string, limit = 20): string[] {
  const seen: string[] = [];
  let size = 0;
  let line = "";
  let bare = false;
  let tooLong = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    if (c === "\r" && text[i + 1] === "\n") {
      if (!bare && !tooLong) seen.push(size + 2 > limit ? "too-long" : `line ${line}`);
      i++;
      size = 0;
      line = "";
      bare = tooLong = false;
    } else if (c === "\n" || (c === "\r" && i + 1 < text.length)) {
      if (bare || !tooLong) seen.push(`bare${bare ? " again" : ""}`);
      bare = true;
    } else if (c !== "\r") {
      size++;
      line += c;
      if (size > limit && !tooLong && !bare) {
        seen.push("too-long");
        tooLong = true;
      }
    }
  }
  return seen;
}

const cases: [text: string, seen: string[]][] = [
  ["", []],
  ["a\r\n\r\nb\r\n", ["line a", "line ", "line b"]],
  ["a\r\nb", ["line a"]],
  ["a\rb\r\nc\r\n", ["bare", "line c"]],
  ["a\nb\r\nc\r\n", ["bare", "line c"]],
  ["a\n", ["bare"]],
  ["a\nb\n", ["bare", "bare again"]],
  ["a\nb\r\nc\n", ["bare", "bare"]],
  ["\r\r\n", ["bare"]],
  ["\n\r\n", ["bare"]],
  ["\r\n\n", ["line ", "bare"]],
  ["123456789012345678\r\n", ["line 123456789012345678"]],
  ["1234567890123456789\r\na\r\n", ["too-long", "line a"]],
  ["123456789012345678901234567890\r\na\r\n", ["too-long", "line a"]],
  // the line was answered as too long; its first bare LF is not answered once more
  ["123456789012345678901234567890\nx\r\na\r\n", ["too-long", "line a"]],
  ["a\n123456789012345678901234567890\r\na\r\n", ["bare", "line a"]],
];

for (const [text, seen] of cases) {
  test(`lines of ${JSON.stringify(text)}, at every cut`, () => {
    for (const pieces of allCuts(latin1(text))) assert.deepEqual(framed(pieces), seen);
    assert.deepEqual(expected(text), seen);
  });
}

test("any text gives the same at any cut, and what the rules say", () => {
  fc.assert(
    fc.property(framingText(), places(), (text, at) => {
      const bytes = latin1(text);
      const seen = framed(octets(bytes));
      assert.deepEqual(framed([bytes]), seen);
      assert.deepEqual(framed(cutAt(bytes, at)), seen);
      // The oracle counts a long line's octets a little otherwise where CRs end it.
      if (!/[^\r\n]{15}/.test(text)) assert.deepEqual(seen, expected(text));
    }),
    runs(500),
  );
});

test("a line that came in one piece is a slice of it; one that did not is a copy", () => {
  const bytes = latin1("NOOP\r\nNO");
  const framer = new LineFramer(512);
  framer.push(bytes);
  const first = framer.next();
  assert.ok(first?.kind === "line" && first.bytes.buffer === bytes.buffer);
  assert.equal(framer.next(), undefined);
  bytes.fill(0);
  framer.push(latin1("OP\r\n"));
  const second = framer.next();
  assert.ok(second?.kind === "line" && fromLatin1(second.bytes) === "NOOP");
});

test("pieces pushed while others wait keep their order, whatever was taken in between", () => {
  fc.assert(
    fc.property(framingText(), places(), fc.array(fc.nat(2), { minLength: 13, maxLength: 13 }), (text, at, takes) => {
      const framer = new LineFramer(1000);
      const raw: Uint8Array[] = [];
      const take = (most: number): void => {
        for (let i = 0, piece = framer.takeRaw(); piece !== undefined; i++) {
          raw.push(piece);
          piece = i + 1 < most ? framer.takeRaw() : undefined;
        }
      };
      for (const [index, piece] of cutAt(latin1(text), at).entries()) {
        framer.push(piece);
        if ((takes[index] ?? 0) > 0) take(takes[index] as number);
      }
      take(Number.POSITIVE_INFINITY);
      assert.equal(textOf(raw), text);
    }),
    runs(300),
  );
});

test("raw bytes begin behind the line taken, and what is put back comes first", () => {
  for (const pieces of allCuts(latin1("DATA\r\nabc\r\nNOOP\r\n"))) {
    const framer = new LineFramer(100);
    for (const piece of pieces) framer.push(piece);
    assert.equal(framer.next()?.kind, "line");
    let taken = "";
    while (taken.length < 5) {
      const raw = framer.takeRaw() as Uint8Array;
      const mine = raw.subarray(0, 5 - taken.length);
      taken += fromLatin1(mine);
      framer.putBack(raw.subarray(mine.length));
    }
    assert.equal(taken, "abc\r\n");
    const next = framer.next();
    assert.ok(next?.kind === "line" && fromLatin1(next.bytes) === "NOOP");
  }
});

test("what is cleared is forgotten: lines, halves of lines, a lone CR, a line that is being dropped", () => {
  for (const text of ["NOOP\r\n", "NOO", "NOOP\r", "a\nb", "\n", `${"x".repeat(200)}`]) {
    for (const pieces of allCuts(latin1(text))) {
      const framer = new LineFramer(50);
      for (const piece of pieces) framer.push(piece);
      while (framer.next()?.kind === "bare") {}
      framer.clear();
      framer.push(latin1("\nQ\r\n"));
      assert.equal(framer.next()?.kind, "bare");
      framer.clear();
      framer.push(latin1("Q\r\n"));
      const next = framer.next();
      assert.ok(next?.kind === "line" && fromLatin1(next.bytes) === "Q");
    }
  }
});

test("a line without end keeps no more than the limit, and is reported once", () => {
  const framer = new LineFramer(1000);
  const chunk = new Uint8Array(64 * 1024).fill(97);
  let reports = 0;
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 1600; i++) {
    framer.push(chunk);
    for (let next = framer.next(); next !== undefined; next = framer.next()) reports++;
  }
  assert.equal(reports, 1);
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024);
});
