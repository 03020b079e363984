import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readHeaderSection } from "../../message/header-section.ts";
import { concat, fromLatin1, utf8 } from "../../util/bytes.ts";
import { forgedResults, withoutForged } from "./forged.ts";
import { claimedAuthservId, PROPERTY_LIMIT, parseArcAuthenticationResults, parseAuthenticationResults } from "./parse.ts";
import { type AuthenticationResults, type MethodResult, property } from "./results.ts";
import { authenticationResultsField, RESULT_LIMIT, resultValue, VALUE_LIMIT } from "./write.ts";

const value = (field: Uint8Array): string => fromLatin1(field).slice("Authentication-Results:".length);

function read(text: string): AuthenticationResults {
  const parsed = parseAuthenticationResults(text);
  assert.ok(parsed.ok, parsed.ok ? "" : `${parsed.error}: ${text}`);
  return parsed.results;
}

test("a field as it is written", () => {
  const field = authenticationResultsField({
    authservId: "mx.here.test",
    methods: [
      { method: "spf", result: "fail", reason: 'it says "no"', properties: [property("smtp", "mailfrom", "ann@example.com")] },
      { method: "dkim", result: "pass", properties: [property("header", "d", "example.com"), property("header", "b", "ab/+cd==")] },
      { method: "iprev", result: "pass", properties: [property("policy", "iprev", "2001:db8::1")] },
    ],
  });
  assert.equal(
    fromLatin1(field),
    "Authentication-Results: mx.here.test;\r\n" +
      '\tspf=fail reason="it says \\"no\\"" smtp.mailfrom=ann@example.com;\r\n' +
      '\tdkim=pass header.d=example.com header.b="ab/+cd==";\r\n' +
      '\tiprev=pass policy.iprev="2001:db8::1"\r\n',
  );
});

test("nothing was checked: none", () => {
  assert.equal(
    fromLatin1(authenticationResultsField({ authservId: "mx.here.test", methods: [] })),
    "Authentication-Results: mx.here.test; none\r\n",
  );
  assert.deepEqual(read(" mx.here.test; none"), { authservId: "mx.here.test", methods: [] });
});

/** RFC 8601, appendix B, and what others write. */
const examples: [string, AuthenticationResults][] = [
  [" example.org 1; none", { authservId: "example.org", methods: [] }],
  [
    " example.com;\r\n          spf=pass smtp.mailfrom=example.net",
    { authservId: "example.com", methods: [{ method: "spf", result: "pass", properties: [property("smtp", "mailfrom", "example.net")] }] },
  ],
  [
    ' example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n dkim=pass reason="good signature" header.i=@mail-router.example.net;',
    {
      authservId: "example.com",
      methods: [
        { method: "auth", result: "pass", properties: [property("smtp", "auth", "sender@example.net")] },
        { method: "dkim", result: "pass", reason: "good signature", properties: [property("header", "i", "@mail-router.example.net")] },
      ],
    },
  ],
  [
    " foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462",
    {
      authservId: "foo.example.net",
      methods: [{ method: "dkim", result: "fail", properties: [property("policy", "expired", "1362471462")] }],
    },
  ],
  [
    ' "mx (a)".test; dkim=pass header.b=ab/cd+e= header.i="a b"@x.test',
    {
      authservId: "mx (a).test",
      methods: [
        { method: "dkim", result: "pass", properties: [property("header", "b", "ab/cd+e="), property("header", "i", "a b@x.test")] },
      ],
    },
  ],
];
for (const [text, expected] of examples) test(`read ${JSON.stringify(text)}`, () => assert.deepEqual(read(text), expected));

for (const text of [
  "",
  ";",
  " x; spf",
  " x; spf=",
  " x; spf=pass smtp",
  " x; spf=pass smtp.mailfrom",
  " x (a; spf=pass",
  ' x; spf=pass reason="a',
  " x spf=pass",
  " x 2; spf=pass",
  " x; spf/2=pass",
]) {
  test(`not to be read: ${JSON.stringify(text)}`, () => assert.equal(parseAuthenticationResults(text).ok, false));
}

test("limits of what is read", () => {
  const results = (count: number): string => ` x${"; a=b".repeat(count)}`;
  assert.equal(parseAuthenticationResults(results(RESULT_LIMIT)).ok, true);
  assert.equal(parseAuthenticationResults(results(RESULT_LIMIT + 1)).ok, false);
  const properties = (count: number): string => ` x; a=b${" c.d=e".repeat(count)}`;
  assert.equal(parseAuthenticationResults(properties(PROPERTY_LIMIT)).ok, true);
  assert.equal(parseAuthenticationResults(properties(PROPERTY_LIMIT + 1)).ok, false);
});

test("limits of what is written", () => {
  const long = "x".repeat(VALUE_LIMIT + 1);
  assert.equal(resultValue(long).length, VALUE_LIMIT);
  const methods = Array.from({ length: RESULT_LIMIT + 1 }, (): MethodResult => ({ method: "a", result: "b", properties: [] }));
  assert.equal(read(value(authenticationResultsField({ authservId: "x", methods }))).methods.length, RESULT_LIMIT);
});

const hostile = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.string({ unit: fc.constantFrom("\r", "\n", ";", '"', "\\", "(", ")", "=", " ", "a", "@", ".", "\u0000", "é"), maxLength: 30 }),
);

test("whatever a value holds, it stays in its place", () => {
  const method = fc.record({ reason: hostile, value: hostile, other: hostile });
  fc.assert(
    fc.property(fc.array(method, { minLength: 1, maxLength: 4 }), hostile, (given, id) => {
      const methods = given.map(
        ({ reason, value: text, other }): MethodResult => ({
          method: "spf",
          result: "fail",
          reason,
          properties: [property("smtp", "mailfrom", text), property("policy", "x", other)],
        }),
      );
      const field = fromLatin1(authenticationResultsField({ authservId: id, methods }));
      assert.match(field, /^[\x20-\x7e\t\r\n]*$/);
      assert.doesNotMatch(field.slice(0, -2).replaceAll("\r\n\t", ""), /[\r\n]/);
      for (const line of field.split("\r\n")) assert.ok(line.length <= 998 && !/^\s+$/.test(line));
      const kept = (text: string): string => text.slice(0, VALUE_LIMIT).replace(/[^\x20-\x7e]/g, "?");
      const back = read(field.slice("Authentication-Results:".length));
      assert.equal(back.authservId, kept(id));
      assert.deepEqual(
        back.methods.map(({ reason = "", properties }) => [reason, ...properties.map(({ value: text }) => text)]),
        given.map(({ reason, value: text, other }) => [kept(reason), kept(text), kept(other)]),
      );
    }),
    { numRuns: 300 },
  );
});

test("any text is results or a sentence", () => {
  const piece = fc.oneof(
    fc.constantFrom("x", ";", "=", ".", "(", ")", '"', "\\", " ", "spf", "reason", "1", "/"),
    fc.string({ maxLength: 2 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join("");
      const parsed = parseAuthenticationResults(text);
      if (!parsed.ok) assert.notEqual(parsed.error, "");
      else assert.equal(claimedAuthservId(text), parsed.results.authservId === "" ? undefined : parsed.results.authservId);
    }),
    { numRuns: 1000 },
  );
});

test("ARC-Authentication-Results has an instance in front", () => {
  const parsed = parseArcAuthenticationResults(" i=2; mx.test; dmarc=pass header.from=example.com");
  assert.ok(parsed.ok);
  assert.deepEqual([parsed.instance, parsed.results.authservId, parsed.results.methods[0]?.result], [2, "mx.test", "pass"]);
  assert.equal(parseArcAuthenticationResults(" mx.test; dmarc=pass").ok, false);
});

const forged = [
  "mx.here.test; spf=pass",
  "MX.Here.TEST; none",
  '"mx.here.test"; spf=pass',
  "(comment) mx.here.test 1; spf=pass",
  "\r\n\tmx.here.test;\r\n spf=pass",
  "mx.here.test. ; spf=pass",
  "mx.here.test",
  "mx.here.test(; spf=pass",
  "other.here.test; spf=pass",
  "(never closed mx.elsewhere.test; spf=pass",
];
for (const text of forged) {
  test(`forged: ${JSON.stringify(text)}`, () => {
    const { section } = readHeaderSection(utf8(`Authentication-Results: ${text}\r\n\r\n`));
    assert.equal(forgedResults(section, ["mx.here.test", "Other.here.test"]).length, 1);
  });
}
for (const text of ["mx.elsewhere.test; spf=pass", "mx.here.test.evil.test; spf=pass", "evil.test; spf=pass (mx.here.test; none)"]) {
  test(`not ours: ${JSON.stringify(text)}`, () => {
    const { section } = readHeaderSection(utf8(`Authentication-Results: ${text}\r\n\r\n`));
    assert.equal(forgedResults(section, ["mx.here.test"]).length, 0);
  });
}

test("forged fields leave, and every other octet stays", () => {
  const forgedField = "authentication-results : mx.here.test;\r\n\tspf=pass\r\n";
  const others = ["Received: x\r\n", "Authentication-Results: far.test; none\r\n", "Subject: a\r\n b\r\n", "From: a@b.test\r\n"];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(forgedField, ...others), { maxLength: 12 }), (fields) => {
      const { section } = readHeaderSection(utf8(`${fields.join("")}\r\nbody`));
      const { chunks, removed } = withoutForged(section, ["mx.here.test"]);
      assert.equal(fromLatin1(concat([...chunks])), fields.filter((field) => field !== forgedField).join(""));
      assert.equal(removed.length, fields.filter((field) => field === forgedField).length);
    }),
  );
});
