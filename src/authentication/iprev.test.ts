import assert from "node:assert/strict";
import { test } from "node:test";
import { checkIprev } from "./iprev.ts";
import { NAME_LIMIT } from "./reverse.ts";
import { tableDns, type Zone } from "./testing.ts";

const reverse = "9.2.0.192.in-addr.arpa";
const cases: [string, Zone, string, string][] = [
  ["a name that leads back", { [reverse]: [{ PTR: "mx.test." }], "mx.test": [{ A: "192.0.2.9" }] }, "192.0.2.9", "pass"],
  ["the second name does", { [reverse]: [{ PTR: "a.test" }, { PTR: "mx.test" }], "mx.test": [{ A: "192.0.2.9" }] }, "192.0.2.9", "pass"],
  ["mapped into IPv6", { [reverse]: [{ PTR: "mx.test" }], "mx.test": [{ A: "192.0.2.9" }] }, "::ffff:192.0.2.9", "pass"],
  ["a name that leads elsewhere", { [reverse]: [{ PTR: "mx.test" }], "mx.test": [{ A: "192.0.2.8" }] }, "192.0.2.9", "fail"],
  ["no name", {}, "192.0.2.9", "permerror"],
  ["no address at all", {}, "unix", "permerror"],
  ["DNS silent about the address", { [reverse]: ["TIMEOUT"] }, "192.0.2.9", "temperror"],
  ["DNS silent about the name", { [reverse]: [{ PTR: "mx.test" }], "mx.test": ["TIMEOUT"] }, "192.0.2.9", "temperror"],
  [
    "IPv6",
    {
      "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": [{ PTR: "mx.test" }],
      "mx.test": [{ AAAA: "2001:DB8:0::9" }, { A: "192.0.2.9" }],
    },
    "2001:db8::9",
    "pass",
  ],
];
for (const [name, zone, address, result] of cases) {
  test(`iprev: ${name}`, async () => {
    const found = await checkIprev(address, tableDns(zone));
    assert.equal(found.result, result, found.why);
    assert.equal(found.name, result === "pass" ? "mx.test" : undefined);
    assert.match(found.steps.at(-1)?.text ?? "", new RegExp(`^${result}: `));
  });
}

test(`at most ${NAME_LIMIT} names are looked at`, async () => {
  const names = Array.from({ length: NAME_LIMIT + 3 }, (_, i) => ({ PTR: `n${i}.test` }));
  const asked: string[] = [];
  const found = await checkIprev("192.0.2.9", tableDns({ [reverse]: names }, asked));
  assert.equal(found.names.length, NAME_LIMIT);
  assert.equal(asked.filter((question) => question.startsWith("A ")).length, NAME_LIMIT);
});
