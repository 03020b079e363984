import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { providerRules, ruleFor, slices } from "./pacing.ts";
import type { Site } from "./site.ts";

const site = (...names: string[]): Site => ({ kind: "site", key: "x", ranks: [names, ["last.test"]], port: 25, byDns: true });

test("a rule is found by the preferred exchangers or by the recipient's domain, the first that matches", () => {
  const own = { name: "own", mx: [{ kind: "below", domain: "google.com" }], maxConnections: 1 } as const;
  const byDomain = { name: "domain", domains: [{ kind: "exact", domain: "shop.test" }] } as const;
  assert.equal(ruleFor(providerRules, site("aspmx.l.google.com"), "a.test")?.name, "google");
  assert.equal(ruleFor(providerRules, site("shop-test.mail.protection.outlook.com"), "shop.test")?.name, "microsoft");
  assert.equal(ruleFor([own, ...providerRules], site("ASPMX.L.google.com"), "a.test")?.name, "own");
  assert.equal(ruleFor([byDomain, own], site("aspmx.l.google.com"), "Shop.test")?.name, "domain");
  assert.equal(ruleFor(providerRules, site("mx.google.com.evil.test"), "a.test"), undefined);
  const none = {
    kind: "none",
    key: "domain d.test",
    outcome: { action: "failed", scope: "host", status: "5.1.2", why: { kind: "dns", text: "" } },
  } as const;
  assert.equal(ruleFor([byDomain], none, "shop.test")?.name, "domain");
});

test("docs/delivery.md names what is built in", () => {
  const text = readFileSync(new URL("../../docs/delivery.md", import.meta.url), "utf8");
  for (const { name, mx = [], maxConnections, maxMessagesPerConnection, maxRecipients } of providerRules) {
    const names = mx.map((pattern) => (pattern.kind === "any" ? "" : `\`${pattern.domain}\``)).join(", ");
    assert.ok(text.includes(`| ${name} | ${names} | ${maxConnections} | ${maxMessagesPerConnection} | ${maxRecipients} |\n`), name);
  }
});

test("a rate is kept in shorter windows with the same average", () => {
  assert.deepEqual(slices({ messages: 100, per: 60_000 }), { limit: 2, window: 1200 });
  assert.deepEqual(slices({ messages: 600, per: 60_000 }), { limit: 10, window: 1000 });
  assert.deepEqual(slices({ messages: 10, per: 1000 }), { limit: 10, window: 1000 });
  assert.deepEqual(slices({ messages: 1, per: 3_600_000 }), { limit: 1, window: 3_600_000 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 86_400 }), (messages, seconds) => {
      const { limit, window } = slices({ messages, per: seconds * 1000 });
      assert.ok(Number.isInteger(limit) && Number.isInteger(window) && limit >= 1 && window >= 1000);
      assert.equal(limit * seconds * 1000, messages * window);
    }),
  );
});
