import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ContentFacts } from "../mail/content.ts";
import { latin1 } from "../util/bytes.ts";
import { contentText, cut } from "./contents.test.ts";
import { ContentScanner, contentFacts } from "./facts.ts";

/** The definition, without regard to speed. */
function slowly(text: string): ContentFacts {
  const lines = text.split("\r\n");
  const header: string[] = [];
  for (const line of lines.slice(0, -1)) {
    const continues = header.length > 0 && /^[ \t]/.test(line);
    if (line === "" || !(continues || /^[!-9;-~]+[ \t]*:/.test(line))) break;
    header.push(line);
  }
  const whole = header.length === lines.length - 1;
  if (whole && (/^[!-9;-~]+[ \t]*:/.test(lines.at(-1)!) || (header.length > 0 && /^[ \t]/.test(lines.at(-1)!)))) header.push(lines.at(-1)!);
  return {
    size: text.length,
    eightBit: /[\x80-\xff]/.test(text),
    eightBitHeader: header.some((line) => /[\x80-\xff]/.test(line)),
    binary: lines.some((line) => /[\0\r\n]/.test(line)),
    longestLine: Math.max(...lines.map((line) => line.length)),
  };
}

test("facts are those of the definition, for any content and any cut", () => {
  fc.assert(
    fc.property(contentText, fc.array(fc.nat(40)), (text, cuts) => {
      const scanner = new ContentScanner();
      for (const chunk of cut(latin1(text), cuts)) scanner.push(chunk);
      assert.deepEqual(scanner.facts(), slowly(text));
    }),
    { numRuns: 2000 },
  );
});

test("any octet is judged the same at any place in a word", () => {
  for (let octet = 0; octet < 256; octet++) {
    for (let at = 0; at < 20; at++) {
      const text = "x".repeat(at) + String.fromCharCode(octet) + "y".repeat(20 - at);
      assert.deepEqual(contentFacts([latin1(text)]), slowly(text), `octet ${octet} at ${at}`);
    }
  }
});

test("an empty chunk between CR and LF changes nothing", () => {
  const facts = contentFacts(["A: b\r", "", "\n\r", "", "\n"].map(latin1));
  assert.deepEqual(facts, { size: 8, eightBit: false, eightBitHeader: false, binary: false, longestLine: 4 });
});

test("a body without an empty line before it does not count as header", () => {
  assert.equal(contentFacts([latin1("gr\xfc\xdfe\r\n")]).eightBitHeader, false);
  assert.equal(contentFacts([latin1("Subject: gr\xfc\xdfe\r\n")]).eightBitHeader, true);
  assert.equal(contentFacts([latin1("Subject: x\r\n\r\ngr\xfc\xdfe\r\n")]).eightBitHeader, false);
});
