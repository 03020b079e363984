import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, fromUtf8, fromUtf8Lossy, isAscii, latin1, sameBytes, totalSize, utf8 } from "./bytes.ts";

test("UTF-8: strict and lossy", () => {
  assert.equal(fromUtf8(utf8("grüße 🙂")), "grüße 🙂");
  assert.equal(fromUtf8(utf8("\ufeffa")), "\ufeffa"); // a byte order mark is a character like others
  for (const bytes of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80]]) {
    assert.equal(fromUtf8(Uint8Array.from(bytes)), undefined);
    assert.match(fromUtf8Lossy(Uint8Array.from(bytes)), /\ufffd/);
  }
});

test("Latin-1: every octet is a character, with Buffer and without", () => {
  const all = Uint8Array.from({ length: 20_000 }, (_, i) => i & 255);
  const text = fromLatin1(all);
  assert.deepEqual(latin1(text), all);
  const { Buffer: kept } = globalThis;
  Reflect.deleteProperty(globalThis, "Buffer");
  try {
    assert.equal(fromLatin1(all), text);
  } finally {
    globalThis.Buffer = kept;
  }
});

test("joined, counted, compared", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 6 }), (chunks) => {
      const whole = concat(chunks);
      assert.equal(whole.length, totalSize(chunks));
      assert.equal(fromLatin1(whole), chunks.map(fromLatin1).join(""));
      assert.equal(sameBytes(whole, Uint8Array.from(whole)), true);
      assert.equal(sameBytes(whole, concat([whole, Uint8Array.of(0)])), false);
    }),
  );
  assert.equal(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false);
});

test("ASCII ends at U+007F", () => {
  assert.equal(isAscii("\0a\x7f"), true);
  assert.equal(isAscii("a\x80"), false);
});
