import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../util/bytes.ts";
import { contentText, cut, octets } from "./contents.test.ts";
import { fieldText, HEADER_SECTION_LIMIT, HeaderReader, readHeaderSection } from "./header-section.ts";

function read(chunks: readonly Uint8Array[]) {
  const reader = new HeaderReader();
  const after: Uint8Array[] = [];
  let ended = false;
  for (const chunk of chunks) {
    if (ended) after.push(chunk);
    else ended = reader.push(chunk);
  }
  const { section, rest } = reader.finish();
  return {
    ending: section.ending,
    eightBit: section.eightBit,
    whole: fromLatin1(section.whole),
    bytes: fromLatin1(section.bytes),
    fields: section.fields.map((field) => ({ name: field.name, raw: fromLatin1(field.raw) })),
    rest: fromLatin1(concat([...rest, ...after])),
  };
}

const cases: [text: string, ending: string, fields: string[], rest: string][] = [
  ["", "content-end", [], ""],
  ["\r\n", "empty-line", [], ""],
  ["\r\nbody", "empty-line", [], "body"],
  ["A: b\r\n\r\n\r\nc", "empty-line", ["A: b\r\n"], "\r\nc"],
  ["A: b\r\n c\r\n\td\r\nE:f\r\n\r\nbody", "empty-line", ["A: b\r\n c\r\n\td\r\n", "E:f\r\n"], "body"],
  ["A: b\r\n", "content-end", ["A: b\r\n"], ""],
  ["A: b", "content-end", ["A: b"], ""],
  ["A: b\r", "content-end", ["A: b\r"], ""],
  ["A: b\r\n c", "content-end", ["A: b\r\n c"], ""],
  ["A: b\r\nSub", "body-line", ["A: b\r\n"], "Sub"],
  ["A: b\r\n\r", "body-line", ["A: b\r\n"], "\r"],
  ["A: b\r\nhello there\r\nC: d\r\n", "body-line", ["A: b\r\n"], "hello there\r\nC: d\r\n"],
  [" folded first\r\nA: b\r\n", "body-line", [], " folded first\r\nA: b\r\n"],
  ["no header at all", "body-line", [], "no header at all"],
  [": b\r\n", "body-line", [], ": b\r\n"],
  ["Subject : b\r\n\r\n", "empty-line", ["Subject : b\r\n"], ""],
  ["A: b\nBcc: c\r\n\r\n", "empty-line", ["A: b\nBcc: c\r\n"], ""],
  ["A: b\r\r\n\r\n", "empty-line", ["A: b\r\r\n"], ""],
  ["A: b\r\n\rX", "body-line", ["A: b\r\n"], "\rX"],
  ["gr\xfc\xdfe", "body-line", [], "gr\xfc\xdfe"],
];

for (const [text, ending, fields, rest] of cases) {
  test(`header section of ${JSON.stringify(text)}, whole and cut everywhere`, () => {
    const whole = read([latin1(text)]);
    assert.equal(whole.ending, ending);
    assert.deepEqual(
      whole.fields.map((field) => field.raw),
      fields,
    );
    assert.equal(whole.rest, rest);
    assert.deepEqual(read(octets(latin1(text))), whole);
    for (let at = 0; at <= text.length; at++) assert.deepEqual(read(cut(latin1(text), [at])), whole);
  });
}

test("nothing is lost and no cut matters", () => {
  fc.assert(
    fc.property(contentText, fc.array(fc.nat(12)), (text, cuts) => {
      const whole = read([latin1(text)]);
      assert.equal(whole.whole + whole.rest, text);
      assert.equal(whole.fields.map((field) => field.raw).join(""), whole.bytes);
      assert.deepEqual(read(cut(latin1(text), cuts)), whole);
      assert.equal(whole.eightBit, /[\x80-\xff]/.test(whole.bytes));
    }),
    { numRuns: 1000 },
  );
});

test("what came in one chunk is not copied, and the body never is", () => {
  const content = latin1("A: b\r\n\r\nbody");
  const { section, body } = readHeaderSection(content);
  assert.equal(section.fields[0]!.raw.buffer, content.buffer);
  assert.equal(body.buffer, content.buffer);
  const reader = new HeaderReader();
  assert.equal(reader.push(latin1("A: b\r")), false);
  const last = latin1("\n\r\nbody");
  assert.equal(reader.push(last), true);
  const { rest } = reader.finish();
  assert.equal(rest.length, 1);
  assert.equal(rest[0]!.buffer, last.buffer);
  assert.throws(() => reader.push(last));
});

test("fields are found by name in any case, their text unfolded", () => {
  const { section } = readHeaderSection(latin1("Received: 1\r\nX: a\r\n\r\n"));
  assert.equal(section.count("received"), 1);
  const many = readHeaderSection(latin1("RECEIVED: 1\r\nreceived : 2\r\nReceivedX: 3\r\nSubject:  a\r\n\tb  \r\n\r\n")).section;
  assert.equal(many.count("Received"), 2);
  assert.deepEqual(many.all("received").map(fieldText), ["1", "2"]);
  assert.equal(many.value("SUBJECT"), "a\tb");
  assert.equal(many.value("Date"), undefined);
  assert.equal(many.has("subject"), true);
  const text = (left: readonly Uint8Array[]) => left.map(fromLatin1);
  assert.deepEqual(text(many.without(["received"])), ["ReceivedX: 3\r\nSubject:  a\r\n\tb  \r\n"]);
  assert.deepEqual(text(many.without(["receivedx"])), ["RECEIVED: 1\r\nreceived : 2\r\n", "Subject:  a\r\n\tb  \r\n"]);
  assert.deepEqual(many.without(["received", "receivedx", "subject"]), []);
});

test("a field's text is UTF-8, or octets where it is not", () => {
  assert.equal(readHeaderSection(latin1("A: \xc3\xa9\r\n\r\n")).section.value("a"), "é");
  assert.equal(readHeaderSection(latin1("A: \xe9\r\n\r\n")).section.value("a"), "é");
});

test("a section may have the limit's octets, and not one more", () => {
  const fill = (size: number) => `A: ${"x".repeat(size - 5)}\r\n`;
  const fits = `${fill(100)}${fill(HEADER_SECTION_LIMIT - 100)}\r\nbody`;
  for (const chunks of [[latin1(fits)], cut(latin1(fits), new Array(300).fill(1000))]) {
    const result = read(chunks);
    assert.equal(result.ending, "empty-line");
    assert.equal(result.rest, "body");
  }
  const over = `${fill(100)}${fill(HEADER_SECTION_LIMIT - 99)}\r\nbody`;
  for (const chunks of [[latin1(over)], cut(latin1(over), new Array(300).fill(1000))]) {
    const result = read(chunks);
    assert.equal(result.ending, "limit");
    assert.equal(result.whole + result.rest, over);
  }
});

test("a field that passes the limit is left whole to the rest", () => {
  const text = `A: b\r\nC: d\r\n ${"x".repeat(HEADER_SECTION_LIMIT)}`;
  const result = read([latin1(text)]);
  assert.deepEqual(result.fields, [{ name: "A", raw: "A: b\r\n" }]);
  assert.equal(result.whole + result.rest, text);
});

test("an endless header, octet by octet, is given up at the limit", () => {
  const reader = new HeaderReader();
  const one = latin1("A");
  let pushed = 1;
  while (!reader.push(one)) pushed++;
  assert.equal(pushed, HEADER_SECTION_LIMIT + 2);
  assert.equal(reader.finish().section.ending, "limit");
});
