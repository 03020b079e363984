import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tableDns, type Zone } from "../authentication/testing.ts";
import { DkimKey, DkimSigner, generateDkimKey, keyRecordText } from "../message/dkim/index.ts";
import { concat, utf8 } from "../util/bytes.ts";
import { type VerifyQuestion, verifyMessage } from "./verify-message.ts";

const key = new DkimKey({ domain: "a.test", selector: "s", privateKey: generateDkimKey("ed25519") });
const text = "From: a@a.test\r\nSubject: s\r\n\r\n..\r\n\r\nlast\r\n";
const signed = concat([new DkimSigner({ keys: [key] }).sign([utf8(text)], { now: 0 }), utf8(text)]);
const zone: Zone = { [key.recordName]: [{ TXT: keyRecordText(key) }], "a.test": [{ TXT: "v=spf1 ip4:192.0.2.1 -all" }] };
const nobody = { ip: undefined, helo: undefined, mailFrom: undefined, now: 0 };
const verify = (content: Iterable<Uint8Array>, more: Partial<VerifyQuestion> = {}, dns = tableDns(zone)) =>
  verifyMessage({ ...nobody, content, ...more }, dns);

test("a message is the same to every cut, with CRLF and with bare LF", async () => {
  const bare = Buffer.from(Buffer.from(signed).toString("latin1").replaceAll("\r\n", "\n"), "latin1");
  for (const [bytes, mended] of [
    [signed, false],
    [bare, true],
  ] as const) {
    const cuts = [
      ...Array.from(bytes.keys(), (at) => [bytes.subarray(0, at), bytes.subarray(at)]),
      Array.from(bytes, (octet) => Uint8Array.of(octet)),
    ];
    for (const [i, chunks] of cuts.entries()) {
      const report = await verify(chunks);
      assert.deepEqual([report.mended, report.dkim.results[0]?.verdict, report.size], [mended, "pass", bytes.length], `cut at ${i}`);
    }
  }
});

test("bare LFs inside a message with CRLF are left as they are: they are what was sent", async () => {
  const report = await verify([Buffer.from(Buffer.from(signed).toString("latin1").replace("\r\nlast", "\nlast"), "latin1")]);
  assert.deepEqual([report.mended, report.dkim.results[0]?.verdict], [false, "fail"]);
});

const from = { localPart: "a", domain: "a.test" };
const cases: [name: string, more: Partial<VerifyQuestion>, changed: Zone, proof: string][] = [
  ["the signature alone", {}, {}, "proven"],
  ["SPF alone", { ip: "192.0.2.1", helo: "h.test", mailFrom: from }, { [key.recordName]: [] }, "proven"],
  ["neither", { ip: "192.0.2.2", helo: "h.test", mailFrom: from }, { [key.recordName]: [] }, "not-proven"],
  [
    "SPF of another domain",
    { ip: "192.0.2.1", helo: "h.test", mailFrom: { ...from, domain: "b.test" } },
    { [key.recordName]: [], "b.test": [{ TXT: "v=spf1 +all" }] },
    "not-proven",
  ],
  ["the EHLO name for a null reverse-path", { ip: "192.0.2.1", helo: "a.test", mailFrom: null }, { [key.recordName]: [] }, "proven"],
  ["a key that DNS does not tell of", {}, { [key.recordName]: ["TIMEOUT"] }, "unknown"],
  ["a policy that DNS does not tell of", {}, { "_dmarc.a.test": ["TIMEOUT"] }, "unknown"],
  ["a policy that is met", {}, { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=reject" }] }, "proven"],
  ["a policy that is not", {}, { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=reject" }], [key.recordName]: [] }, "not-proven"],
  ["a record that is broken", {}, { "_dmarc.a.test": [{ TXT: "v=DMARC1; p=all" }] }, "proven"],
];
for (const [name, more, changed, proof] of cases) {
  test(`proof: ${name}: ${proof}`, async () => {
    const report = await verify([signed], more, tableDns({ ...zone, ...changed }));
    assert.equal(report.proof, proof, report.dmarc.why);
  });
}

test("a message without an author is no proof of anybody", async () => {
  for (const content of ["", "Subject: s\r\n\r\n", "no header at all\r\n"]) {
    assert.equal((await verify([utf8(content)])).proof, "not-proven");
  }
});

test("what the message says of MAIL FROM is told, and not taken", async () => {
  const { spf } = await verify([utf8(`Return-Path: <x@b.test>\r\n${text}`)], { ip: "192.0.2.1" });
  assert.ok(spf.kind === "left-out");
  assert.match(spf.why, /Return-Path says <x@b\.test>/);
});

test("whatever a message holds, it is judged and not stumbled over", async () => {
  const line = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.constantFrom("From: a@a.test", "From: <", "DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=s; b=; bh=; h=from", "ARC-Seal: i=1", ""),
  );
  const message = fc.array(fc.tuple(line, fc.constantFrom("\r\n", "\n", "\r", ""))).map((lines) => utf8(lines.flat().join("")));
  const damaged = fc.tuple(fc.nat(signed.length - 1), fc.nat(255)).map(([at, octet]) => signed.with(at, octet));
  await fc.assert(
    fc.asyncProperty(fc.oneof(message, damaged, fc.uint8Array({ maxLength: 300 })), async (content) => {
      const report = await verify([content], { ip: "192.0.2.2", helo: "h.test", mailFrom: from });
      assert.ok(["proven", "not-proven", "unknown"].includes(report.proof));
    }),
    { numRuns: 300 },
  );
});
