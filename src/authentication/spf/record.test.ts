import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isSpfRecord, parseSpfRecord, RECORD_LIMIT } from "./record.ts";

const good = [
  "v=spf1",
  "V=SPF1 -ALL",
  "v=spf1  a/24//64  ~all ",
  "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all",
  "v=spf1 mx:%{d2} ptr exists:%{ir}.x.test redirect=_spf.%{d}",
  "v=spf1 a:foo:bar/baz.test/8 x-y.z_1=anything%{t} exp=why.test",
];
for (const text of good) {
  test(`SPF record ${JSON.stringify(text)}`, () => {
    assert.ok(isSpfRecord(text));
    assert.equal(typeof parseSpfRecord(text), "object");
  });
}

const bad: [string, RegExp][] = [
  ["v=spf1 moo", /no such mechanism/],
  ["v=spf1 -all redirect:x.test", /no such mechanism/],
  ["v=spf1 a/33", /no prefix length/],
  ["v=spf1 a/24/64", /no prefix length/],
  ["v=spf1 a/x", /neither a domain/],
  ["v=spf1 ip4:192.0.2.1/032", /prefix length/],
  ["v=spf1 ip4:192.0.2", /no IPv4 address/],
  ["v=spf1 a:192.0.2.1", /write ip4:192\.0\.2\.1/],
  ["v=spf1 exp=a.test exp=b.test", /twice/],
  ["v=spf1 include:", /the domain is empty/],
  ["v=spf1 a:\u00e4.test", /ASCII/],
  ["v=spf1 --all", /no such mechanism/],
  ["v=spf1 =x", /no such mechanism/],
];
for (const [text, error] of bad) test(`broken SPF record ${JSON.stringify(text)}`, () => assert.match(String(parseSpfRecord(text)), error));

for (const text of ["", "v=spf10 -all", "v=spf1-all", "v=spf2.0/pra -all", " v=spf1", "v=spf1\t-all"]) {
  test(`no SPF record at all: ${JSON.stringify(text)}`, () => assert.equal(isSpfRecord(text), false));
}

const term = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("", "+", "-", "~", "?"),
      fc.constantFrom("all", "a", "mx", "ptr", "a/8", "mx//64", "a:x.test/8//9", "include:%{d}"),
    )
    .map((pair) => pair.join("")),
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, n]) => `ip4:${ip}/${n}`),
  fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([ip, n]) => `ip6:${ip}/${n}`),
);

test("records of valid terms are read, in order and as written", () => {
  fc.assert(
    fc.property(fc.array(term, { maxLength: 20 }), fc.constantFrom(" ", "  "), (terms, space) => {
      const record = parseSpfRecord(["v=spf1", ...terms].join(space));
      assert.equal(typeof record, "object", String(record));
      if (typeof record === "object")
        assert.deepEqual(
          record.directives.map(({ text }) => text),
          terms,
        );
    }),
  );
});

test("any text is a record or a sentence", () => {
  const piece = fc.oneof(
    fc.constantFrom("a", "mx", "ip4:", "/", ":", "=", "%", "{d}", " ", "-", "redirect", "exp", ".", "1"),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const record = parseSpfRecord(`v=spf1 ${pieces.join("")}`);
      if (typeof record === "string") assert.notEqual(record, "");
    }),
    { numRuns: 1000 },
  );
});

test(`a record of ${RECORD_LIMIT} characters is read, a longer one is not; none is read more than once`, () => {
  const head = "v=spf1 ip4:192.0.2.1";
  assert.equal(typeof parseSpfRecord(head.padEnd(RECORD_LIMIT)), "object");
  assert.match(String(parseSpfRecord(head.padEnd(RECORD_LIMIT + 1))), /more than/);
  for (const unit of ["ip4:192.0.2.1 ", "a/", "%{d}", "a:x.test/1", "1/", "a"]) {
    const rest = unit.repeat((RECORD_LIMIT - 20) / unit.length);
    for (const start of ["", "a:x.", "a:"]) assert.ok(parseSpfRecord(`v=spf1 ${start}${rest}!`) !== undefined);
  }
});
