import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type DmarcRecord, isDmarcRecord, parseDmarcRecord, URI_LIMIT } from "./record.ts";

function read(text: string): DmarcRecord {
  const record = parseDmarcRecord(text);
  assert.ok(record !== undefined, text);
  return record;
}

for (const text of ["v=DMARC1", "v=DMARC1;", "V = DMARC1 ; p=none", "v=DMARC1;p=reject", "v\t=DMARC1\t;"]) {
  test(`DMARC record ${JSON.stringify(text)}`, () => assert.ok(isDmarcRecord(text)));
}
for (const text of [
  "",
  "v=dmarc1; p=none",
  "v=DMARC2; p=none",
  "p=none; v=DMARC1",
  "v=DMARC1 p=none",
  "v=DMARC10;",
  " v=DMARC1;",
  "xv=DMARC1;",
]) {
  test(`no DMARC record: ${JSON.stringify(text)}`, () => assert.equal(parseDmarcRecord(text), undefined));
}

test("every tag of RFC 9989", () => {
  const text =
    "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; psd=n; t=y; fo=1:d:s; rua=mailto:a@x.test!10m , https://x.test/r; ruf=mailto:f@x.test";
  const { problems, text: _, ...record } = read(text);
  assert.deepEqual(record, {
    usable: true,
    p: "reject",
    sp: "quarantine",
    np: "none",
    adkim: "strict",
    aspf: "relaxed",
    psd: "n",
    testing: true,
    fo: ["1", "d", "s"],
    rua: ["mailto:a@x.test", "https://x.test/r"],
    ruf: ["mailto:f@x.test"],
  });
  assert.deepEqual(problems, []);
});

test("defaults", () => {
  const record = read("v=DMARC1; p=none");
  assert.deepEqual(
    [record.adkim, record.aspf, record.psd, record.testing, record.fo, record.rua, record.ruf, record.sp, record.np],
    ["relaxed", "relaxed", "u", false, ["0"], [], [], undefined, undefined],
  );
});

test("an invalid p, sp or np is none where reports can be sent, and makes the record useless elsewhere (4.10.1)", () => {
  for (const tag of ["p=rejct", "p=reject; sp=rejct", "p=reject; np=x"]) {
    const reported = read(`v=DMARC1; ${tag}; rua=mailto:a@x.test`);
    assert.deepEqual([reported.usable, reported.p, reported.sp, reported.np], [true, "none", undefined, undefined]);
    assert.equal(read(`v=DMARC1; ${tag}`).usable, false);
    assert.equal(read(`v=DMARC1; ${tag}; rua=nonsense`).usable, false);
  }
});

test("no p at all is none (4.7)", () => {
  const record = read("v=DMARC1; psd=y");
  assert.deepEqual([record.usable, record.p, record.psd], [true, "none", "y"]);
});

test("what is wrong elsewhere is left out and told; tags that are unknown or gone do not count", () => {
  const record = read("v=DMARC1; p=reject; adkim=x; p=none; pct=10; ;; foo=bar; =; fo=7; t=maybe; rua=a@x.test");
  assert.deepEqual([record.p, record.adkim, record.testing, record.fo, record.rua], ["reject", "relaxed", false, ["0"], []]);
  assert.equal(record.problems.length, 7);
  assert.match(record.problems.join("\n"), /adkim=x .*\n?/);
});

test(`at most ${URI_LIMIT} addresses for reports are kept`, () => {
  const list = (count: number): string => Array.from({ length: count }, (_, i) => `mailto:r${i}@x.test`).join(",");
  assert.equal(read(`v=DMARC1; rua=${list(URI_LIMIT)}`).rua.length, URI_LIMIT);
  assert.equal(read(`v=DMARC1; rua=${list(URI_LIMIT + 1)}`).rua.length, URI_LIMIT);
});

test("any text after the version is a record", () => {
  const piece = fc.oneof(
    fc.constantFrom("p", "=", ";", "reject", " ", "sp", "rua", "mailto:", ",", "!", "@", "fo", ":", "0", "1"),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const record = read(`v=DMARC1;${pieces.join("")}`);
      assert.ok(["none", "quarantine", "reject"].includes(record.p));
      assert.ok(!(record.fo.includes("0") && record.fo.includes("1")));
      for (const uri of [...record.rua, ...record.ruf]) assert.match(uri, /^[a-z][a-z0-9+.-]*:[^\s!,]+$/i);
    }),
    { numRuns: 500 },
  );
});

test("tags come through in any order, case of names and spacing", () => {
  const tags = fc.record({
    p: fc.constantFrom("none", "quarantine", "reject"),
    sp: fc.constantFrom("none", "quarantine", "reject"),
    psd: fc.constantFrom("y", "n", "u"),
    t: fc.constantFrom("y", "n"),
  });
  fc.assert(
    fc.property(tags, fc.constantFrom("", " ", "\t "), fc.boolean(), (given, space, upper) => {
      const parts = Object.entries(given).map(([name, value]) => `${upper ? name.toUpperCase() : name}${space}=${space}${value}`);
      const record = read(["v=DMARC1", ...parts.reverse()].join(`${space};${space}`));
      assert.deepEqual([record.p, record.sp, record.psd, record.testing], [given.p, given.sp, given.psd, given.t === "y"]);
    }),
  );
});
