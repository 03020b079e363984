/**
 * The client's side of one SMTP or LMTP session, without I/O.
 *
 * Rules
 * 1. Bytes come in through `receive` and go out through `takeOutput`; events come out through `next`.
 * 2. Commands whose replies are not in yet stand in `#expected`, in the order in which they were sent; each reply belongs to the first.
 * 3. After STARTTLS all that was learnt is forgotten; bytes behind its reply end the session (RFC 3207 4.2, CVE-2021-38371 and kin).
 * 4. No password is sent outside TLS unless that was named as allowed; AUTH that was asked for is never skipped.
 * 5. Every recipient gets exactly one result: what is lost before the final dot is `lost`, what is lost after it is `unknown`.
 *    The last octet of BDAT LAST is its final dot, told by `endContent` or not.
 * 6. Nothing with a CR, LF or other control reaches a command line: it throws before a byte is written.
 * 7. UTF-8 in an address goes out under SMTPUTF8 alone; else its domain goes as A-labels, and a UTF-8 local part throws.
 */

import type { Envelope, Recipient } from "../mail/envelope.ts";
import { isPermanent, isPositive, isTemporary, type Reply, reply } from "../mail/reply.ts";
import { decodeBase64, encodeBase64 } from "../util/base64.ts";
import { utf8 } from "../util/bytes.ts";
import { Fifo } from "../util/fifo.ts";
import { type Capabilities, noCapabilities, parseCapabilities } from "./capabilities.ts";
import { type ClientState, clientStates } from "./client-states.ts";
import { DotStuffer } from "./dot-stuffer.ts";
import { assertLine, mailCommand, rcptCommand } from "./envelope-commands.ts";
import { ReplyParser } from "./reply-parser.ts";
import { chooseMechanism, type PasswordCredentials } from "./sasl/choose.ts";
import type { ClientMechanism } from "./sasl/mechanism.ts";

export interface ClientSessionOptions {
  /** The name that EHLO gives: a domain or an address literal. */
  readonly name: string;
  readonly protocol: "smtp" | "lmtp";
  /** implicit: the stream is inside TLS already. required: no transaction and no password without it. */
  readonly tls: "implicit" | "required" | "opportunistic" | "none";
  readonly credentials?: PasswordCredentials;
  /** Allows a password to be sent outside TLS. Never a default. */
  readonly passwordInClear: boolean;
}

/** Why a session cannot be used. */
export interface SessionFailure {
  readonly state: ClientState;
  /** The reply that ended it, where one did. */
  readonly reply?: Reply;
  /** What went wrong, to complete "mx1.example.net: …". */
  readonly why: string;
  /** unknown: nothing is said about another try, so it is worth one. */
  readonly lasting: "temporary" | "permanent" | "unknown";
  readonly about: "greeting" | "hello" | "tls" | "authentication" | "protocol" | "connection";
}

export type RecipientResult =
  /** The server took the message for this recipient. */
  | { readonly kind: "accepted"; readonly reply: Reply }
  /** A 4xx or 5xx; `state` says to what. */
  | { readonly kind: "refused"; readonly reply: Reply; readonly state: ClientState }
  /** The connection failed before the content was complete: nothing was taken. */
  | { readonly kind: "lost"; readonly why: string; readonly state: ClientState }
  /** The connection failed after the final dot: it may have been taken. */
  | { readonly kind: "unknown"; readonly why: string; readonly state: ClientState };

export type ClientEvent =
  /** Make the handshake, then call `upgraded`; if it fails, give the stream up. */
  | { readonly type: "starttls" }
  | { readonly type: "ready"; readonly capabilities: Capabilities }
  /** Call `content` for each chunk, then `endContent`. */
  | { readonly type: "send-content" }
  /** The transaction is over: one result a recipient, in the order of the envelope. */
  | { readonly type: "done"; readonly results: readonly RecipientResult[] }
  /** The reply to `command`. */
  | { readonly type: "reply"; readonly reply: Reply }
  /** The session is of no more use; where it can, it says QUIT. */
  | { readonly type: "failed"; readonly failure: SessionFailure }
  /** QUIT was answered, or the server closed an idle session: close the stream. */
  | { readonly type: "closed" };

export interface TransactionOptions {
  /** How the content goes; BDAT needs CHUNKING. */
  readonly via: "DATA" | "BDAT";
  /** Octets of the content; exact for BDAT. */
  readonly size: number;
}

interface Expected {
  readonly state: ClientState;
  /** The recipient whose reply it is. */
  readonly index?: number;
}

interface Transaction {
  readonly recipients: readonly Recipient[];
  readonly via: "DATA" | "BDAT";
  readonly size: number;
  readonly results: (RecipientResult | undefined)[];
  /** Indices of the recipients that RCPT accepted, in order. */
  accepted: number[];
  mailRefused: boolean;
  stuffer: DotStuffer;
  sent: number;
  /** LMTP: replies that have come after the final dot. */
  answered: number;
}

/** RFC 5321 4.5.3.1.4, CRLF included; RFC 4954 4 holds AUTH with an initial response to it. */
const COMMAND_LINE_LIMIT = 512;
/** RFC 4954 has no limit on challenges; no mechanism needs more than a few. */
const CHALLENGES_LIMIT = 10;

export class ClientSession {
  readonly #options: ClientSessionOptions;
  readonly #parser = new ReplyParser();
  #capabilities: Capabilities = noCapabilities;
  #secured: boolean;
  readonly #expected = new Fifo<Expected>();
  readonly #todo = new Fifo<{ readonly line: string; readonly expected: Expected }>();
  /** Replies to BDAT LAST that came before `endContent` was called. */
  #early: Reply[] = [];
  #output: Uint8Array[] = [];
  #text = "";
  #events: ClientEvent[] = [];
  #transaction: Transaction | undefined;
  #sending: ClientState | undefined;
  #mechanism: ClientMechanism | undefined;
  #challenges = 0;
  /** A transaction was broken off: RSET goes before the next MAIL. */
  #stale = false;
  #over = false;
  #leaving = false;

  constructor(options: Partial<ClientSessionOptions> & Pick<ClientSessionOptions, "name">) {
    this.#options = { protocol: "smtp", tls: "opportunistic", passwordInClear: false, ...options };
    this.#secured = this.#options.tls === "implicit";
    this.#expected.push({ state: "greeting" });
    assertLine(this.#options.name, "EHLO name");
  }

  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  /** No transaction or command is under way and another may begin. */
  get idle(): boolean {
    return !this.#over && !this.#leaving && this.#expected.length === 0 && this.#transaction === undefined;
  }

  /** What it waits for now; its time-out and phrase are in `clientStates`. */
  get state(): ClientState {
    return this.#sending ?? this.#expected.peek()?.state ?? "idle";
  }

  receive(chunk: Uint8Array): void {
    if (this.#over) return;
    for (const answer of this.#parser.push(chunk)) this.#take(answer);
    const { fault, idle } = this.#parser;
    if (this.#expected.peek()?.state === "handshake") {
      if (!idle) this.#injected();
    } else if (fault !== undefined) this.#fail({ state: this.state, why: fault.message, lasting: "temporary", about: "protocol" });
  }

  next(): ClientEvent | undefined {
    return this.#events.shift();
  }

  /** What is to be written now, in order; empty where there is nothing. */
  takeOutput(): Uint8Array[] {
    this.#flushText();
    const output = this.#output;
    if (output.length > 0) this.#output = [];
    return output;
  }

  /** The TLS handshake is done. */
  upgraded(): void {
    if (this.#expected.peek()?.state !== "handshake") throw new Error("no TLS handshake is due");
    this.#expected.shift();
    this.#secured = true;
    this.#capabilities = noCapabilities;
    this.#hello();
  }

  /**
   * Begins a transaction. Throws a TypeError for addresses and parameters that cannot stand in a command, and for an envelope
   * without recipients; nothing is written then. Content larger than the server takes (SIZE) is "done" at once, unsent.
   */
  begin(envelope: Envelope, { via, size }: TransactionOptions): void {
    this.#assertIdle();
    if (envelope.recipients.length === 0) throw new TypeError("the envelope has no recipients");
    const lines = [
      mailCommand(envelope, size, this.#capabilities),
      ...envelope.recipients.map((recipient) => rcptCommand(recipient, envelope.smtpUtf8, this.#capabilities)),
    ];
    this.#transaction = {
      recipients: envelope.recipients,
      via,
      size,
      results: new Array(envelope.recipients.length).fill(undefined),
      accepted: [],
      mailRefused: false,
      stuffer: new DotStuffer(),
      sent: 0,
      answered: 0,
    };
    const limit = this.#capabilities.size ?? 0; // 0: no limit is known (RFC 1870 4)
    if (limit > 0 && size > limit) {
      const refusal = reply(552, "5.3.4", `Message of ${size} octets exceeds the ${limit} octets that the server announced`);
      return this.#finish(() => ({ kind: "refused", reply: refusal, state: "mail" }));
    }
    if (this.#stale) this.#todo.push({ line: "RSET", expected: { state: "rset" } });
    this.#stale = true;
    this.#todo.push({ line: lines[0] as string, expected: { state: "mail" } });
    for (let index = 0; index + 1 < lines.length; index++) {
      this.#todo.push({ line: lines[index + 1] as string, expected: { state: "rcpt", index } });
    }
    if (via === "DATA") this.#todo.push({ line: "DATA", expected: { state: "data" } });
    this.#proceed();
  }

  /**
   * A chunk of the content, after "send-content"; it must not be changed afterwards. Where the session has ended meanwhile, it and
   * `endContent` do nothing: the transaction is "done" already.
   */
  content(chunk: Uint8Array): void {
    if (this.#over) return;
    const transaction = this.#transaction;
    if (this.#sending !== "content" || transaction === undefined) throw new Error("no content is due");
    if (chunk.length === 0) return;
    this.#flushText();
    transaction.sent += chunk.length;
    if (transaction.via === "DATA") transaction.stuffer.push(chunk, this.#output);
    else if (transaction.sent > transaction.size) throw new RangeError(`content is longer than the ${transaction.size} octets announced`);
    else this.#output.push(chunk);
  }

  endContent(): void {
    if (this.#over) return;
    const transaction = this.#transaction;
    if (this.#sending !== "content" || transaction === undefined) throw new Error("no content is due");
    this.#flushText();
    if (transaction.via === "DATA") transaction.stuffer.end(this.#output);
    else if (transaction.sent < transaction.size) throw new RangeError(`content is shorter than the ${transaction.size} octets announced`);
    this.#sending = undefined;
    for (let i = this.#repliesToContent(); i > 0; i--) this.#expected.push({ state: "sent-dot" });
    const early = this.#early;
    this.#early = [];
    for (const answer of early) this.#take(answer);
  }

  /** Any other command, such as NOOP or VRFY; "reply" answers it. */
  command(line: string): void {
    assertLine(line, "command");
    this.#assertIdle();
    this.#send(line, { state: line.toUpperCase() === "RSET" ? "rset" : "command" });
  }

  /** Says QUIT; "closed" answers it. Throws where something is under way: in the middle of content it would be content. */
  quit(): void {
    if (this.#over || this.#leaving) return;
    this.#assertIdle();
    this.#leaving = true;
    this.#send("QUIT", { state: "quit" });
  }

  /** The stream is gone or timed out: settles what was under way. */
  lost(why: string): void {
    if (this.#over) return;
    if (this.#contentComplete()) this.endContent();
    const state = this.state;
    this.#over = true;
    if (this.#transaction !== undefined) this.#loseTransaction(why, state);
    else if (state === "quit") this.#events.push({ type: "closed" });
    else this.#events.push({ type: "failed", failure: { state, why, lasting: "temporary", about: "connection" } });
  }

  // Replies

  #take(answer: Reply): void {
    if (this.#over) return;
    const expected = this.#expected.shift();
    if (expected === undefined) return this.#unasked(answer);
    switch (expected.state) {
      case "greeting":
        return isPositive(answer) ? this.#hello() : this.#refuse("greeting", answer, "greeting");
      case "ehlo":
      case "helo":
        return this.#helloAnswered(expected.state, answer);
      case "starttls":
        return this.#starttlsAnswered(answer);
      case "handshake":
        return this.#injected();
      case "auth":
        return this.#authAnswered(answer);
      case "mail":
        return this.#mailAnswered(answer);
      case "rcpt":
        return this.#rcptAnswered(expected.index as number, answer);
      case "data":
        return this.#dataAnswered(answer);
      case "sent-dot":
        return this.#contentAnswered(answer);
      case "rset":
        if (this.#transaction !== undefined) return this.#proceed(); // it went ahead of MAIL
        this.#stale = false;
        this.#events.push({ type: "reply", reply: answer });
        return;
      case "quit":
        this.#over = true;
        this.#events.push({ type: "closed" });
        return;
      default:
        this.#events.push({ type: "reply", reply: answer });
    }
  }

  #unasked(answer: Reply): void {
    if (this.#contentComplete() && this.#early.length < this.#repliesToContent()) return void this.#early.push(answer);
    if (this.#sending === "content" && !isPositive(answer)) {
      // Refused in the middle of the content (a full disk, an endless message): the session cannot be used further.
      this.#over = true;
      const refusal = asRefusal(answer);
      return this.#finish((index) => this.#transaction?.results[index] ?? { kind: "refused", reply: refusal, state: "content" });
    }
    if (answer.code === 421) {
      this.#over = true;
      this.#events.push({ type: "closed" });
      return;
    }
    this.#fail({
      state: this.state,
      reply: answer,
      why: "the server sent a reply that nothing had asked for",
      lasting: "temporary",
      about: "protocol",
    });
  }

  /** The server has all octets of BDAT LAST, and may answer, though `endContent` was not called. */
  #contentComplete(): boolean {
    const transaction = this.#transaction;
    return this.#sending === "content" && transaction?.via === "BDAT" && transaction.sent === transaction.size;
  }

  /** LMTP answers the content once for each recipient that it took (RFC 2033 4.2). */
  #repliesToContent(): number {
    return this.#options.protocol === "lmtp" ? (this.#transaction?.accepted.length ?? 0) : 1;
  }

  #hello(): void {
    const verb = this.#options.protocol === "lmtp" ? "LHLO" : "EHLO";
    this.#send(`${verb} ${this.#options.name}`, { state: "ehlo" });
  }

  #helloAnswered(state: "ehlo" | "helo", answer: Reply): void {
    if (isPositive(answer)) {
      this.#capabilities = parseCapabilities(state === "ehlo" ? answer : undefined);
      return this.#secureOrLogin();
    }
    // RFC 5321 3.2: a server that does not know EHLO is spoken to with HELO.
    const mayBeOld = state === "ehlo" && isPermanent(answer) && this.#options.protocol === "smtp" && !this.#secured;
    if (mayBeOld) return this.#send(`HELO ${this.#options.name}`, { state: "helo" });
    this.#refuse(state, answer, "hello");
  }

  #secureOrLogin(): void {
    const { tls } = this.#options;
    if (this.#secured || tls === "none") return this.#login();
    if (this.#capabilities.startTls) return this.#send("STARTTLS", { state: "starttls" });
    if (tls === "opportunistic") return this.#login();
    this.#fail({ state: "ehlo", why: "TLS is required here and the server does not offer STARTTLS", lasting: "permanent", about: "tls" });
  }

  #starttlsAnswered(answer: Reply): void {
    if (answer.code === 220) {
      this.#expected.push({ state: "handshake" });
      this.#events.push({ type: "starttls" });
    } else if (this.#options.tls === "opportunistic") this.#login();
    else this.#refuse("starttls", answer, "tls");
  }

  #injected(): void {
    const why = "the server sent something in clear behind its reply to STARTTLS: dropped, as an attacker may have put it there";
    this.#over = true;
    this.#events = [{ type: "failed", failure: { state: "starttls", why, lasting: "temporary", about: "tls" } }];
  }

  #login(): void {
    const { credentials, passwordInClear } = this.#options;
    if (credentials === undefined) {
      this.#events.push({ type: "ready", capabilities: this.#capabilities });
      return;
    }
    const { mechanisms } = this.#capabilities;
    const mechanism = chooseMechanism(mechanisms, credentials);
    if (mechanism === undefined) {
      const offers = mechanisms.length === 0 ? "does not offer AUTH" : `offers only ${mechanisms.join(", ")}`;
      const hint = mechanisms.length === 0 && !this.#secured ? " outside TLS" : "";
      return this.#fail({
        state: "auth",
        why: `a login is asked for and the server ${offers}${hint}`,
        lasting: "permanent",
        about: "authentication",
      });
    }
    if (mechanism.needsPrivacy && !this.#secured && !passwordInClear) {
      return this.#fail({
        state: "auth",
        why: "the connection is not inside TLS: the password was not sent",
        lasting: "permanent",
        about: "authentication",
      });
    }
    this.#mechanism = mechanism;
    const initial = mechanism.initial();
    const response = initial === undefined ? "" : ` ${initial.length === 0 ? "=" : encodeBase64(initial)}`;
    // RFC 4954 4: a response that makes the command too long waits for the challenge.
    const fits = `AUTH ${mechanism.name}${response}`.length + 2 <= COMMAND_LINE_LIMIT;
    this.#send(`AUTH ${mechanism.name}${fits ? response : ""}`, { state: "auth" });
  }

  #authAnswered(answer: Reply): void {
    if (answer.code === 334) return this.#challenged(answer);
    if (!isPositive(answer)) return this.#refuse("auth", answer, "authentication");
    this.#mechanism = undefined;
    this.#events.push({ type: "ready", capabilities: this.#capabilities });
  }

  #challenged(answer: Reply): void {
    const challenge = decodeBase64(answer.text.trim());
    const capped = ++this.#challenges > CHALLENGES_LIMIT;
    // LOGIN's prompts are answered whatever they are; some servers do not encode them.
    const response = capped ? undefined : this.#mechanism?.respond(challenge ?? utf8(answer.text));
    if (capped) {
      return this.#fail({
        state: "auth",
        why: `more than ${CHALLENGES_LIMIT} challenges in one login`,
        lasting: "permanent",
        about: "authentication",
      });
    }
    this.#send(response === undefined ? "*" : encodeBase64(response), { state: "auth" });
  }

  // The transaction

  /** Sends the next command, or all of them where the server takes a group. */
  #proceed(): void {
    if (this.#todo.length === 0 || (this.#expected.length > 0 && !this.#capabilities.pipelining)) return;
    if (!this.#capabilities.pipelining) {
      const first = this.#todo.shift();
      if (first !== undefined) this.#send(first.line, first.expected);
      return;
    }
    for (let next = this.#todo.shift(); next !== undefined; next = this.#todo.shift()) this.#send(next.line, next.expected);
  }

  #mailAnswered(answer: Reply): void {
    const transaction = this.#transaction as Transaction;
    if (isPositive(answer)) return this.#proceed();
    transaction.mailRefused = true;
    transaction.results.fill({ kind: "refused", reply: asRefusal(answer), state: "mail" });
    this.#todo.clear();
    if (this.#expected.length === 0) this.#finish();
  }

  #rcptAnswered(index: number, answer: Reply): void {
    const transaction = this.#transaction as Transaction;
    if (transaction.mailRefused) {
      // It came behind a refused MAIL in one group and says nothing of its own.
    } else if (isPositive(answer)) transaction.accepted.push(index);
    else transaction.results[index] = { kind: "refused", reply: asTooManyRecipients(asRefusal(answer)), state: "rcpt" };
    if (this.#todo.peek()?.expected.state === "data" && transaction.accepted.length === 0) this.#todo.clear();
    this.#proceed();
    if (this.#expected.length === 0) this.#recipientsAnswered(transaction);
  }

  /** All replies to RCPT are in and DATA is not on its way. */
  #recipientsAnswered(transaction: Transaction): void {
    if (transaction.accepted.length === 0) return this.#finish();
    if (transaction.via !== "BDAT") return;
    this.#text += `BDAT ${transaction.size} LAST\r\n`;
    this.#sending = "content";
    this.#events.push({ type: "send-content" });
  }

  #dataAnswered(answer: Reply): void {
    const transaction = this.#transaction as Transaction;
    if (answer.code !== 354) {
      const refusal = asRefusal(answer);
      return this.#finish((index) => transaction.results[index] ?? { kind: "refused", reply: refusal, state: "data" });
    }
    if (transaction.accepted.length === 0) {
      this.#text += ".\r\n"; // RFC 2920 3.1: nobody to send to, and the server waits for content
      this.#expected.push({ state: "sent-dot" });
      return;
    }
    this.#sending = "content";
    this.#events.push({ type: "send-content" });
  }

  #contentAnswered(answer: Reply): void {
    const transaction = this.#transaction as Transaction;
    const result: RecipientResult = isPositive(answer)
      ? { kind: "accepted", reply: answer }
      : { kind: "refused", reply: asRefusal(answer), state: "sent-dot" };
    if (this.#options.protocol !== "lmtp" || transaction.accepted.length === 0) {
      this.#stale = false;
      return this.#finish((index) => transaction.results[index] ?? result);
    }
    transaction.results[transaction.accepted[transaction.answered++] as number] = result;
    if (this.#expected.length > 0) return;
    this.#stale = false;
    this.#finish();
  }

  #loseTransaction(why: string, state: ClientState): void {
    const kind = state === "sent-dot" ? "unknown" : "lost";
    this.#finish((index) => this.#transaction?.results[index] ?? { kind, why, state });
  }

  #finish(resultOf?: (index: number) => RecipientResult): void {
    const transaction = this.#transaction as Transaction;
    const results = transaction.recipients.map((_, index) => resultOf?.(index) ?? (transaction.results[index] as RecipientResult));
    this.#transaction = undefined;
    this.#sending = undefined;
    this.#todo.clear();
    this.#events.push({ type: "done", results });
  }

  // Small tools

  #assertIdle(): void {
    if (this.idle) return;
    throw new Error(`the session is not idle: ${this.#over || this.#leaving ? "it is over" : clientStates[this.state].doing}`);
  }

  #send(line: string, expected: Expected): void {
    this.#text += `${line}\r\n`;
    this.#expected.push(expected);
  }

  #flushText(): void {
    if (this.#text === "") return;
    this.#output.push(utf8(this.#text));
    this.#text = "";
  }

  #refuse(state: ClientState, answer: Reply, about: SessionFailure["about"]): void {
    const lasting = isPermanent(answer) ? "permanent" : "temporary";
    this.#fail({ state, reply: answer, why: `refused ${clientStates[state].doing}`, lasting, about });
  }

  #fail(failure: SessionFailure): void {
    if (this.#over) return;
    if (this.#contentComplete()) this.endContent();
    if (this.#transaction !== undefined) this.#loseTransaction(failure.why, this.state);
    this.#over = true;
    if (failure.about !== "protocol") this.#text += "QUIT\r\n";
    this.#events.push({ type: "failed", failure });
  }
}

/**
 * RFC 5321 4.5.3.1.10: RFC 821 listed 552 for "too many recipients"; a client treats it as 452. A full mailbox (5.2.2) or a
 * size (5.3.4) stays permanent.
 */
export function asTooManyRecipients(answer: Reply): Reply {
  const means = answer.code === 552 && (answer.status === undefined || answer.status.endsWith(".5.3"));
  return means ? { code: 452, status: "4.5.3", text: answer.text } : answer;
}

/** A yes, or a 3xx, where it makes no sense: nothing is known to have failed for good (RFC 5321 4.3.2). */
function asRefusal(answer: Reply): Reply {
  if (isTemporary(answer) || isPermanent(answer)) return answer;
  return reply(451, "4.5.0", `Unexpected reply: ${answer.code} ${answer.text}`);
}
