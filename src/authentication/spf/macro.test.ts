import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseIp } from "../ip.ts";
import { Steps } from "../step.ts";
import { tableDns } from "../testing.ts";
import { SpfEvaluation } from "./evaluation.ts";
import { expandDomain, expandMacros, parseDomainSpec, parseMacroString } from "./macro.ts";

const sender = { localPart: "strong-bad", domain: "email.example.com", helo: "mail.example.net", receiver: "mx.here.test" };

async function expand(text: string, ip = "192.0.2.3"): Promise<string> {
  const pieces = parseMacroString(text, { explanationLetters: true, spaces: true });
  assert.notEqual(typeof pieces, "string", `${text}: ${pieces}`);
  const address = parseIp(ip);
  assert.ok(address);
  const evaluation = new SpfEvaluation(address, sender, tableDns({}), new Steps());
  return expandMacros(pieces as Exclude<typeof pieces, string>, evaluation.values("email.example.com", 1_700_000_000_999));
}

/** RFC 7208 7.4. */
const examples: [string, string][] = [
  ["%{s}", "strong-bad@email.example.com"],
  ["%{o}", "email.example.com"],
  ["%{d}", "email.example.com"],
  ["%{d4}", "email.example.com"],
  ["%{d3}", "email.example.com"],
  ["%{d2}", "example.com"],
  ["%{d1}", "com"],
  ["%{dr}", "com.example.email"],
  ["%{d2r}", "example.email"],
  ["%{l}", "strong-bad"],
  ["%{l-}", "strong.bad"],
  ["%{lr}", "strong-bad"],
  ["%{lr-}", "bad.strong"],
  ["%{l1r-}", "strong"],
  ["%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"],
  ["%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"],
  ["%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"],
  ["%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"],
  ["%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"],
  ["%{h} %{r} %{c} %{t} %{p}", "mail.example.net mx.here.test 192.0.2.3 1700000000 unknown"],
  ["%%%_%-x", "% %20x"],
  ["%{S}", "strong-bad%40email.example.com"],
];
for (const [text, expected] of examples) test(`SPF macro ${text}`, async () => assert.equal(await expand(text), expected));

test("SPF macros of an IPv6 address (RFC 7208 7.4)", async () => {
  assert.equal(
    await expand("%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01"),
    "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com",
  );
});

for (const text of ["%", "%a", "%{", "%{d", "%{x}", "%{d0}", "%{d00}", "%{dz}", "%{d-r}", "%{}", "a\u0000b", "a\tb", "ä"]) {
  test(`no macro string: ${JSON.stringify(text)}`, () => {
    assert.equal(typeof parseMacroString(text, { explanationLetters: true, spaces: true }), "string");
  });
}

for (const text of ["", "a", "a.", "a.1", "a.-b", "a.b-", "a..", "192.0.2.1", "%{d}a", "%{r}", "a b.c"]) {
  test(`no domain-spec: ${JSON.stringify(text)}`, () => assert.equal(typeof parseDomainSpec(text), "string"));
}
for (const text of ["a.b", "a.b.", "%{d}", "%%", ".b", "a.x-1", "a.1x", "%{d}.b", "a:b/c.d"]) {
  test(`domain-spec: ${JSON.stringify(text)}`, () => assert.notEqual(typeof parseDomainSpec(text), "string"));
}

test("a long expansion loses whole labels on its left", async () => {
  const pieces = parseDomainSpec("%{d}");
  assert.notEqual(typeof pieces, "string");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.stringMatching(/^[a-z]{1,40}$/), { minLength: 1, maxLength: 20 }), async (labels) => {
      const whole = labels.join(".");
      const name = await expandDomain(pieces as Exclude<typeof pieces, string>, () => whole);
      assert.ok(name.length <= 253);
      assert.ok(whole === name || whole.endsWith(`.${name}`));
      const more =
        whole
          .slice(0, whole.length - name.length - 1)
          .split(".")
          .at(-1) ?? "";
      if (name !== whole) assert.ok(more.length + 1 + name.length > 253, "one label more would have fitted");
    }),
    { numRuns: 200 },
  );
});

test("any text is pieces or a sentence", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("%", "{", "}", "d", "2", "r", "-", ".", "a", " ", "_"), maxLength: 40 }), (text) => {
      const pieces = parseMacroString(text, { explanationLetters: true, spaces: true });
      if (typeof pieces === "string") assert.notEqual(pieces, "");
      else for (const piece of pieces) if (piece.kind === "literal") assert.ok(text.includes(piece.text));
    }),
  );
});
