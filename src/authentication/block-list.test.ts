import assert from "node:assert/strict";
import { test } from "node:test";
import { listedBy } from "./block-list.ts";
import type { DnsAnswer } from "./dns.ts";

const found = (...records: string[]): DnsAnswer<string> => ({ kind: "found", records });

function dns(answers: Readonly<Record<string, DnsAnswer<string>>>) {
  return { a: async (name: string): Promise<DnsAnswer<string>> => answers[name] ?? { kind: "no-domain" } };
}

test("the first list that names the address is told; IPv6 goes nibble by nibble", async () => {
  const zones = ["a.test", "b.test"];
  assert.equal(await listedBy("192.0.2.99", zones, dns({})), undefined);
  assert.equal(
    await listedBy("192.0.2.99", zones, dns({ "99.2.0.192.b.test": found("127.0.0.2") })),
    "192.0.2.99 is on the block list b.test (127.0.0.2)",
  );
  const six = `1${".0".repeat(23)}.8.b.d.0.1.0.0.2.a.test`;
  assert.match((await listedBy("2001:db8::1", zones, dns({ [six]: found("127.0.0.4") }))) ?? "", /a\.test \(127\.0\.0\.4\)/);
  assert.match((await listedBy("::ffff:192.0.2.99", zones, dns({ "99.2.0.192.a.test": found("127.0.0.2") }))) ?? "", /^192\.0\.2\.99/);
});

test("no answer, a refusal to answer and addresses that are no codes are no listing", async () => {
  for (const answer of [found("127.255.255.254"), found("203.0.113.1"), { kind: "failed", why: "timeout" }] as const) {
    assert.equal(await listedBy("192.0.2.1", ["a.test"], dns({ "1.2.0.192.a.test": answer })), undefined);
  }
  assert.equal(await listedBy("unix:/socket", ["a.test"], dns({})), undefined);
});
