import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Base64LineEncoder, base64LinesSize, decodeBase64, encodeBase64, encodeBase64Lines, encodeByTable } from "./base64.ts";
import { concat, fromLatin1 } from "./bytes.ts";

/** Node's own, in lines. */
function expected(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString("base64")
    .replace(/.{1,76}/g, "$&\r\n");
}

test("lines are those of Node's encoder, at every length and at odd offsets", () => {
  const source = Uint8Array.from({ length: 400 }, (_, i) => (i * 89) & 255);
  for (let length = 0; length < 300; length++) {
    const bytes = source.subarray(length % 7, (length % 7) + length);
    assert.equal(fromLatin1(encodeBase64Lines(bytes)), expected(bytes));
    assert.equal(fromLatin1(encodeByTable(bytes)), expected(bytes));
    assert.equal(base64LinesSize(length), expected(bytes).length);
  }
});

test("lines at the borders of what is encoded at a time", () => {
  const source = Uint8Array.from({ length: 57 * 600 }, (_, i) => (i * 89 + (i >> 8)) & 255);
  for (const length of [57 * 256 - 1, 57 * 256, 57 * 256 + 1, 57 * 512, 57 * 512 + 56, 57 * 599 + 55]) {
    const bytes = source.subarray(0, length);
    assert.equal(fromLatin1(encodeBase64Lines(bytes)), expected(bytes), String(length));
    assert.equal(fromLatin1(encodeByTable(bytes)), expected(bytes), String(length));
  }
});

test("a stream gives the same in any chunks", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (chunks) => {
      const encoder = new Base64LineEncoder();
      const out = [...chunks.map((chunk) => encoder.push(chunk)), encoder.end()];
      assert.equal(fromLatin1(concat(out)), expected(concat(chunks)));
    }),
  );
});

test("without Buffer the loop gives the same", () => {
  const global = globalThis as { Buffer?: typeof Buffer };
  const kept = Buffer;
  const inputs = [0, 1, 2, 3, 4, 5, 6, 58].map((length) => Uint8Array.from({ length }, (_, i) => 255 - i));
  const theirs = inputs.map((bytes) => encodeBase64(bytes));
  delete global.Buffer;
  try {
    assert.deepEqual(
      inputs.map((bytes) => encodeBase64(bytes)),
      theirs,
    );
  } finally {
    global.Buffer = kept;
  }
});

test("decoding gives back what was encoded, and takes nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.deepEqual(decodeBase64(encodeBase64(bytes)), bytes);
    }),
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), (text) => {
      const bytes = decodeBase64(text);
      if (bytes !== undefined) assert.equal(encodeBase64(bytes), text);
    }),
  );
  for (const text of ["a", "ab", "abc", "a===", "=", "====", "ab=c", "abc\n", "a bc", "ab==cd==", "YR==", "YWJ=", "ÿabc"]) {
    assert.equal(decodeBase64(text), undefined, text);
  }
});
