/**
 * One connection to a server: moves bytes between a stream and the session, keeps the time-outs.
 *
 * Rules
 * 1. `open` gives a connection that is greeted, inside TLS as asked, and logged in; or it rejects with an SmtpError.
 * 2. `send` never rejects for what the server or the network does: each recipient has its result.
 * 3. Content is read no faster than the peer takes it.
 * 4. A time-out is the end of the connection; what it was doing is in the error.
 */
import { type Content, readContent } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import type { Reply } from "../mail/reply.ts";
import type { Capabilities } from "../protocol/capabilities.ts";
import { ClientSession, type RecipientResult, type SessionFailure } from "../protocol/client-session.ts";
import { type ClientState, clientStates } from "../protocol/client-states.ts";
import type { PasswordCredentials } from "../protocol/sasl/choose.ts";
import type { ClientStream, Dial, StreamHandler, TlsFacts } from "../util/byte-stream.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { SmtpError } from "./error.ts";

export type TlsMode = "implicit" | "required" | "opportunistic" | "none";

export interface ConnectionOptions {
  /** An IP address, or a name for the system to resolve. */
  readonly host: string;
  readonly port: number;
  /** What EHLO says: a domain or an address literal. */
  readonly name: string;
  readonly protocol?: "smtp" | "lmtp";
  readonly tls: TlsMode;
  /** The name that the certificate must bear; `host` where absent. */
  readonly tlsName?: string;
  /** Checks the certificate; true where absent, but for opportunistic TLS. */
  readonly verify?: boolean;
  /** PEM certificates to trust instead of the system's. */
  readonly authorities?: string;
  readonly credentials?: PasswordCredentials;
  /** Sends the password even outside TLS. */
  readonly passwordInClear?: boolean;
  readonly localAddress?: string;
  /** Milliseconds by state; those of RFC 5321 4.5.3.2 where absent. */
  readonly timeouts?: Partial<Readonly<Record<ClientState, number>>>;
  readonly dial: Dial;
  readonly clock?: Clock;
  /** Ends the connection, also while it is being opened. */
  readonly signal?: AbortSignal;
  /** The connection is gone; called once, unless `open` rejected. */
  readonly onClosed?: () => void;
}

/** Octets that are handed to the stream before it is asked whether there is room; a peer that takes them within the time-out is not too slow. */
const WRITE_SIZE = 64 * 1024;

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

export class SmtpConnection implements StreamHandler {
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #session: ClientSession;
  #stream!: ClientStream;
  #opening: Waiter<void> | undefined;
  #sending:
    | { readonly content: Content; readonly progress: (sent: number) => void; readonly waiter: Waiter<readonly RecipientResult[]> }
    | undefined;
  #commanding: Waiter<Reply> | undefined;
  #quitting: (() => void) | undefined;
  #room: (() => void) | undefined;
  #closed = false;
  #over = false;
  #lostWhy: string | undefined;
  #deadline = 0;
  #armedFor = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | undefined;

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { name, protocol = "smtp", tls, credentials, passwordInClear = false } = options;
    this.#session = new ClientSession({ name, protocol, tls, passwordInClear, ...(credentials === undefined ? {} : { credentials }) });
  }

  /** Rejects with an SmtpError. */
  static async open(options: ConnectionOptions): Promise<SmtpConnection> {
    const connection = new SmtpConnection(options);
    await connection.#open();
    return connection;
  }

  get capabilities(): Capabilities {
    return this.#session.capabilities;
  }

  get tls(): TlsFacts | undefined {
    return this.#stream.tls;
  }

  get remoteAddress(): string {
    return this.#stream.remoteAddress;
  }

  /** Another transaction can begin. */
  get idle(): boolean {
    return !this.#over && this.#session.idle && this.#commanding === undefined;
  }

  /**
   * Sends one message: a result for each recipient, in the order of the envelope. `progress` hears how many octets of the content
   * have been handed over. Throws a TypeError for an address that cannot stand in a command.
   */
  send(
    envelope: Envelope,
    content: Content,
    via: "DATA" | "BDAT" = "DATA",
    progress: (sent: number) => void = () => {},
  ): Promise<readonly RecipientResult[]> {
    return new Promise((resolve, reject) => {
      if (this.#over) {
        const why = this.#lostWhy ?? "the connection is closed";
        return resolve(envelope.recipients.map(() => ({ kind: "lost", why, state: "idle" })));
      }
      this.#session.begin(envelope, { via, size: content.size });
      this.#sending = { content, progress, waiter: { resolve, reject } };
      this.#pump();
    });
  }

  /** Any other command. Rejects with an SmtpError if the connection is lost. */
  command(line: string): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#over)
        return reject(this.#error({ state: "command", why: "the connection is closed", lasting: "temporary", about: "connection" }));
      this.#session.command(line);
      this.#commanding = { resolve, reject };
      this.#pump();
    });
  }

  /** Says QUIT and closes, or closes at once where something is under way; resolves when the connection is gone. */
  quit(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#quitting = resolve;
      if (!this.idle) return this.destroy();
      this.#session.quit();
      this.#pump();
    });
  }

  /** Closes at once. */
  destroy(): void {
    this.#stream?.destroy();
  }

  readonly #abort = (): void => {
    this.#lose("this program stops");
    this.destroy();
  };

  async #open(): Promise<void> {
    const { host, port, localAddress, dial, tls, signal } = this.#options;
    try {
      this.#stream = await dial({ host, port, timeout: this.#timeout("connect"), ...(localAddress === undefined ? {} : { localAddress }) });
    } catch (error) {
      throw this.#error({ state: "connect", why: messageOf(error), lasting: "temporary", about: "connection" }, error);
    }
    if (signal?.aborted === true) {
      this.#stream.destroy();
      throw this.#error({ state: "connect", why: "this program stops", lasting: "temporary", about: "connection" });
    }
    signal?.addEventListener("abort", this.#abort, { once: true });
    if (tls === "implicit") await this.#handshake();
    await new Promise<void>((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#stream.handle(this);
      this.#pump();
    });
  }

  async #handshake(): Promise<void> {
    const { host, tlsName = host, verify = this.#options.tls !== "opportunistic", authorities } = this.#options;
    const off = this.#clock.after(this.#timeout("handshake"), () => this.#stream.destroy());
    try {
      await this.#stream.secure({ host: tlsName, verify, ...(authorities === undefined ? {} : { authorities }) });
    } catch (error) {
      this.#stream.destroy();
      throw this.#error({ state: "handshake", why: explainTls(error), lasting: "temporary", about: "tls" }, error);
    } finally {
      off();
    }
  }

  // The stream

  data(chunk: Uint8Array): void {
    this.#session.receive(chunk);
    this.#pump();
  }

  drained(): void {
    this.#room?.();
    this.#watch();
  }

  ended(): void {
    this.#lose("the server closed the connection");
  }

  closed(error: Error | undefined): void {
    this.#closed = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#lose(error === undefined ? "the connection was closed" : error.message);
    this.#disarm?.();
    this.#quitting?.();
    this.#options.onClosed?.();
  }

  // The session

  #pump(): void {
    for (let event = this.#session.next(); event !== undefined; event = this.#session.next()) {
      switch (event.type) {
        case "starttls":
          this.#flush();
          this.#upgrade();
          break;
        case "ready":
          this.#opening?.resolve();
          this.#opening = undefined;
          break;
        case "send-content":
          void this.#sendContent();
          break;
        case "done":
          this.#sending?.waiter.resolve(event.results);
          this.#sending = undefined;
          break;
        case "reply":
          this.#commanding?.resolve(event.reply);
          this.#commanding = undefined;
          break;
        case "failed":
          this.#failed(event.failure);
          break;
        case "closed":
          this.#finish();
          break;
      }
    }
    this.#flush();
    this.#watch();
  }

  /** False where the stream asks to wait. */
  #flush(): boolean {
    const output = this.#session.takeOutput();
    return output.length === 0 || this.#closed || this.#stream.writeAll(output);
  }

  #upgrade(): void {
    this.#handshake().then(
      () => {
        this.#session.upgraded();
        this.#pump();
      },
      (error: unknown) => {
        this.#over = true;
        this.#opening?.reject(error);
        this.#opening = undefined;
      },
    );
  }

  async #sendContent(): Promise<void> {
    const sending = this.#sending;
    if (sending === undefined) return;
    try {
      const chunks = readContent(sending.content);
      if (Symbol.iterator in chunks && sending.content.size <= WRITE_SIZE) {
        for (const chunk of chunks) this.#session.content(chunk);
        sending.progress(sending.content.size);
      } else await this.#sendChunks(chunks, sending.progress);
      if (this.#over) return;
      this.#session.endContent();
      this.#pump();
    } catch (error) {
      // The content cannot be read: the message must not be ended, so the connection is.
      this.#lose(`the content could not be read: ${messageOf(error)}`);
      this.#stream.destroy();
    }
  }

  async #sendChunks(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, progress: (sent: number) => void): Promise<void> {
    let unflushed = 0;
    let sent = 0;
    for await (const chunk of chunks) {
      if (this.#over) return;
      this.#session.content(chunk);
      unflushed += chunk.length;
      sent += chunk.length;
      if (unflushed < WRITE_SIZE) continue;
      unflushed = 0;
      if (!this.#flush()) await this.#drain();
      progress(sent);
    }
    progress(sent);
  }

  #drain(): Promise<void> {
    this.#watch();
    return new Promise((resolve) => {
      this.#room = () => {
        this.#room = undefined;
        resolve();
      };
    });
  }

  #failed(failure: SessionFailure): void {
    this.#lostWhy = failure.why;
    this.#opening?.reject(this.#error(failure));
    this.#opening = undefined;
    this.#commanding?.reject(this.#error(failure));
    this.#commanding = undefined;
    this.#finish();
  }

  /** Sends what is left to send and closes. */
  #finish(): void {
    this.#flush();
    this.#over = true;
    if (this.#closed) return;
    this.#stream.end();
    // A server that does not close its side is not waited for.
    this.#clock.after(2000, () => this.#stream.destroy());
  }

  #lose(why: string): void {
    if (this.#over) return;
    this.#lostWhy = why;
    this.#session.lost(why);
    this.#pump();
    this.#over = true;
    this.#room?.();
    this.#stream.end();
  }

  // Time

  #timeout(state: ClientState): number {
    return this.#options.timeouts?.[state] ?? clientStates[state].timeout;
  }

  /** Sets the deadline of what is waited for now; one timer serves as long as deadlines only move on. */
  #watch(): void {
    if (this.#over || this.#session.state === "idle") {
      this.#deadline = Number.POSITIVE_INFINITY;
      return;
    }
    this.#deadline = this.#clock.now() + this.#timeout(this.#session.state);
    if (this.#deadline < this.#armedFor) this.#arm();
  }

  #arm(): void {
    this.#disarm?.();
    this.#armedFor = this.#deadline;
    this.#disarm = this.#clock.after(Math.max(0, this.#deadline - this.#clock.now()), () => {
      this.#armedFor = Number.POSITIVE_INFINITY;
      if (this.#over || this.#deadline === Number.POSITIVE_INFINITY) return;
      if (this.#clock.now() < this.#deadline) return this.#arm();
      const { state } = this.#session;
      this.#lose(`no answer within ${Math.round(this.#timeout(state) / 1000)} s`);
      this.#stream.destroy();
    });
  }

  #error(failure: SessionFailure, cause?: unknown): SmtpError {
    const { host, port } = this.#options;
    return new SmtpError(`${host}:${port}`, failure, cause === undefined ? {} : { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** OpenSSL's words for the two mistakes that everybody makes. */
function explainTls(error: unknown): string {
  const text = messageOf(error);
  if (/wrong version number|packet length too long|unknown protocol/i.test(text)) {
    return "TLS handshake failed: this port speaks clear text first (STARTTLS), not TLS from the first byte";
  }
  return `TLS handshake failed: ${text}`;
}
