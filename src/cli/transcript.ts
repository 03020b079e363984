/**
 * The dialogue of a connection, line by line, for whoever wants to see it.
 *
 * Rules
 * 1. Nothing between AUTH and its last reply is shown but the mechanism's name.
 * 2. Content is counted, not shown.
 * 3. It listens at the stream and changes nothing.
 */
import type { ByteStream, ClientStream, ClientTls, Dial, StreamHandler, TlsFacts } from "../util/byte-stream.ts";
import { shown } from "./terminal.ts";

/** Characters of a line that are kept. */
const LINE_LIMIT = 4096;
const END_OF_CONTENT = "\r\n.\r\n";

export class Transcript {
  readonly #write: (line: string) => void;
  #sent = "";
  #received = "";
  #state: "commands" | "auth" | "content" = "commands";
  #dataSent = false;
  #octets = 0;
  /** The last characters of the content, and the CRLF that the command before it ended in. */
  #tail = "";

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** Dials as `dial` does, and listens. */
  over(dial: Dial): Dial {
    return async (target) => {
      this.#write(`* connecting to ${target.host}:${target.port}`);
      return new HeardStream(await dial(target), this);
    };
  }

  secured(tls: TlsFacts): void {
    this.#write(`* inside TLS: ${tls.protocol} ${tls.cipher}, certificate ${tls.verified ? "verified" : "not verified"}`);
  }

  sent(bytes: Uint8Array): void {
    let text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    if (this.#state === "content") text = this.#content(text);
    if (text === "") return;
    this.#sent += text;
    for (let end = this.#sent.indexOf("\n"); end !== -1; end = this.#sent.indexOf("\n")) {
      this.#command(this.#sent.slice(0, end).replace(/\r$/, ""));
      this.#sent = this.#sent.slice(end + 1);
    }
    this.#sent = this.#sent.slice(0, LINE_LIMIT);
  }

  #command(line: string): void {
    if (this.#state === "auth") return this.#write("-> ***");
    const [, auth] = /^(AUTH \S+)/i.exec(line) ?? [];
    if (auth !== undefined) {
      this.#state = "auth";
      return this.#write(`-> ${auth}${line.length > auth.length ? " ***" : ""}`);
    }
    if (/^DATA$/i.test(line)) this.#dataSent = true;
    this.#write(`-> ${shown(Buffer.from(line, "latin1").toString("utf8"))}`);
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
    this.#write(`-> (${Math.max(0, this.#octets + after - 3)} octets of content)`);
    this.#write("-> .");
    this.#state = "commands";
    return text.slice(after);
  }

  received(bytes: Uint8Array): void {
    this.#received += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
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
    this.#write(`<- ${shown(Buffer.from(line, "latin1").toString("utf8"))}`);
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
