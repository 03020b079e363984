import assert from "node:assert/strict";
import { test } from "node:test";
import { readHeaderSection } from "../../message/header-section.ts";
import { utf8 } from "../../util/bytes.ts";
import { AUTHOR_LIMIT, type Author, authorOf } from "./author.ts";

const author = (headers: string): Author => authorOf(readHeaderSection(utf8(`${headers}\r\n\r\nbody`)).section);

const one: [string, string][] = [
  ["From: Ann <ann@Example.COM>", "example.com"],
  ["From: ann@example.com, bob@EXAMPLE.com", "example.com"],
  ["From: Friends: ann@example.com;", "example.com"],
  ["From: =?utf-8?q?x=40bank=2Etest?= <ann@example.com>", "example.com"],
  ['From: "ceo@bank.test" <ann@example.com>', "example.com"],
  ["From: Ann\r\n <ann@bücher.test>", "xn--bcher-kva.test"],
  ["from : ann@example.com", "example.com"],
  ["From: ann@example.com\r\nFrom: bob@example.com", "example.com"],
];
for (const [headers, domain] of one) {
  test(`one author: ${JSON.stringify(headers)}`, () => assert.deepEqual(author(headers), { kind: "one", domain }));
}

const several: [string, string[], RegExp][] = [
  ["From: ann@example.com, bob@example.org", ["example.com", "example.org"], /names 2 domains/],
  ["From: ann@example.com\r\nFrom: bob@example.org", ["example.com", "example.org"], /2 From fields/],
  ["From: ann@example.com\r\nFrom: nobody", ["example.com"], /2 From fields/],
  ["From: ann@example.com, x@[192.0.2.1]", ["example.com"], /cannot be read/],
];
for (const [headers, domains, why] of several) {
  test(`several authors: ${JSON.stringify(headers)}`, () => {
    const found = author(headers);
    assert.ok(found.kind === "several");
    assert.deepEqual(found.domains, domains);
    assert.match(found.why, why);
  });
}

const none: [string, boolean, RegExp][] = [
  ["Subject: x", true, /no From field/],
  ["From: undisclosed:;", false, /names nobody/],
  ["From:", false, /names nobody/],
  ["From: nobody", true, /cannot be read: .*no @/],
  ["From: x@[192.0.2.1]", true, /is no domain/],
  ["From: ann@example.com bob", true, /cannot be read/],
];
for (const [headers, malformed, why] of none) {
  test(`no author: ${JSON.stringify(headers)}`, () => {
    const found = author(headers);
    assert.ok(found.kind === "none");
    assert.equal(found.malformed, malformed);
    assert.match(found.why, why);
  });
}

test(`at most ${AUTHOR_LIMIT} domains are checked`, () => {
  const from = (count: number): Author => author(`From: ${Array.from({ length: count }, (_, i) => `a@d${i}.test`).join(", ")}`);
  assert.equal(from(AUTHOR_LIMIT).kind, "several");
  assert.deepEqual({ ...from(AUTHOR_LIMIT + 1), why: "" }, { kind: "none", malformed: true, why: "" });
});
