import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeWords } from "./decode-words.ts";
import { unstructuredField } from "./encoded-word.ts";

const examples: [string, string][] = [
  ["plain", "plain"],
  ["=?iso-8859-1?q?a=E9_b?=", "aé b"],
  ["(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"],
  ["=?utf-8?Q?a?=\r\n\t=?utf-8?B?Yg==?= c", "ab c"],
  ["=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"],
  ["=?utf-8*en?Q?a?=", "a"],
  ["=?utf-8?B?4pg=?= =?utf-8?B?gw==?=", "☃"],
  ["=?utf-8?Q?=E2=98?= =?utf-8?Q?=83?=", "☃"],
  ["=?iso-8859-1?Q?=E9?= =?utf-8?Q?=C3=A9?=", "éé"],
  ["=?no-such?Q?a?=", "=?no-such?Q?a?="],
  ["=?utf-8?X?a?=", "=?utf-8?X?a?="],
  ["=?utf-8?Q?a b?=", "=?utf-8?Q?a b?="],
  ["=?utf-8?Q?a", "=?utf-8?Q?a"],
  ["=?utf-8?B?%?= x", "=?utf-8?B?%?= x"],
  ["=?utf-8?Q?=ZZ?=", "=ZZ"],
];
for (const [text, expected] of examples) test(`decodes ${JSON.stringify(text)}`, () => assert.equal(decodeWords(text), expected));

test("what is encoded here is decoded here, whatever it is", () => {
  const part = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 40 }),
    fc.string({ unit: "binary", maxLength: 10 }),
    fc.constantFrom("=?utf-8?Q?a?=", "=?", "?=", "  ", "\t", "_", "=20", "👨‍👩‍👧", "x".repeat(1000)),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.constantFrom("ascii" as const, "utf8" as const), (parts, style) => {
      const value = parts
        .join("")
        .replaceAll(/[\x00-\x08\x0a-\x1f\x7f]/g, "")
        .toWellFormed()
        .replace(/^[ \t]+|[ \t]+$/g, "");
      const field = unstructuredField("Subject", value, style);
      for (const line of field.split("\r\n")) assert.ok(Buffer.byteLength(line) <= 998);
      assert.equal(decodeWords(field.slice("Subject: ".length, -2).replaceAll("\r\n", "")).trimStart(), value.trimStart());
    }),
    { numRuns: 1000 },
  );
});

test("never throws, and is linear", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("=?", "?=", "utf-8", "?Q?", "?B?", "=E9", "a", " ", "*"), { maxLength: 30 }),
      (parts) => void decodeWords(parts.join("")),
    ),
  );
  for (const text of ["=?", "=?a?Q?", "=?utf-8?Q?a?=", "=?utf-8?Q?a?= ", "=?utf-8?Q?", "=?a?Q?=?="]) decodeWords(text.repeat(100_000));
});
