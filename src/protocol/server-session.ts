/**
 * The server's side of one SMTP session, without I/O.
 *
 * Rules
 * 1. Bytes come in through `receive`; nothing here waits, reads a clock or opens anything. Bytes go out through `takeOutput`.
 * 2. Events come out through `next`. One marked "decide" wants exactly one decision; until it has it, later bytes are kept, not parsed.
 * 3. STARTTLS forgets everything learnt before it, unread bytes included (RFC 3207 4.2, CVE-2011-0411).
 * 4. How the client stands, its envelope, its login and its content each have a file; here they are put in order and answered.
 * 5. Once `closing` is set no event comes any more: send what there is to send and close.
 */
import { formatReply, type Reply } from "../mail/reply.ts";
import { encodeBase64 } from "../util/base64.ts";
import { utf8 } from "../util/bytes.ts";
import { Fifo } from "../util/fifo.ts";
import { type Command, parseCommand } from "./command.ts";
import { ContentReader } from "./content-reader.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import { AUTH_LINE, notImplemented, otherProtocols, type Phase, ruleOf, type Verb } from "./grammar.ts";
import { LineFramer } from "./line-framer.ts";
import { isReply } from "./parameters.ts";
import type { ScramParameters } from "./sasl/mechanism.ts";
import type { ServerEvent } from "./server-events.ts";
import { type LoginOffer, ServerLogin, type ServerLoginStep } from "./server-login.ts";
import { defaultServerSessionOptions, type ServerSessionOptions } from "./server-options.ts";
import * as say from "./server-replies.ts";
import { isClientName, ServerStanding } from "./server-standing.ts";

export type { MailCommand, ServerEvent } from "./server-events.ts";
export type { LoginOffer } from "./server-login.ts";
export { defaultServerSessionOptions, type ServerSessionOptions } from "./server-options.ts";

type Wait = "greeting" | "none" | "starttls" | "salt" | "auth" | "mail" | "rcpt" | "data" | "content-end";
type Mode = "commands" | "auth" | "content" | "closing";

const RESET: ServerEvent = { type: "reset" };

export class ServerSession {
  readonly #options: ServerSessionOptions;
  readonly #framer = new LineFramer(AUTH_LINE);
  readonly #events = new Fifo<ServerEvent>();
  readonly #standing: ServerStanding;
  readonly #login = new ServerLogin();
  readonly #envelope: EnvelopeReader;
  readonly #content: ContentReader;
  #mode: Mode = "commands";
  #waiting: Wait = "greeting";
  /** The client spoke before the greeting. */
  #early = false;
  #errors = 0;
  #output = "";

  constructor(options: Pick<ServerSessionOptions, "hostname"> & Partial<ServerSessionOptions>) {
    this.#options = { ...defaultServerSessionOptions, ...options };
    this.#standing = new ServerStanding(this.#options);
    this.#envelope = new EnvelopeReader(this.#options);
    this.#content = new ContentReader(this.#framer, this.#events, this.#options.maxSize);
    this.#login.offer(this.#options);
  }

  /** What EHLO or HELO named, "" before. */
  get clientName(): string {
    return this.#standing.clientName;
  }

  /** EHLO was said, not HELO. */
  get extended(): boolean {
    return this.#standing.extended;
  }

  get account(): string | undefined {
    return this.#standing.account;
  }

  get phase(): Phase {
    return this.#standing.phase;
  }

  /** Content is under way: a time-out or a stop now cuts a message short. */
  get receivingContent(): boolean {
    return this.#mode === "content";
  }

  /** After the output is sent the connection is to be closed. */
  get closing(): boolean {
    return this.#mode === "closing";
  }

  /** Octets that were received and not parsed yet: what a driver has to bound. */
  get unread(): number {
    return this.#framer.unread;
  }

  receive(chunk: Uint8Array): void {
    if (this.#mode === "closing") return;
    if (this.#waiting === "greeting") this.#early = true;
    this.#framer.push(chunk);
  }

  /** All bytes to be sent so far, in order; `undefined` where there are none. */
  takeOutput(): Uint8Array | undefined {
    if (this.#output === "") return undefined;
    const bytes = utf8(this.#output);
    this.#output = "";
    return bytes;
  }

  /** The next event, or `undefined` until more bytes or the pending decision come. */
  next(): ServerEvent | undefined {
    for (;;) {
      if (this.#events.length > 0) return this.#events.shift();
      if (this.#waiting !== "none" || this.#mode === "closing") return undefined;
      if (!(this.receivingContent ? this.#readContent() : this.#readLine())) return undefined;
    }
  }

  /** What the client may log in with inside this TLS session; to be told before the next call of `next`. */
  offer(offer: LoginOffer): void {
    this.#login.offer(offer);
  }

  // Decisions

  /** Greets, or with a 4xx or 5xx reply turns the client away (RFC 5321 3.1). */
  greet(refusal?: Reply): void {
    this.#decided("greeting");
    if (refusal !== undefined) this.close(refusal);
    else if (this.#early) this.close(say.earlyTalker);
    else this.#send(say.greeting(this.#options.hostname));
  }

  /** The handshake is done: all that was learnt in clear is forgotten. */
  upgraded(): void {
    this.#decided("starttls");
    this.#framer.clear();
    this.#standing.upgraded();
    this.#endTransaction();
  }

  /** Answers "salt". */
  salted(parameters: ScramParameters): void {
    this.#decided("salt");
    this.#goOnWithLogin(this.#login.salted(parameters));
  }

  /** The credentials are good. `signature`: what the server proves itself with, where the claim was SCRAM's. */
  authenticated(account: string, signature?: Uint8Array): void {
    this.#decided("auth");
    this.#goOnWithLogin(this.#login.accepted(account, signature));
  }

  /** Says yes to "mail", "rcpt", "data" or "content-end"; the reply is the usual one where none is given. */
  accept(answer?: Reply): void {
    const waited = this.#waiting;
    this.#decided(waited);
    switch (waited) {
      case "mail":
        this.#standing.enter("mail");
        return this.#send(answer ?? this.#envelope.mailReply ?? say.mailOk);
      case "rcpt":
        this.#standing.enter("rcpt");
        this.#envelope.countRecipient();
        return this.#send(answer ?? say.rcptOk);
      case "data":
        return this.#beginContent();
      case "content-end":
        this.#errors = 0;
        this.#endTransaction();
        return this.#send(answer ?? say.accepted);
      default:
        this.#waiting = waited;
        throw new Error(`nothing to accept while waiting for ${waited}`);
    }
  }

  /** Says no to whatever is pending. */
  refuse(answer: Reply): void {
    const waited = this.#waiting;
    this.#decided(waited);
    if (answer.code === 421) return this.close(answer);
    switch (waited) {
      case "salt":
      case "auth":
        return this.#goOnWithLogin(this.#login.refused(answer));
      case "mail":
        this.#envelope.clear();
        return this.#send(answer);
      case "data":
        return this.#refuseBeginning(answer);
      case "content-end":
        this.#endTransaction();
        return this.#send(answer);
      case "rcpt":
        return this.#send(answer);
      default:
        this.#waiting = waited;
        throw new Error(`nothing to refuse while waiting for ${waited}`);
    }
  }

  /**
   * Gives up the content that is coming in (no room, too many hops): no more of it is told, and its end is answered with this.
   * Does nothing once the content is complete or the session is closed.
   */
  refuseContent(answer: Reply): void {
    if (!this.receivingContent) return;
    this.#content.refuse(answer);
    this.#events.clear(); // pieces of it are all that can be there
  }

  /** Says a last word, such as 421 before a time-out or a stop, and takes nothing more. */
  close(last?: Reply): void {
    if (this.#mode === "closing") return;
    if (last !== undefined) this.#send(last);
    this.#mode = "closing";
    this.#waiting = "none";
    this.#framer.clear();
    this.#events.clear();
  }

  // Lines

  #readLine(): boolean {
    const framed = this.#framer.next();
    if (framed === undefined) return false;
    if (framed.kind === "bare") this.#refuseBare(framed.again);
    else if (this.#mode === "auth") this.#continueLogin(framed.kind === "line" ? framed.bytes : undefined);
    else if (framed.kind === "too-long") this.#error("", say.lineTooLong);
    else this.#command(framed.bytes);
    return true;
  }

  #refuseBare(again: boolean): void {
    if (this.#mode === "auth") this.#mode = "commands";
    if (again) this.close(say.bareLinesOnly);
    else this.#error("", say.bareLineEnd);
  }

  #command(line: Uint8Array): void {
    const command = parseCommand(line);
    if (command === undefined) return this.#error("", say.notPrintable);
    const known = ruleOf(command.verb);
    if (known === undefined) return this.#unknown(command);
    const refusal = this.#standing.refusalOf(command, known.rule, line.length + 2);
    if (refusal === undefined) this.#obey(known.verb, command.argument);
    else if (known.verb === "BDAT") this.#dropChunk(command.argument, refusal);
    else this.#error(command.verb, refusal);
  }

  #unknown(command: Command): void {
    if (otherProtocols.has(command.verb)) return this.close(say.otherProtocol);
    this.#error(command.verb, notImplemented.has(command.verb) ? say.notImplemented : say.unknownCommand);
  }

  #obey(verb: Verb, argument: string): void {
    switch (verb) {
      case "EHLO":
      case "HELO":
        return this.#hello(verb, argument);
      case "STARTTLS":
        return this.#starttls();
      case "AUTH":
        return this.#auth(argument);
      case "MAIL":
        return this.#mail(argument);
      case "RCPT":
        return this.#rcpt(argument);
      case "DATA":
        return this.#data();
      case "BDAT":
        return this.#bdat(argument);
      case "RSET":
        this.#endTransaction();
        this.#events.push(RESET);
        return this.#send(say.ok);
      case "NOOP":
        return this.#send(say.ok);
      case "HELP":
        return this.#send(say.help);
      case "VRFY":
        return this.#send(say.cannotVerify);
      case "EXPN":
        return this.#error(verb, say.notImplemented);
      case "QUIT":
        return this.close(say.bye);
    }
  }

  #hello(verb: "EHLO" | "HELO", name: string): void {
    if (!isClientName(name)) return this.#error(verb, say.malformedName(verb));
    this.#endTransaction();
    this.#events.push(RESET);
    this.#send(this.#standing.greeted(verb, name, this.#login.mechanisms));
  }

  #starttls(): void {
    const refusal = this.#standing.refusalOfStartTls();
    if (refusal !== undefined) return this.#error("STARTTLS", refusal);
    this.#framer.clear(); // RFC 3207 4.2: what came behind it in clear is never read
    this.#send(say.startTls);
    this.#ask("starttls", { type: "starttls" });
  }

  // AUTH, RFC 4954 4

  #auth(argument: string): void {
    const refusal = this.#standing.refusalOfAuth();
    if (refusal !== undefined) this.#error("AUTH", refusal);
    else this.#goOnWithLogin(this.#login.begin(argument));
  }

  #continueLogin(line: Uint8Array | undefined): void {
    this.#mode = "commands";
    this.#goOnWithLogin(this.#login.respond(line));
  }

  #goOnWithLogin(step: ServerLoginStep): void {
    switch (step.kind) {
      case "challenge":
        this.#mode = "auth";
        this.#output += `334 ${encodeBase64(step.bytes)}\r\n`;
        return;
      case "ask":
        return this.#ask(step.event.type, step.event);
      case "done":
        this.#standing.authenticated(step.account);
        return this.#send(say.authenticated);
      case "refused":
        return this.#error("AUTH", step.reply);
      case "failed":
        return this.#failLogin(step.reply, step.why);
    }
  }

  #failLogin(answer: Reply, why: string): void {
    if (why !== "") this.#events.push({ type: "refused", command: "AUTH", reply: answer, why });
    this.#send(answer);
    if (this.#login.failures >= this.#options.maxAuthenticationFailures) this.close(say.tooManyAuthenticationFailures);
  }

  // MAIL and RCPT

  #mail(argument: string): void {
    const mail = this.#envelope.readMail(argument, this.#standing.support);
    if (isReply(mail)) this.#error("MAIL", mail);
    else this.#ask("mail", { type: "mail", mail });
  }

  #rcpt(argument: string): void {
    const recipient = this.#envelope.readRcpt(argument, this.#standing.support);
    if (isReply(recipient)) this.#error("RCPT", recipient);
    else if (this.#envelope.full) this.#refused("RCPT", say.tooManyRecipients);
    else this.#ask("rcpt", { type: "rcpt", recipient });
  }

  // Content

  #data(): void {
    if (this.#envelope.binary) this.#error("DATA", say.binaryNeedsBdat);
    else this.#askForContent("DATA");
  }

  #bdat(argument: string): void {
    if (!this.#content.readChunkSize(argument)) this.#breakOff();
    else if (this.#standing.phase === "bdat") this.#mode = "content";
    else this.#askForContent("BDAT");
  }

  /** A BDAT out of turn: its chunk follows all the same (RFC 3030 2) and must never be read as commands. */
  #dropChunk(argument: string, refusal: Reply): void {
    if (!this.#content.readChunkSize(argument)) return this.#breakOff();
    this.#content.dropChunk(refusal);
    this.#mode = "content";
  }

  /** A BDAT whose size cannot be read: what follows could be content or command, so the session ends. */
  #breakOff(): void {
    this.#error("BDAT", say.malformedBdat);
    this.close();
  }

  #askForContent(via: "DATA" | "BDAT"): void {
    this.#content.propose(via);
    this.#ask("data", { type: "data", via });
  }

  #beginContent(refusal?: Reply): void {
    this.#content.begin(refusal);
    this.#mode = "content";
    if (this.#content.via === "BDAT") this.#standing.enter("bdat");
    else this.#send(say.goAhead);
  }

  #refuseBeginning(answer: Reply): void {
    if (this.#content.via === "DATA") this.#send(answer);
    else this.#beginContent(answer); // the chunk comes all the same (RFC 3030 2): it is read and dropped, then answered
  }

  #readContent(): boolean {
    switch (this.#content.read()) {
      case "starved":
        return false;
      case "more":
        return true;
      case "content":
        this.#endContent();
        return true;
      case "chunk":
        this.#endChunk();
        return true;
      case "dropped-chunk":
        this.#endDroppedChunk();
        return true;
    }
  }

  #endContent(): void {
    this.#mode = "commands";
    const { refusal, size, via } = this.#content;
    if (refusal === undefined) return this.#ask("content-end", { type: "content-end", size });
    this.#endTransaction();
    this.#events.push(RESET);
    this.#refused(via, refusal);
  }

  #endChunk(): void {
    this.#mode = "commands";
    const { refusal, size } = this.#content;
    if (refusal !== undefined) this.#refused("BDAT", refusal);
    else this.#send(say.chunkReceived(size));
  }

  #endDroppedChunk(): void {
    this.#mode = "commands";
    const answer = this.#content.takeDropped();
    if (answer !== undefined) this.#error("BDAT", answer);
  }

  // Small tools

  #ask(what: Wait, event: ServerEvent): void {
    this.#waiting = what;
    this.#events.push(event);
  }

  #decided(what: Wait): void {
    if (this.#waiting !== what || what === "none") throw new Error(`no decision on ${what} is due: waiting for ${this.#waiting}`);
    this.#waiting = "none";
  }

  #send(answer: Reply): void {
    this.#output += formatReply(answer);
  }

  /** Refuses without counting it as the client's mistake. */
  #refused(command: string, answer: Reply): void {
    this.#events.push({ type: "refused", command, reply: answer });
    this.#send(answer);
  }

  #error(command: string, answer: Reply): void {
    this.#refused(command, answer);
    if (++this.#errors >= this.#options.maxErrors) this.close(say.tooManyErrors);
  }

  #endTransaction(): void {
    this.#standing.endTransaction();
    this.#envelope.clear();
    this.#content.clear();
  }
}
