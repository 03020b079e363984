/**
 * Every sample, composed and read back by Python's email package and by postal-mime: the same structure, names, addresses and octets.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import PostalMime, { type Attachment, type Email, type Mailbox } from "postal-mime";
import { type ComposeOptions, compose, contentFacts, type Draft, decodeWords, readHeaderSection } from "../../src/message/index.ts";
import { type PythonMessage, readWithPython } from "./python.ts";
import { type Sample, samples } from "./samples.ts";

const options: ComposeOptions = {
  now: Date.UTC(2026, 10, 23, 12),
  offset: 60,
  messageId: "sample@here.test",
  boundary: "0123456789abcdef",
};

function bytesOf(draft: Draft, accept = {}): Buffer {
  const { content, facts } = compose(draft, { ...options, accept });
  assert.ok(content.kind === "memory");
  const bytes = Buffer.concat(content.chunks);
  const seen = contentFacts([bytes]);
  assert.equal(facts.size, bytes.length);
  assert.ok(facts.binary || (!seen.binary && seen.longestLine <= 998));
  assert.ok(facts.eightBit || !seen.eightBit);
  assert.ok(facts.smtpUtf8 || !seen.eightBitHeader);
  return bytes;
}

const messages = samples.map(({ draft, accept }) => bytesOf(draft, accept));
const byPython = readWithPython(messages);

it("there are samples enough, each of its own name", () => {
  assert.ok(samples.length >= 40);
  assert.equal(new Set(samples.map(({ name }) => name)).size, samples.length);
});

describe("read by Python's email package", { skip: byPython === undefined ? "python3 is not installed" : false }, () => {
  for (const [i, sample] of samples.entries())
    it(sample.name, () => compareWithPython(sample, (byPython as PythonMessage[])[i] as PythonMessage));
});

function compareWithPython(sample: Sample, read: PythonMessage): void {
  assert.deepEqual(
    read.defects.filter((defect) => !isKnown(defect)),
    [],
  );
  assert.deepEqual(
    read.parts.map(({ type }) => type),
    sample.types,
  );
  for (const [name, value] of Object.entries(sample.header ?? {})) assert.equal(read.header[name], value, name);
  for (const [name, list] of Object.entries(sample.addresses ?? {})) assert.deepEqual(read.addresses[name], list, name);
  assert.deepEqual(
    read.parts.flatMap(({ filename }) => filename ?? []),
    sample.files ?? [],
  );
  for (const [i, body] of Object.entries(sample.bodies ?? {})) {
    assert.equal(Buffer.from(read.parts[Number(i)]?.body ?? "", "hex").toString("latin1"), body, `part ${i}`);
  }
  assert.equal(
    new Set(read.names.filter((name) => !name.startsWith("x-"))).size,
    read.names.length - read.names.filter((n) => n.startsWith("x-")).length,
  );
  assert.ok(!read.names.includes("bcc"));
  for (const name of ["from", "date", "message-id", "mime-version"]) assert.ok(read.names.includes(name), name);
}

/** The copy of a name for old readers (see parameters.ts), and what Python's parser of addresses does not know: RFC 6532. */
function isKnown(defect: string): boolean {
  return /^Content-Type: .*'(?:encoded word inside quoted string|missing trailing whitespace after encoded-word)'|^To: (?:UndecodableBytes|NonASCIILocalPart)Defect/.test(
    defect,
  );
}

describe("read by postal-mime", () => {
  for (const [i, sample] of samples.entries()) {
    it(sample.name, async () =>
      compareWithPostalMime(sample, await PostalMime.parse(messages[i] as Buffer, { forceRfc822Attachments: true })),
    );
  }
});

function compareWithPostalMime(sample: Sample, read: Email): void {
  const { draft } = sample;
  if (sample.header?.subject !== undefined) assert.equal(read.subject, sample.header.subject);
  const lists: Record<string, readonly Mailbox[]> = {
    from: read.from === undefined ? [] : [read.from as Mailbox],
    to: (read.to ?? []) as Mailbox[],
    cc: (read.cc ?? []) as Mailbox[],
    "reply-to": (read.replyTo ?? []) as Mailbox[],
  };
  for (const [name, list] of Object.entries(sample.addresses ?? {})) {
    // It gives one From and takes the quotes of a local part off.
    const found = lists[name]?.map((address) => [address.name, address.address]);
    if (name in lists)
      assert.deepEqual(
        found,
        (name === "from" ? list.slice(0, 1) : list).map(([n, a]) => [n, a.replaceAll('"', "")]),
        name,
      );
  }
  const files = read.attachments.filter(({ filename }) => filename !== null).map(({ filename }) => filename);
  // It decodes even what RFC 2231 says is no encoded word.
  assert.deepEqual(files, (sample.files ?? []).map(decodeWords));
  if (draft.html !== undefined && draft.attachDataUris !== true) assert.equal(lines(read.html), lines(draft.html));
  for (const attachment of read.attachments) {
    const index = sample.types.indexOf(attachment.mimeType);
    assert.ok(index >= 0, attachment.mimeType);
    const same = sample.types.filter((type) => type === attachment.mimeType).length === 1;
    const body = sample.bodies?.[index];
    if (same && body !== undefined) sameContent(attachment, body);
  }
}

/** Texts come with LF; what is not encoded comes with the line break that is the delimiter's. */
function sameContent({ mimeType, content }: Attachment, body: string): void {
  const found = contentOf(content);
  if (/^text\/|\/ics$/.test(mimeType)) assert.equal(lines(found), lines(body), mimeType);
  else assert.equal(found.endsWith("\n") && !body.endsWith("\n") ? found.slice(0, -1) : found, body, mimeType);
}

const lines = (text: string | undefined) => text?.replaceAll("\r\n", "\n").trimEnd();
const contentOf = (content: ArrayBuffer | Uint8Array | string) =>
  typeof content === "string" ? Buffer.from(content).toString("latin1") : Buffer.from(content as ArrayBuffer).toString("latin1");

it("random subjects and names come out of our decoder and of Python's as they went in", () => {
  const text = fc
    .array(
      fc.oneof(
        fc.string({ unit: "grapheme", maxLength: 20 }),
        fc.constantFrom("=?", "?=", "=?utf-8?Q?a?=", "ü", "日本語", "👨‍👩‍👧", '"', ",", "<a@b>", "_", "  "),
      ),
      { maxLength: 8 },
    )
    .map((parts) =>
      parts
        .join("")
        .replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, "")
        .trim(),
    );
  const pairs = fc.sample(fc.tuple(text, text), 400).filter(([, name]) => name !== "");
  const made = pairs.map(([subject, name]) => bytesOf({ from: { name, address: "a@b.test" }, to: "c@d.test", subject, text: "x" }));
  for (const [i, [subject, name]] of pairs.entries()) {
    const { section } = readHeaderSection(made[i] as Buffer);
    assert.equal(decodeWords(section.value("subject") ?? ""), subject);
    const from = decodeWords(section.value("from") ?? "");
    assert.ok(from.endsWith(" <a@b.test>"));
    assert.ok(from.includes(name) || from.includes(name.replace(/["\\]/g, "\\$&")), `${from} of ${name}`);
  }
  for (const [i, read] of (readWithPython(made) ?? []).entries()) {
    const [subject, name] = pairs[i] as [string, string];
    assert.equal(read.header.subject, subject);
    // Python's parser of addresses puts blanks between encoded words and makes one of several.
    const [[found, address]] = read.addresses.from as [[string, string]];
    assert.deepEqual([found.replaceAll(" ", ""), address], [name.replaceAll(" ", ""), "a@b.test"]);
  }
});
