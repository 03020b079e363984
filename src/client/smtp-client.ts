/**
 * A client that goes step by step, as Python's smtplib does: each command is a call, and its reply is what the call gives.
 *
 * Rules
 * 1. A step gives the server's reply whatever its code is; `connect`, `starttls`, `login`, `data`, `sendMail` and `sendMessage` reject where they
 *    could not do what their name says.
 * 2. After `starttls` all that was learnt is forgotten (RFC 3207 4.2).
 * 3. A 421 closes the connection, whatever it answers. A refused message is followed by RSET.
 * 4. No password leaves outside TLS unless `passwordInClear` names it.
 */
import type { Recipient } from "../mail/envelope.ts";
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import { isPositive, type Reply } from "../mail/reply.ts";
import { contentFacts } from "../message/facts.ts";
import type { Capabilities } from "../protocol/capabilities.ts";
import { type ClientState, clientStates } from "../protocol/client-states.ts";
import { holdParameter, mailCommand, rcptCommand } from "../protocol/envelope-commands.ts";
import type { RecipientResult } from "../protocol/recipient-result.ts";
import type { ClientMechanism } from "../protocol/sasl/mechanism.ts";
import type { TlsFacts } from "../util/byte-stream.ts";
import { ofSeveral } from "./attempt-result.ts";
import { bytesOfMessage, hasSmtpUtf8, parsePath, parseRecipient } from "./client-input.ts";
import type { Timeouts } from "./connection-options.ts";
import type { Credentials } from "./credentials.ts";
import {
  ConnectError,
  DataError,
  DisconnectedError,
  HelloError,
  NotSupportedError,
  OutcomeUnknownError,
  type SmtpError,
  TlsError,
} from "./error.ts";
import { fitMessage, holdMisfit } from "./fit.ts";
import { type ClientMessage, messageFor, type Written } from "./message-input.ts";
import { LMTP_PORT, SMTP_PORT, SMTPS_PORT } from "./ports.ts";
import { failureOf } from "./send-failure.ts";
import type { Refused, SendMailOptions, SmtpClientOptions } from "./smtp-client-options.ts";
import { SmtpConnection } from "./smtp-connection.ts";
import { acceptedBy } from "./transact.ts";
import { Transcript } from "./transcript.ts";
import { readTransfer, type Transfer, transferInputOf } from "./transfer-input.ts";

export class SmtpClient implements AsyncDisposable {
  readonly #options: SmtpClientOptions;
  readonly #protocol: "smtp" | "lmtp";
  #connection: SmtpConnection | undefined;
  #ehloReply: Reply | undefined;
  #heloReply: Reply | undefined;
  /** Replies of `putCommand` that nobody has asked for yet. */
  #pending: Promise<Reply>[] = [];

  constructor(options: SmtpClientOptions) {
    this.#options = options;
    this.#protocol = options.protocol ?? "smtp";
  }

  /** Inside TLS: protocol and cipher suite. */
  get tlsFacts(): TlsFacts | undefined {
    return this.#connection?.tls;
  }

  get connected(): boolean {
    return this.#connection !== undefined && !this.#connection.over;
  }

  /** What EHLO offered; nothing before it. */
  get capabilities(): Capabilities | undefined {
    return this.#ehloReply === undefined ? undefined : this.#connection?.capabilities;
  }

  /** EHLO was understood. */
  get doesEsmtp(): boolean {
    return this.capabilities?.extended === true;
  }

  /** Keyword in upper case -> its parameters as written. */
  get esmtpFeatures(): ReadonlyMap<string, string> {
    return this.capabilities?.keywords ?? new Map();
  }

  get ehloReply(): Reply | undefined {
    return this.#ehloReply;
  }

  get heloReply(): Reply | undefined {
    return this.#heloReply;
  }

  get localHostname(): string {
    return this.#options.localHostname ?? "[127.0.0.1]";
  }

  // Connecting

  /** Connects and gives the greeting. Rejects with a ConnectError, or a TlsError with implicit TLS. */
  async connect(host: string = this.#options.host ?? "localhost", port?: number): Promise<Reply> {
    this.close();
    const { dial, implicitTls = false, sourceAddress, signal, timeout, passwordInClear, transcript } = this.#options;
    const place = placeOf(host, port ?? this.#options.port, this.#protocol, implicitTls);
    const { connection, greeting } = await SmtpConnection.start({
      ...place,
      name: this.localHostname,
      protocol: this.#protocol,
      // The mode says what the stream is; whether STARTTLS follows is the caller's step.
      tls: implicitTls ? "implicit" : "required",
      ...this.#tlsOptions(),
      timeouts: { ...everyPhase(timeout), ...this.#options.timeouts },
      dial: transcript === undefined ? dial : new Transcript(transcript).over(dial),
      ...(passwordInClear === undefined ? {} : { passwordInClear }),
      ...(sourceAddress === undefined ? {} : { localAddress: sourceAddress }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (greeting.code !== 220) {
      await connection.quit();
      const lasting = greeting.code >= 500 ? "permanent" : "temporary";
      const failure = { state: "greeting", reply: greeting, why: "the server does not want to talk", lasting, about: "greeting" } as const;
      throw new ConnectError(connection.place, failure);
    }
    this.#connection = connection;
    return greeting;
  }

  #tlsOptions() {
    const { name, verify, authorities, certificate } = this.#options.tls ?? {};
    return {
      ...(name === undefined ? {} : { tlsName: name }),
      ...(verify === undefined ? {} : { verify }),
      ...(authorities === undefined ? {} : { authorities }),
      ...(certificate === undefined ? {} : { certificate }),
    };
  }

  /** EHLO, for LMTP LHLO. */
  async ehlo(name?: string): Promise<Reply> {
    const reply = await this.#step((connection) => connection.hello(this.#protocol === "lmtp" ? "LHLO" : "EHLO", name));
    this.#ehloReply = reply;
    return reply;
  }

  async helo(name?: string): Promise<Reply> {
    const reply = await this.#step((connection) => connection.hello("HELO", name));
    this.#heloReply = reply;
    return reply;
  }

  /** EHLO, or HELO where that is refused, unless one was said before. Rejects with a HelloError. */
  async ehloOrHeloIfNeeded(): Promise<void> {
    if (this.#ehloReply !== undefined || this.#heloReply !== undefined) return;
    if (isPositive(await this.ehlo())) return;
    const reply = this.#protocol === "lmtp" ? (this.#ehloReply as unknown as Reply) : await this.helo();
    if (isPositive(reply)) return;
    this.#heloReply = undefined;
    this.#ehloReply = undefined;
    throw this.#refusal(HelloError, "helo", reply, "hello");
  }

  /** Whether EHLO offered it, such as "SIZE"; case does not count. */
  hasExtension(name: string): boolean {
    return this.esmtpFeatures.has(name.toUpperCase());
  }

  /** STARTTLS and the handshake; EHLO is to be said again. Rejects with a NotSupportedError or a TlsError. */
  async starttls(): Promise<Reply> {
    await this.ehloOrHeloIfNeeded();
    if (!this.hasExtension("STARTTLS")) throw this.#notSupported("starttls", "the server does not offer STARTTLS");
    const reply = await this.#step((connection) => connection.startTls());
    if (reply.code !== 220) throw this.#refusal(TlsError, "starttls", reply, "tls");
    this.#ehloReply = undefined;
    this.#heloReply = undefined;
    return reply;
  }

  /**
   * Logs in, with the strongest mechanism that both sides know first. Rejects with a NotSupportedError where AUTH is not offered, else with
   * an AuthenticationError; the connection can still be used.
   */
  async login(user: string, password: string): Promise<Reply>;
  async login(credentials: Credentials): Promise<Reply>;
  async login(who: string | Credentials, password?: string): Promise<Reply> {
    const credentials = typeof who !== "string" ? who : { user: who, ...(password === undefined ? {} : { password }) };
    await this.ehloOrHeloIfNeeded();
    if (!this.hasExtension("AUTH")) throw this.#notSupported("auth", "the server does not offer AUTH");
    return this.#step((connection) => connection.login(credentials));
  }

  /** Logs in by a mechanism of the caller's. */
  auth(mechanism: ClientMechanism): Promise<Reply> {
    return this.login({ user: "", mechanism: () => mechanism });
  }

  // Single commands

  /** MAIL FROM. "" or "<>" is the null reverse-path; options are parameters as they are written. */
  async mail(sender: string, options: readonly string[] = []): Promise<Reply> {
    const smtpUtf8 = this.#smtpUtf8(options);
    const envelope = { reversePath: parsePath(sender), recipients: [], body: "7BIT", smtpUtf8 } as const;
    const line = mailCommand(envelope, undefined, this.#offered, withoutUtf8(options));
    return this.docmd(line);
  }

  /** RCPT TO. A bare local part, such as "postmaster", is allowed. */
  async rcpt(recipient: string, options: readonly string[] = []): Promise<Reply> {
    const mailbox = parseRecipient(recipient);
    return this.docmd(rcptCommand({ mailbox }, !isAsciiText(recipient), this.#offered, options));
  }

  /**
   * DATA and the content, dots stuffed, line ends made CRLF. The reply to its end, for LMTP one for each recipient. Rejects with a
   * DataError where DATA itself was refused, or an OutcomeUnknownError.
   */
  async data(message: string | Uint8Array): Promise<readonly Reply[]> {
    const results = await this.#live().sendData(bytesOfMessage(message));
    return Promise.all(results.map((result) => this.#replyOf(result)));
  }

  async #replyOf(result: RecipientResult): Promise<Reply> {
    if (result.kind === "accepted") return this.#noticed(result.reply);
    if (result.kind === "refused" && result.state !== "data") return this.#noticed(result.reply);
    throw this.#failed(result);
  }

  /** VRFY. */
  verify(address: string): Promise<Reply> {
    return this.docmd("VRFY", formatPathText(address));
  }

  /** EXPN. */
  expn(list: string): Promise<Reply> {
    return this.docmd("EXPN", formatPathText(list));
  }

  noop(): Promise<Reply> {
    return this.docmd("NOOP");
  }

  rset(): Promise<Reply> {
    return this.docmd("RSET");
  }

  /** The text that HELP gives. */
  async help(about = ""): Promise<string> {
    return (await this.docmd("HELP", about)).text;
  }

  /** Any command; the reply whatever its code is. */
  docmd(command: string, argument = ""): Promise<Reply> {
    return this.#step((connection) => connection.command(argument === "" ? command : `${command} ${argument}`));
  }

  /** Sends a command without waiting; its reply comes by `getReply`, in order. */
  putCommand(command: string, argument = ""): void {
    const reply = this.docmd(command, argument);
    reply.catch(() => {}); // it is told to who asks
    this.#pending.push(reply);
  }

  /** The reply to the oldest `putCommand` that is still open. */
  async getReply(): Promise<Reply> {
    const reply = this.#pending.shift();
    if (reply === undefined) throw new Error("no command of putCommand waits for a reply");
    return reply;
  }

  /** QUIT, and the connection is closed. */
  async quit(): Promise<Reply> {
    const connection = this.#live();
    const reply = await connection.command("QUIT").finally(() => this.close());
    return reply;
  }

  /** Closes at once, without QUIT. */
  close(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#ehloReply = undefined;
    this.#heloReply = undefined;
    this.#pending = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection?.quit();
    this.close();
  }

  // Whole messages

  /**
   * Sends a message that is complete. Gives the recipients that were refused, where at least one was taken.
   * Rejects with a SenderRefusedError, RecipientsRefusedError (none was taken), DataError, NotSupportedError, OutcomeUnknownError or
   * DisconnectedError; with a TypeError, before anything is written, for an address that cannot stand in a command.
   */
  async sendMail(
    from: string,
    to: string | readonly string[],
    message: string | Uint8Array,
    options: SendMailOptions = {},
  ): Promise<Refused> {
    const addresses = typeof to === "string" ? [to] : to;
    const recipients = addresses.map((address) => ({ mailbox: parseRecipient(address) }));
    await this.ehloOrHeloIfNeeded();
    const transfer = readTransfer(options, Date.now());
    return this.#transact(parsePath(from), recipients, addresses, { ...writtenAs(message), transfer, replayable: true }, options);
  }

  /**
   * Sends a message whose envelope is that of its headers, unless given: Sender or From; To, Cc and Bcc, or the Resent- block. Bcc and Resent-Bcc are
   * taken out of what is sent. Rejects as `sendMail` does, or with a ComposeError.
   */
  async sendMessage(
    message: ClientMessage,
    from?: string,
    to?: string | readonly string[],
    options: SendMailOptions = {},
  ): Promise<Refused> {
    const made = await messageFor(
      { ...message, ...transferInputOf(options) },
      this.#connection === undefined ? {} : acceptedBy(this.#connection.capabilities),
    );
    await this.ehloOrHeloIfNeeded();
    const mailboxes = to === undefined ? made.to : (typeof to === "string" ? [to] : to).map(parseRecipient);
    const sender = from === undefined ? made.from : parsePath(from);
    const recipients = mailboxes.map((mailbox) => ({ mailbox }));
    const written = { ...made.write(acceptedBy(this.#offered)), transfer: made.transfer, replayable: made.replayable };
    return this.#transact(sender, recipients, mailboxes.map(formatMailbox), written, options);
  }

  async #transact(
    from: Mailbox | null,
    recipients: readonly Recipient[],
    names: readonly string[],
    written: Outgoing,
    { mailOptions = [], rcptOptions, progress }: SendMailOptions,
  ): Promise<Refused> {
    if (recipients.length === 0) throw new TypeError("no recipient was given");
    const { hold } = written.transfer;
    const turns = this.#turns(recipients, written.replayable);
    const { envelope, content, via } = await this.#fit(from, recipients, written, this.#smtpUtf8(mailOptions));
    const how = {
      via,
      mailParameters: [...withoutUtf8(mailOptions), ...(hold === undefined ? [] : [holdParameter(hold)])],
      ...(rcptOptions === undefined ? {} : { rcptParameters: rcptOptions }),
      ...(progress === undefined ? {} : { progress }),
    };
    const results = new Array<RecipientResult>(recipients.length);
    for (const turn of turns) {
      const these = turn.map((i) => envelope.recipients[i] as Recipient);
      const sent = await this.#live().send({ ...envelope, recipients: these }, content, how);
      for (const [i, place] of turn.entries()) results[place] = sent[i] as RecipientResult;
    }
    return this.#settle(from, names, turns.length === 1 ? results : ofSeveral(results));
  }

  /** The transactions that the server's LIMITS make of it (RFC 9422). Throws a NotSupportedError where this connection cannot carry them. */
  #turns(recipients: readonly Recipient[], replayable: boolean): readonly (readonly number[])[] {
    const turns = this.#live().allowance.plan(recipients.map(({ mailbox }) => mailbox));
    if (turns === undefined)
      throw this.#notSupported("mail", "the server takes no more than this in one connection (LIMITS): connect again");
    if (turns.length > 1 && !replayable)
      throw this.#notSupported("mail", "the server takes fewer recipients at a time (LIMITS), and the message can be read only once");
    return turns;
  }

  /** The message as this server can take it. */
  async #fit(from: Mailbox | null, recipients: readonly Recipient[], { content, facts, transfer }: Outgoing, asked: boolean) {
    const addresses = [...(from === null ? [] : [from]), ...recipients.map(({ mailbox }) => mailbox)];
    const smtpUtf8 = asked || facts.eightBitHeader || addresses.some(({ localPart }) => !isAsciiText(localPart));
    const body = facts.eightBit ? "8BITMIME" : "7BIT";
    const asking = { reversePath: from, body, smtpUtf8, ...transfer.extras } as const;
    const fit = holdMisfit(transfer.hold, this.#offered) ?? fitMessage(asking, facts, this.#offered, { now: this.#live().now });
    if (fit.kind === "misfit") throw this.#notSupported("mail", fit.text);
    if (smtpUtf8 && !this.#offered.smtpUtf8 && addresses.some(({ localPart }) => !isAsciiText(localPart))) {
      throw this.#notSupported("mail", "an address is in UTF-8 and the server does not take SMTPUTF8");
    }
    const envelope = { ...fit.envelope, recipients };
    if (fit.convert === undefined || content.kind === "streamed") return { envelope, content, via: fit.via };
    const { convertedContent } = await import("./convert-content.ts"); // few need it
    const converted = await convertedContent(content, facts, fit.convert);
    if (converted.kind === "converted") return { envelope, content: converted.content, via: fit.via };
    // Python's smtplib sends what it was given; so do we where nothing better can be made of it.
    return { envelope: { ...envelope, body: "7BIT" as const }, content, via: fit.via };
  }

  async #settle(from: Mailbox | null, names: readonly string[], results: readonly RecipientResult[]): Promise<Refused> {
    const refused = new Map<string, Reply>();
    let failure: RecipientResult | undefined;
    for (const [i, result] of results.entries()) {
      if (result.kind === "accepted") continue;
      failure = result;
      if (result.kind === "refused" && (result.state === "rcpt" || result.state === "sent-dot"))
        refused.set(names[i] as string, result.reply);
    }
    if (failure === undefined) return refused;
    const host = this.#place;
    const last = results.find((result) => result.kind === "refused")?.reply;
    if (last?.code === 421) this.close();
    else if (this.connected) await this.#reset();
    if (results.some(({ kind }) => kind === "accepted")) return refused;
    const sender = from === null ? "" : formatMailbox(from);
    throw failureOf(results, { sender, recipients: names, host, cancelled: this.#options.signal?.aborted === true });
  }

  async #reset(): Promise<void> {
    try {
      await this.rset();
    } catch (error) {
      if (!(error instanceof DisconnectedError)) throw error;
    }
  }

  // Small tools

  get #place(): string {
    return this.#connection?.place ?? this.#options.host ?? "localhost";
  }

  get #offered(): Capabilities {
    return this.#live().capabilities;
  }

  #smtpUtf8(options: readonly string[]): boolean {
    if (!hasSmtpUtf8(options)) return false;
    if (!this.hasExtension("SMTPUTF8")) throw this.#notSupported("mail", "the server does not offer SMTPUTF8");
    return true;
  }

  #live(): SmtpConnection {
    if (this.#connection !== undefined) return this.#connection;
    const failure = { state: "connect", why: "not connected: call connect() first", lasting: "permanent", about: "connection" } as const;
    throw new DisconnectedError(this.#place, failure);
  }

  async #step(act: (connection: SmtpConnection) => Promise<Reply>): Promise<Reply> {
    return this.#noticed(await act(this.#live()));
  }

  /** RFC 5321 3.8: a 421 announces that the server closes. */
  #noticed(reply: Reply): Reply {
    if (reply.code === 421) this.close();
    return reply;
  }

  #notSupported(state: ClientState, why: string): NotSupportedError {
    return new NotSupportedError(this.#place, { state, why, lasting: "permanent", about: "protocol" });
  }

  #refusal(kind: typeof SmtpError, state: ClientState, reply: Reply, about: "hello" | "tls"): SmtpError {
    const why = `refused ${clientStates[state].doing}`;
    return new kind(this.#place, { state, reply, why, lasting: lastingOf(reply), about });
  }

  #failed(result: RecipientResult): SmtpError {
    if (result.kind === "refused") {
      const { state, reply } = result;
      return new DataError(this.#place, { state, reply, why: "the message was refused", lasting: lastingOf(reply), about: "protocol" });
    }
    const { state, why } = result as Extract<RecipientResult, { kind: "lost" | "unknown" }>;
    if (result.kind === "unknown") return new OutcomeUnknownError(this.#place, { state, why, lasting: "unknown", about: "connection" });
    return new DisconnectedError(this.#place, { state, why, lasting: "temporary", about: "connection" });
  }
}

interface Outgoing extends Written {
  readonly transfer: Transfer;
  readonly replayable: boolean;
}

function writtenAs(message: string | Uint8Array): Written {
  const content = bytesOfMessage(message);
  return { content, facts: contentFacts(content.chunks) };
}

const lastingOf = (reply: Reply) => (reply.code >= 500 ? "permanent" : "temporary");
const isAsciiText = (text: string): boolean => !/[^\x00-\x7f]/.test(text);
const withoutUtf8 = (options: readonly string[]) => options.filter((option) => option.toUpperCase() !== "SMTPUTF8");

/** `<a@b>`, or the text itself where it is no address: what VRFY and EXPN take may be a name. */
function formatPathText(text: string): string {
  const mailbox = text.includes("@") ? parsePath(text) : null;
  return mailbox === null ? text : `<${formatMailbox(mailbox)}>`;
}

function placeOf(host: string, port: number | undefined, protocol: "smtp" | "lmtp", implicitTls: boolean) {
  const usual = protocol === "lmtp" ? LMTP_PORT : implicitTls ? SMTPS_PORT : SMTP_PORT;
  const [, literal, name, digits] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(host) ?? [];
  const given = port ?? (digits === undefined ? usual : Number(digits));
  if (host.startsWith("/") || (literal === undefined && name === undefined)) return { host, port: given };
  return { host: literal ?? name ?? host, port: given };
}

function everyPhase(timeout: number | undefined): Timeouts {
  if (timeout === undefined) return {};
  return Object.fromEntries(Object.keys(clientStates).map((state) => [state, timeout]));
}
