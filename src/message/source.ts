/**
 * Sources of content: everything that `Source` allows, brought to two forms: octets that are there, or a stream to be opened.
 *
 * Rules
 * 1. Nothing is read here before it is asked for.
 * 2. A stream that can be read once says so, and fails at the second reading: half a file is never sent as a whole one.
 * 3. A source that gives more or fewer octets than it said fails: the size has been promised to the server by then.
 */
import { decodeBase64 } from "../util/base64.ts";
import { latin1, utf8 } from "../util/bytes.ts";
import { ComposeError } from "./compose-error.ts";
import type { Chunks, ReadableSource, Source, StringEncoding } from "./draft.ts";

export interface StreamPiece {
  /** Octets, if they are known before the reading. */
  readonly size: number | undefined;
  readonly replayable: boolean;
  open(): AsyncIterable<Uint8Array>;
}

export type Read = { readonly kind: "bytes"; readonly bytes: Uint8Array } | ({ readonly kind: "stream" } & StreamPiece);

/** Octets of a chunk that is passed on at once: larger ones are cut. */
const CHUNK_LIMIT = 57 * 4096;

/** `field` is for errors. Throws a `ComposeError` for what is no source and for a string that is not in its encoding. */
export function readSource(field: string, source: Source, encoding: StringEncoding = "utf-8"): Read {
  if (typeof source === "string") return { kind: "bytes", bytes: decodeString(field, source, encoding) };
  if (source instanceof Uint8Array) return { kind: "bytes", bytes: source };
  if (typeof source !== "object" || source === null) throw new ComposeError(field, "has no content");
  if ("open" in source && typeof source.open === "function")
    return stream(field, checkedSize(field, source.size), true, () => source.open());
  if ("stream" in source && typeof source.stream === "function") {
    return stream(field, checkedSize(field, source.size), true, () => iterated(field, source.stream()));
  }
  let opened = false;
  const once = iterated(field, source as AsyncIterable<Uint8Array> | ReadableSource);
  return stream(field, undefined, false, () => {
    if (opened) throw new ComposeError(field, "is a stream that has been read already: it cannot be sent again");
    opened = true;
    return once;
  });
}

function checkedSize(field: string, size: number | undefined): number | undefined {
  if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) throw new ComposeError(field, `${size} is not a size in octets`);
  return size;
}

function stream(field: string, size: number | undefined, replayable: boolean, open: () => Chunks): Read {
  return { kind: "stream", size, replayable, open: () => checkedChunks(field, size, open) };
}

async function* checkedChunks(field: string, size: number | undefined, open: () => Chunks): AsyncGenerator<Uint8Array, void> {
  let read = 0;
  for await (const chunk of open()) {
    const bytes = typeof chunk === "string" ? utf8(chunk) : chunk;
    if (!(bytes instanceof Uint8Array)) throw new ComposeError(field, "its stream gave something that is no Uint8Array");
    read += bytes.length;
    if (size !== undefined && read > size) throw new ComposeError(field, `its source gave more than the ${size} octets that it said`);
    if (bytes.length <= CHUNK_LIMIT) yield bytes;
    else for (let at = 0; at < bytes.length; at += CHUNK_LIMIT) yield bytes.subarray(at, at + CHUNK_LIMIT);
  }
  if (size !== undefined && read < size) throw new ComposeError(field, `its source gave ${read} octets, it had said ${size}`);
}

/** A ReadableStream is iterable in some runtimes only. */
function iterated(field: string, source: AsyncIterable<Uint8Array | string> | ReadableSource): Chunks {
  if (Symbol.asyncIterator in source) return source;
  if ("getReader" in source && typeof source.getReader === "function") return readerChunks(source);
  throw new ComposeError(field, "is neither a text, nor bytes, nor a stream");
}

async function* readerChunks(source: ReadableSource): AsyncGenerator<Uint8Array | string, void> {
  const reader = source.getReader();
  let done = false;
  try {
    while (!done) {
      const next = await reader.read();
      done = next.done;
      if (next.value !== undefined) yield next.value;
    }
  } finally {
    if (!done) await reader.cancel();
  }
}

function decodeString(field: string, text: string, encoding: StringEncoding): Uint8Array {
  switch (encoding) {
    case "utf-8":
      return utf8(text);
    case "base64":
    case "base64url":
      return decodeLooseBase64(field, text);
    case "hex":
      if (text.length % 2 !== 0 || /[^0-9a-f]/i.test(text)) throw new ComposeError(field, "is not hexadecimal");
      return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
    case "latin1":
      if (/[^\x00-\xff]/.test(text)) throw new ComposeError(field, "has characters that are not in latin1");
      return latin1(text);
    default:
      throw new ComposeError(field, `${JSON.stringify(encoding)} is not an encoding of strings`);
  }
}

/** In lines or not, padded or not, in either alphabet: what programs call base64. */
export function decodeLooseBase64(field: string, text: string): Uint8Array {
  const digits = text
    .replace(/\s+/g, "")
    .replaceAll("-", "+")
    .replaceAll("_", "/")
    .replace(/={1,2}$/, "");
  const bytes = decodeBase64(digits + "=".repeat((4 - (digits.length % 4)) % 4));
  if (bytes === undefined) throw new ComposeError(field, "is not base64");
  return bytes;
}
