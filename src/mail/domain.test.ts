import assert from "node:assert/strict";
import { test } from "node:test";
import { addressLiteral, addressOfLiteral, domainKey, isAddressLiteral, isDomain, isIPv4, isIPv6, toAscii } from "./domain.ts";

const label = (letter: string): string => letter.repeat(63);

test("domains", () => {
  for (const text of [
    "a",
    "localhost",
    "example.test",
    "A-1.b--c.test",
    "1.2.3.4",
    "my_pc.test",
    "xn--bcher-kva.test",
    "bücher.test",
    "例え.テスト",
  ]) {
    assert.equal(isDomain(text), true, text);
  }
  for (const text of ["", ".", "a.", ".a", "a..b", "-a", "a-", "a b", "a@b", "[1.2.3.4]", "a/b", "a\n", "a\0", `${label("a")}a.test`]) {
    assert.equal(isDomain(text), false, JSON.stringify(text));
  }
  const longest = [label("a"), label("b"), label("c"), label("d")].join(".");
  assert.equal(longest.length, 255);
  assert.equal(isDomain(longest), true);
  assert.equal(isDomain(`${longest.slice(0, -1)}.e`), false);
});

test("U-labels: what IDNA lets through is still no domain where it is none", () => {
  for (const text of [
    "ü.",
    "ü..de",
    "ü!b.de",
    "ü,b.de",
    "ü/b.de",
    "ü:80",
    "ü@b.de",
    "ü b.de",
    "ü;b",
    'ü"b',
    "ü\\b",
    "ü[b",
    "ü%41",
    "\u00ad",
    "a.\u00ad.b",
    "ü\n.de",
  ]) {
    assert.equal(isDomain(text), false, JSON.stringify(text));
  }
  // wide digits and dots, which IDNA makes an IPv4 address
  assert.equal(isDomain("１２７.0.0.1"), false);
  assert.equal(isDomain(`ü${"a".repeat(50)}.test`), true);
  assert.equal(isDomain(`${"ü".repeat(64)}.test`), false);
});

test("the one form for comparing and for DNS", () => {
  assert.equal(domainKey("Example.TEST"), "example.test");
  assert.equal(domainKey("example.test."), "example.test");
  assert.equal(domainKey("BÜCHER.test"), "xn--bcher-kva.test");
  assert.equal(toAscii("bücher.test"), "xn--bcher-kva.test");
  assert.equal(toAscii("ü/x"), undefined);
});

test("address literals, RFC 5321 4.1.3", () => {
  assert.equal(addressOfLiteral("[192.0.2.1]"), "192.0.2.1");
  assert.equal(addressOfLiteral("[IPv6:2001:db8::1]"), "2001:db8::1");
  assert.equal(addressOfLiteral("[ipv6:::1]"), "::1");
  assert.equal(addressOfLiteral("[IPv6:::ffff:192.0.2.1]"), "::ffff:192.0.2.1");
  // "::" stands for two groups at the least
  assert.equal(isAddressLiteral("[IPv6:1:2:3:4:5:6::]"), true);
  assert.equal(isAddressLiteral("[IPv6:1:2:3:4:5:6:7::]"), false);
  assert.equal(isAddressLiteral("[IPv6:1:2:3:4::192.0.2.1]"), true);
  assert.equal(isAddressLiteral("[IPv6:1:2:3:4:5::192.0.2.1]"), false);
  for (const text of [
    "[]",
    "[1.2.3]",
    "[1.2.3.256]",
    "[01.2.3.4]",
    "[::1]",
    "[IPv6:]",
    "[IPv6:1::2::3]",
    "[IPv6:g::]",
    "[x:y]",
    "192.0.2.1",
    "[192.0.2.1",
  ]) {
    assert.equal(isAddressLiteral(text), false, text);
  }
  assert.equal(addressLiteral("192.0.2.1"), "[192.0.2.1]");
  assert.equal(addressLiteral("2001:db8::1"), "[IPv6:2001:db8::1]");
});

test("IP addresses", () => {
  for (const text of ["0.0.0.0", "255.255.255.255"]) assert.equal(isIPv4(text), true);
  for (const text of ["1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.04", " 1.2.3.4", "1.2.3.4\n"])
    assert.equal(isIPv4(text), false, JSON.stringify(text));
  for (const text of ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:1.2.3.4", "::1.2.3.4"])
    assert.equal(isIPv6(text), true, text);
  for (const text of [
    "",
    ":",
    ":::",
    "1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "12345::",
    "1.2.3.4::",
    "::1.2.3",
    "fe80::1%eth0",
  ]) {
    assert.equal(isIPv6(text), false, text);
  }
});
