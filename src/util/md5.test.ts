import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { utf8 } from "./bytes.ts";
import { hmacMd5, md5 } from "./md5.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("RFC 1321 A.5, RFC 2104", () => {
  assert.equal(hex(md5(utf8(""))), "d41d8cd98f00b204e9800998ecf8427e");
  assert.equal(hex(md5(utf8("message digest"))), "f96b697d7cb7938d525a2f31aaf161d0");
  assert.equal(hex(hmacMd5(utf8("Jefe"), utf8("what do ya want for nothing?"))), "750c783e6ab0b503eaa86e310a5db738");
});

test("the same as Node's, at every length around a block", () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, bytes, (key, text) => {
      assert.equal(hex(md5(text)), createHash("md5").update(text).digest("hex"));
      assert.equal(hex(hmacMd5(key, text)), createHmac("md5", key).update(text).digest("hex"));
    }),
  );
  for (let n = 50; n < 140; n++) assert.equal(hex(md5(new Uint8Array(n))), createHash("md5").update(new Uint8Array(n)).digest("hex"));
});
