/**
 * The dialogue of a connection, line by line and with the time, for whoever wants to see it.
 *
 * Rules
 * 1. Nothing between AUTH and its last reply is shown but the mechanism's name and LOGIN's prompts.
 * 2. Content is counted, not shown.
 * 3. It listens at the stream and changes nothing.
 */
import type { ByteStream, ClientStream, ClientTls, Dial, StreamHandler, TlsFacts } from "../util/byte-stream.ts";
import { fromLatin1, fromUtf8Lossy, latin1 } from "../util/bytes.ts";
import { type Clock, systemClock } from "../util/clock.ts";

export interface TranscriptLine {
  /** "->" the client, "<-" the server, "*" what happened. */
  readonly direction: "->" | "<-" | "*";
  /** Without controls. */
  readonly text: string;
  /** Milliseconds since the connection was asked for. */
  readonly elapsed: number;
}

/** `   12 ms -> EHLO client.test` */
export function formatTranscriptLine({ direction, text, elapsed }: TranscriptLine): string {
  return `${String(Math.round(elapsed)).padStart(6)} ms ${direction} ${text}`;
}

/** Controls, and what changes the direction of text, could write over what a person reads. */
function shown(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, " ");
}

/** Characters of a line that are kept. */
const LINE_LIMIT = 4096;
const END_OF_CONTENT = "\r\n.\r\n";

export class Transcript {
  readonly #hear: (line: TranscriptLine) => void;
  readonly #clock: Clock;
  #began = 0;
  #sent = "";
  #received = "";
  #state: "commands" | "auth" | "content" = "commands";
  /** The challenges are LOGIN's prompts: those of SCRAM would let one try passwords. */
  #prompts = false;
  #dataSent = false;
  #octets = 0;
  /** Octets of a BDAT chunk that are still to come. */
  #chunkLeft = 0;
  /** The last characters of the content, and the CRLF that the command before it ended in. */
  #tail = "";

  constructor(hear: (line: TranscriptLine) => void, clock: Clock = systemClock) {
    this.#hear = hear;
    this.#clock = clock;
    this.#began = clock.now();
  }

  #write(direction: TranscriptLine["direction"], text: string): void {
    this.#hear({ direction, text: shown(text), elapsed: this.#clock.now() - this.#began });
  }

  /** Dials as `dial` does, and listens: each connection has a transcript of its own. */
  over(dial: Dial): Dial {
    return async (target) => {
      const transcript = new Transcript(this.#hear, this.#clock);
      transcript.#write("*", `connecting to ${target.host}:${target.port}`);
      return new HeardStream(await dial(target), transcript);
    };
  }

  secured(tls: TlsFacts): void {
    this.#write("*", `inside TLS: ${tls.protocol} ${tls.cipher}, certificate ${tls.verified ? "verified" : "not verified"}`);
  }

  sent(bytes: Uint8Array): void {
    let text = fromLatin1(bytes);
    if (this.#state === "content") text = this.#content(text);
    if (this.#chunkLeft > 0) text = this.#chunk(text);
    if (text === "") return;
    this.#sent += text;
    for (let end = this.#sent.indexOf("\n"); end !== -1; end = this.#sent.indexOf("\n")) {
      const line = this.#sent.slice(0, end).replace(/\r$/, "");
      this.#sent = this.#sent.slice(end + 1);
      this.#command(line);
      if (this.#chunkLeft > 0) this.#sent = this.#chunk(this.#sent);
    }
    this.#sent = this.#sent.slice(0, LINE_LIMIT);
  }

  #command(line: string): void {
    if (this.#state === "auth") return this.#write("->", "***");
    const [, auth] = /^(AUTH \S+)/i.exec(line) ?? [];
    if (auth !== undefined) {
      this.#state = "auth";
      this.#prompts = /^AUTH LOGIN$/i.test(auth);
      return this.#write("->", `${auth}${line.length > auth.length ? " ***" : ""}`);
    }
    if (/^DATA$/i.test(line)) this.#dataSent = true;
    this.#write("->", fromUtf8Lossy(latin1(line)));
    const [, size] = /^BDAT (\d+)/i.exec(line) ?? [];
    if (size === undefined) return;
    this.#chunkLeft = Number(size);
    this.#write("->", `(${size} octets of content)`);
  }

  /** Counts content; gives back what follows its end. */
  #content(text: string): string {
    const seen = this.#tail + text;
    const end = seen.indexOf(END_OF_CONTENT);
    if (end === -1) {
      this.#octets += text.length;
      this.#tail = seen.slice(-(END_OF_CONTENT.length - 1));
      return "";
    }
    const after = end + END_OF_CONTENT.length - this.#tail.length;
    this.#write("->", `(${Math.max(0, this.#octets + after - 3)} octets of content)`);
    this.#write("->", ".");
    this.#state = "commands";
    return text.slice(after);
  }

  /** What follows the chunk. */
  #chunk(text: string): string {
    const taken = Math.min(this.#chunkLeft, text.length);
    this.#chunkLeft -= taken;
    return text.slice(taken);
  }

  received(bytes: Uint8Array): void {
    this.#received += fromLatin1(bytes);
    for (let end = this.#received.indexOf("\n"); end !== -1; end = this.#received.indexOf("\n")) {
      this.#reply(this.#received.slice(0, end).replace(/\r$/, ""));
      this.#received = this.#received.slice(end + 1);
    }
    this.#received = this.#received.slice(0, LINE_LIMIT);
  }

  #reply(line: string): void {
    if (this.#state === "auth" && !line.startsWith("334")) this.#state = "commands";
    if (this.#dataSent && line.startsWith("354")) {
      this.#dataSent = false;
      this.#state = "content";
      this.#octets = 0;
      this.#tail = "\r\n";
    }
    const hidden = this.#state === "auth" && !this.#prompts && line.length > 4;
    this.#write("<-", hidden ? "334 ***" : fromUtf8Lossy(latin1(line)));
  }
}

class HeardStream implements ClientStream {
  readonly #stream: ClientStream;
  readonly #transcript: Transcript;

  constructor(stream: ClientStream, transcript: Transcript) {
    this.#stream = stream;
    this.#transcript = transcript;
  }

  get remoteAddress(): string {
    return this.#stream.remoteAddress;
  }
  get remotePort(): number {
    return this.#stream.remotePort;
  }
  get localAddress(): string {
    return this.#stream.localAddress;
  }
  get localPort(): number {
    return this.#stream.localPort;
  }
  get tls(): ByteStream["tls"] {
    return this.#stream.tls;
  }

  handle(handler: StreamHandler): void {
    this.#stream.handle({
      data: (chunk) => {
        this.#transcript.received(chunk);
        handler.data(chunk);
      },
      drained: () => handler.drained(),
      ended: () => handler.ended(),
      closed: (error) => handler.closed(error),
    });
  }

  async secure(tls: ClientTls): Promise<TlsFacts> {
    const facts = await this.#stream.secure(tls);
    this.#transcript.secured(facts);
    return facts;
  }

  write(bytes: Uint8Array): boolean {
    this.#transcript.sent(bytes);
    return this.#stream.write(bytes);
  }
  writeAll(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) this.#transcript.sent(chunk);
    return this.#stream.writeAll(chunks);
  }
  pause(): void {
    this.#stream.pause();
  }
  resume(): void {
    this.#stream.resume();
  }
  end(): void {
    this.#stream.end();
  }
  destroy(): void {
    this.#stream.destroy();
  }
}
