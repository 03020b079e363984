import assert from "node:assert/strict";
import { test } from "node:test";
import { isInNetworks, parseNetwork } from "./network.ts";

test("an address is in a network by its first bits, and in none of another family", () => {
  const networks = ["127.0.0.0/8", "192.0.2.7", "2001:db8::/33"].map((text) => parseNetwork(text) ?? assert.fail(text));
  for (const inside of ["127.0.0.1", "127.255.0.9", "::ffff:127.0.0.1", "192.0.2.7", "2001:db8:7fff::1"])
    assert.ok(isInNetworks(inside, networks), inside);
  for (const outside of ["128.0.0.1", "192.0.2.8", "2001:db8:8000::1", "::1", "/run/socket", ""])
    assert.ok(!isInNetworks(outside, networks), outside);
  for (const none of ["127.0.0.1/33", "x/8", "1.2.3.4/", "::/129", ""]) assert.equal(parseNetwork(none), undefined, none);
  assert.ok(isInNetworks("203.0.113.1", [parseNetwork("0.0.0.0/0") ?? assert.fail()]));
});
