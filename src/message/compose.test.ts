import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatMailbox } from "../mail/mailbox.ts";
import { concat, fromUtf8, utf8 } from "../util/bytes.ts";
import { ComposeError, type ComposeOptions, compose, type Draft } from "./compose.ts";
import { readAllWithPython, readWithPython } from "./contents.test.ts";
import { contentFacts } from "./facts.ts";

const options: ComposeOptions = { now: Date.UTC(2026, 10, 23, 12, 0, 0), messageId: "1@here.test", boundary: "0123456789" };
const plain: Draft = { from: "Ann <ann@here.test>", to: "bob@far.test", subject: "Lunch", text: "At noon?\n" };
const text = (draft: Draft) => fromUtf8(concat(compose(draft, options).content))!;

test("a plain message", () => {
  assert.equal(
    text(plain),
    [
      "From: Ann <ann@here.test>",
      "To: bob@far.test",
      "Subject: Lunch",
      "Date: Mon, 23 Nov 2026 12:00:00 +0000",
      "Message-ID: <1@here.test>",
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=us-ascii",
      "",
      "At noon?",
      "",
    ].join("\r\n"),
  );
});

test("Bcc is in the envelope and not in the content", () => {
  const made = compose(
    { ...plain, cc: ["c@far.test", { name: "Dora", address: "d@far.test" }], bcc: "secret@far.test, bob@far.test" },
    options,
  );
  assert.equal(formatMailbox(made.from), "ann@here.test");
  assert.deepEqual(made.to.map(formatMailbox), ["bob@far.test", "c@far.test", "d@far.test", "secret@far.test"]);
  assert.doesNotMatch(fromUtf8(concat(made.content))!, /secret|bcc/i);
  assert.equal(compose({ from: "a@b.test", bcc: "c@d.test" }, options).to.length, 1);
});

test("a line break or control anywhere throws before anything is made", () => {
  const evil = ["x\r\nBcc: y@z.test", "x\ny", "x\ry", "x\0y"];
  for (const value of evil) {
    const drafts: Draft[] = [
      { ...plain, from: `${value} <a@b.test>` },
      { ...plain, to: { name: value, address: "a@b.test" } },
      { ...plain, to: { address: `a@b.test${value}` } },
      { ...plain, replyTo: value },
      { ...plain, subject: value },
      { ...plain, inReplyTo: value },
      { ...plain, references: [value] },
      { ...plain, headers: [{ name: value, value: "x" }] },
      { ...plain, headers: [{ name: "X", value }] },
      { ...plain, attachments: [{ filename: value, content: utf8("x") }] },
      { ...plain, attachments: [{ contentType: `text/plain; ${value}`, content: utf8("x") }] },
      { ...plain, html: "x", attachments: [{ cid: value, content: utf8("x") }] },
    ];
    for (const draft of drafts) assert.throws(() => compose(draft, options), ComposeError);
    assert.throws(() => compose(plain, { ...options, messageId: value }), ComposeError);
    assert.throws(() => compose(plain, { ...options, boundary: value }), ComposeError);
  }
});

test("what is no message throws", () => {
  const drafts: Draft[] = [
    { ...plain, from: "" },
    { ...plain, from: "a@b.test, c@d.test" },
    { from: "a@b.test" },
    { ...plain, to: "nobody" },
    { ...plain, to: { address: "a@b.test, c@d.test" } },
    { ...plain, headers: [{ name: "Subject", value: "x" }] },
    { ...plain, headers: [{ name: "Content-Type", value: "x" }] },
    { ...plain, headers: [{ name: "a b", value: "x" }] },
    { ...plain, attachments: [{ contentType: "text", content: utf8("x") }] },
  ];
  for (const draft of drafts) assert.throws(() => compose(draft, options), ComposeError);
  assert.equal(formatMailbox(compose({ ...plain, from: "a@b.test, c@d.test", sender: "c@d.test" }, options).from), "c@d.test");
});

const full: Draft = {
  from: { name: "Jürgen Müller, Büro", address: "j@bücher.test" },
  to: ["Bob <bob@far.test>", `${"A very long name ".repeat(6)}<c@far.test>`],
  subject: `Grüße ${"und noch ein Wort ".repeat(8)}🙂`,
  inReplyTo: "<2@far.test>",
  references: ["<1@far.test>", "2@far.test"],
  headers: [{ name: "X-Order", value: "Größe 42" }],
  text: "Grüße\nvon hier \n",
  html: '<p>Grüße <img src="cid:logo@here"></p>',
  attachments: [
    { cid: "logo@here", filename: "logo.png", contentType: "image/png", content: Uint8Array.from({ length: 300 }, (_, i) => i & 255) },
    { filename: "Übersicht für alle, mit einem sehr langen Namen bis über die Zeile hinaus.pdf", content: utf8("%PDF\0") },
    { filename: "old.eml", contentType: "message/rfc822", content: utf8("Subject: old\r\n\r\nold body\r\n") },
  ],
};

test("another reader finds the same message", (t) => {
  const content = concat(compose(full, options).content);
  const facts = contentFacts([content]);
  assert.equal(facts.eightBit, false);
  assert.ok(facts.longestLine <= 78, String(facts.longestLine));
  const read = readWithPython(content, t);
  if (read === undefined) return;
  assert.equal(read.defects, 0);
  assert.equal(read.header.subject, full.subject);
  assert.equal(read.header.from, '"Jürgen Müller, Büro" <j@xn--bcher-kva.test>');
  assert.equal(read.header["x-order"], "Größe 42");
  assert.deepEqual(
    read.parts.map((part) => part.type),
    [
      ...["multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"],
      ...["application/octet-stream", "message/rfc822", "text/plain"],
    ],
  );
  const bodies = read.parts.map((part) => Buffer.from(part.body, "hex"));
  assert.equal(bodies[2]!.toString(), "Grüße\r\nvon hier \r\n");
  assert.equal(bodies[4]!.toString(), full.html);
  assert.deepEqual(new Uint8Array(bodies[5]!), full.attachments![0]!.content);
  assert.equal(read.parts[6]!.filename, full.attachments![1]!.filename);
});

test("any text and any file come out as they went in", (t) => {
  const draft = fc.record({
    subject: fc.string({ unit: "grapheme" }).map((s) => s.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, "")),
    text: fc.string({ unit: fc.oneof(fc.constantFrom("\r\n", "\n", " ", "=", ".", "--"), fc.string({ unit: "grapheme", maxLength: 5 })) }),
    content: fc.uint8Array({ maxLength: 300 }),
  });
  const drafts = fc.sample(draft, 200);
  const contents = drafts.map(({ subject, text: body, content }) => {
    return concat(compose({ ...plain, subject, text: body, attachments: [{ filename: "a.bin", content }] }, options).content);
  });
  for (const content of contents) {
    const facts = contentFacts([content]);
    assert.deepEqual([facts.eightBit, facts.binary, facts.longestLine <= 998], [false, false, true]);
  }
  for (const [i, read] of (readAllWithPython(contents, t) ?? []).entries()) {
    const { text: body, content } = drafts[i]!;
    // Python takes a text as lines of any kind: its own lone CR and LF are compared as octets.
    assert.equal(Buffer.from(read.parts[1]!.body, "hex").toString(), body.replaceAll(/\r\n|\r|\n/g, "\r\n").toWellFormed());
    assert.deepEqual(new Uint8Array(Buffer.from(read.parts[2]!.body, "hex")), content);
  }
});

test("a text that is no good for quoted-printable is base64, and lines over 998 are not sent", () => {
  assert.match(text({ ...plain, text: "日本語".repeat(50) }), /Content-Transfer-Encoding: base64/);
  assert.match(text({ ...plain, text: "x".repeat(999) }), /Content-Transfer-Encoding: quoted-printable/);
  assert.doesNotMatch(text({ ...plain, text: "x".repeat(998) }), /Content-Transfer-Encoding/);
});

test("SMTPUTF8 is needed for a local part outside ASCII only", () => {
  assert.equal(compose({ ...plain, to: "b@bücher.test" }, options).smtpUtf8, false);
  assert.equal(compose({ ...plain, to: "bü@far.test" }, options).smtpUtf8, true);
});
