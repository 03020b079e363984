/**
 * Drafts that try to break out of their header.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatMailbox } from "../mail/mailbox.ts";
import { concat } from "../util/bytes.ts";
import { type ComposeOptions, compose } from "./compose.ts";
import { ComposeError } from "./compose-error.ts";
import type { Attachment, Draft } from "./draft.ts";
import { contentFacts } from "./facts.ts";
import { readHeaderSection } from "./header-section.ts";

const options: ComposeOptions = { now: 0, messageId: "1@here.test", boundary: "0123456789" };
const plain: Draft = { from: "Ann <ann@here.test>", to: "bob@far.test", subject: "Lunch", text: "At noon?\n" };

/** What breaks headers, and what looks like it. */
const nasty = fc
  .array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom("\r\n", "\n", "\r", "\0", "\r\nBcc: x@y.test", "\r\n ", "\x7f", "\u2028", "\x85", "\ud800", "\t"),
      },
      {
        weight: 4,
        arbitrary: fc.constantFrom('"', "<", ">", ",", ";", ":", "@", "(", ")", "\\", "=?", "?=", "a@b.test", "https://a.test/", "%0d%0a"),
      },
      { weight: 4, arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }) },
      {
        weight: 1,
        arbitrary: fc.constantFrom("x".repeat(1000), "ü".repeat(400), "a b ".repeat(300), '"'.repeat(700), "=?utf-8?Q?=0D=0ABcc:_x?="),
      },
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(""));

const evilDraft: fc.Arbitrary<Draft> = fc
  .array(fc.tuple(fc.nat(27), nasty), { minLength: 1, maxLength: 3 })
  .map((changes) => Object.assign({}, plain, ...changes.map(([which, s]) => changed(which, s))) as Draft);

function changed(which: number, s: string): Partial<Draft> {
  const file = (attachment: Partial<Attachment>): Partial<Draft> => ({ html: "x", attachments: [{ content: "x", ...attachment }] });
  const choices: (() => Partial<Draft>)[] = [
    () => ({ from: s }),
    () => ({ to: { name: s, address: "a@b.test" } }),
    () => ({ to: { address: s } }),
    () => ({ cc: [s, "a@b.test"] }),
    () => ({ bcc: s }),
    () => ({ replyTo: { name: s, address: "ä@b.test" } }),
    () => ({ sender: s }),
    () => ({ subject: s }),
    () => ({ messageId: s }),
    () => ({ inReplyTo: s }),
    () => ({ references: [s, s] }),
    () => ({ headers: [{ name: s, value: "x" }] }),
    () => ({ headers: { "X-A": s } }),
    () => ({ headers: { "X-A": { prepared: s } } }),
    () => ({ headers: { "X-A": { value: s, parameters: { b: s } } } }),
    () => ({ headers: { "X-A": { value: "a", parameters: { [s]: "b" } } } }),
    () => ({ headers: { "X-A": { addresses: s } } }),
    () => ({ list: { unsubscribe: s, help: { url: "https://a.test", comment: s } } }),
    () => ({ list: { id: { id: "a.test", name: s } } }),
    () => ({ list: { id: s } }),
    () => ({ dispositionNotificationTo: s }),
    () => file({ filename: s }),
    () => file({ contentType: s }),
    () => file({ contentType: `a/b; c="${s}"` }),
    () => file({ cid: s }),
    () => file({ headers: { "X-A": s } }),
    () => ({ calendar: { content: s, method: s, filename: s } }),
    () => ({ text: s, subject: s, html: s, format: "flowed-delsp" }),
  ];
  return choices[which]!();
}

test("whatever a draft holds, its header has the fields it should have, and no line over 998", () => {
  const known = new RegExp(
    `^(?:${[
      ...["From", "Sender", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "X-A", "MIME-Version"],
      ...["List-(?:Id|Help|Unsubscribe)", "Disposition-Notification-To", "Content-(?:Type|Disposition|ID|Transfer-Encoding)"],
    ].join("|")})$`,
  );
  let made = 0;
  let refused = 0;
  fc.assert(
    fc.property(evilDraft, (draft) => {
      let content: Uint8Array;
      try {
        const composed = compose(draft, options);
        assert.ok(composed.content.kind === "memory");
        content = concat(composed.content.chunks);
        for (const mailbox of composed.to) assert.doesNotMatch(formatMailbox(mailbox), /[\r\n\0]/);
        made++;
      } catch (error) {
        assert.ok(error instanceof ComposeError, String(error));
        refused++;
        return;
      }
      const { section } = readHeaderSection(content);
      assert.equal(section.ending, "empty-line");
      const custom = Array.isArray(draft.headers) ? draft.headers.map(({ name }) => name) : [];
      const names = section.fields.map(({ name }) => name);
      for (const name of names) assert.ok(known.test(name) || custom.includes(name), name);
      assert.equal(names.length, new Set(names).size, names.join());
      assert.ok(!section.has("bcc"));
      const facts = contentFacts([content]);
      assert.ok(facts.longestLine <= 998 && !facts.binary);
    }),
    { numRuns: 3000 },
  );
  assert.ok(made > 300 && refused > 300, `${made} made, ${refused} refused`);
});
