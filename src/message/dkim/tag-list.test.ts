import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseTagList, shown, TAG_LIMIT, TAG_LIST_LIMIT } from "./tag-list.ts";

const values = (text: string): Record<string, string> | string => {
  const list = parseTagList(text);
  return list.ok ? Object.fromEntries([...list.value].map(([name, { value }]) => [name, value])) : list.why;
};

const good: [text: string, tags: Record<string, string>][] = [
  ["v=1", { v: "1" }],
  ["v=1;", { v: "1" }],
  [" v = 1 ; \r\n\ta=b c\r\n ; ", { v: "1", a: "b c" }],
  ["p=", { p: "" }],
  ["b=aGk=; x_9=a=b", { b: "aGk=", x_9: "a=b" }],
  ["A=1; a=2", { A: "1", a: "2" }],
  ["d=b\xfccher.example", { d: "b\xfccher.example" }],
];
for (const [text, tags] of good) test(`tag-list ${JSON.stringify(text)}`, () => assert.deepEqual(values(text), tags));

const bad = [
  "",
  " ",
  ";",
  "v",
  "v=1;;a=2",
  ";v=1",
  "v=1; a",
  "=1",
  "1a=2",
  "a b=1",
  "v=1; v=1",
  "v=a\0b",
  "v=a\x7f",
  "v-x=1",
  "v=1;a=2;=3",
];
for (const text of bad) test(`no tag-list: ${JSON.stringify(text)}`, () => assert.equal(parseTagList(text).ok, false));

test("a value's place is kept", () => {
  const text = " a=1; b = xyz ;c=";
  const list = parseTagList(text);
  assert.ok(list.ok);
  const { start, end } = list.value.get("b")!;
  assert.equal(text.slice(start, end), " xyz ");
  assert.deepEqual(list.value.get("c"), { value: "", start: text.length, end: text.length });
});

test("limits", () => {
  const tags = (count: number) => Array.from({ length: count }, (_, i) => `t${i}=`).join(";");
  assert.equal(parseTagList(tags(TAG_LIMIT)).ok, true);
  assert.equal(parseTagList(tags(TAG_LIMIT + 1)).ok, false);
  assert.equal(parseTagList(`a=${"x".repeat(TAG_LIST_LIMIT - 2)}`).ok, true);
  assert.equal(parseTagList(`a=${"x".repeat(TAG_LIST_LIMIT - 1)}`).ok, false);
});

test("what is written is read, whatever white space stands around it", () => {
  const space = fc.constantFrom("", " ", "\t", "\r\n ", " \r\n\t");
  const tag = fc.tuple(
    fc.stringMatching(/^[a-z][a-z0-9_]{0,3}$/),
    fc.stringMatching(/^([!-:<-~]{1,6}( [!-:<-~]{1,4})?)?$/),
    space,
    space,
    space,
    space,
  );
  fc.assert(
    fc.property(fc.uniqueArray(tag, { minLength: 1, maxLength: 8, selector: ([name]) => name }), fc.boolean(), (tags, closed) => {
      const text = tags.map(([name, value, a, b, c, d]) => `${a}${name}${b}=${c}${value}${d}`).join(";") + (closed ? ";" : "");
      assert.deepEqual(values(text), Object.fromEntries(tags.map(([name, value]) => [name, value])));
    }),
  );
});

test("any text is read or refused, never thrown at", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => void parseTagList(text)));
  fc.assert(fc.property(fc.array(fc.constantFrom("a", "b", "=", ";", " ", "\r\n ", "\0")), (parts) => void parseTagList(parts.join(""))));
});

test("what a stranger wrote is shown short and plain", () => {
  assert.equal(shown("a\r\nb\x1b[1m"), "a??b?[1m");
  assert.equal(shown("x".repeat(70)).length, 63);
});
