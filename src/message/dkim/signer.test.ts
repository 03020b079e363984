import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../../util/bytes.ts";
import { cut, octets } from "../contents.test.ts";
import { fieldText, readHeaderSection } from "../header-section.ts";
import { FOLD_AT } from "../trace.ts";
import { SIGNED_NAMES } from "./field-selection.ts";
import { DkimKey } from "./key.ts";
import { generateDkimKey, keyRecordText } from "./key-tools.ts";
import { readSignedMessage } from "./signed-message.ts";
import { DkimContentError, DkimSigner, type UnsignableContent } from "./signer.ts";
import { parseTagList } from "./tag-list.ts";
import { crlf, edKey, KEYS, MESSAGE, NOW, RFC8463_MESSAGE, RFC8463_SEED, rsaKey, verdicts } from "./testing.ts";

const both = new DkimSigner({ keys: [rsaKey, edKey] });

function tagsOf(fields: Uint8Array): Record<string, string>[] {
  return readHeaderSection(fields).section.fields.map((field) => {
    const list = parseTagList(fieldText(field));
    assert.ok(list.ok);
    return Object.fromEntries([...list.value].map(([name, { value }]) => [name, value.replaceAll(/\s/g, "")]));
  });
}

test("two keys: two fields, each folded, in the order of the keys, both good", () => {
  const fields = both.sign([MESSAGE], { now: NOW });
  const tags = tagsOf(fields);
  assert.deepEqual(
    tags.map(({ a, d, s, c, t, v }) => ({ a, d, s, c, t, v })),
    [
      { a: "rsa-sha256", d: "example.com", s: "rsa", c: "relaxed/relaxed", t: String(NOW / 1000), v: "1" },
      { a: "ed25519-sha256", d: "example.com", s: "ed", c: "relaxed/relaxed", t: String(NOW / 1000), v: "1" },
    ],
  );
  assert.equal(tags[0]!.l, undefined);
  for (const line of fromLatin1(fields).split("\r\n")) assert.ok(line.length <= FOLD_AT, line);
  assert.deepEqual(verdicts([fields, MESSAGE]), ["pass verified", "pass verified"]);
});

for (const headerForm of ["simple", "relaxed"] as const) {
  for (const bodyForm of ["simple", "relaxed"] as const) {
    test(`${headerForm}/${bodyForm}: signed and verified, however the content comes`, () => {
      const signer = new DkimSigner({ keys: [edKey, rsaKey], headerForm, bodyForm, lifetime: 3600, identity: "@news.example.com" });
      const fields = signer.sign([MESSAGE], { now: NOW });
      assert.equal(tagsOf(fields)[0]!.c, `${headerForm}/${bodyForm}`);
      assert.deepEqual(verdicts([fields, MESSAGE]), ["pass verified", "pass verified"]);
      assert.deepEqual(verdicts(octets(concat([fields, MESSAGE]))), ["pass verified", "pass verified"]);
      assert.deepEqual(signer.sign(octets(MESSAGE), { now: NOW }), fields);
      for (let at = 0; at < MESSAGE.length; at += 7) assert.deepEqual(signer.sign(cut(MESSAGE, [at]), { now: NOW }), fields);
    });
  }
}

test("the body hash of RFC 8463 is made again, with its key", () => {
  const { section } = readHeaderSection(RFC8463_MESSAGE);
  const message = RFC8463_MESSAGE.subarray(section.fields[0]!.raw.length + section.fields[1]!.raw.length);
  const key = new DkimKey({ domain: "football.example.com", selector: "brisbane", privateKey: RFC8463_SEED });
  const tags = tagsOf(new DkimSigner({ keys: [key] }).sign([message], { now: NOW }))[0]!;
  assert.equal(tags.bh, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
});

test("what is signed: as often as it stands there, some once more, From always once more", () => {
  const message = crlf(
    "From: a@example.com\nReceived: 1\nReceived: 2\nList-Id: <x>\nContent-Type: text/plain\nTo: b@example.com\nTo: c@example.com\n\nx\n",
  );
  const names = (signer: DkimSigner) => tagsOf(signer.sign([message], { now: NOW }))[0]!.h;
  assert.equal(names(both), "from:from:reply-to:subject:to:to:to:cc:content-type:content-type:list-id");
  assert.equal(names(new DkimSigner({ keys: [edKey], names: [{ name: "received", oversign: "never" }] })), "from:from:received:received");
});

test("fields added after signing break what is oversigned, and nothing else", () => {
  const fields = both.sign([MESSAGE], { now: NOW });
  const added = (line: string) => verdicts([latin1(line), fields, MESSAGE])[0];
  for (const name of ["From", "Subject", "To", "Cc", "Reply-To", "Date", "Message-ID"])
    assert.equal(added(`${name}: x\r\n`), "fail header-changed");
  for (const name of ["Received", "X-Any", "Content-Type", "DKIM-Signature-Not"]) assert.equal(added(`${name}: x\r\n`), "pass verified");
});

const unsignable: [text: string, fault: UnsignableContent, mayBeConverted?: boolean][] = [
  ["From: a@example.com\r\n\r\nx\ny\r\n", "bare-line-end"],
  ["From: a@example.com\r\n\r\nx\ry\r\n", "bare-line-end"],
  ["From: a@example.com\r\n\r\nx\r", "bare-line-end"],
  ["From: a@example.com\r\nSubject: a\nb\r\n\r\nx\r\n", "bare-line-end"],
  ["From: a@example.com\r\nSubject: a\rb\r\n\r\nx\r\n", "bare-line-end"],
  ["Subject: x\r\n\r\nx\r\n", "no-from"],
  ["From: a@example.com\r\nhello\r\n", "header"],
  [`From: a@example.com\r\nX: ${"x".repeat(256 * 1024)}\r\n\r\n`, "header"],
  ["From: a@example.com\r\n\r\n\xe9\r\n", "eight-bit", true],
];
for (const [text, fault, mayBeConverted = false] of unsignable) {
  test(`not signed (${fault}): ${JSON.stringify(text.slice(0, 60))}`, () => {
    for (const bodyForm of ["simple", "relaxed"] as const) {
      const signer = new DkimSigner({ keys: [edKey], bodyForm });
      for (const chunks of [[latin1(text)], octets(latin1(text.slice(0, 300 * 1024)))]) {
        assert.throws(
          () => signer.sign(chunks, { now: NOW, mayBeConverted }),
          (error) => error instanceof DkimContentError && error.fault === fault,
        );
        if (text.length > 1000) break;
      }
    }
  });
}

test("8-bit content is signed where nobody may convert it, and so is content without a body", () => {
  for (const text of ["From: a@example.com\r\n\r\n\xe9\r\n", "From: a@example.com\r\n", "From: a@example.com\r\n\r\n"]) {
    const content = latin1(text);
    const fields = both.sign([content], { now: NOW });
    assert.deepEqual(verdicts([fields, content]), ["pass verified", "pass verified"], text);
  }
  both.sign([latin1("From: \xe9 <a@example.com>\r\n\r\nx\r\n")], { now: NOW, mayBeConverted: true });
});

test("a caller that has the header section pushes the body alone", () => {
  const { section, body } = readHeaderSection(MESSAGE);
  const signing = both.start({ now: NOW, section });
  for (const chunk of octets(body)) signing.push(chunk);
  assert.deepEqual(signing.finish(), both.sign([MESSAGE], { now: NOW }));
});

test("options that contradict one another are refused", () => {
  const wrong: (() => unknown)[] = [
    () => new DkimSigner({ keys: [] }),
    () => new DkimSigner({ keys: [edKey], lifetime: 0 }),
    () => new DkimSigner({ keys: [edKey], identity: "@example.org" }),
    () => new DkimSigner({ keys: [edKey], identity: "example.com" }),
    () => new DkimSigner({ keys: [edKey], identity: "@x;y.example.com" }),
    () => new DkimSigner({ keys: [edKey], names: [{ name: "From", oversign: "never" }] }),
    () => new DkimSigner({ keys: [edKey], names: [{ name: "a:b", oversign: "never" }] }),
    () => new DkimSigner({ keys: [edKey], names: [...SIGNED_NAMES, { name: "to", oversign: "never" }] }),
    () => new DkimSigner({ keys: [edKey], names: [{ name: "dkim-signature", oversign: "never" }] }),
  ];
  for (const make of wrong) assert.throws(make, RangeError);
  assert.equal(both.warnings.length, 1);
});

test("an RSA key of 2048 bits", () => {
  const key = new DkimKey({ domain: "example.com", selector: "s", privateKey: generateDkimKey("rsa") });
  const fields = new DkimSigner({ keys: [key] }).sign([MESSAGE], { now: NOW });
  assert.deepEqual(verdicts([fields, MESSAGE], { [key.recordName]: keyRecordText(key) }), ["pass verified"]);
});

const line = fc.oneof(fc.stringMatching(/^[ -~\t]{0,30}$/), fc.constantFrom("", "", " ", "\xe9\xff", "..", "\t a  b \t"));
const name = fc.constantFrom("Subject", "To", "X-Any", "Received", "cc", "List-Id");
const message = fc
  .tuple(
    fc.array(fc.tuple(name, fc.array(fc.stringMatching(/^[!-~]?[ -~]{0,20}$/), { minLength: 1, maxLength: 3 })), { maxLength: 6 }),
    fc.array(line, { maxLength: 12 }),
  )
  .map(([fields, body]) => {
    const header = fields.map(([field, lines]) => `${field}: ${lines.join("\r\n\t")}\r\n`).join("");
    return `${header}From: a@example.com\r\n\r\n${body.map((text) => `${text}\r\n`).join("")}`;
  });
const forms = fc.constantFrom("simple" as const, "relaxed" as const);

test("whatever is signed verifies; one octet changed in what is signed does not", () => {
  fc.assert(
    fc.property(message, forms, forms, fc.array(fc.nat(40)), fc.nat(), (text, headerForm, bodyForm, cuts, place) => {
      const content = latin1(text);
      const signer = new DkimSigner({ keys: [edKey], headerForm, bodyForm });
      const fields = signer.sign(cut(content, cuts), { now: NOW });
      assert.deepEqual(verdicts(cut(concat([fields, content]), cuts)), ["pass verified"]);
      const from = text.indexOf("From: a@") + 6;
      const at = from + (place % (text.length - from));
      const changed = content.slice();
      if ((changed[at] as number) <= 32 || at < text.indexOf("\r\n\r\n", from) + 4) changed[from] = 98;
      else changed[at] = changed[at] === 120 ? 121 : 120;
      assert.match(verdicts([fields, changed])[0]!, /^fail/);
    }),
    { numRuns: 300 },
  );
});

test("nothing of the content is copied into what is kept: two signers share no state", () => {
  const one = both.start({ now: NOW });
  const two = both.start({ now: NOW });
  const other = crlf("From: x@example.com\n\nother\n");
  one.push(MESSAGE.subarray(0, 100));
  two.push(other);
  one.push(MESSAGE.subarray(100));
  assert.deepEqual(verdicts([one.finish(), MESSAGE]), ["pass verified", "pass verified"]);
  assert.deepEqual(verdicts([two.finish(), other], KEYS), ["pass verified", "pass verified"]);
  assert.equal(readSignedMessage([both.sign([other], { now: NOW }), other]).dkim.length, 2);
});
