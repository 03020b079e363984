/**
 * The content that a draft becomes, and how its pieces are put together.
 *
 * Rules
 * 1. A content whose size is known before the reading is a `Content` like any other; one that is not has a kind of its own, so that nobody who needs
 *    a size takes it unseen.
 * 2. Pieces in memory become chunks: small ones are joined, so that a short message is one write, large ones are passed on as they are.
 * 3. Streams are read one after another while the content is read, a chunk at a time.
 */
import { type Content, memoryContent, readContent } from "../mail/content.ts";
import { concat, totalSize, utf8 } from "../util/bytes.ts";
import type { StreamPiece } from "./source.ts";

/** A content that has a stream in it which does not say its size. */
export interface StreamedContent {
  readonly kind: "streamed";
  readonly size: undefined;
  open(): AsyncIterable<Uint8Array>;
}

/** A `Content`, unless some part's size is known only once it is read. */
export type DraftContent = Content | StreamedContent;

/** A piece of a message. A string is a header, a delimiter or a text; it is written as UTF-8. */
export type Piece = string | Uint8Array | StreamPiece;

/** The chunks of any kind. */
export function readDraftContent(content: DraftContent): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  return content.kind === "streamed" ? content.open() : readContent(content);
}

/** The content, for those that need to know its size before. Throws a RangeError for a streamed one. */
export function sizedContent(content: DraftContent): Content {
  if (content.kind === "streamed") throw new RangeError("the size of this content is known only when it has been read");
  return content;
}

/** Pieces in memory of no more octets than this are copied together. */
const JOIN_LIMIT = 64 * 1024;

/** The pieces as one content. A stream that can be read once makes a content that can be opened once. */
export function contentOf(pieces: readonly Piece[]): { readonly content: DraftContent; readonly replayable: boolean } {
  const joined = joinPieces(pieces);
  const chunks: Uint8Array[] = [];
  for (const piece of joined) if (piece instanceof Uint8Array) chunks.push(piece);
  if (chunks.length === joined.length) return { content: memoryContent(chunks), replayable: true };
  let size: number | undefined = totalSize(chunks);
  let replayable = true;
  for (const piece of joined) {
    if (piece instanceof Uint8Array) continue;
    size = size === undefined || piece.size === undefined ? undefined : size + piece.size;
    replayable &&= piece.replayable;
  }
  const open = () => readPieces(joined);
  return { content: size === undefined ? { kind: "streamed", size, open } : { kind: "stored", size, open }, replayable };
}

async function* readPieces(pieces: readonly (Uint8Array | StreamPiece)[]): AsyncGenerator<Uint8Array, void> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) yield piece;
    else yield* piece.open();
  }
}

function joinPieces(pieces: readonly Piece[]): (Uint8Array | StreamPiece)[] {
  const joined: (Uint8Array | StreamPiece)[] = [];
  let text = "";
  let small: Uint8Array[] = [];
  let smallSize = 0;
  const flush = () => {
    if (smallSize > 0) joined.push(concat(small, smallSize));
    small = [];
    smallSize = 0;
  };
  const add = (bytes: Uint8Array) => {
    if (bytes.length === 0) return;
    if (smallSize + bytes.length > JOIN_LIMIT) flush();
    small.push(bytes);
    smallSize += bytes.length;
  };
  for (const piece of pieces) {
    if (typeof piece === "string") {
      text += piece;
      continue;
    }
    if (text !== "") add(utf8(text));
    text = "";
    if (piece instanceof Uint8Array) add(piece);
    else {
      flush();
      joined.push(piece);
    }
  }
  if (text !== "") add(utf8(text));
  flush();
  return joined;
}
