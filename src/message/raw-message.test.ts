import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatReversePath } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import { concat, fromLatin1, latin1, utf8 } from "../util/bytes.ts";
import { type Composed, type ComposeOptions, compose } from "./compose.ts";
import { ComposeError } from "./compose-error.ts";
import { contentText, cut } from "./contents.test.ts";
import { LineEnds, mendedLineEnds } from "./crlf.ts";
import { readDraftContent } from "./draft-content.ts";
import { contentFacts } from "./facts.ts";
import { HEADER_SECTION_LIMIT } from "./header-section.ts";

const options: ComposeOptions = { now: 0, messageId: "1@here.test", boundary: "0" };
const envelope = { from: "a@b.test", to: "c@d.test" };

async function read({ content }: Composed): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readDraftContent(content)) chunks.push(chunk);
  return fromLatin1(concat(chunks));
}

const addresses = ({ from, to }: Composed) => `${formatReversePath(from)} ${to.map(formatMailbox).join(" ")}`;

test("the envelope is the header's, the copy is without Bcc, the caller's bytes stay as they are", async () => {
  const raw = utf8(
    "Message-ID: <x@y>\nFrom: a@b.test\nTo: c@bücher.test\nbcc: d@e.test,\n f@g.test\nSubject: x\n\nBcc: in the body\n..dots\n",
  );
  const before = raw.slice();
  const made = compose({ raw }, options);
  assert.equal(addresses(made), "<a@b.test> c@xn--bcher-kva.test d@e.test f@g.test");
  assert.equal(made.messageId, "x@y");
  assert.equal(
    await read(made),
    fromLatin1(utf8("Message-ID: <x@y>\r\nFrom: a@b.test\r\nTo: c@bücher.test\r\nSubject: x\r\n\r\nBcc: in the body\r\n..dots\r\n")),
  );
  assert.deepEqual(raw, before);
  assert.deepEqual([made.facts.smtpUtf8, made.facts.eightBit, made.replayable], [true, true, true]);
});

test("a resent message goes to whom it was resent", async () => {
  const old = "From: a@b.test\r\nTo: c@d.test\r\n";
  const block = (n: number) => `Resent-Date: x\r\nResent-From: r${n}@b.test\r\nResent-To: s${n}@d.test\r\nResent-Bcc: t${n}@d.test\r\n`;
  const made = compose({ raw: `${block(1)}${old}\r\n` }, options);
  assert.equal(addresses(made), "<r1@b.test> s1@d.test t1@d.test");
  assert.doesNotMatch(await read(made), /t1@/);
  const twice = compose({ raw: `${block(2)}Received: x\r\n${block(1)}${old}\r\n` }, options);
  assert.equal(addresses(twice), "<r2@b.test> s2@d.test t2@d.test");
  assert.doesNotMatch(await read(twice), /Resent-Bcc/);
  assert.throws(() => compose({ raw: `${block(2)}${block(1)}${old}\r\n` }, options), /cannot be told apart/);
});

test("an envelope that is given counts, each half by itself", () => {
  const raw = "From: a@b.test\r\nTo: c@d.test\r\n\r\nx";
  assert.equal(addresses(compose({ raw, envelope: { from: null } }, options)), "<> c@d.test");
  assert.equal(addresses(compose({ raw, envelope: { to: "x@y.test" } }, options)), "<a@b.test> x@y.test");
  assert.equal(addresses(compose({ raw: "Subject: no addresses\r\n\r\n", envelope }, options)), "<a@b.test> c@d.test");
  for (const bad of ["Subject: x\r\n\r\n", "From: a@b.test\r\n\r\n", "From: a@b.test\r\nTo: nobody\r\n\r\n"]) {
    assert.throws(() => compose({ raw: bad }, options), ComposeError, bad);
  }
});

test("a header section that is too long might hide a Bcc: refused, in memory and as a stream", async () => {
  const raw = `${`X: ${"y".repeat(60)}\r\n`.repeat(HEADER_SECTION_LIMIT / 60)}Bcc: a@b.test\r\n\r\n`;
  assert.throws(() => compose({ raw, envelope }, options), ComposeError);
  await assert.rejects(read(compose({ raw: { open: () => [raw] }, envelope }, options)), ComposeError);
});

test("a stream needs an envelope, and nothing is known of it before", async () => {
  const source = { open: () => ["From: x@y.test\nBcc: z@y.test\n", "\nbody\n"] };
  assert.throws(() => compose({ raw: source }, options), /envelope/);
  const made = compose({ raw: source, envelope }, options);
  assert.deepEqual(made.facts, { eightBit: undefined, binary: undefined, smtpUtf8: false, size: undefined });
  assert.equal(await read(made), "From: x@y.test\r\n\r\nbody\r\n");
});

test("a stream in any chunks is what it is in memory", async () => {
  const property = fc.asyncProperty(
    contentText,
    fc.array(fc.integer({ min: 1, max: 20 })),
    fc.constantFrom("crlf" as const, "keep" as const),
    async (text, lengths, lineEnds) => {
      const raw = latin1(text);
      const whole = compose({ raw, envelope, lineEnds }, options);
      const wanted = await read(whole);
      const chunks = cut(raw, lengths);
      assert.equal(await read(compose({ raw: { open: () => chunks.map((chunk) => chunk.slice()) }, envelope, lineEnds }, options)), wanted);
      const facts = contentFacts([latin1(wanted)]);
      assert.deepEqual([whole.facts.size, whole.facts.eightBit, whole.facts.binary], [facts.size, facts.eightBit, facts.binary]);
    },
  );
  await fc.assert(property, { numRuns: 500 });
});

test("every CR and LF alone becomes CRLF, whatever the chunks; clean ones come back as they are", () => {
  fc.assert(
    fc.property(contentText, fc.array(fc.integer({ min: 1, max: 5 })), (text, lengths) => {
      const wanted = text.replace(/\r\n|\r|\n/g, "\r\n");
      assert.equal(fromLatin1(mendedLineEnds(latin1(text))), wanted);
      const mender = new LineEnds();
      const chunks = cut(latin1(text), lengths);
      assert.equal(fromLatin1(concat([...chunks.map((chunk) => mender.push(chunk)), mender.end()])), wanted);
    }),
  );
  const clean = utf8("a\r\nb\r\n");
  assert.equal(mendedLineEnds(clean), clean);
});
