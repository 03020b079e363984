import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { formatMailbox, parseMailbox } from "../mail/mailbox.ts";
import { parseAddressList } from "./address.ts";
import { formatNamedMailbox } from "./address-text.ts";

function read(text: string): string[] | string {
  const list = parseAddressList(text);
  return list.ok ? list.addresses.map(({ name, mailbox }) => `${name ?? ""}|${formatMailbox(mailbox)}`) : list.error;
}

const good: [string, string[]][] = [
  ["a@b.test", ["|a@b.test"]],
  ["Ann <a@b.test>, c@d.test", ["Ann|a@b.test", "|c@d.test"]],
  ["John Q. Public <j@b.test>", ["John Q. Public|j@b.test"]],
  ['"Doe, John" <j@b.test>', ["Doe, John|j@b.test"]],
  ['"a \\"b\\" c" <j@b.test>', ['a "b" c|j@b.test']],
  ['"quoted local"@b.test', ['|"quoted local"@b.test']],
  ["a@b.test (Ann (not Bob))", ["Ann (not Bob)|a@b.test"]],
  ["Ann (comment, with: specials) <a@b.test>", ["Ann|a@b.test"]],
  ["Friends: a@b.test, Bob <b@b.test>;, c@d.test", ["|a@b.test", "Bob|b@b.test", "|c@d.test"]],
  ["undisclosed-recipients:;", []],
  ["", []],
  [" , a@b.test,, ", ["|a@b.test"]],
  ["<@one.test,@two.test:a@b.test>", ["|a@b.test"]],
  ["a . b @ c . test", ["|a.b@c.test"]],
  ["Ann\r\n <a@b.test>", ["Ann|a@b.test"]],
  ["a@[192.0.2.1]", ["|a@[192.0.2.1]"]],
  ["Jürgen <jürgen@bücher.test>", ["Jürgen|jürgen@bücher.test"]],
  ["=?utf-8?Q?J=C3=BCrgen?= =?utf-8?Q?_M?= <j@b.test>", ["Jürgen M|j@b.test"]],
  ['"=?utf-8?Q?J=C3=BC?=" <j@b.test>', ["=?utf-8?Q?J=C3=BC?=|j@b.test"]],
  ["j@b.test (=?utf-8?Q?J=C3=BC?=)", ["Jü|j@b.test"]],
  ['"a b".c@d.test', ['|"a b.c"@d.test']],
  ['"a". b @d.test', ["|a.b@d.test"]],
  // What could be taken for another address: in quotes, in comments, in encoded words.
  ['"a@b.test <c@d.test>," <e@f.test>', ["a@b.test <c@d.test>,|e@f.test"]],
  ['"x@evil.test"@b.test', ['|"x@evil.test"@b.test']],
  ["(a@evil.test) b@c.test (<d@evil.test>)", ["<d@evil.test>|b@c.test"]],
  ["=?utf-8?Q?a=40evil.test=2C?= <b@c.test>", ["a@evil.test,|b@c.test"]],
  ["a@b.test(c)", ["c|a@b.test"]],
];
for (const [text, expected] of good) test(`address list ${JSON.stringify(text)}`, () => assert.deepEqual(read(text), expected));

const bad = [
  "a",
  "a@",
  "@b.test",
  "a b@c.test",
  "a@b c",
  "<a@b.test",
  "a@b.test>",
  "<>",
  '"a',
  "(a",
  "a@b@c.test",
  "a@b.test c@d.test",
  "x: a@b.test",
  "a@b.test;",
  "a..b@c.test",
  "a@b..test",
  "Ann <a@b.test> Bob",
  "<@one.test>",
  '"a"b@c.test',
  "a@b.test <c@d.test>",
  '"a@b.test" c@d.test <e@f.test> <g@h.test>',
  "=?utf-8?Q?a=40b.test?=",
  "a\uff20b.test",
  "a@b.test\u00a0",
  "a@b\uff0fc.test",
  "x: y: a@b.test;;",
  "a@b.test\r\nBcc: c@d.test",
  "a@b.test\n",
  "a@b.test\r\n",
  '"a\nb" <c@d.test>',
  "(\0) a@b.test",
  "a@b.test@c.test",
  "a@[192.0.2.1].test",
  "a@[not an address]",
  "<a@b.test",
  "a@b.test (",
];
for (const text of bad) test(`no address list: ${text}`, () => assert.equal(typeof read(text), "string"));

test("never throws, whatever stands in it; what it gives can be sent", () => {
  const pieces = [
    "a",
    "@",
    "b.test",
    "<",
    ">",
    ",",
    ":",
    ";",
    "(",
    ")",
    '"',
    "\\",
    "[",
    "]",
    ".",
    " ",
    "é",
    "\0",
    "\r\n ",
    "\n",
    "=?utf-8?Q?=40?=",
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 40 }), (parts) => {
      const list = parseAddressList(parts.join(""));
      if (list.ok) for (const { mailbox } of list.addresses) assert.deepEqual(parseMailbox(formatMailbox(mailbox)), mailbox);
    }),
    { numRuns: 3000 },
  );
});

test("linear: of these texts a reader that is not would never see the end", () => {
  const repeated = [
    "(",
    "<",
    '"',
    "[",
    "a,",
    "a.",
    "a:",
    "\\",
    "()",
    "@a,",
    "a . ",
    '"a".',
    "a ",
    "=?utf-8?Q?a?= ",
    "=?a?Q?",
    "x:a@b.test;",
    "<a@b.test>,",
  ];
  for (const text of repeated) {
    const long = text.repeat(50_000);
    for (const whole of [long, `${long}a@b.test`, `${long}<a@b.test>`, `a@${long}`, `<${long}>`, `"${long}" <a@b.test>`]) read(whole);
  }
  read(`${"(".repeat(400_000)}${")".repeat(400_000)}a@b.test`);
});

const suites = process.env.POSTRIDER_SUITES ?? fileURLToPath(new URL("../../../shared/data", import.meta.url));
const suite = `${suites}/isemail-tests.xml`;

/** Diagnoses that a list takes beyond what `parseMailbox` takes; the rules of address.ts have the same as a table. */
const obsolete = new Set(["DEPREC_CFWS_NEAR_AT", "DEPREC_FWS", "DEPREC_CTEXT", "DEPREC_COMMENT", "DEPREC_LOCALPART"]);
const tooLong = new Set(["RFC5322_LOCAL_TOOLONG", "RFC5322_TOOLONG"]);

test("the isemail suite", { skip: existsSync(suite) ? false : "isemail-tests.xml is not here (set POSTRIDER_SUITES)" }, () => {
  const field = (body: string, name: string) => unescaped(new RegExp(`<${name}>(.*?)</${name}>`, "s").exec(body)?.[1] ?? "");
  const taken: Record<string, number> = {};
  for (const [, id, body = ""] of readFileSync(suite, "utf8").matchAll(/<test id="(\d+)">(.*?)<\/test>/gs)) {
    const address = field(body, "address");
    const [category, diagnosis] = [field(body, "category"), field(body, "diagnosis")].map((text) => text.replace("ISEMAIL_", "")) as [
      string,
      string,
    ];
    const list = parseAddressList(address);
    const one = list.ok && list.addresses.length === 1;
    const wanted =
      ["VALID_CATEGORY", "DNSWARN", "RFC5321", "CFWS"].includes(category) ||
      (category === "DEPREC" && obsolete.has(diagnosis)) ||
      (category === "RFC5322" && tooLong.has(diagnosis));
    assert.equal(one, wanted, `test ${id}, ${category} ${diagnosis}: ${JSON.stringify(address)}`);
    taken[category] = (taken[category] ?? 0) + (one ? 1 : 0);
  }
  assert.deepEqual(taken, { ERR: 0, VALID_CATEGORY: 14, DNSWARN: 8, RFC5321: 16, RFC5322: 5, CFWS: 10, DEPREC: 13 });
});

/** Control characters stand in the suite as U+2400 and on. */
function unescaped(xml: string): string {
  const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
  return xml
    .replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (_, hex, decimal, name) =>
      name === undefined ? String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)) : (entities[name] ?? ""),
    )
    .replace(/[\u2400-\u241f]/g, (symbol) => String.fromCharCode(symbol.charCodeAt(0) - 0x2400));
}

test("what is written is read back", () => {
  const name = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.string({ unit: "grapheme", maxLength: 90 }),
    fc.constantFrom("Doe, John", 'a "b"', "John Q. Public", "=20", "=?utf-8?Q?x?=", "a  b", "ü".repeat(99)),
  );
  fc.assert(
    fc.property(name, (text) => {
      const shown = text
        .replaceAll(/[\x00-\x1f\x7f]/g, "")
        .toWellFormed()
        .trim();
      const mailbox = { localPart: "a", domain: "b.test" };
      const written = formatNamedMailbox(shown === "" ? { mailbox } : { name: shown, mailbox }).join(" ");
      assert.deepEqual(read(written), [`${shown}|a@b.test`]);
    }),
  );
});

test("a domain outside ASCII becomes A-labels where that spares SMTPUTF8", () => {
  assert.deepEqual(formatNamedMailbox({ mailbox: { localPart: "a", domain: "bücher.test" } }), ["a@xn--bcher-kva.test"]);
  assert.deepEqual(formatNamedMailbox({ mailbox: { localPart: "ä", domain: "bücher.test" } }), ["ä@bücher.test"]);
});
