/**
 * A message between `sendMail` and its transport: what plugins and transports of others are handed.
 *
 * Rules
 * 1. `data` may be changed by `compile` plugins; behind them the draft is made of it, and `message` is there.
 * 2. `message` can be read, and what it writes be transformed, by `stream` plugins; its header cannot be changed any more.
 */
import { Readable, type Transform } from "node:stream";
import { type ClientMessage, type MadeMessage, messageFor } from "../client/message-input.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import { readDraftContent, sizedContent } from "../message/draft-content.ts";
import type { Contents } from "./contents.ts";
import { signerOf } from "./dkim.ts";
import { draftOf } from "./draft.ts";
import { NodemailerError } from "./errors.ts";
import type { ContentLike, SendMailOptions } from "./mail-options.ts";

/** As Nodemailer has it: false is the null reverse-path. */
export interface SentEnvelope {
  from: string | false;
  to: string[];
}

/** A stream to pipe through, or what makes one for each reading. */
export type Transformer = Transform | (() => Transform);

/** What makes a stream of the stream it is given. */
export type StreamFunction = (input: Readable) => Readable;

type ContentCallback = (error: Error | null, value?: string | Buffer) => void;

export class MailMessage {
  /** Changed by `compile` plugins as they like. */
  data: SendMailOptions;
  readonly #contents: Contents;
  #draft: ClientMessage | undefined;
  #message: ComposedMessage | undefined;

  constructor(data: SendMailOptions, contents: Contents) {
    this.data = data;
    this.#contents = contents;
  }

  /** The composed message; null before the `compile` plugins are through. */
  get message(): ComposedMessage | null {
    return this.#message ?? null;
  }

  /** Reads a content of the message: `mail.resolveContent(mail.data, "html", callback)`. Text stays a string, all else becomes a Buffer. */
  resolveContent(data: object, key: string | number, callback: ContentCallback): void;
  resolveContent(data: object, key: string | number, options: unknown, callback: ContentCallback): void;
  resolveContent(data: object, key: string | number, options?: unknown): Promise<string | Buffer | undefined>;
  resolveContent(
    data: object,
    key: string | number,
    options?: unknown,
    callback?: ContentCallback,
  ): Promise<string | Buffer | undefined> | undefined {
    const done = typeof options === "function" ? (options as ContentCallback) : callback;
    const resolved = this.#resolve(data as Record<string | number, ContentLike>, key);
    if (done === undefined) return resolved;
    resolved.then(
      (value) => done(null, value),
      (error: unknown) => done(error as Error),
    );
    return undefined;
  }

  async #resolve(data: Record<string | number, ContentLike>, key: string | number): Promise<string | Buffer | undefined> {
    const value = await data[key];
    if (value === undefined || value === null || typeof value === "string") return value ?? undefined;
    const inner = await (value as { content?: ContentLike; encoding?: string }).content;
    if (typeof inner === "string" && (value as { encoding?: string }).encoding === undefined) return inner;
    return Buffer.from(await this.#contents.octets(value as ContentLike));
  }

  /** Makes the draft. Rejects with a NodemailerError. */
  async compile(): Promise<void> {
    this.#draft = await draftOf(this.data, this.#contents);
  }

  /** Makes `message`. Rejects with a ComposeError. */
  async compose(): Promise<void> {
    if (this.#draft === undefined) throw new Error("the message is not compiled");
    this.#message = new ComposedMessage(await messageFor(this.#draft), this.data.dkim);
  }

  /** What is handed to a transport of ours: the draft, or what `stream` plugins made of it. */
  async outgoing(): Promise<ClientMessage> {
    if (this.#draft === undefined) throw new Error("the message is not compiled");
    return this.#message?.changed === true ? this.#message.asRaw() : this.#draft;
  }
}

/** What `mail.message` is. */
export class ComposedMessage {
  readonly #made: MadeMessage;
  readonly #dkim: SendMailOptions["dkim"];
  readonly #changes: StreamFunction[] = [];

  constructor(made: MadeMessage, dkim: SendMailOptions["dkim"]) {
    this.#made = made;
    this.#dkim = dkim;
  }

  /** Something is to change what is written. */
  get changed(): boolean {
    return this.#changes.length > 0;
  }

  /** With its angle brackets. */
  messageId(): string {
    return this.#made.messageId;
  }

  getEnvelope(): SentEnvelope {
    const { from, to } = this.#made;
    return { from: from === null ? false : formatMailbox(from), to: to.map(formatMailbox) };
  }

  /** Pipes what is written through this. */
  transform(stream: Transformer): void {
    this.#changes.push((input) => {
      const transform = typeof stream === "function" ? stream() : stream;
      input.once("error", (error) => transform.destroy(error));
      return input.pipe(transform);
    });
  }

  /** Puts what this gives in the place of what is written. */
  processFunc(process: StreamFunction): void {
    this.#changes.push(process);
  }

  /** Not here: by then the header is written. Throws. */
  setHeader(): never {
    throw new NodemailerError("ECONFIG", "mail.message has no setHeader: set mail.data.headers in a compile plugin", { command: "API" });
  }

  /** As `setHeader`. */
  addHeader(): never {
    return this.setHeader();
  }

  /** The octets, CRLF at the line ends, 7 bit, signed where DKIM is set. */
  createReadStream(): Readable {
    const made = this.#made;
    const dkim = this.#dkim;
    const changes = this.#changes;
    const octets = (): Readable => Readable.from(readDraftContent(made.write({}).content), { objectMode: false });
    if (dkim === undefined) return changed(octets(), changes);
    const signed = async function* (): AsyncGenerator<Uint8Array> {
      const content = changes.length === 0 ? made.write({}).content : await gathered(changed(octets(), changes));
      yield* readDraftContent(await signerOf(dkim)(sizedContent(content)));
    };
    return Readable.from(signed(), { objectMode: false });
  }

  /** As a message that is there already, for a transport that signs by itself: what is signed is read whole before. */
  async asRaw(): Promise<ClientMessage> {
    const { from, to, dsn } = this.#made;
    const envelope = { from: from === null ? null : formatMailbox(from), to: to.map(formatMailbox) };
    const stream = changed(Readable.from(readDraftContent(this.#made.write({}).content), { objectMode: false }), this.#changes);
    const raw = this.#dkim === undefined ? stream : Buffer.concat((await gathered(stream)).chunks);
    return { raw, envelope, ...(dsn === undefined ? {} : { dsn }) };
  }
}

function changed(stream: Readable, changes: readonly StreamFunction[]): Readable {
  return changes.reduce((input, change) => change(input), stream);
}

async function gathered(stream: Readable): Promise<{ kind: "memory"; chunks: Uint8Array[]; size: number }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    size += chunk.length;
  }
  return { kind: "memory", chunks, size };
}
