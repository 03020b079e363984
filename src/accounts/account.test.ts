import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseMailbox } from "../mail/mailbox.ts";
import { accountName, addressKey, makeAccount, owns } from "./account.ts";
import { peerKey } from "./peer-key.ts";

describe("account", () => {
  const account = makeAccount("ann", ["Ann@Example.test", "*@ann.test", "info@bücher.test"]);
  const sends = (text: string) => owns(account, parseMailbox(text) ?? assert.fail(text));

  test("owns its mailboxes whatever their case, quotes or form of domain, and all of its domains", () => {
    for (const text of [
      "ann@example.test",
      "ANN@EXAMPLE.TEST",
      '"ann"@example.test',
      "x@ann.test",
      "y@ANN.test",
      "info@xn--bcher-kva.test",
    ]) {
      assert.ok(sends(text), text);
    }
    for (const text of [
      "bob@example.test",
      "ann+x@example.test",
      "x@sub.ann.test",
      "*@example.test",
      '"*"@example.test',
      "ann@example.test.x",
    ]) {
      assert.ok(!sends(text), text);
    }
    assert.ok(!owns(account, { localPart: "postmaster", domain: "" }));
  });

  test("names", () => {
    assert.equal(accountName("Ann@Example.TEST"), "ann@example.test");
    assert.equal(accountName("u\u0308"), "\u00fc");
    for (const bad of ["", "a b", "a\n", "\0", "\u200b", "x".repeat(255)]) assert.equal(accountName(bad), undefined, JSON.stringify(bad));
  });

  test("addresses", () => {
    assert.equal(addressKey("A@B.test"), "a@b.test");
    assert.equal(addressKey("*@B.test"), "*@b.test");
    for (const bad of ["", "a", "@b", "*@", "*@b..c", "a@b c", `${"x".repeat(65)}@b.test`, "<a@b.test>"])
      assert.equal(addressKey(bad), undefined, bad);
  });

  test("peers: an IPv4 address, or the /64 of an IPv6 address", () => {
    for (const [address, key] of [
      ["192.0.2.1", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["::FFFF:192.0.2.1", "192.0.2.1"],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
      ["2001:0DB8:1:2::", "2001:db8:1:2::/64"],
      ["2001:db8::5", "2001:db8:0:0::/64"],
      ["::1", "0:0:0:0::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
      ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ] as const) {
      assert.equal(peerKey(address), key, address);
    }
  });
});
