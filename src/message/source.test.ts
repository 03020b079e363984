import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { base64LinesSize } from "../util/base64.ts";
import { concat, fromLatin1, fromUtf8, utf8 } from "../util/bytes.ts";
import { type ComposeOptions, compose } from "./compose.ts";
import { ComposeError } from "./compose-error.ts";
import { contentText, cut } from "./contents.test.ts";
import type { Accepted, Attachment, Draft, Source } from "./draft.ts";
import { readDraftContent, sizedContent } from "./draft-content.ts";
import { readSource } from "./source.ts";

const options: ComposeOptions = { now: 0, messageId: "1@here.test", boundary: "0123456789" };
const plain: Draft = { from: "ann@here.test", to: "bob@far.test", text: "see the file" };

async function collect(content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return concat(chunks);
}

const withFile = (content: Source, more: Partial<Attachment> = {}): Draft => ({
  ...plain,
  attachments: [{ filename: "a.bin", content, ...more }],
});
const made = (draft: Draft, accept: Accepted = {}) => compose(draft, { ...options, accept });

async function* chunked(chunks: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array | string> {
  yield* chunks;
}

test("a source gives the same message as its octets would, whatever its form and its chunks", async () => {
  const property = fc.asyncProperty(
    fc.uint8Array({ maxLength: 400 }),
    fc.array(fc.integer({ min: 1, max: 90 })),
    async (bytes, lengths) => {
      const chunks = cut(bytes, lengths);
      const whole = await collect(readDraftContent(made(withFile(bytes)).content));
      const sources: Source[] = [
        { size: bytes.length, open: () => chunks },
        { open: () => chunked(chunks) },
        chunked(chunks),
        Readable.from(chunks),
        new Blob([Buffer.from(bytes)]),
        new Blob([Buffer.from(bytes)]).stream(),
        { getReader: () => new Blob([Buffer.from(bytes)]).stream().getReader() },
      ];
      for (const [i, source] of sources.entries()) {
        const { content, replayable, facts } = made(withFile(source));
        const sized = i === 0 || i === 4;
        assert.deepEqual([content.kind, replayable], [sized ? "stored" : "streamed", i === 0 || i === 1 || i === 4]);
        assert.equal(facts.size, sized ? whole.length : undefined);
        assert.deepEqual(await collect(readDraftContent(content)), whole, `source ${i}`);
      }
    },
  );
  await fc.assert(property, { numRuns: 40 });
});

test("a replayable source is opened anew each time, a stream once only", async () => {
  const { content } = made(withFile({ size: 1, open: () => [utf8("x")] }));
  assert.deepEqual(await collect(readDraftContent(content)), await collect(readDraftContent(content)));
  const once = made(withFile(chunked([utf8("x")])));
  assert.throws(() => sizedContent(once.content), RangeError);
  await collect(readDraftContent(once.content));
  await assert.rejects(collect(readDraftContent(once.content)), /read already/);
});

test("a source that does not keep its word fails", async () => {
  for (const size of [0, 2, 5]) {
    const { content } = made(withFile({ size, open: () => [utf8("abc")] }));
    await assert.rejects(collect(readDraftContent(content)), ComposeError);
  }
  const { content } = made(withFile({ open: () => [7] as unknown as Uint8Array[] }));
  await assert.rejects(collect(readDraftContent(content)), /no Uint8Array/);
  for (const size of [-1, 1.5, Number.NaN]) assert.throws(() => made(withFile({ size, open: () => [] })), ComposeError);
  for (const wrong of [7, null, {}]) assert.throws(() => made(withFile(wrong as unknown as Source)), ComposeError);
});

test("a file is read as the message is: never ahead, never gathered", async () => {
  const chunk = new Uint8Array(64 * 1024);
  const count = 400;
  let opened = 0;
  const source = {
    size: chunk.length * count,
    *open() {
      for (let i = 0; i < count; i++) {
        opened++;
        yield chunk;
      }
    },
  };
  const { content, facts } = made(withFile(source));
  assert.equal(opened, 0);
  let size = 0;
  let largest = 0;
  for await (const out of readDraftContent(content)) {
    size += out.length;
    largest = Math.max(largest, out.length);
    assert.ok(size >= base64LinesSize(Math.max(0, opened - 1) * chunk.length) - 78, "what was read has come out");
  }
  assert.equal(size, facts.size);
  assert.ok(largest <= 128 * 1024, String(largest));
});

test("a chunk of any size is cut", async () => {
  const { content } = made(withFile({ open: () => [new Uint8Array(5_000_000)] }));
  for await (const out of readDraftContent(content)) assert.ok(out.length <= 350_000, String(out.length));
});

test("who stops reading closes the source", async () => {
  let closed = false;
  async function* source() {
    try {
      for (;;) yield new Uint8Array(100_000);
    } finally {
      closed = true;
    }
  }
  for await (const chunk of readDraftContent(made(withFile(source())).content)) if (chunk.length > 50_000) break;
  assert.ok(closed);
});

test("a stream goes as the server takes it", async () => {
  const source = () => ({ open: () => [utf8("ä\0")] });
  const binary = made(withFile(source()), { binaryMime: true });
  assert.equal(binary.facts.binary, true);
  assert.match(fromUtf8(await collect(readDraftContent(binary.content)))!, /: binary\r\nContent-Type|: binary\r\n\r\nä\0\r\n/);
  const quoted = made(withFile(source(), { contentTransferEncoding: "quoted-printable" }));
  assert.match(fromUtf8(await collect(readDraftContent(quoted.content)))!, /\r\n\r\n=C3=A4=00\r\n/);
  const plainly = made(withFile({ size: 3, open: () => [utf8("abc")] }, { contentTransferEncoding: "7bit" }));
  assert.equal((await collect(readDraftContent(plainly.content))).length, plainly.facts.size);
  const wrong = made(withFile(source(), { contentTransferEncoding: "8bit" }));
  await assert.rejects(collect(readDraftContent(wrong.content)), /cannot go as 8bit/);
});

test("strings hold octets in the encoding that they name", () => {
  const octets = (text: string, encoding: "base64" | "base64url" | "hex" | "latin1" | "utf-8") => {
    const read = readSource("x", text, encoding);
    return read.kind === "bytes" ? fromLatin1(read.bytes) : assert.fail();
  };
  assert.equal(octets("w7zD\r\nvA==", "base64"), octets("w7zDvA", "base64url"));
  assert.equal(octets("c3bc", "hex"), "Ã¼");
  assert.equal(octets("ü", "latin1"), "\xfc");
  assert.equal(octets("ü", "utf-8"), "Ã¼");
  for (const [text, encoding] of [
    ["?", "base64"],
    ["abcde", "base64"],
    ["abc", "hex"],
    ["zz", "hex"],
    ["☃", "latin1"],
  ] as const) {
    assert.throws(() => octets(text, encoding), ComposeError, text);
  }
});

test("a raw part is written as it is, in memory and as a stream", async () => {
  const raw = "Content-Type: text/x-own\nX-A: b\n\nbody\n";
  for (const source of [raw, utf8(raw), { open: () => [raw] }] satisfies Source[]) {
    const { content } = made({ ...plain, attachments: [{ raw: source }] });
    assert.match(
      fromUtf8(await collect(readDraftContent(content)))!,
      /0123456789m\r\nContent-Type: text\/x-own\r\nX-A: b\r\n\r\nbody\r\n\r\n--=_0123456789m--/,
    );
  }
  for (const wrong of ["no header", "A: b", "Ä: b\n\n", "A: ä\n\nx"]) {
    assert.throws(() => made({ ...plain, attachments: [{ raw: wrong }] }), ComposeError, wrong);
  }
  const stream = made({ ...plain, attachments: [{ raw: { open: () => ["A: b\n\nä"] } }] });
  await assert.rejects(collect(readDraftContent(stream.content)), ComposeError);
});

test("a boundary that stands in a part is refused", () => {
  const holding = "--=_0123456789m";
  const message = `A: b\r\n\r\n${holding}\r\n`;
  const drafts: Draft[] = [
    { ...plain, text: holding, html: "x" },
    { ...plain, html: `x${holding}` },
    withFile(utf8(message), { contentType: "message/rfc822" }),
    { ...plain, attachments: [{ raw: message }] },
    withFile(utf8(holding), { contentTransferEncoding: "7bit" }),
  ];
  for (const draft of drafts) assert.throws(() => made(draft), /boundary/);
  made(withFile(utf8(holding)));
  assert.throws(() => made(withFile(utf8(holding)), { binaryMime: true }), /boundary/);
});

test("random contents of a raw part never lose or gain an octet but line ends", async () => {
  const property = fc.asyncProperty(contentText, fc.array(fc.nat(20)), async (text, lengths) => {
    const bytes = Uint8Array.from(`A: b\r\n\r\n${text}`, (c) => c.charCodeAt(0));
    const wanted = `A: b\r\n\r\n${text}`.replace(/\r\n|\r|\n/g, "\r\n");
    const { content } = made({ ...plain, attachments: [{ raw: bytes }] });
    assert.ok(fromLatin1(await collect(readDraftContent(content))).includes(`m\r\n${wanted}\r\n--`));
    const clean = !/[\0\x80-\xff]/.test(text);
    const streamed = made({
      ...plain,
      attachments: [
        {
          raw: {
            open: () =>
              cut(
                bytes,
                lengths.map((n) => n + 1),
              ),
          },
        },
      ],
    });
    if (clean) assert.ok(fromLatin1(await collect(readDraftContent(streamed.content))).includes(`m\r\n${wanted}\r\n--`));
  });
  await fc.assert(property, { numRuns: 200 });
});
