import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatFallback, formatParameter, parseParameters } from "./parameters.ts";

test("parameters are written in the plainest form that holds them", () => {
  assert.deepEqual(formatParameter("filename", "a.txt"), [" filename=a.txt"]);
  assert.deepEqual(formatParameter("filename", 'a "b".txt'), [' filename="a \\"b\\".txt"']);
  assert.deepEqual(formatParameter("filename", "Grüße.pdf"), [" filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf"]);
  const long = formatParameter("filename", "日".repeat(20));
  assert.match(long[0]!, /^ filename\*0\*=utf-8''(?:%E6%97%A5)+$/);
  assert.match(long[1]!, /^ filename\*1\*=(?:%E6%97%A5)+$/);
  for (const piece of long) assert.ok(piece.length <= 77);
  assert.deepEqual(formatParameter("filename", "=?utf-8?Q?a?="), [" filename*=utf-8''%3D%3Futf-8%3FQ%3Fa%3F%3D"]);
  assert.deepEqual(formatParameter("filename", "100%'*"), [` filename="100%'*"`]);
});

test("old readers get a copy of what only RFC 2231 can write", () => {
  assert.deepEqual(formatFallback("name", "a.txt"), []);
  assert.deepEqual(formatFallback("name", "Grüße.pdf"), [' name="=?utf-8?B?R3LDvMOfZS5wZGY=?="']);
  assert.deepEqual(formatFallback("name", `${"long-".repeat(20)}.pdf`), [` name="${"long-".repeat(20)}.pdf"`]);
  const [copy = ""] = formatFallback("name", "日".repeat(60));
  for (const line of copy.split("\r\n")) assert.ok(line.length <= 76);
  assert.deepEqual(formatFallback("name", "日".repeat(400)), [], "too long for a line's sake");
});

test("a field is taken apart", () => {
  const { value, parameters } = parseParameters(
    'Text/Plain (a; "comment") ; Charset="utf-8"; boundary="a;b\\"c" (x); name=d; name=e; junk; =f',
  );
  assert.equal(value, "text/plain");
  assert.deepEqual(
    [...parameters],
    [
      ["charset", "utf-8"],
      ["boundary", 'a;b"c'],
      ["name", "d"],
    ],
  );
});

test("what is written in quotes is read back; nothing throws", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ -~]{1,50}$/), (text) => {
      if (text.includes("=?")) return; // written in the form of RFC 2231
      const [piece] = formatParameter("name", text);
      assert.equal(parseParameters(`a/b;${piece}`).parameters.get("name"), text);
    }),
  );
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseParameters(text)));
  parseParameters("(".repeat(200_000));
  parseParameters('a;"\\'.repeat(100_000));
});
