/**
 * The server's side of one SMTP session, without I/O.
 *
 * Rules
 * 1. Bytes come in through `receive`; nothing here waits, reads a clock or opens anything. Bytes go out through `takeOutput`.
 * 2. Events come out through `next`. One marked "decide" wants exactly one decision; until it has it, later bytes are kept, not parsed.
 * 3. STARTTLS forgets everything learnt before it, unread bytes included (RFC 3207 4.2, CVE-2011-0411).
 * 4. Content is passed on as slices of what came in; it is never joined here.
 * 5. Once `closing` is set no event comes any more: send what there is to send and close.
 */

import { isAddressLiteral, isDomain } from "../mail/domain.ts";
import type { BodyType, Recipient, ReversePath } from "../mail/envelope.ts";
import { isAsciiMailbox, type Mailbox } from "../mail/mailbox.ts";
import { formatReply, type Reply, reply } from "../mail/reply.ts";
import { decodeBase64, encodeBase64 } from "../util/base64.ts";
import { fromLatin1, utf8 } from "../util/bytes.ts";
import { Fifo } from "../util/fifo.ts";
import { type Command, parseCommand } from "./command.ts";
import { DataFramer } from "./data-framer.ts";
import { AUTH_LINE, notImplemented, otherProtocols, type Phase, ruleOf, type Verb } from "./grammar.ts";
import { LineFramer } from "./line-framer.ts";
import { isReply, NO_PARAMETER_SUPPORT, type ParameterSupport, readMailParameters, readRcptParameters } from "./parameters.ts";
import { defaultLeniencies, type PathLeniencies, parsePathArgument } from "./path.ts";
import { LoginServer } from "./sasl/login.ts";
import type { ServerMechanism, ServerStep } from "./sasl/mechanism.ts";
import { PlainServer } from "./sasl/plain.ts";
import * as say from "./server-replies.ts";

export interface ServerSessionOptions {
  /** The name in the greeting and in the reply to EHLO. */
  readonly hostname: string;
  /** none: not offered; offered: STARTTLS if the client likes; required: nothing of a transaction without it. */
  readonly tls: "none" | "offered" | "required";
  /** TLS from the first byte (port 465). */
  readonly secured: boolean;
  /** required: submission. none: AUTH is not known here (port 25). */
  readonly authentication: "none" | "required";
  /** Octets of content; announced as SIZE. */
  readonly maxSize: number;
  /** Recipients of one transaction; RFC 5321 4.5.3.1.8 wants at least 100. */
  readonly maxRecipients: number;
  /** Protocol errors without a message accepted between them, then 421. */
  readonly maxErrors: number;
  /** Failed AUTH commands in one session, then 421. */
  readonly maxAuthenticationFailures: number;
  readonly leniencies: PathLeniencies;
}

export const defaultServerSessionOptions: Omit<ServerSessionOptions, "hostname"> = {
  tls: "none",
  secured: false,
  authentication: "none",
  maxSize: 35_882_577,
  maxRecipients: 1000,
  maxErrors: 20,
  maxAuthenticationFailures: 5,
  leniencies: defaultLeniencies,
};

/** What MAIL said. */
export interface MailCommand {
  readonly reversePath: ReversePath;
  readonly size: number | undefined;
  readonly body: BodyType;
  readonly smtpUtf8: boolean;
  readonly ret?: "FULL" | "HDRS";
  readonly envelopeId?: string;
}

export type ServerEvent =
  /** Decide: `upgraded` after the handshake. The 220 is in the output; nothing else may be sent in clear. */
  | { readonly type: "starttls" }
  /** Decide: `authenticated` or `refuse`. */
  | { readonly type: "auth"; readonly mechanism: string; readonly authorization: string; readonly user: string; readonly password: string }
  /** Decide: `accept` or `refuse`. */
  | { readonly type: "mail"; readonly mail: MailCommand }
  /** Decide: `accept` or `refuse`. */
  | { readonly type: "rcpt"; readonly recipient: Recipient }
  /** Content is about to come (354, or the first BDAT). Decide: `accept` or `refuse`. */
  | { readonly type: "data"; readonly via: "DATA" | "BDAT" }
  /** A piece of the content; no decision. */
  | { readonly type: "content"; readonly chunk: Uint8Array }
  /** The content is complete. Decide: `accept` (with the text that names the message) or `refuse`. */
  | { readonly type: "content-end"; readonly size: number }
  /** The transaction is gone (RSET, EHLO, a refusal of its content): forget it. No decision. */
  | { readonly type: "reset" }
  /** The session itself refused a command; no decision. */
  | { readonly type: "refused"; readonly command: string; readonly reply: Reply };

type Wait = "greeting" | "none" | "starttls" | "auth" | "mail" | "rcpt" | "data" | "content-end";
type Mode = "commands" | "auth" | "data" | "bdat" | "closing";

const mechanisms: Readonly<Record<string, new () => ServerMechanism>> = { PLAIN: PlainServer, LOGIN: LoginServer };
const RESET: ServerEvent = { type: "reset" };
/** RFC 3030 2: a chunk's size; 2^53 and beyond is no size that anyone sends. */
const BDAT_DIGITS = 15;

export class ServerSession {
  readonly #options: ServerSessionOptions;
  readonly #framer = new LineFramer(AUTH_LINE);
  #mode: Mode = "commands";
  #phase: Phase = "start";
  #waiting: Wait = "greeting";
  #secured: boolean;
  #extended = false;
  #clientName = "";
  #account: string | undefined;
  #errors = 0;
  #authenticationFailures = 0;
  #output = "";
  #mechanism: ServerMechanism | undefined;
  #mail: MailCommand | undefined;
  #recipients = 0;
  #data: DataFramer | undefined;
  #pieces: Uint8Array[] = [];
  #size = 0;
  #via: "DATA" | "BDAT" = "DATA";
  #bdatLeft = 0;
  #bdatLast = false;
  /** The last octet of DATA, or of the chunk, was read; it is answered once the pieces before it have been taken. */
  #contentEnds = false;
  /** Answers the chunk that is being dropped. */
  #dropping: Reply | undefined;
  #early = false;
  /** Set once content is refused while it still comes: the rest is dropped and this is answered at its end. */
  #contentRefusal: Reply | undefined;
  readonly #events = new Fifo<ServerEvent>();

  constructor(options: Pick<ServerSessionOptions, "hostname"> & Partial<ServerSessionOptions>) {
    this.#options = { ...defaultServerSessionOptions, ...options };
    this.#secured = this.#options.secured;
  }

  /** What EHLO or HELO named, "" before. */
  get clientName(): string {
    return this.#clientName;
  }

  /** EHLO was said, not HELO. */
  get extended(): boolean {
    return this.#extended;
  }

  get account(): string | undefined {
    return this.#account;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Content is under way: a time-out or a stop now cuts a message short. */
  get receivingContent(): boolean {
    return this.#mode === "data" || this.#mode === "bdat";
  }

  /** After the output is sent the connection is to be closed. */
  get closing(): boolean {
    return this.#mode === "closing";
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
    this.#secured = true;
    this.#phase = "start";
    this.#extended = false;
    this.#clientName = "";
    this.#account = undefined;
    this.#dropTransaction();
  }

  authenticated(account: string): void {
    this.#decided("auth");
    this.#account = account;
    this.#mechanism = undefined;
    this.#send(say.authenticated);
  }

  /** Says yes to "mail", "rcpt", "data" or "content-end"; the reply is the usual one where none is given. */
  accept(answer?: Reply): void {
    const waited = this.#waiting;
    this.#decided(waited);
    switch (waited) {
      case "mail":
        this.#phase = "mail";
        return this.#send(answer ?? say.mailOk);
      case "rcpt":
        this.#phase = "rcpt";
        this.#recipients++;
        return this.#send(answer ?? say.rcptOk);
      case "data":
        return this.#beginContent(this.#via);
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
      case "auth":
        return this.#failAuthentication(answer);
      case "mail":
        this.#mail = undefined;
        return this.#send(answer);
      case "data":
        return this.#refuseBeginning(this.#via, answer);
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
    this.#contentRefusal ??= answer;
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
    else if (this.#mode === "auth") this.#continueAuthentication(framed.kind === "line" ? framed.bytes : undefined);
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
    const refusal = this.#check(command, known.rule, line.length + 2);
    if (refusal === undefined) this.#obey(known.verb, command.argument);
    else if (known.verb === "BDAT") this.#dropChunk(command.argument, refusal);
    else this.#error(command.verb, refusal);
  }

  #unknown(command: Command): void {
    if (otherProtocols.has(command.verb)) return this.close(say.otherProtocol);
    this.#error(command.verb, notImplemented.has(command.verb) ? say.notImplemented : say.unknownCommand);
  }

  #check(command: Command, rule: NonNullable<ReturnType<typeof ruleOf>>["rule"], length: number): Reply | undefined {
    if (length > rule.longest) return say.lineTooLong;
    if (this.#options.tls === "required" && !this.#secured && !rule.beforeTls) return say.tlsFirst;
    if (!rule.in.includes(this.#phase)) {
      const needsHello = this.#phase === "start" && rule.otherwise.code === 503;
      return needsHello ? say.helloFirst : this.#phase === "bdat" ? say.bdatUnderWay : rule.otherwise;
    }
    if (rule.argument === "required" && command.argument === "") return say.argumentMissing(command.verb);
    if (rule.argument === "none" && command.argument !== "") return say.argumentUnwanted(command.verb);
    if (this.#options.authentication === "required" && this.#account === undefined && !rule.beforeAuthentication) return say.authFirst;
    return undefined;
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
        return this.#mailCommand(argument);
      case "RCPT":
        return this.#rcptCommand(argument);
      case "DATA":
        return this.#dataCommand();
      case "BDAT":
        return this.#bdatCommand(argument);
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
    this.#clientName = name;
    this.#extended = verb === "EHLO";
    this.#endTransaction();
    this.#phase = "ready";
    this.#events.push(RESET);
    this.#send(this.#extended ? this.#ehloReply() : say.helo(this.#options.hostname));
  }

  #ehloReply(): Reply {
    const { hostname, tls, authentication, maxSize } = this.#options;
    const lines = [`${hostname} at your service`, "PIPELINING", `SIZE ${maxSize}`];
    if (tls !== "none" && !this.#secured) lines.push("STARTTLS");
    if (authentication === "required" && this.#secured) lines.push(`AUTH ${Object.keys(mechanisms).join(" ")}`);
    lines.push("8BITMIME", "SMTPUTF8", "BINARYMIME", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "HELP");
    return reply(250, lines.join("\n"));
  }

  #starttls(): void {
    if (this.#secured) return this.#error("STARTTLS", say.alreadySecured);
    if (this.#options.tls === "none") return this.#error("STARTTLS", say.notImplemented);
    this.#framer.clear(); // RFC 3207 4.2: what came behind it in clear is never read
    this.#send(say.startTls);
    this.#ask("starttls", { type: "starttls" });
  }

  // AUTH, RFC 4954 4

  #auth(argument: string): void {
    const [name = "", initial, ...rest] = argument.split(" ");
    if (this.#options.authentication === "none") return this.#error("AUTH", say.authUnavailable);
    if (!this.#secured) return this.#error("AUTH", say.authNeedsTls);
    if (this.#account !== undefined) return this.#error("AUTH", say.alreadyAuthenticated);
    if (this.#phase !== "ready") return this.#error("AUTH", say.authInTransaction);
    const mechanism = Object.hasOwn(mechanisms, name.toUpperCase()) ? mechanisms[name.toUpperCase()] : undefined;
    if (mechanism === undefined) return this.#error("AUTH", say.unknownMechanism);
    if (rest.length > 0) return this.#error("AUTH", say.argumentUnwanted("AUTH"));
    this.#mechanism = new mechanism();
    if (initial === undefined) return this.#step(undefined);
    // RFC 4954 4: "=" is an initial response of no octets.
    this.#respond(initial === "=" ? "" : initial);
  }

  #continueAuthentication(line: Uint8Array | undefined): void {
    this.#mode = "commands";
    if (line === undefined) return this.#cancelAuthentication(say.authLineTooLong);
    const text = fromLatin1(line);
    if (text === "*") return this.#cancelAuthentication(say.authCancelled);
    this.#respond(text);
  }

  #respond(text: string): void {
    const response = decodeBase64(text);
    if (response === undefined) return this.#cancelAuthentication(say.badBase64);
    this.#step(response);
  }

  #step(response: Uint8Array | undefined): void {
    const step = this.#mechanism?.step(response) as ServerStep;
    switch (step.kind) {
      case "challenge":
        this.#mode = "auth";
        this.#output += `334 ${encodeBase64(step.bytes)}\r\n`;
        return;
      case "malformed":
        return this.#cancelAuthentication(say.malformedCredentials);
      case "password": {
        const { authorization, user, password } = step;
        return this.#ask("auth", { type: "auth", mechanism: this.#mechanism?.name ?? "", authorization, user, password });
      }
    }
  }

  #cancelAuthentication(answer: Reply): void {
    this.#mechanism = undefined;
    this.#error("AUTH", answer);
  }

  #failAuthentication(answer: Reply): void {
    this.#mechanism = undefined;
    this.#authenticationFailures++;
    this.#send(answer);
    if (this.#authenticationFailures >= this.#options.maxAuthenticationFailures) this.close(say.tooManyAuthenticationFailures);
  }

  // MAIL and RCPT

  #support(): ParameterSupport {
    if (!this.#extended) return NO_PARAMETER_SUPPORT;
    const auth = this.#options.authentication === "required";
    return { size: true, eightBitMime: true, binaryMime: true, smtpUtf8: true, dsn: true, auth };
  }

  #mailCommand(argument: string): void {
    const parsed = this.#path("MAIL", "FROM:", argument);
    if (parsed === undefined) return;
    const parameters = readMailParameters(parsed.parameters, this.#support());
    if (isReply(parameters)) return this.#error("MAIL", parameters);
    const { size, ...others } = parameters;
    if (parsed.mailbox !== null && parsed.mailbox.domain === "") return this.#error("MAIL", say.malformedPath("MAIL", "no domain"));
    if (parsed.mailbox !== null && !others.smtpUtf8 && !isAsciiMailbox(parsed.mailbox)) return this.#error("MAIL", say.utf8Sender);
    if (size !== undefined && size > this.#options.maxSize) return this.#error("MAIL", say.tooBig(this.#options.maxSize));
    this.#mail = { reversePath: parsed.mailbox, size, ...others };
    this.#ask("mail", { type: "mail", mail: this.#mail });
  }

  #rcptCommand(argument: string): void {
    const parsed = this.#path("RCPT", "TO:", argument);
    if (parsed === undefined) return;
    if (parsed.mailbox === null) return this.#error("RCPT", say.malformedPath("RCPT", "<> is no recipient"));
    const parameters = readRcptParameters(parsed.parameters, this.#support());
    if (isReply(parameters)) return this.#error("RCPT", parameters);
    if (this.#mail?.smtpUtf8 !== true && !isAsciiMailbox(parsed.mailbox)) return this.#error("RCPT", say.utf8Recipient);
    if (this.#recipients >= this.#options.maxRecipients) return this.#refused("RCPT", say.tooManyRecipients);
    this.#ask("rcpt", { type: "rcpt", recipient: { mailbox: parsed.mailbox, ...parameters } });
  }

  #path(
    verb: "MAIL" | "RCPT",
    word: string,
    argument: string,
  ): { mailbox: Mailbox | null; parameters: readonly { keyword: string; value: string | undefined }[] } | undefined {
    if (argument.slice(0, word.length).toUpperCase() !== word) {
      this.#error(verb, say.syntax(verb, word));
      return undefined;
    }
    const parsed = parsePathArgument(argument.slice(word.length), this.#options.leniencies);
    if (parsed.kind === "path") return parsed;
    this.#error(verb, parsed.what === "path" ? say.malformedPath(verb, parsed.text) : say.malformedParameters);
    return undefined;
  }

  // Content

  #dataCommand(): void {
    if (this.#mail?.body === "BINARYMIME") return this.#error("DATA", say.binaryNeedsBdat);
    this.#askForContent("DATA");
  }

  #bdatCommand(argument: string): void {
    if (!this.#readChunkSize(argument)) return;
    if (this.#phase === "bdat") this.#mode = "bdat";
    else this.#askForContent("BDAT");
  }

  #askForContent(via: "DATA" | "BDAT"): void {
    this.#via = via;
    this.#ask("data", { type: "data", via });
  }

  #readChunkSize(argument: string): boolean {
    const [, digits, last] = /^(\d+)( +LAST)?$/i.exec(argument) ?? [];
    if (digits === undefined || digits.length > BDAT_DIGITS) {
      this.#breakOff(say.malformedBdat);
      return false;
    }
    this.#bdatLeft = Number(digits);
    this.#bdatLast = last !== undefined;
    return true;
  }

  /** A BDAT out of turn: its chunk follows all the same (RFC 3030 2) and must never be read as commands. */
  #dropChunk(argument: string, refusal: Reply): void {
    if (!this.#readChunkSize(argument)) return;
    this.#dropping = refusal;
    this.#mode = "bdat";
  }

  /** A BDAT whose size cannot be read: what follows could be content or command, so the session ends. */
  #breakOff(answer: Reply): void {
    this.#error("BDAT", answer);
    this.close();
  }

  #beginContent(via: "DATA" | "BDAT"): void {
    this.#size = 0;
    this.#contentRefusal = undefined;
    if (via === "BDAT") {
      this.#phase = "bdat";
      this.#mode = "bdat";
      return;
    }
    this.#mode = "data";
    this.#data = new DataFramer();
    this.#send(say.goAhead);
  }

  #refuseBeginning(via: "DATA" | "BDAT", answer: Reply): void {
    if (via === "DATA") return this.#send(answer);
    // The chunk comes all the same (RFC 3030 2): it is read and dropped, then answered.
    this.#beginContent(via);
    this.#contentRefusal = answer;
  }

  #readContent(): boolean {
    if (!this.#contentEnds) return this.#mode === "data" ? this.#readData() : this.#readBdat();
    this.#contentEnds = false;
    if (this.#mode === "data") this.#endContent();
    else this.#endBdat();
    return true;
  }

  #readData(): boolean {
    const raw = this.#framer.takeRaw();
    const framer = this.#data;
    if (raw === undefined || framer === undefined) return false;
    const used = framer.push(raw, this.#pieces);
    for (const piece of this.#pieces) this.#piece(piece);
    this.#pieces.length = 0;
    if (framer.done) {
      this.#framer.putBack(raw.subarray(used));
      this.#data = undefined;
      this.#contentEnds = true;
    }
    return true;
  }

  #readBdat(): boolean {
    if (this.#bdatLeft > 0) {
      const raw = this.#framer.takeRaw();
      if (raw === undefined) return false;
      const mine = raw.length > this.#bdatLeft ? raw.subarray(0, this.#bdatLeft) : raw;
      if (mine.length < raw.length) this.#framer.putBack(raw.subarray(mine.length));
      this.#bdatLeft -= mine.length;
      if (this.#dropping === undefined) this.#piece(mine);
    }
    this.#contentEnds = this.#bdatLeft === 0;
    return true;
  }

  #endBdat(): void {
    if (this.#dropping !== undefined) return this.#endDropping(this.#dropping);
    if (this.#bdatLast) return this.#endContent();
    this.#mode = "commands";
    if (this.#contentRefusal !== undefined) this.#refused("BDAT", this.#contentRefusal);
    else this.#send(say.chunkReceived(this.#size));
  }

  #endDropping(answer: Reply): void {
    this.#mode = "commands";
    this.#dropping = undefined;
    this.#bdatLast = false;
    this.#error("BDAT", answer);
  }

  #piece(chunk: Uint8Array): void {
    this.#size += chunk.length;
    if (this.#size > this.#options.maxSize) this.#contentRefusal ??= say.tooBig(this.#options.maxSize);
    if (this.#contentRefusal === undefined) this.#events.push({ type: "content", chunk });
  }

  #endContent(): void {
    this.#mode = "commands";
    const refusal = this.#contentRefusal;
    if (refusal === undefined) return this.#ask("content-end", { type: "content-end", size: this.#size });
    this.#endTransaction();
    this.#events.push(RESET);
    this.#refused(this.#via, refusal);
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
    if (this.#phase !== "start") this.#phase = "ready";
    this.#dropTransaction();
  }

  #dropTransaction(): void {
    this.#mail = undefined;
    this.#recipients = 0;
    this.#contentRefusal = undefined;
    this.#bdatLeft = 0;
    this.#bdatLast = false;
  }
}

/** A domain or address literal; and, since RFC 5321 4.1.4 forbids to refuse a client for its name, any one printable word. */
function isClientName(name: string): boolean {
  return isDomain(name) || isAddressLiteral(name) || (name.length <= 255 && /^[^\s<>()"\\]+$/.test(name));
}
