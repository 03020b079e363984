import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  canonicalAddress,
  formatEndpoint,
  formatIPv6,
  ipv6Groups,
  isLoopback,
  isUnspecified,
  parseEndpoint,
  peerKey,
  reverseName,
} from "./address.ts";

describe("addresses", () => {
  it("has one text for each address (RFC 5952)", () => {
    const cases: Record<string, string | undefined> = {
      "192.0.2.1": "192.0.2.1",
      "::ffff:192.0.2.1": "192.0.2.1",
      "::FFFF:C000:0201": "192.0.2.1",
      "2001:DB8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
      "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
      "0:0:0:0:0:0:0:0": "::",
      "1:0:0:0:0:0:0:0": "1::",
      "0:0:0:0:0:0:0:1": "::1",
      "fe80::1%eth0": "fe80::1",
      "1:2:0:0:5:0:0:0": "1:2:0:0:5::",
      "192.0.2.256": undefined,
      "::1::": undefined,
      "mx.example.net": undefined,
      "": undefined,
    };
    for (const [text, expected] of Object.entries(cases)) assert.equal(canonicalAddress(text), expected, text);
  });

  it("reads back every IPv6 address that it writes, as the URL parser does", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 }), (groups) => {
        const text = formatIPv6(groups);
        assert.deepEqual(ipv6Groups(text), groups);
        assert.equal(`[${text}]`, new URL(`http://[${text}]/`).hostname);
      }),
    );
  });

  it("tells loopback and unspecified", () => {
    for (const text of ["127.0.0.1", "127.9.8.7", "::1", "0:0::1", "::ffff:127.0.0.1"]) assert.ok(isLoopback(text), text);
    for (const text of ["128.0.0.1", "::2", "127.example.net", "::ffff:10.0.0.1"]) assert.ok(!isLoopback(text), text);
    assert.ok(isUnspecified("0.0.0.0") && isUnspecified("::") && !isUnspecified("::1"));
  });

  it("counts an IPv6 /64 as one peer", () => {
    assert.equal(peerKey("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    assert.equal(peerKey("2001:db8:1:2::"), "2001:db8:1:2::/64");
    assert.notEqual(peerKey("2001:db8:1:3::"), "2001:db8:1:2::/64");
    assert.equal(peerKey("::ffff:192.0.2.1"), "192.0.2.1");
    assert.equal(peerKey("::1"), "::/64");
  });

  it("writes the names under which addresses are looked up", () => {
    assert.equal(reverseName("192.0.2.1"), "1.2.0.192.in-addr.arpa");
    assert.equal(reverseName("2001:db8::567:89ab"), "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    assert.equal(reverseName("here.test"), undefined);
  });

  it("reads endpoints", () => {
    assert.deepEqual(parseEndpoint("127.0.0.1:2587"), { host: "127.0.0.1", port: 2587 });
    assert.deepEqual(parseEndpoint("[::]:25"), { host: "::", port: 25 });
    assert.deepEqual(parseEndpoint("[2001:DB8:0::1]:25"), { host: "2001:db8::1", port: 25 });
    assert.deepEqual(parseEndpoint("mx.test:25"), { host: "mx.test", port: 25 });
    assert.deepEqual(parseEndpoint("mx.test", 25), { host: "mx.test", port: 25 });
    assert.deepEqual(parseEndpoint("::1", 53), { host: "::1", port: 53 });
    for (const bad of ["", ":25", "127.0.0.1", "::1", "::1:25", "[::1]", "127.0.0.1:65536", "a b:25", "[mx]:25", "a:25:26", "[::1]25"]) {
      assert.equal(parseEndpoint(bad), undefined, bad);
    }
    assert.equal(formatEndpoint({ host: "::1", port: 25 }), "[::1]:25");
    assert.equal(formatEndpoint({ host: "127.0.0.1", port: 25 }), "127.0.0.1:25");
  });
});
