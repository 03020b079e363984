import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkPassword, deriveScramKey, formatScramKey, parseScramKey, preparePassword } from "./scram-key.ts";

describe("SCRAM key", () => {
  test("the example of RFC 7677 3", async () => {
    const key = await deriveScramKey("pencil", 4096, Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"));
    assert.equal(Buffer.from(key.storedKey).toString("base64"), "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
    assert.equal(Buffer.from(key.serverKey).toString("base64"), "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
  });

  test("its password and no other; two keys of one password differ", async () => {
    const [a, b] = await Promise.all([deriveScramKey("secret", 4096), deriveScramKey("secret", 4096)]);
    assert.ok(await checkPassword("secret", a));
    assert.ok(!(await checkPassword("Secret", a)));
    assert.notDeepEqual(a.storedKey, b.storedKey);
  });

  test("written and read back; what is no key is refused", async () => {
    const key = await deriveScramKey("secret", 4096);
    const text = formatScramKey(key);
    assert.deepEqual(formatScramKey(parseScramKey(text) ?? assert.fail()), text);
    for (const bad of ["", "x", text.slice(0, -8), text.replace("4096", "1"), text.replace("4096", "99999999"), `${text} `]) {
      assert.equal(parseScramKey(bad), undefined, bad);
    }
  });

  test("passwords are prepared: one form for what looks the same, no controls", () => {
    assert.equal(preparePassword("I\u00adX"), "IX"); // the examples of RFC 4013 3
    assert.equal(preparePassword("user"), "user");
    assert.equal(preparePassword("USER"), "USER");
    assert.equal(preparePassword("\u00aa"), "a");
    assert.equal(preparePassword("\u2168"), "IX");
    assert.equal(preparePassword("\u0007"), undefined);
    assert.equal(preparePassword("a\u00a0b"), "a b");
    assert.equal(preparePassword("u\u0308"), preparePassword("\u00fc"));
    for (const bad of ["", "\u00ad", "a\nb", "a\0", "\ue000", "\ud800", "\ufffe", "x".repeat(1025)]) {
      assert.equal(preparePassword(bad), undefined, JSON.stringify(bad));
    }
  });
});
