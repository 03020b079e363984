/**
 * Contents as Nodemailer's messages have them, brought to octets, text or a source that is read while the message is sent.
 *
 * Rules
 * 1. A file is read unless `disableFileAccess` is set; a URL is fetched only where the transport allows it, and nothing disables it.
 * 2. Files and URLs are opened anew for each attempt; a Readable can be read once. One that fails before it is read fails the message, not the process.
 * 3. A message that fails leaves no stream open that was handed to it.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { fromUrl } from "../client/url-source.ts";
import { decodeDataUri } from "../message/data-uri.ts";
import type { Source } from "../message/draft.ts";
import { type Read, readSource } from "../message/source.ts";
import { NodemailerError } from "./errors.ts";
import type { ContentLike, ContentPlace, Part, TextLike } from "./mail-options.ts";

/** What a message may read. */
export interface Access {
  readonly files: boolean;
  readonly urls: boolean;
}

/** Octets of a text, an HTML or an event, and of a content that is signed: these are not streamed. */
export const TEXT_LIMIT = 64 * 1024 * 1024;

const webUrl = /^https?:/i;
const dataUrl = /^data:/i;

/** The contents of one message. */
export class Contents {
  readonly #access: Access;
  /** Reads every stream at once: for what has to be read twice. */
  readonly #buffered: boolean;
  readonly #limit: number;
  readonly #streams: Readable[] = [];
  #failure: Error | undefined;

  constructor(access: Access, buffered = false, limit = TEXT_LIMIT) {
    this.#access = access;
    this.#buffered = buffered;
    this.#limit = limit;
  }

  /** What a source failed with while it was read. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Closes the streams that were handed over. */
  release(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  /** A source for a content, with `encoding` for a string; rejects with a NodemailerError where it cannot be read. */
  async source(given: ContentLike, encoding?: string): Promise<Source> {
    const content = await given;
    if (content === undefined || content === null) return "";
    if (typeof content === "string") return decodedString(content, encoding);
    if (content instanceof Uint8Array) return content;
    if (typeof content !== "object") return String(content);
    if (content instanceof Readable) return this.#stream(content);
    if (isPlace(content)) return this.place(content as ContentPlace);
    if ("content" in content) return this.source((content as Part).content, (content as Part).encoding);
    return this.#held(this.#watched(content as Exclude<Source, string | Uint8Array>));
  }

  /** What stands at a path or URL. */
  async place({ path, href, httpHeaders }: ContentPlace): Promise<Source> {
    const where = path || href || "";
    if (dataUrl.test(where)) return decodeDataUri(where, "path").content;
    if (href || webUrl.test(where)) return this.#url(where, httpHeaders);
    if (!this.#access.files) throw new NodemailerError("EFILEACCESS", `file access is disabled: ${where}`, { command: "API" });
    try {
      const facts = await stat(where);
      if (!facts.isFile()) throw Object.assign(new Error(`${where} is not a file`), { code: "EISDIR" });
      return await this.#held(this.#watched({ size: facts.size, open: () => createReadStream(where) }));
    } catch (cause) {
      throw streamError(cause);
    }
  }

  /** A text as a string; `undefined` where there is none. */
  async text(given: TextLike): Promise<string | undefined> {
    const value = await given;
    if (value === undefined || value === null || value === "") return undefined;
    if (typeof value === "string") return value;
    return new TextDecoder().decode(await this.octets(value as ContentLike));
  }

  /** All octets of a content. Rejects with a NodemailerError where there are more than its limit. */
  async octets(given: ContentLike, encoding?: string): Promise<Uint8Array> {
    return this.#read(readSource("content", await this.source(given, encoding)));
  }

  async #read(read: Read): Promise<Uint8Array> {
    if (read.kind === "bytes") return read.bytes;
    const chunks: Uint8Array[] = [];
    let size = 0;
    try {
      for await (const chunk of read.open()) {
        size += chunk.length;
        if (size > this.#limit) throw new RangeError(`a text, or what is signed, is longer than ${this.#limit} octets`);
        chunks.push(chunk);
      }
    } catch (cause) {
      throw streamError(cause);
    }
    return Buffer.concat(chunks, size);
  }

  #url(where: string, headers: Record<string, string> | undefined): Promise<Source> {
    if (!this.#access.urls) {
      throw new NodemailerError("EURLACCESS", `${where} is not fetched: that needs allowUrlAccess in the transport's options`, {
        command: "API",
      });
    }
    return this.#held(this.#watched(fromUrl(where, headers === undefined ? {} : { headers })));
  }

  #stream(stream: Readable): Promise<Source> {
    this.#streams.push(stream);
    stream.on("error", () => {}); // it is told to who reads
    return this.#held(this.#watched(stream));
  }

  async #held(source: Source): Promise<Source> {
    return this.#buffered ? this.#read(readSource("content", source)) : source;
  }

  /** The source, whose failure is remembered. */
  #watched(source: Exclude<Source, string | Uint8Array>): Source {
    const read = readSource("content", source);
    if (read.kind === "bytes") return read.bytes;
    const remember = (error: unknown): void => {
      this.#failure ??= streamError(error);
    };
    const open = () => watched(read.open(), remember);
    if (read.replayable) return { ...(read.size === undefined ? {} : { size: read.size }), open };
    return { [Symbol.asyncIterator]: open };
  }
}

async function* watched(chunks: AsyncIterable<Uint8Array>, failed: (error: unknown) => void): AsyncGenerator<Uint8Array, void> {
  try {
    yield* chunks;
  } catch (error) {
    failed(error);
    throw error;
  }
}

/** `path` or `href` names where the content is. */
export function isPlace(value: object): boolean {
  return (
    ("path" in value && typeof value.path === "string" && !(value instanceof Readable)) ||
    ("href" in value && typeof value.href === "string")
  );
}

function streamError(cause: unknown): Error {
  if (cause instanceof NodemailerError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new NodemailerError("ESTREAM", `a content could not be read: ${why}`, { command: "API", cause });
}

function decodedString(text: string, encoding: string | undefined): string | Uint8Array {
  const name = encoding?.toLowerCase();
  if (name === undefined || /^(?:utf-?8|ascii|us-ascii)$/.test(name)) return text;
  if (!Buffer.isEncoding(name)) throw new NodemailerError("EMESSAGE", `unknown encoding ${JSON.stringify(encoding)}`, { command: "API" });
  return Buffer.from(text, name);
}
