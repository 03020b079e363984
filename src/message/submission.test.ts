import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../util/bytes.ts";
import { contentText } from "./contents.test.ts";
import { HEADER_SECTION_LIMIT, readHeaderSection } from "./header-section.ts";
import { fixSubmission, messageIdText } from "./submission.ts";

const options = { now: Date.UTC(2026, 0, 2, 3, 4, 5), messageId: "id@mail.example.test" };
const date = "Date: Fri, 2 Jan 2026 03:04:05 +0000\r\n";
const id = "Message-ID: <id@mail.example.test>\r\n";

function fix(text: string): string {
  const { section, body } = readHeaderSection(latin1(text));
  return fromLatin1(concat([...fixSubmission(section, options), body]));
}

const cases: [why: string, before: string, after: string][] = [
  ["nothing missing", "Date: x\r\nMessage-Id: y\r\n\r\nbody", "Date: x\r\nMessage-Id: y\r\n\r\nbody"],
  ["both missing", "From: a@b\r\n\r\nbody", `From: a@b\r\n${date}${id}\r\nbody`],
  ["Bcc leaves with its folding", "date: x\r\nBCC: a@b,\r\n c@d\r\nMessage-ID: y\r\n\r\nbody", "date: x\r\nMessage-ID: y\r\n\r\nbody"],
  ["Resent-Bcc, obsolete colon", "Date: x\r\nResent-Bcc : a\r\nMessage-ID: y\r\nBcc:\r\n\r\n", "Date: x\r\nMessage-ID: y\r\n\r\n"],
  ["a Bcc in the body is text", "Date: x\r\nMessage-ID: y\r\n\r\nBcc: a@b\r\n", "Date: x\r\nMessage-ID: y\r\n\r\nBcc: a@b\r\n"],
  ["no header", "\r\nbody", `${date}${id}\r\nbody`],
  ["empty", "", `${date}${id}`],
  ["only Bcc", "Bcc: a\r\n\r\nbody", `${date}${id}\r\nbody`],
  ["empty line forgotten", "Date: x\r\nMessage-ID: y\r\nhello you\r\n", "Date: x\r\nMessage-ID: y\r\n\r\nhello you\r\n"],
  ["body alone", "hello you\r\n", `${date}${id}\r\nhello you\r\n`],
  ["cut short", "From: a@b", `From: a@b\r\n${date}${id}`],
  ["header alone, complete", "Date: x\r\nMessage-ID: y\r\n", "Date: x\r\nMessage-ID: y\r\n"],
  ["octets kept", "Date:\tx \r\nmessage-id: y\r\nX: \xff\0\n\r\n\r\n", "Date:\tx \r\nmessage-id: y\r\nX: \xff\0\n\r\n\r\n"],
];

for (const [why, before, after] of cases) test(`submission fix-up: ${why}`, () => assert.equal(fix(before), after));

test("mending what is mended changes nothing; no Bcc is ever left", () => {
  fc.assert(
    fc.property(contentText, (text) => {
      const once = fix(text);
      assert.equal(fix(once), once);
      const { section } = readHeaderSection(latin1(once));
      assert.ok(!section.has("bcc") && section.has("date") && section.has("message-id"));
    }),
    { numRuns: 500 },
  );
});

test("a section that passed the limit is not mended", () => {
  const { section } = readHeaderSection(latin1(`A: ${"x".repeat(HEADER_SECTION_LIMIT)}\r\nBcc: a\r\n\r\n`));
  assert.throws(() => fixSubmission(section, options), RangeError);
});

test("a Message-ID is ASCII", () => assert.equal(messageIdText("0123456789ABCDEF", "bücher.test"), "0123456789ABCDEF@xn--bcher-kva.test"));
