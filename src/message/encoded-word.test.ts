import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeWords, unstructuredField } from "./encoded-word.ts";

/** RFC 2047 read backwards: spaces between two encoded words do not count. */
function decode(text: string): string {
  return text
    .replaceAll(/(=\?utf-8\?[QB]\?[!-~]*?\?=)[ \t]+(?==\?utf-8\?)/g, "$1")
    .replaceAll(/=\?utf-8\?([QB])\?([!-~]*?)\?=/g, (word, kind, payload) => {
      assert.ok(word.length <= 75);
      const octets =
        kind === "B"
          ? Buffer.from(payload, "base64")
          : Buffer.from(
              payload.replaceAll("_", " ").replaceAll(/=(..)/g, (_: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
              "latin1",
            );
      return new TextDecoder("utf-8", { fatal: true }).decode(octets);
    });
}

test("examples", () => {
  assert.equal(unstructuredField("Subject", "Hello"), "Subject: Hello\r\n");
  assert.equal(unstructuredField("Subject", "Überall, für"), "Subject: =?utf-8?B?w5xiZXJhbGwsIGbDvHI=?=\r\n");
  assert.equal(unstructuredField("Subject", "this is =?utf-8?Q?a?= trick"), "Subject: this is =?utf-8?B?PT91dGYtOD9RP2E/PQ==?= trick\r\n");
  assert.equal(unstructuredField("Subject", "Ein Straßenfest am Abend"), "Subject: Ein =?utf-8?Q?Stra=C3=9Fenfest?= am Abend\r\n");
  assert.deepEqual(encodeWords("日本語"), ["=?utf-8?B?5pel5pys6Kqe?="]);
});

test("any text comes out as it went in; words stay within 75, lines fold, characters stay whole", () => {
  const text = fc.array(
    fc.oneof(fc.string({ unit: "grapheme", maxLength: 60 }), fc.constantFrom("=?", "?=", " ", "  ", "x".repeat(1000), "hello world", "ü")),
    {
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(text, (parts) => {
      const value = parts.join("").replaceAll(/[\x00-\x1f\x7f]/g, "");
      const written = unstructuredField("Subject", value);
      assert.match(written, /^Subject:[ -~]*(?:\r\n [ -~]+)*\r\n$/);
      assert.doesNotMatch(written, /\r\n[ \t]*\r\n./);
      for (const line of written.split("\r\n")) assert.ok(line.length <= 998);
      for (const word of written.matchAll(/=\?utf-8\?[QB]\?[!-~]*?\?=/g)) assert.ok(word[0].length <= 75);
      assert.equal(decode(written.replaceAll("\r\n", "").slice(8)).trim(), value.trim());
    }),
    { numRuns: 1000 },
  );
});

test("long lines fold at 78", () => {
  const written = unstructuredField("Subject", "word ".repeat(60) + "ö ".repeat(60));
  for (const line of written.split("\r\n")) assert.ok(line.length <= 78, line);
  assert.ok(
    unstructuredField("Subject", "日".repeat(99))
      .split("\r\n")
      .every((line) => line.length <= 78),
  );
});
