import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { formatMailbox, isAsciiMailbox, mailboxKey, parseMailbox, plainLocalPart } from "./mailbox.ts";

const suites = process.env.POSTRIDER_SUITES ?? fileURLToPath(new URL("../../../shared/data", import.meta.url));
const suite = `${suites}/isemail-tests.xml`;

/** The addresses of the isemail suite; control characters stand there as U+2400 and on. */
function suiteCases(): { id: string; address: string; category: string; diagnosis: string }[] {
  const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
  const text = (xml: string): string =>
    xml
      .replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (_, hex, decimal, name) =>
        name === undefined ? String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)) : (entities[name] ?? ""),
      )
      .replace(/[\u2400-\u241f]/g, (symbol) => String.fromCharCode(symbol.charCodeAt(0) - 0x2400));
  const field = (body: string, name: string): string => text(new RegExp(`<${name}>(.*?)</${name}>`, "s").exec(body)?.[1] ?? "");
  return [...readFileSync(suite, "utf8").matchAll(/<test id="(\d+)">(.*?)<\/test>/gs)].map(([, id = "", body = ""]) => ({
    id,
    address: field(body, "address"),
    category: field(body, "category").replace("ISEMAIL_", ""),
    diagnosis: field(body, "diagnosis").replace("ISEMAIL_", ""),
  }));
}

test("the isemail suite", { skip: existsSync(suite) ? false : "isemail-tests.xml is not here (set POSTRIDER_SUITES)" }, () => {
  const accepted = new Set(["VALID_CATEGORY", "VALID", "RFC5321"]);
  const refused = new Set(["CFWS", "DEPREC", "RFC5322", "ERR"]);
  let count = 0;
  for (const { id, address, category, diagnosis } of suiteCases()) {
    const where = `test ${id}, ${category} ${diagnosis}: ${JSON.stringify(address)}`;
    count++;
    // DNSWARN is about names that DNS does not have: to the grammar they are mailboxes like others.
    const wanted = accepted.has(category) || category === "DNSWARN";
    assert.ok(wanted || refused.has(category), where);
    assert.equal(parseMailbox(address, { ownLimits: true }) !== undefined, wanted, where);
  }
  assert.equal(count, 164);
});

const good = [
  "a@b",
  "a.b@c.test",
  "!#$%&'*+-/=?^_`{|}~@b.test",
  '""@b.test',
  '"a b"@b.test',
  '"a\\"b\\\\"@b.test',
  '"@"@b.test',
  "a@1.2.3.4",
  "a@[192.0.2.1]",
  "a@[IPv6:2001:db8::1]",
  "a@xn--bcher-kva.test",
  "jürgen@bücher.test",
  "用户@例え.テスト",
  '"jürgen b"@b.test',
  `${"a".repeat(65)}@b.test`,
];
for (const text of good) {
  test(`mailbox ${text}`, () => {
    const mailbox = parseMailbox(text);
    assert.ok(mailbox !== undefined);
    assert.equal(formatMailbox(mailbox), text);
  });
}

const bad = [
  "",
  "a",
  "@",
  "a@",
  "@b.test",
  "a..b@c.test",
  ".a@c.test",
  "a.@c.test",
  "a b@c.test",
  "a@b@c.test",
  '"a"b@c.test',
  '"a@c.test',
  '"a\\"@c.test',
  '"a\nb"@c.test',
  '"a\\\nb"@c.test',
  "a\0@c.test",
  "a@b..c",
  "a@-b.test",
  "a@b-.test",
  "a@b.test.",
  "a@b test",
  "a@[1.2.3]",
  "a@[b.test]",
  "a@b.test\r\n",
  "a\u0080@b.test",
  '"a\u009b"@b.test',
  "\ud800@b.test",
  "a@\ud800.test",
  "a(comment)@b.test",
  "<a@b.test>",
];
for (const text of bad) test(`no mailbox: ${JSON.stringify(text)}`, () => assert.equal(parseMailbox(text), undefined));

test("loose dots are a leniency", () => {
  for (const text of ["a..b@c.test", ".a@c.test", "a.@c.test"]) assert.ok(parseMailbox(text, { looseDots: true }) !== undefined);
  assert.equal(parseMailbox("@c.test", { looseDots: true }), undefined);
});

test("the limits of what is made here count octets", () => {
  const own = (text: string): boolean => parseMailbox(text, { ownLimits: true }) !== undefined;
  assert.ok(own(`${"a".repeat(64)}@b.test`) && !own(`${"a".repeat(65)}@b.test`));
  assert.ok(own(`${"é".repeat(32)}@b.test`) && !own(`${"é".repeat(33)}@b.test`));
});

test("the key: case, quotes that are not needed, and U-labels do not count", () => {
  const key = (text: string): string => mailboxKey(parseMailbox(text) ?? assert.fail(text));
  assert.equal(key("Alice@Example.TEST"), key("alice@example.test"));
  assert.equal(key('"alice"@example.test'), key("alice@example.test"));
  assert.equal(key('"a\\lice"@example.test'), key("alice@example.test"));
  assert.equal(key("a@BÜCHER.test"), key("a@xn--bcher-kva.test"));
  assert.equal(key("e\u0301@b.test"), key("\u00e9@b.test"));
  assert.notEqual(key('"a b"@c.test'), key("ab@c.test"));
  assert.equal(mailboxKey({ localPart: "PostMaster", domain: "" }), "postmaster");
  assert.equal(plainLocalPart('"a\\"b"'), 'a"b');
});

test("which are ASCII", () => {
  assert.equal(isAsciiMailbox({ localPart: "a", domain: "b.test" }), true);
  assert.equal(isAsciiMailbox({ localPart: "ä", domain: "b.test" }), false);
  assert.equal(isAsciiMailbox({ localPart: "a", domain: "ä.test" }), false);
});

test("any text: what is a mailbox is written as it was read, and holds nothing that ends a path or a line", () => {
  const unit = fc.constantFrom("a", "B", ".", "@", '"', "\\", " ", "<", ">", "[", "]", ":", "1", "-", "é", "\r", "\n", "\0", "\u0085", "(");
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 20 }), (text) => {
      const mailbox = parseMailbox(text);
      if (mailbox === undefined) return;
      assert.equal(formatMailbox(mailbox), text);
      assert.ok(!/[\x00-\x1f\x7f-\x9f]/.test(text));
      assert.ok(!/[<> ]/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, "")));
      mailboxKey(mailbox);
    }),
    { numRuns: 1000 },
  );
});

test("a long text costs as much an octet as a short one", () => {
  const long = 1_000_000;
  for (const text of [
    "a".repeat(long),
    `${"a.".repeat(long)}`,
    `"${"\\a".repeat(long)}`,
    `a@${"b.".repeat(long)}`,
    `a@[IPv6:${":".repeat(long)}]`,
  ]) {
    assert.equal(parseMailbox(text), undefined);
  }
});
