import assert from "node:assert/strict";
import { test } from "node:test";
import { formatMailbox } from "../mail/mailbox.ts";
import { utf8 } from "../util/bytes.ts";
import { envelopeFromHeaders } from "./envelope.ts";
import { readHeaderSection } from "./header-section.ts";

function read(...lines: string[]): string {
  const envelope = envelopeFromHeaders(readHeaderSection(utf8(lines.map((line) => `${line}\r\n`).join(""))).section);
  return envelope.ok ? [envelope.from, ...envelope.to].map(formatMailbox).join(" ") : envelope.error;
}

test("From, To, Cc and Bcc", () => {
  assert.equal(
    read("From: Ann <a@a.test>", "To: b@b.test, C <c@c.test>", "Cc: d@d.test", "Bcc: e@e.test"),
    "a@a.test b@b.test c@c.test d@d.test e@e.test",
  );
});

test("Sender comes before From; fields that repeat and folded ones count", () => {
  assert.equal(
    read("From: a@a.test, b@b.test", "Sender: s@s.test", "To: c@c.test", "To: d@d.test,", "\te@e.test"),
    "s@s.test c@c.test d@d.test e@e.test",
  );
});

test("a recipient named twice is one, but local parts that differ in case are two", () => {
  assert.equal(read("From: a@a.test", "To: b@B.test", "Cc: b@b.test, B@b.test"), "a@a.test b@B.test B@b.test");
});

test("a Resent- block counts alone", () => {
  const message = ["From: a@a.test", "To: b@b.test", "Resent-From: r@r.test", "Resent-To: c@c.test", "Resent-Bcc: d@d.test"];
  assert.equal(read("Resent-Date: x", ...message), "r@r.test c@c.test d@d.test");
  assert.match(read("Resent-Date: x", "Resent-Date: y", ...message), /several/);
});

test("what cannot be read is an error, never a recipient less", () => {
  assert.match(read("From: a@a.test", "To: b@b.test, c"), /^To: /);
  assert.match(read("To: b@b.test"), /From/);
  assert.match(read("From: a@a.test", "To: undisclosed-recipients:;"), /recipients/);
});
