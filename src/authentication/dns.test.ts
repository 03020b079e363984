import assert from "node:assert/strict";
import { test } from "node:test";
import type { Resolver } from "../net/resolver.ts";
import { dnsOf } from "./dns.ts";

const resolver: Resolver = {
  txt: (name) => Promise.resolve({ kind: "found", records: [name], authenticated: false, ttl: 1 }),
  addresses: (host, families) => Promise.resolve({ kind: "found", records: [`${host} ${families}`], authenticated: false, ttl: 1 }),
  mx: () => Promise.resolve({ kind: "found", records: [{ preference: 5, exchange: "mx.test" }], authenticated: false, ttl: 1 }),
  ptr: () => Promise.resolve({ kind: "no-domain" }),
  tlsa: () => Promise.resolve({ kind: "failed", why: "not asked" }),
  close: () => {},
};

test("the resolver answers the checks", async () => {
  const dns = dnsOf(resolver);
  const records = async (answer: Promise<{ kind: string; records?: readonly unknown[] }>) => (await answer).records;
  assert.deepEqual(await records(dns.txt("x.test")), ["x.test"]);
  assert.deepEqual(await records(dns.a("x.test")), ["x.test ipv4"]);
  assert.deepEqual(await records(dns.aaaa("x.test")), ["x.test ipv6"]);
  assert.deepEqual(await records(dns.mx("x.test")), [{ preference: 5, exchange: "mx.test" }]);
  assert.deepEqual(await dns.ptr("192.0.2.1"), { kind: "no-domain" });
});

test("an address is no name: a record cannot make it its own answer", async () => {
  const dns = dnsOf(resolver);
  for (const text of ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"]) {
    assert.deepEqual(await dns.a(text), { kind: "no-domain" });
    assert.deepEqual(await dns.aaaa(text), { kind: "no-domain" });
  }
});
