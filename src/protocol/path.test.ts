import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatMailbox } from "../mail/mailbox.ts";
import { defaultLeniencies, type PathLeniencies, parsePathArgument } from "./path.ts";
import { runs } from "./testing.ts";

function read(text: string, leniencies: Partial<PathLeniencies> = {}): string | undefined {
  const parsed = parsePathArgument(text, { ...defaultLeniencies, ...leniencies });
  if (parsed.kind === "malformed") return undefined;
  const parameters = parsed.parameters.map(({ keyword, value }) => ` ${keyword}${value === undefined ? "" : `=${value}`}`).join("");
  return `${parsed.mailbox === null ? "" : formatMailbox(parsed.mailbox)}${parameters}`;
}

const good: [text: string, seen: string][] = [
  ["<>", ""],
  ["<> SIZE=1", " SIZE=1"],
  ["<a@b.test>", "a@b.test"],
  [" <a@b.test>", "a@b.test"],
  ["<postmaster>", "postmaster"],
  ["<PostMaster>", "PostMaster"],
  ["<a@b.test> size=1 Foo", "a@b.test SIZE=1 FOO"],
  ["<a@b.test>  SIZE=1 ", "a@b.test SIZE=1"],
  ["<@x.test:a@b.test>", "a@b.test"],
  ["<@x.test,@y.test:a@b.test>", "a@b.test"],
  ['<"a>b"@b.test> X=<>', '"a>b"@b.test X=<>'],
  ['<"a\\">b"@b.test>', '"a\\">b"@b.test'],
  ["<a@[192.0.2.1]>", "a@[192.0.2.1]"],
  ["<é@b.test>", "é@b.test"],
];
for (const [text, seen] of good) test(`path ${JSON.stringify(text)}`, () => assert.equal(read(text), seen));

const bad = [
  "",
  " ",
  "<",
  ">",
  "<a@b.test",
  "a@b.test",
  "<a>",
  "<a@b.test>>",
  "<a@b.test>SIZE=1",
  "<a@b.test> =1",
  "<a@b.test> A=",
  "<a@b.test> A=b=c",
];
for (const text of [
  ...bad,
  "<a@b.test> é",
  "<a@b.test> -a",
  "<@x.test>",
  "<@:a@b.test>",
  "<@x.test,:a@b.test>",
  "<x.test:a@b.test>",
  '<"a@b.test>',
  "<\t>",
]) {
  test(`no path: ${JSON.stringify(text)}`, () => assert.equal(read(text), undefined));
}

test("leniencies", () => {
  assert.equal(read(" <a@b.test>", { spaceBeforePath: false }), undefined);
  assert.equal(read("a@b.test", { noBrackets: true }), "a@b.test");
  assert.equal(read("a@b.test SIZE=1", { noBrackets: true }), "a@b.test SIZE=1");
  assert.equal(read("", { noBrackets: true }), undefined);
  assert.equal(read("<a..b@b.test>"), undefined);
  assert.equal(read("<.a..b.@b.test>", { looseDots: true }), ".a..b.@b.test");
});

test("lengths: 64 octets of a local part or 256 of a path, and 255 of a domain", () => {
  const domain = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(63)}`;
  assert.equal(read(`<a@${domain}>`), `a@${domain}`);
  assert.equal(read(`<a@${domain.slice(0, -1)}.e>`), undefined);
  assert.ok(read(`<${"a".repeat(247)}@b.test>`) !== undefined);
  assert.equal(read(`<${"a".repeat(248)}@b.test>`), undefined);
  // octets, not characters
  assert.ok(read(`<${"é".repeat(123)}@b.test>`) !== undefined);
  assert.equal(read(`<${"é".repeat(124)}@b.test>`), undefined);
});

test("what was formatted is read back, and any text is read or refused", () => {
  const atom = fc.string({ unit: fc.constantFrom("a", "Z", "0", "+", "-", "_", "é"), minLength: 1, maxLength: 8 });
  const local = fc.array(atom, { minLength: 1, maxLength: 3 }).map((atoms) => atoms.join("."));
  fc.assert(
    fc.property(local, (name) => assert.equal(read(`<${name}@b.test>`), `${name}@b.test`)),
    runs(200),
  );
  const unit = fc.constantFrom("<", ">", "@", ".", '"', "\\", " ", "a", "b", ":", ",", "[", "]", "=", "é", "\t");
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 30 }), fc.boolean(), (text, lenient) => {
      const seen = read(text, { noBrackets: lenient, looseDots: lenient });
      const path = seen?.split(" ")[0];
      if (path !== undefined && !/["]/.test(path)) assert.ok(!/[<>\t]/.test(path));
    }),
    runs(1000),
  );
});
