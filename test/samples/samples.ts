/**
 * Drafts of every kind, each with what another reader has to find in it.
 *
 * Rules
 * 1. What is expected is written down here by hand, not taken from what `compose` made.
 * 2. Texts end in a line break and have no blanks at the ends of lines: readers differ about both.
 */
import type { Accepted, Draft } from "../../src/message/index.ts";

export interface Sample {
  readonly name: string;
  readonly draft: Draft;
  readonly accept?: Accepted;
  /** Media types in the order of the content, containers before what they contain. */
  readonly types: readonly string[];
  /** Fields by name as people read them; other fields are compared by their names alone. */
  readonly header?: Readonly<Record<string, string>>;
  /** Addresses of a field, as name and address. */
  readonly addresses?: Readonly<Record<string, readonly (readonly [string, string])[]>>;
  /** Names of the files, in order. */
  readonly files?: readonly string[];
  /** Bodies of leaves by their index in `types`, as octets in latin1. */
  readonly bodies?: Readonly<Record<number, string>>;
}

const base = { from: "Ann <ann@here.test>", to: "bob@far.test", subject: "Sample", text: "Hello\n" } as const;
const octets = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7919) & 255);
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const utf8 = (text: string) => Buffer.from(text).toString("latin1");
const plain = ["text/plain"];
const mixed = (...types: string[]) => ["multipart/mixed", "text/plain", ...types];
const event = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:Grüße\r\nEND:VCALENDAR\r\n";

export const samples: readonly Sample[] = [
  { name: "plain", draft: base, types: plain, header: { subject: "Sample", to: "bob@far.test" }, bodies: { 0: "Hello\r\n" } },
  { name: "empty", draft: { from: "a@b.test", to: "c@d.test" }, types: plain, bodies: { 0: "" } },
  { name: "html alone", draft: { ...base, text: "x\n", html: "<p>Hi</p>\n" }, types: ["multipart/alternative", "text/plain", "text/html"] },
  { name: "text of UTF-8", draft: { ...base, text: "Grüße aus Köln\n" }, types: plain, bodies: { 0: utf8("Grüße aus Köln\r\n") } },
  {
    name: "text of UTF-8 as 8bit",
    draft: { ...base, text: "Grüße\n" },
    accept: { eightBitMime: true },
    types: plain,
    bodies: { 0: utf8("Grüße\r\n") },
  },
  {
    name: "text in Japanese",
    draft: { ...base, text: "こんにちは世界\n".repeat(9) },
    types: plain,
    bodies: { 0: utf8("こんにちは世界\r\n".repeat(9)) },
  },
  {
    name: "text with long lines",
    draft: { ...base, text: `${"word ".repeat(500)}end\n` },
    types: plain,
    bodies: { 0: `${"word ".repeat(500)}end\r\n` },
  },
  { name: "text with NUL and controls", draft: { ...base, text: "a\0b\x07c\x1bd\n" }, types: plain, bodies: { 0: "a\0b\x07c\x1bd\r\n" } },
  {
    name: "text with dots and From",
    draft: { ...base, text: ".\n..\nFrom here\n" },
    types: plain,
    bodies: { 0: ".\r\n..\r\nFrom here\r\n" },
  },
  { name: "text forced to base64", draft: { ...base, textEncoding: "base64" }, types: plain, bodies: { 0: "Hello\r\n" } },
  {
    name: "text forced to quoted-printable",
    draft: { ...base, text: "a=b\n", textEncoding: "quoted-printable" },
    types: plain,
    bodies: { 0: "a=b\r\n" },
  },
  {
    name: "text that flows",
    draft: { ...base, text: `${"word ".repeat(20)}end\n`, format: "flowed" },
    types: plain,
    bodies: { 0: `${"word ".repeat(14)}\r\n${"word ".repeat(6)}end\r\n` },
  },
  { name: "line ends of all kinds", draft: { ...base, text: "a\nb\rc\r\nd\n" }, types: plain, bodies: { 0: "a\r\nb\r\nc\r\nd\r\n" } },
  { name: "subject of UTF-8", draft: { ...base, subject: "Grüße aus Köln" }, types: plain, header: { subject: "Grüße aus Köln" } },
  {
    name: "subject long and of UTF-8",
    draft: { ...base, subject: `日本語の件名${"がとても長い".repeat(20)}` },
    types: plain,
    header: { subject: `日本語の件名${"がとても長い".repeat(20)}` },
  },
  {
    name: "subject of emoji",
    draft: { ...base, subject: "👨‍👩‍👧 ".repeat(20).trim() },
    types: plain,
    header: { subject: "👨‍👩‍👧 ".repeat(20).trim() },
  },
  {
    name: "subject like an encoded word",
    draft: { ...base, subject: "see =?utf-8?Q?this?= here" },
    types: plain,
    header: { subject: "see =?utf-8?Q?this?= here" },
  },
  {
    name: "subject long and of ASCII",
    draft: { ...base, subject: "word ".repeat(40).trim() },
    types: plain,
    header: { subject: "word ".repeat(40).trim() },
  },
  {
    name: "names of all kinds",
    draft: {
      ...base,
      from: { name: "Müller, Jürgen", address: "j@here.test" },
      to: ["Bob <bob@far.test>", { name: 'O\'Hara (Sales) "x"', address: "o@far.test" }, { name: "日本 太郎", address: "t@far.test" }],
      cc: "plain@far.test, John Q. Public <jq@far.test>, =?utf-8?Q?J=C3=BC?= <ju@far.test>",
      bcc: "hidden@far.test",
      replyTo: '"quoted local"@far.test',
    },
    types: plain,
    addresses: {
      from: [["Müller, Jürgen", "j@here.test"]],
      to: [
        ["Bob", "bob@far.test"],
        ['O\'Hara (Sales) "x"', "o@far.test"],
        ["日本 太郎", "t@far.test"],
      ],
      cc: [
        ["", "plain@far.test"],
        ["John Q. Public", "jq@far.test"],
        ["Jü", "ju@far.test"],
      ],
      "reply-to": [["", '"quoted local"@far.test']],
    },
  },
  {
    name: "sixty recipients",
    draft: { ...base, to: Array.from({ length: 60 }, (_, i) => ({ name: `Recipient ${i}`, address: `r${i}@far.test` })) },
    types: plain,
    addresses: { to: Array.from({ length: 60 }, (_, i) => [`Recipient ${i}`, `r${i}@far.test`] as const) },
  },
  {
    name: "several authors with a sender",
    draft: { ...base, from: ["a@here.test", "Ann <b@here.test>"], sender: "s@here.test" },
    types: plain,
    addresses: {
      from: [
        ["", "a@here.test"],
        ["Ann", "b@here.test"],
      ],
      sender: [["", "s@here.test"]],
    },
  },
  {
    name: "a name like an address",
    draft: { ...base, to: { name: "ceo@bank.test", address: "x@far.test" } },
    types: plain,
    addresses: { to: [["ceo@bank.test", "x@far.test"]] },
  },
  { name: "IDN", draft: { ...base, to: "Bär <b@bücher.test>" }, types: plain, addresses: { to: [["Bär", "b@xn--bcher-kva.test"]] } },
  {
    name: "EAI",
    draft: { ...base, to: "Bär <bär@bücher.test>", subject: "Grüße" },
    types: plain,
    header: { subject: "Grüße" },
    addresses: { to: [["Bär", "bär@bücher.test"]] },
  },
  {
    name: "a thread",
    draft: { ...base, messageId: "new@here.test", inReplyTo: "old@far.test", references: ["first@far.test", "old@far.test"], date: 0 },
    types: plain,
    header: { "message-id": "<new@here.test>", "in-reply-to": "<old@far.test>", references: "<first@far.test> <old@far.test>" },
  },
  {
    name: "a long thread",
    draft: { ...base, references: Array.from({ length: 40 }, (_, i) => `message-number-${i}@far.test`) },
    types: plain,
    header: { references: Array.from({ length: 40 }, (_, i) => `<message-number-${i}@far.test>`).join(" ") },
  },
  {
    name: "priority",
    draft: { ...base, priority: "high" },
    types: plain,
    header: { "x-priority": "1 (Highest)", importance: "High", "x-msmail-priority": "High" },
  },
  {
    name: "headers of one's own",
    draft: { ...base, headers: { "X-Order": "Größe 42", "X-Long": "value ".repeat(30).trim() } },
    types: plain,
    header: { "x-order": "Größe 42", "x-long": "value ".repeat(30).trim() },
  },
  {
    name: "a newsletter",
    draft: {
      ...base,
      list: {
        id: { id: "news.here.test", name: "News" },
        unsubscribe: ["https://here.test/u?t=abc", "mailto:u@here.test?subject=off"],
        oneClick: true,
        help: { url: "https://here.test/help", comment: "Help" },
      },
    },
    types: plain,
    header: {
      "list-id": "News <news.here.test>",
      "list-unsubscribe": "<https://here.test/u?t=abc>, <mailto:u@here.test?subject=off>",
      "list-unsubscribe-post": "List-Unsubscribe=One-Click",
      "list-help": "<https://here.test/help> (Help)",
    },
  },
  {
    name: "an automatic message with a receipt",
    draft: { ...base, autoSubmitted: "auto-generated", dispositionNotificationTo: "Ann <ann@here.test>" },
    types: plain,
    header: { "auto-submitted": "auto-generated", "disposition-notification-to": "Ann <ann@here.test>" },
  },
  {
    name: "text, AMP and HTML",
    draft: { ...base, amp: "<!doctype html><html amp4email></html>\n", html: "<p>Hi</p>\n" },
    types: ["multipart/alternative", "text/plain", "text/x-amp-html", "text/html"],
    bodies: { 2: "<!doctype html><html amp4email></html>\r\n" },
  },
  {
    name: "an invitation",
    draft: { ...base, html: "<p>Hi</p>\n", calendar: { content: event } },
    types: ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar", "application/ics"],
    files: ["invite.ics"],
    bodies: { 4: utf8(event), 5: utf8(event) },
  },
  {
    name: "alternatives of one's own",
    draft: {
      ...base,
      alternatives: [
        { contentType: "text/markdown", content: "# Grüße\n" },
        { contentType: "application/json", content: '{"a":1}' },
      ],
    },
    types: ["multipart/alternative", "text/plain", "text/markdown", "application/json"],
    bodies: { 2: utf8("# Grüße\r\n"), 3: '{"a":1}' },
  },
  {
    name: "a file",
    draft: { ...base, attachments: [{ filename: "a.pdf", content: octets }] },
    types: mixed("application/pdf"),
    files: ["a.pdf"],
    bodies: { 2: latin1(octets) },
  },
  {
    name: "a file alone",
    draft: { from: "a@b.test", to: "c@d.test", attachments: [{ filename: "a.gz", content: octets }] },
    types: ["application/gzip"],
    files: ["a.gz"],
    bodies: { 0: latin1(octets) },
  },
  {
    name: "an empty file",
    draft: { ...base, attachments: [{ filename: "none.txt", content: "" }] },
    types: mixed("text/plain"),
    files: ["none.txt"],
    bodies: { 2: "" },
  },
  {
    name: "files of all names",
    draft: {
      ...base,
      attachments: [
        "Übersicht.pdf",
        "日本語の長い名前".repeat(8) + ".pdf",
        'a "quoted" \\ name.pdf',
        `${"long-".repeat(30)}name.pdf`,
        "semi;colon, comma.pdf",
        "=?utf-8?Q?x?=.pdf",
        "100%*'.pdf",
        "two  spaces .pdf",
      ].map((filename) => ({ filename, content: "x" })),
    },
    types: mixed(...Array.from({ length: 8 }, () => "application/pdf")),
    files: [
      "Übersicht.pdf",
      "日本語の長い名前".repeat(8) + ".pdf",
      'a "quoted" \\ name.pdf',
      `${"long-".repeat(30)}name.pdf`,
      "semi;colon, comma.pdf",
      "=?utf-8?Q?x?=.pdf",
      "100%*'.pdf",
      "two  spaces .pdf",
    ],
  },
  {
    name: "strings in encodings",
    draft: {
      ...base,
      attachments: [
        { filename: "a.bin", content: "AAEC/w==", encoding: "base64" },
        { filename: "b.bin", content: "00ff", encoding: "hex" },
        { filename: "c.bin", content: "ÿ", encoding: "latin1" },
      ],
    },
    types: mixed(...Array.from({ length: 3 }, () => "application/octet-stream")),
    files: ["a.bin", "b.bin", "c.bin"],
    bodies: { 2: "\0\x01\x02\xff", 3: "\0\xff", 4: "\xff" },
  },
  {
    name: "files in other transfer encodings",
    draft: {
      ...base,
      attachments: [
        { filename: "q.txt", content: "ä = b \r\n\tx\r\n", contentTransferEncoding: "quoted-printable" },
        { filename: "p.csv", content: "a;b\r\n", contentTransferEncoding: "7bit" },
      ],
    },
    types: mixed("text/plain", "text/csv"),
    files: ["q.txt", "p.csv"],
    bodies: { 2: utf8("ä = b \r\n\tx\r\n"), 3: "a;b\r\n" },
  },
  {
    name: "a file as binary",
    draft: { ...base, attachments: [{ filename: "a.bin", content: Uint8Array.from([0, 1, 2, 200, 255]) }] },
    accept: { binaryMime: true, eightBitMime: true },
    types: mixed("application/octet-stream"),
    files: ["a.bin"],
    bodies: { 2: "\0\x01\x02\xc8\xff" },
  },
  {
    name: "fields of a part",
    draft: {
      ...base,
      attachments: [
        { filename: "a.png", content: "x", headers: { "Content-Description": "Größe", "X-Part": "1" }, contentDisposition: "inline" },
      ],
    },
    types: mixed("image/png"),
    files: ["a.png"],
  },
  {
    name: "inline images",
    draft: {
      ...base,
      html: '<img src="cid:a@x"><img src="cid:b@x">\n',
      attachments: [
        { cid: "a@x", filename: "a.png", content: octets },
        { cid: "b@x", contentType: "image/gif", content: "GIF" },
        { filename: "c.zip", content: octets },
      ],
    },
    types: [
      "multipart/mixed",
      "multipart/alternative",
      "text/plain",
      "multipart/related",
      "text/html",
      "image/png",
      "image/gif",
      "application/zip",
    ],
    files: ["a.png", "c.zip"],
    bodies: { 5: latin1(octets), 6: "GIF", 7: latin1(octets) },
  },
  {
    name: "images out of data: URIs",
    draft: { ...base, html: '<img src="data:image/png;base64,AAEC">\n', attachDataUris: true },
    types: ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"],
    files: ["image1.png"],
    bodies: { 4: "\0\x01\x02" },
  },
  {
    name: "a data: URI as a file",
    draft: { ...base, attachments: [{ filename: "a.svg", dataUri: "data:image/svg+xml,%3Csvg%2F%3E" }] },
    types: mixed("image/svg+xml"),
    files: ["a.svg"],
    bodies: { 2: "<svg/>" },
  },
  {
    name: "a forwarded message",
    draft: { ...base, attachments: [{ filename: "old.eml", content: "From: x@y.test\r\nSubject: old\r\n\r\nold body\r\n" }] },
    types: mixed("message/rfc822", "text/plain"),
    files: ["old.eml"],
  },
  {
    name: "a forwarded message that is 8bit",
    draft: { ...base, attachments: [{ filename: "old.eml", content: "Subject: old\r\n\r\nGrüße\r\n" }] },
    types: mixed("application/octet-stream"),
    files: ["old.eml"],
    bodies: { 2: utf8("Subject: old\r\n\r\nGrüße\r\n") },
  },
  {
    name: "a raw part",
    draft: { ...base, attachments: [{ raw: 'Content-Type: text/x-own; name="own.txt"\nContent-Transfer-Encoding: base64\n\nAAEC\n' }] },
    types: mixed("text/x-own"),
    files: ["own.txt"],
    bodies: { 2: "\0\x01\x02" },
  },
  {
    name: "types with parameters",
    draft: {
      ...base,
      attachments: [
        { filename: "a.csv", contentType: 'text/csv; charset=iso-8859-1; header="present"', content: Uint8Array.of(0xe4, 13, 10) },
      ],
    },
    types: mixed("text/csv"),
    files: ["a.csv"],
    bodies: { 2: "\xe4\r\n" },
  },
];
