/**
 * One connection to a server: moves bytes between a stream and the session, keeps the time-outs.
 *
 * Rules
 * 1. `open` gives a connection that is greeted, inside TLS as asked, and logged in; or it rejects with an SmtpError.
 * 2. `start` gives one that was greeted, whatever the greeting; each step from there on is called for.
 * 3. `send` never rejects for what the server or the network does: each recipient has its result.
 * 4. Content is read no faster than the peer takes it.
 * 5. A time-out is the end of the connection; what it was doing is in the error.
 */
import type { Envelope } from "../mail/envelope.ts";
import type { Reply } from "../mail/reply.ts";
import type { DraftContent } from "../message/draft-content.ts";
import type { Capabilities } from "../protocol/capabilities.ts";
import { ClientSession, type RecipientResult, type SessionFailure } from "../protocol/client-session.ts";
import { type ClientState, clientStates } from "../protocol/client-states.ts";
import type { ChannelBindings } from "../protocol/sasl/channel-binding.ts";
import type { ClientQuestion } from "../protocol/sasl/question.ts";
import type { ClientStream, ClientTls, StreamHandler, TlsFacts } from "../util/byte-stream.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { Fifo } from "../util/fifo.ts";
import { Allowance } from "./allowance.ts";
import type { ConnectionOptions, SendHow, TlsMode } from "./connection-options.ts";
import { ContentPump } from "./content-pump.ts";
import { type Credentials, sessionCredentials } from "./credentials.ts";
import { Deadline } from "./deadline.ts";
import { type EndedBy, errorOf, type SmtpError } from "./error.ts";
import { explainTls } from "./explain-tls.ts";

interface Sending {
  readonly content: DraftContent;
  readonly progress: (sent: number) => void;
  readonly mayEnd: () => boolean;
  readonly waiter: Waiter<readonly RecipientResult[]>;
}

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

export class SmtpConnection implements StreamHandler {
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #session: ClientSession;
  readonly #allowance = new Allowance(() => this.capabilities.limits);
  #stream!: ClientStream;
  #opening: Waiter<void> | undefined;
  #sending: Sending | undefined;
  /** Those who wait for a reply, in the order of what they sent. */
  readonly #commanding = new Fifo<Waiter<Reply>>();
  #quitting: (() => void) | undefined;
  readonly #contentPump: ContentPump;
  #closed = false;
  #securing = false;
  #over = false;
  #lostWhy: string | undefined;
  #endedBy: EndedBy;
  /** Whose password or token the login under way asks for. */
  #credentials: Credentials | undefined;
  readonly #deadline: Deadline;
  /** What the deadline was set for. */
  #watched: { readonly state: ClientState; readonly answers: number } = { state: "idle", answers: 0 };

  private constructor(options: ConnectionOptions, opening: "whole" | "stepwise") {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#deadline = new Deadline(this.#clock, () => this.#timedOut());
    this.#contentPump = new ContentPump({
      push: (chunk) => this.#session.content(chunk),
      flush: () => this.#flush(),
      waiting: () => this.#watch(true),
      over: () => this.#over,
      mayEnd: () => this.#mayEnd(),
    });
    this.#credentials = options.credentials;
    const { host, port, name, protocol = "smtp", tls, credentials, passwordInClear = false } = options;
    const login = credentials === undefined ? {} : { credentials: sessionCredentials(credentials) };
    this.#session = new ClientSession({ host, port, name, protocol, tls, opening, passwordInClear, ...login });
  }

  /** Greeted, inside TLS and logged in as asked. Rejects with an SmtpError. */
  static async open(options: ConnectionOptions): Promise<SmtpConnection> {
    const connection = new SmtpConnection(options, "whole");
    await connection.#connect();
    await new Promise<void>((resolve, reject) => {
      connection.#opening = { resolve, reject };
      connection.#listen();
    });
    return connection;
  }

  /** Greeted, and no more: EHLO, STARTTLS and AUTH are called for. Rejects with an SmtpError. */
  static async start(options: ConnectionOptions): Promise<{ readonly connection: SmtpConnection; readonly greeting: Reply }> {
    const connection = new SmtpConnection(options, "stepwise");
    await connection.#connect();
    const greeting = await new Promise<Reply>((resolve, reject) => {
      connection.#commanding.push({ resolve, reject });
      connection.#listen();
    });
    return { connection, greeting };
  }

  get capabilities(): Capabilities {
    return this.#session.capabilities;
  }

  /** The time by which `send` counts what is left of BY. */
  get now(): number {
    return this.#clock.now();
  }

  /** What its server's LIMITS leave of the session. */
  get allowance(): Allowance {
    return this.#allowance;
  }

  get tls(): TlsFacts | undefined {
    return this.#stream.tls;
  }

  get remoteAddress(): string {
    return this.#stream.remoteAddress;
  }

  /** Another transaction can begin. */
  get idle(): boolean {
    return !this.#over && this.#session.idle && this.#commanding.length === 0;
  }

  /** The connection can be used no more. */
  get over(): boolean {
    return this.#over;
  }

  /** `host:port`, for messages. */
  get place(): string {
    const { host, port } = this.#options;
    return host.startsWith("/") ? host : `${host}:${port}`;
  }

  /**
   * Sends one message: a result for each recipient, in the order of the envelope. Throws a TypeError for an address that cannot stand
   * in a command.
   */
  send(envelope: Envelope, content: DraftContent, how: SendHow = {}): Promise<readonly RecipientResult[]> {
    return new Promise((resolve, reject) => {
      if (this.#over) {
        const why = this.#lostWhy ?? "the connection is closed";
        return resolve(envelope.recipients.map(() => ({ kind: "lost", why, state: "idle" })));
      }
      const { via = "DATA", progress = () => {}, mayEnd = () => true, ...parameters } = how;
      const size = content.size === undefined ? {} : { size: content.size };
      this.#session.begin(envelope, { via, now: this.#clock.now(), ...size, ...parameters });
      this.#allowance.count(envelope.recipients);
      this.#sending = { content, progress, mayEnd, waiter: { resolve, reject } };
      this.#pump();
    });
  }

  /** Sends any other command; others may follow before its reply. Rejects with an SmtpError if the connection is lost. */
  command(line: string): Promise<Reply> {
    return this.#ask(() => this.#session.command(line));
  }

  // Stepwise

  /** Rejects with an SmtpError if the connection is lost; whatever the server answers is the reply. */
  hello(verb: "EHLO" | "HELO" | "LHLO", name?: string): Promise<Reply> {
    return this.#ask(() => this.#session.hello(verb, name));
  }

  /** Inside TLS where the reply is a 220. Rejects with a TlsError where the handshake fails; the connection is then gone. */
  startTls(): Promise<Reply> {
    return this.#ask(() => this.#session.startTls());
  }

  /** Rejects with an AuthenticationError where no login could be made; the connection can still be used. */
  login(credentials: Credentials): Promise<Reply> {
    this.#credentials = credentials;
    return this.#ask(() => this.#session.login(sessionCredentials(credentials)));
  }

  /** DATA and the content, behind MAIL and RCPT sent as commands: for LMTP one result a recipient, else one. */
  sendData(content: DraftContent): Promise<readonly RecipientResult[]> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#closedError());
      this.#session.data();
      this.#sending = { content, progress: () => {}, mayEnd: () => true, waiter: { resolve, reject } };
      this.#pump();
    });
  }

  #ask(begin: () => void): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#closedError());
      begin();
      this.#commanding.push({ resolve, reject });
      this.#pump();
    });
  }

  #closedError(): SmtpError {
    const why = this.#lostWhy ?? "the connection is closed";
    return this.#error({ state: "command", why, lasting: "temporary", about: "connection" });
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
    this.#endedBy = "cancel";
    this.#lose("this program stops");
    this.destroy();
  };

  async #connect(): Promise<void> {
    const { host, port, localAddress, dial, tls, signal } = this.#options;
    const cancelled = (): SmtpError => {
      this.#endedBy = "cancel";
      return this.#error({ state: "connect", why: "this program stops", lasting: "temporary", about: "connection" });
    };
    if (signal?.aborted === true) throw cancelled();
    try {
      const from = localAddress === undefined ? {} : { localAddress };
      const stop = signal === undefined ? {} : { signal };
      this.#stream = await dial({ host, port, timeout: this.#timeout("connect"), ...from, ...stop });
    } catch (error) {
      if (signal?.aborted) throw cancelled();
      throw this.#error({ state: "connect", why: messageOf(error), lasting: "temporary", about: "connection" }, error);
    }
    if (signal?.aborted) {
      this.#stream.destroy();
      throw cancelled();
    }
    signal?.addEventListener("abort", this.#abort, { once: true });
    if (tls === "implicit") await this.#handshake();
  }

  #listen(): void {
    this.#stream.handle(this);
    this.#pump();
  }

  async #handshake(): Promise<void> {
    const off = this.#clock.after(this.#timeout("handshake"), () => this.#stream.destroy());
    this.#securing = true;
    try {
      await this.#stream.secure(this.#clientTls());
      this.#session.bind(bindingsOf(this.#stream.tls));
    } catch (error) {
      this.#stream.destroy();
      throw this.#error({ state: "handshake", why: explainTls(error), lasting: "temporary", about: "tls" }, error);
    } finally {
      this.#securing = false;
      off();
    }
  }

  #clientTls(): ClientTls {
    const { host, tlsName = host, verify = this.#options.tls !== "opportunistic", authorities, certificate } = this.#options;
    return {
      host: tlsName,
      verify,
      ...(authorities === undefined ? {} : { authorities }),
      ...(certificate === undefined ? {} : { certificate }),
    };
  }

  // The stream

  data(chunk: Uint8Array): void {
    this.#session.receive(chunk);
    this.#pump();
  }

  drained(): void {
    this.#contentPump.room();
    this.#watch(true);
  }

  ended(): void {
    this.#lose("the server closed the connection");
  }

  closed(error: Error | undefined): void {
    this.#closed = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    // A handshake that fails closes the stream, and tells why by itself.
    if (!this.#securing) this.#lose(error === undefined ? "the connection was closed" : error.message);
    this.#deadline.end();
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
          this.#commanding.shift()?.resolve(event.reply);
          break;
        case "ask":
          void this.#answer(event.question);
          break;
        case "login-failed":
          this.#commanding.shift()?.reject(this.#error(event.failure));
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
        this.#rejectAll(error);
      },
    );
  }

  async #answer(question: ClientQuestion): Promise<void> {
    try {
      const { answerQuestion } = await import("./questions.ts"); // many log in by PLAIN, or not at all
      this.#session.answer(await answerQuestion(question, this.#credentials));
      this.#pump();
    } catch (error) {
      // In the middle of an exchange there is no way back but to hang up.
      const why = `the login could not go on: ${messageOf(error)}`;
      this.#rejectAll(this.#error({ state: "auth", why, lasting: "temporary", about: "authentication" }, error));
      this.#lose(why);
      this.#stream.destroy();
    }
  }

  #rejectAll(error: unknown): void {
    this.#opening?.reject(error);
    this.#opening = undefined;
    for (const waiter of this.#commanding.drain()) waiter.reject(error);
  }

  async #sendContent(): Promise<void> {
    const sending = this.#sending;
    if (sending === undefined) return;
    try {
      if (!(await this.#contentPump.send(sending.content, sending.progress))) return;
      this.#session.endContent();
      this.#pump();
    } catch (error) {
      // The content cannot be read: the message must not be ended, so the connection is.
      this.#lose(`the content could not be read: ${messageOf(error)}`);
      this.#stream.destroy();
    }
  }

  #mayEnd(): boolean {
    if (this.#sending?.mayEnd() !== false) return true;
    this.#lose("it may not be sent any more");
    this.#stream.destroy();
    return false;
  }

  #failed(failure: SessionFailure): void {
    this.#lostWhy = failure.why;
    if (this.#opening !== undefined || this.#commanding.length > 0) this.#rejectAll(this.#error(explained(failure, this.#options.tls)));
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
    this.#contentPump.room();
    this.#stream.end();
  }

  // Time

  #timeout(state: ClientState): number {
    return this.#options.timeouts?.[state] ?? clientStates[state].timeout;
  }

  /** A time-out runs until the reply is whole: octets of one do not prolong it, or a server could hold a connection for good. */
  #watch(progress = false): void {
    const { state, answers } = this.#session;
    const same = state === this.#watched.state && answers === this.#watched.answers && !progress;
    if (!same) this.#watched = { state, answers };
    if (this.#over || state === "idle") this.#deadline.clear();
    else if (!same) this.#deadline.set(this.#timeout(state));
  }

  #timedOut(): void {
    if (this.#over) return;
    this.#endedBy = "timeout";
    this.#lose(`no answer within ${Math.round(this.#timeout(this.#session.state) / 1000)} s`);
    this.#stream.destroy();
  }

  #error(failure: SessionFailure, cause?: unknown): SmtpError {
    return errorOf(this.place, failure, this.#endedBy, cause);
  }
}

/** A server that waits for TLS says nothing, or answers a command with an alert: both look like trouble of another kind. */
function explained(failure: SessionFailure, tls: TlsMode): SessionFailure {
  if (failure.state !== "greeting" || tls === "implicit" || failure.reply !== undefined) return failure;
  return { ...failure, why: `${failure.why}; a port that wants TLS from the first byte (as 465 does) is silent like this` };
}

function bindingsOf(tls: TlsFacts | undefined): ChannelBindings {
  return tls?.channelBindings?.() ?? {};
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
