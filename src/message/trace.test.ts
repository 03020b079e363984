import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromUtf8 } from "../util/bytes.ts";
import { readHeaderSection } from "./header-section.ts";
import { formatDate, type ReceivedOptions, type ReceivedPeer, receivedField, returnPathField, withProtocol } from "./trace.ts";

const plain: ReceivedOptions = {
  peer: { helo: "client.test", address: "192.0.2.1" },
  hostname: "mail.example.test",
  protocol: { esmtp: true, tls: true, authenticated: true, utf8: false },
  tls: { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" },
  id: "0123456789ABCDEF",
  recipients: [{ localPart: "a", domain: "b.test" }],
  now: Date.UTC(2025, 6, 1, 8, 52, 37),
  offset: 120,
};

const text = (options: Partial<ReceivedOptions>) => fromUtf8(receivedField({ ...plain, ...options }))!;

test("a whole Received line", () => {
  assert.equal(
    text({}),
    [
      "Received: from client.test ([192.0.2.1]) by mail.example.test (Postrider)",
      "\twith ESMTPSA (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)",
      "\tid 0123456789ABCDEF for <a@b.test>; Tue, 1 Jul 2025 10:52:37 +0200",
      "",
    ].join("\r\n"),
  );
});

test("for stands only with one recipient, and only in ASCII", () => {
  const a = { localPart: "a", domain: "b.test" };
  assert.doesNotMatch(text({ recipients: [a, a] }), /for/);
  assert.doesNotMatch(text({ recipients: [] }), /for/);
  assert.doesNotMatch(text({ recipients: [{ localPart: "ä", domain: "b.test" }] }), /for/);
  assert.doesNotMatch(text({ recipients: [{ localPart: "a\r\nX: y", domain: "b.test" }] }), /for|X:/);
});

test("the priority that it was given, behind what RFC 5321 has", () => {
  assert.match(text({ priority: -4 }), / for <a@b\.test> PRIORITY -4;\s+Tue, 1 Jul/);
  assert.match(text({ priority: 0, recipients: [] }), /id 0123456789ABCDEF PRIORITY 0; Tue/);
});

test("a hidden submitter leaves no from clause", () => {
  const { peer: _, ...hidden } = plain;
  const line = fromUtf8(receivedField(hidden))!;
  assert.match(line, /^Received: by mail\.example\.test \(Postrider\)/);
  assert.doesNotMatch(line, /192|client/);
});

test("host names and literals stay, other text is made harmless", () => {
  const from = (peer: ReceivedPeer) => /^Received: from (.*?) by /.exec(text({ peer }).replaceAll("\r\n\t", " "))?.[1];
  assert.equal(from({ helo: "[127.0.0.1]", address: "::1", name: "localhost" }), "[127.0.0.1] (localhost [IPv6:::1])");
  assert.equal(from({ helo: "[IPv6:::1]", address: "fe80::1%eth0" }), "[IPv6:::1] ([IPv6:fe80::1])");
  assert.equal(from({ helo: "", address: "192.0.2.1" }), "unknown ([192.0.2.1])");
  assert.equal(from({ helo: "a (b", address: "nonsense", name: "x) [1.2.3.4" }), "a??b (x???1.2.3.4 [unknown])");
  assert.equal(from({ helo: "bücher.test", address: "192.0.2.1" }), "b?cher.test ([192.0.2.1])");
});

test("whatever a peer says, the line is one field, ASCII, its comments closed, no line over 998", () => {
  const hostile = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constantFrom("x\r\nBcc: a", "(((", ")", "\\", "a".repeat(5000)));
  fc.assert(
    fc.property(hostile, hostile, hostile, (helo, name, cipher) => {
      const line = receivedField({
        ...plain,
        peer: { helo, name, address: "192.0.2.1" },
        tls: { version: "TLSv1.3", cipher: cipher.slice(0, 40) },
      });
      const { section, body } = readHeaderSection(line);
      assert.equal(section.fieldCount, 1);
      assert.equal(body.length, 0);
      assert.equal(section.eightBit, false);
      const written = fromUtf8(line)!;
      assert.ok(written.split("\r\n").every((part) => part.length <= 998));
      assert.match(written.replaceAll(/\([^()\\]*\)/g, ""), /^[^()\\\0]*$/);
    }),
  );
});

test("lines fold at 78 where they can", () => {
  const long = text({ peer: { helo: `${"a".repeat(60)}.test`, address: "192.0.2.1", name: `${"b".repeat(60)}.test` } });
  for (const line of long.split("\r\n").filter((line) => !/[ab]{60}/.test(line))) assert.ok(line.length <= 78, line);
});

test("with: RFC 3848 and RFC 6531", () => {
  const keyword = (letters: string) =>
    withProtocol({
      esmtp: letters.includes("e"),
      tls: letters.includes("t"),
      authenticated: letters.includes("a"),
      utf8: letters.includes("u"),
      lmtp: letters.includes("l"),
    });
  const expected = {
    "": "SMTP",
    t: "SMTP",
    e: "ESMTP",
    et: "ESMTPS",
    ea: "ESMTPA",
    eta: "ESMTPSA",
    eu: "UTF8SMTP",
    eut: "UTF8SMTPS",
    eua: "UTF8SMTPA",
    euta: "UTF8SMTPSA",
    l: "LMTP",
    lt: "LMTPS",
    lta: "LMTPSA",
    lu: "UTF8LMTP",
    luta: "UTF8LMTPSA",
  };
  for (const [letters, word] of Object.entries(expected)) assert.equal(keyword(letters), word);
});

test("dates", () => {
  const ms = Date.UTC(2024, 1, 29, 23, 59, 9);
  assert.equal(formatDate(ms), "Thu, 29 Feb 2024 23:59:09 +0000");
  assert.equal(formatDate(ms, 60), "Fri, 1 Mar 2024 00:59:09 +0100");
  assert.equal(formatDate(ms, -210), "Thu, 29 Feb 2024 20:29:09 -0330");
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: -720, max: 840 }), (at, offset) => {
      assert.equal(Date.parse(formatDate(at, offset)), Math.floor(at / 1000) * 1000);
    }),
  );
});

test("Return-Path", () => {
  assert.equal(fromUtf8(returnPathField(null)), "Return-Path: <>\r\n");
  assert.equal(fromUtf8(returnPathField({ localPart: "a\r\nX", domain: "b" })), "Return-Path: <a??X@b>\r\n");
});
