import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatMailbox } from "../mail/mailbox.ts";
import { formatNamedMailbox, parseAddressList } from "./address.ts";

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
];
for (const text of bad) test(`no address list: ${text}`, () => assert.equal(typeof read(text), "string"));

test("never throws, and takes linear time whatever is nested", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("a", "@", "b.test", "<", ">", ",", ":", ";", "(", ")", '"', "\\", "[", "]", ".", " ", "é", "\0")),
      (parts) => {
        read(parts.join(""));
      },
    ),
    { numRuns: 2000 },
  );
  for (const text of ["(", "<", '"', "[", "a,", "a.", "a:", "\\", "()", "@a,"]) read(text.repeat(200_000));
});

test("what is written is read back", () => {
  const name = fc.oneof(fc.string({ maxLength: 30 }), fc.constantFrom("Doe, John", 'a "b"', "John Q. Public", "=20"));
  fc.assert(
    fc.property(name, (text) => {
      const shown = text.replaceAll(/[\x00-\x1f\x7f]/g, "").trim();
      if (shown.includes("=?")) return;
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
