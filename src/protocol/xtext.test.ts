import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runs } from "./testing.ts";
import { decodeUtf8Address, decodeXtext, encodeUtf8Address, encodeXtext } from "./xtext.ts";

test("xtext, RFC 3461 4", () => {
  assert.equal(decodeXtext("e+3Dmc2"), "e=mc2");
  assert.equal(encodeXtext("e=mc2"), "e+3Dmc2");
  assert.equal(encodeXtext("a+b c"), "a+2Bb+20c");
  assert.equal(encodeXtext("é"), "+C3+A9");
  assert.equal(decodeXtext("+C3+A9"), "é");
  for (const text of ["+3d", "+GG", "+", "a+2", "a=b", "a b", "é", "a\tb", "+FF", "+C3"]) assert.equal(decodeXtext(text), undefined, text);
});

test("addresses of the type utf-8, RFC 6533 3", () => {
  assert.equal(encodeUtf8Address("jürgen+x=y\\z@b.test"), "j\\x{FC}rgen\\x{2B}x\\x{3D}y\\x{5C}z@b.test");
  assert.equal(encodeUtf8Address("🙂"), "\\x{1F642}");
  assert.equal(decodeUtf8Address("j\\x{FC}rgen\\x{2B}x@b.test"), "jürgen+x@b.test");
  assert.equal(decodeUtf8Address("jürgen@b.test"), "jürgen@b.test");
  for (const text of ["\\x{D800}", "\\x{110000}", "\\x{FFFFFF}"]) assert.equal(decodeUtf8Address(text), undefined, text);
});

test("what is encoded is printable ASCII without = and is decoded to what it was", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
      for (const encoded of [encodeXtext(text), encodeUtf8Address(text)]) assert.match(encoded, /^[\x21-\x3c\x3e-\x7e]*$/);
      assert.equal(decodeXtext(encodeXtext(text)), text);
      assert.equal(decodeUtf8Address(encodeUtf8Address(text)), text);
    }),
    runs(300),
  );
});

test("any text is decoded or refused", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("+", "3", "D", "\\", "x", "{", "}", "a", "é"), maxLength: 30 }), (text) => {
      const decoded = decodeXtext(text);
      if (decoded !== undefined) assert.equal(decodeXtext(encodeXtext(decoded)), decoded);
      decodeUtf8Address(text);
    }),
    runs(300),
  );
});
