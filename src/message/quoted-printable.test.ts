import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../util/bytes.ts";
import { contentText, cut, decodeQuotedPrintable } from "./contents.test.ts";
import { encodeQuotedPrintable, QuotedPrintableEncoder, quotedPrintableText } from "./quoted-printable.ts";

const encode = (text: string) => fromLatin1(encodeQuotedPrintable(latin1(text)));

test("examples", () => {
  assert.equal(encode("a=b\xe9"), "a=3Db=E9");
  assert.equal(encode("a \r\nb\t\r\nc "), "a=20\r\nb=09\r\nc=20");
  assert.equal(encode("a\rb\nc\0"), "a=0Db=0Ac=00");
  assert.equal(encode("a \r"), "a =0D");
  assert.equal(encode(`${"x".repeat(75)}\r\n${"x".repeat(76)}`), `${"x".repeat(75)}\r\n${"x".repeat(75)}=\r\nx`);
});

test("decoding gives the input back; lines stay within 76; no cut matters", () => {
  fc.assert(
    fc.property(fc.array(contentText, { maxLength: 4 }), fc.array(fc.nat(30)), (texts, cuts) => {
      const text = texts.join("é".repeat(20));
      const whole = encode(text);
      assert.equal(decodeQuotedPrintable(whole), text);
      assert.match(whole, /^[\t\r\n -~]*$/);
      for (const line of whole.split("\r\n")) assert.match(line, /^$|^.{0,75}[^ \t]$/);
      const encoder = new QuotedPrintableEncoder();
      const chunks = cut(latin1(text), cuts).map((chunk) => encoder.push(chunk));
      assert.equal(fromLatin1(concat([...chunks, encoder.end()])), whole);
    }),
    { numRuns: 500 },
  );
});

test("a text of ASCII is encoded the same as its octets; another is left to the octets", () => {
  const pieces = fc.constantFrom("a", "bcdefghij", "=", "-", " ", "\t", "\r\n", ".");
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 300 }), (texts) => {
      assert.equal(quotedPrintableText(texts.join("")), encode(texts.join("")));
    }),
  );
  for (const text of ["\xe9", "\0", "a\rb", "a\nb", "\r", "\n\r"]) assert.equal(quotedPrintableText(text), undefined);
});
