import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatReversePath } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import { concat, fromLatin1, fromUtf8, utf8 } from "../util/bytes.ts";
import { ATTACHMENT_LIMIT, CONTENT_ID_LIMIT, FILENAME_LIMIT } from "./body.ts";
import { type Composed, type ComposeOptions, compose } from "./compose.ts";
import { ComposeError } from "./compose-error.ts";
import { readAllWithPython, readWithPython } from "./contents.test.ts";
import type { Accepted, Attachment, Draft, HeaderInputs, RawDraft } from "./draft.ts";
import { contentFacts } from "./facts.ts";
import { ADDRESS_LIMIT, MESSAGE_ID_LIMIT } from "./fields.ts";
import { LIST_URL_LIMIT } from "./list-fields.ts";
import { MEDIA_TYPE_LIMIT } from "./media-type.ts";

const options: ComposeOptions = { now: Date.UTC(2026, 10, 23, 12, 0, 0), messageId: "1@here.test", boundary: "0123456789" };
const plain: Draft = { from: "Ann <ann@here.test>", to: "bob@far.test", subject: "Lunch", text: "At noon?\n" };
const bytesOf = ({ content }: Composed) => (content.kind === "memory" ? concat(content.chunks) : assert.fail(`content is ${content.kind}`));
const text = (draft: Draft | RawDraft, accept: Accepted = {}) => fromUtf8(bytesOf(compose(draft, { ...options, accept })))!;

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
  assert.equal(formatReversePath(made.from), "<ann@here.test>");
  assert.equal(made.messageId, "1@here.test");
  assert.deepEqual(made.to.map(formatMailbox), ["bob@far.test", "c@far.test", "d@far.test", "secret@far.test"]);
  assert.doesNotMatch(fromUtf8(bytesOf(made))!, /secret|bcc/i);
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
  assert.equal(formatReversePath(compose({ ...plain, from: "a@b.test, c@d.test", sender: "c@d.test" }, options).from), "<c@d.test>");
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
  const content = bytesOf(compose(full, options));
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
      ...["application/pdf", "message/rfc822", "text/plain"],
    ],
  );
  const bodies = read.parts.map((part) => Buffer.from(part.body, "hex"));
  assert.equal(bodies[2]!.toString(), "Grüße\r\nvon hier \r\n");
  assert.equal(bodies[4]!.toString(), full.html);
  assert.deepEqual(new Uint8Array(bodies[5]!), full.attachments![0]!.content as Uint8Array);
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
    return bytesOf(compose({ ...plain, subject, text: body, attachments: [{ filename: "a.bin", content }] }, options));
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

test("SMTPUTF8 is needed for a local part outside ASCII only; the header is then UTF-8", () => {
  const idn = compose({ ...plain, to: "Bär <b@bücher.test>", subject: "Grüße" }, options);
  assert.deepEqual([idn.facts.smtpUtf8, idn.facts.eightBit, idn.to.map(formatMailbox)], [false, false, ["b@xn--bcher-kva.test"]]);
  const made = compose({ ...plain, to: "Bär <bä@bücher.test>", subject: "Grüße =?utf-8?Q?x?=" }, options);
  assert.deepEqual([made.facts.smtpUtf8, made.facts.eightBit, made.to.map(formatMailbox)], [true, true, ["bä@bücher.test"]]);
  assert.match(fromUtf8(bytesOf(made))!, /To: Bär <bä@bücher\.test>\r\nSubject: Grüße =\?utf-8\?B\?PT91dGYtOD9RP3g\/PQ==\?=\r\n/);
  // An address that no header shows leaves the header ASCII.
  const hidden = compose({ ...plain, bcc: "bä@far.test", subject: "Grüße" }, options);
  assert.deepEqual([hidden.facts.smtpUtf8, hidden.facts.eightBit], [true, false]);
});

test("what the server takes decides how parts are encoded", () => {
  const draft: Draft = { ...plain, text: "Grüße\n", attachments: [{ filename: "a.bin", content: Uint8Array.of(0, 1, 255, 13) }] };
  const needs = (accept: Accepted) => {
    const { facts, content } = compose(draft, { ...options, accept });
    const seen = contentFacts(content.kind === "memory" ? content.chunks : []);
    assert.equal(facts.size, seen.size);
    assert.ok(facts.eightBit || !seen.eightBit);
    assert.ok(facts.binary || !seen.binary);
    return [facts.eightBit, facts.binary];
  };
  assert.deepEqual(needs({}), [false, false]);
  assert.deepEqual(needs({ eightBitMime: true }), [true, false]);
  assert.deepEqual(needs({ eightBitMime: true, binaryMime: true }), [true, true]);
  const eightBit = text(draft, { eightBitMime: true });
  assert.equal(eightBit.match(/Content-Transfer-Encoding: 8bit/g)?.length, 2, "the text, and the multipart around it");
  assert.match(eightBit, /\r\nGrüße\r\n/);
  const binary = fromLatin1(bytesOf(compose(draft, { ...options, accept: { binaryMime: true } })));
  assert.match(binary, /^Content-Transfer-Encoding: binary/m);
  assert.ok(binary.includes("\r\n\r\n\0\x01\xff\r\r\n--"));
  // 998 octets, not characters: a line of 499 is as long as one of 998.
  assert.match(text({ ...plain, text: "ü".repeat(499) }, { eightBitMime: true }), /: 8bit/);
  assert.doesNotMatch(text({ ...plain, text: "ü".repeat(500) }, { eightBitMime: true }), /: 8bit/);
});

test("a transfer encoding that is asked for is followed, or refused where the content does not allow it", () => {
  const file = (attachment: Attachment) => text({ ...plain, attachments: [attachment] });
  assert.match(file({ content: "a=b", contentTransferEncoding: "quoted-printable" }), /quoted-printable\r\n\r\na=3Db\r\n/);
  assert.match(file({ content: "a", contentTransferEncoding: "7bit" }), /octet-stream\r\nContent-Disposition: attachment\r\n\r\na\r\n/);
  assert.match(file({ content: "ä", contentTransferEncoding: "8bit" }), /: 8bit\r\n\r\nä\r\n/);
  const refused: Attachment[] = [
    { content: "ä", contentTransferEncoding: "7bit" },
    { content: "x".repeat(999), contentTransferEncoding: "8bit" },
    { content: "a\nb", contentTransferEncoding: "7bit" },
    { content: "a: b\r\n\r\n", contentType: "message/rfc822", contentTransferEncoding: "base64" },
  ];
  for (const attachment of refused) assert.throws(() => file(attachment), ComposeError);
  assert.match(text({ ...plain, textEncoding: "base64" }), /base64\r\n\r\nQXQgbm9vbj8NCg==\r\n$/);
  assert.match(text({ ...plain, textEncoding: "quoted-printable" }), /quoted-printable\r\n\r\nAt noon\?\r\n$/);
});

test("the structure: text, AMP, HTML, calendar, alternatives; inline; files", () => {
  const types = (draft: Draft) => [...text(draft).matchAll(/^Content-Type: ([^;\r\n]+)/gm)].map(([, type]) => type);
  const image: Attachment = { cid: "i", filename: "i.png", content: "x" };
  assert.deepEqual(types({ from: "a@b.test", to: "c@d.test", html: "x" }), ["text/html"]);
  assert.deepEqual(types({ from: "a@b.test", to: "c@d.test" }), ["text/plain"]);
  assert.deepEqual(types({ from: "a@b.test", to: "c@d.test", attachments: [{ filename: "r.gz", content: "x" }] }), ["application/gzip"]);
  assert.deepEqual(types({ ...plain, attachments: [image] }), ["multipart/mixed", "text/plain", "image/png"]);
  const all: Draft = {
    ...plain,
    html: "<img src=cid:i>",
    amp: "<html amp4email>",
    calendar: { content: "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n" },
    alternatives: [{ contentType: "text/x-web-markdown", content: "# hi" }],
    attachments: [image, { filename: "a.pdf", content: "x" }],
  };
  assert.deepEqual(types(all), [
    ...["multipart/mixed", "multipart/alternative", "text/plain", "text/x-amp-html", "multipart/related", "text/html", "image/png"],
    ...["text/calendar", "text/x-web-markdown", "application/pdf", "application/ics"],
  ]);
  assert.match(text(all), /Content-Type: text\/calendar; charset=us-ascii; method=REQUEST\r\n/);
  const quiet = text({ ...plain, calendar: { content: "x", method: "cancel", filename: false } });
  assert.match(quiet, /method=CANCEL/);
  assert.doesNotMatch(quiet, /application\/ics/);
});

test("data: URIs: as an attachment, and out of the HTML", () => {
  assert.match(
    text({ ...plain, attachments: [{ dataUri: "data:image/gif;base64,R0lGODlh", filename: "x" }] }),
    /image\/gif[\s\S]*\r\nR0lGODlh\r\n/,
  );
  const html =
    '<img src="data:image/png;base64,AAEC"><IMG alt=b SRC=\'data:image/png;base64,AAEC\'><img src="data:image/png;base64,!"> data:image/x,y';
  const made = text({ ...plain, html, attachDataUris: true });
  assert.match(
    made,
    /<img src="cid:image1\.0123456789@here\.test"><IMG alt=b SRC='cid:image1\.0123456789@here\.test'><img src="data:image\/png;base64,!">/,
  );
  assert.equal(made.match(/^Content-ID: <image1\.0123456789@here\.test>/gm)?.length, 1);
  assert.doesNotMatch(text({ ...plain, html }), /Content-ID/);
});

test("fields of priority, lists, robots and receipts", () => {
  const made = text({
    ...plain,
    priority: "high",
    autoSubmitted: "auto-generated",
    dispositionNotificationTo: { name: "Ann", address: "ann@here.test" },
    list: {
      id: { id: "news.here.test", name: "News, weekly" },
      unsubscribe: ["https://here.test/u?id=1,2", { url: "leave@here.test", comment: "by mail (slow)" }],
      oneClick: true,
      post: "NO",
      archive: { url: "https://bücher.test/ä", comment: "größer" },
    },
  });
  for (const line of [
    "X-Priority: 1 (Highest)",
    "X-MSMail-Priority: High",
    "Importance: High",
    "Auto-Submitted: auto-generated",
    "Disposition-Notification-To: Ann <ann@here.test>",
    'List-Id: "News, weekly" <news.here.test>',
    "List-Unsubscribe: <https://here.test/u?id=1,2>, <mailto:leave@here.test> (by\r\n mail \\(slow\\))",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    "List-Post: NO",
    "List-Archive: <https://xn--bcher-kva.test/%C3%A4> (=?utf-8?B?Z3LDtsOfZXI=?=)",
  ]) {
    assert.ok(made.includes(`${line}\r\n`), line);
  }
  const oneClick: (string | string[] | undefined)[] = [
    undefined,
    "mailto:a@b.test",
    "http://b.test/",
    ["https://b.test/1", "https://b.test/2"],
  ];
  for (const unsubscribe of oneClick) {
    assert.throws(
      () => text({ ...plain, list: { oneClick: true, ...(unsubscribe === undefined ? {} : { unsubscribe }) } }),
      /one https URL/,
    );
  }
});

test("headers of the caller's own: text, prepared, structured, addresses; several of one name; names put in order", () => {
  const headers: HeaderInputs = {
    "x-tag": ["one", "two"],
    "x-prepared": { prepared: "=?utf-8?Q?=C3=A4?=\r\n folded" },
    "x-file": { value: "attachment", parameters: { filename: "ä b.txt" } },
    "errors-to": { addresses: { name: "Bär, B", address: "b@far.test" } },
  };
  const made = text({ ...plain, headers });
  const own =
    "x-tag: one\r\nx-tag: two\r\nx-prepared: =?utf-8?Q?=C3=A4?=\r\n folded\r\nx-file: attachment; filename*=utf-8''%C3%A4%20b.txt\r\n";
  assert.ok(made.includes(`${own}errors-to: =?utf-8?B?QsOkciwgQg==?= <b@far.test>\r\n`), made);
  const normal = fromUtf8(
    bytesOf(compose({ ...plain, headers: { "x-my-id": "1", "list-id": "<a.b>" } }, { ...options, normalizeHeaderNames: true })),
  )!;
  assert.match(normal, /X-My-ID: 1\r\nList-Id: <a\.b>\r\n/);
  for (const prepared of ["a\r\nBcc: x", "a\r\n ", "a\n b", "ä", "a\r\n\r\n b"]) {
    assert.throws(() => text({ ...plain, headers: { x: { prepared } } }), ComposeError, prepared);
  }
  assert.throws(() => text({ ...plain, priority: "high", headers: { Importance: "low" } }), ComposeError);
});

test("date, Message-ID, In-Reply-To and References as drafts give them", () => {
  const made = text({ ...plain, date: new Date(0), messageId: "<x@y.test>", inReplyTo: ["a@b", "<c@d>"], references: "<a@b><c@d>\t<e@f>" });
  assert.match(
    made,
    /Date: Thu, 1 Jan 1970 00:00:00 \+0000\r\nMessage-ID: <x@y\.test>\r\nIn-Reply-To: <a@b> <c@d>\r\nReferences: <a@b> <c@d> <e@f>\r\n/,
  );
  for (const date of [Number.NaN, Number.POSITIVE_INFINITY, -1e14, 1e15]) assert.throws(() => text({ ...plain, date }), ComposeError);
});

test("an envelope that is not what the headers say", () => {
  const made = compose({ ...plain, envelope: { from: null, to: ["x@y.test"] } }, options);
  assert.deepEqual([made.from, made.to.map(formatMailbox)], [null, ["x@y.test"]]);
  assert.throws(() => compose({ ...plain, envelope: { to: [] } }, options), ComposeError);
});

test("limits", () => {
  const most = (limit: number, draft: (length: number) => Draft) => {
    compose(draft(limit), options);
    assert.throws(() => compose(draft(limit + 1), options), ComposeError);
  };
  most(ADDRESS_LIMIT, (n) => ({ ...plain, to: `${"a".repeat(n - "b.test".length)}@b.test` }));
  most(MESSAGE_ID_LIMIT, (n) => ({ ...plain, messageId: "a".repeat(n) }));
  most(LIST_URL_LIMIT, (n) => ({ ...plain, list: { help: `https://a.test/${"b".repeat(n - 15)}` } }));
  most(MEDIA_TYPE_LIMIT, (n) => ({ ...plain, attachments: [{ content: "", contentType: `a/b; c=${"d".repeat(n - 7)}` }] }));
  most(FILENAME_LIMIT, (n) => ({ ...plain, attachments: [{ content: "", filename: "a".repeat(n) }] }));
  most(CONTENT_ID_LIMIT, (n) => ({ ...plain, attachments: [{ content: "", cid: "a".repeat(n) }] }));
  most(ATTACHMENT_LIMIT, (n) => ({ ...plain, attachments: Array.from({ length: n }, () => ({ content: "" })) }));
  assert.throws(
    () => compose({ ...plain, to: Array.from({ length: 20_000 }, (_, i) => `a${i}@long-name.test`) }, options),
    /longer than 262144/,
  );
});
