import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, utf8 } from "../util/bytes.ts";
import { contentOf } from "./draft-content.ts";

const chunksOf = (pieces: Parameters<typeof contentOf>[0]) => {
  const { content } = contentOf(pieces);
  assert.ok(content.kind === "memory");
  assert.equal(content.size, concat(content.chunks).length);
  return content.chunks;
};

test("small pieces become one chunk; large ones are passed on as they are", () => {
  assert.equal(chunksOf(["a", utf8("ä"), "", "b"]).length, 1);
  assert.equal(concat(chunksOf(["a", utf8("ä"), "b"])).length, 4);
  const large = new Uint8Array(100_000);
  const chunks = chunksOf(["a", large, "b", utf8("c")]);
  assert.deepEqual([chunks.length, chunks[1] === large], [3, true]);
  assert.deepEqual(chunksOf([]), []);
});

test("a size is known where every stream says its own", () => {
  const stream = (size: number | undefined, replayable = true) => ({ size, replayable, open: async function* () {} });
  const facts = (...pieces: Parameters<typeof contentOf>[0]) => {
    const { content, replayable } = contentOf(pieces);
    return [content.kind, content.size, replayable];
  };
  assert.deepEqual(facts("ab", stream(3), "c"), ["stored", 6, true]);
  assert.deepEqual(facts("ab", stream(3), stream(undefined)), ["streamed", undefined, true]);
  assert.deepEqual(facts(stream(0, false), stream(1)), ["stored", 1, false]);
});
