/**
 * The client's side of one SMTP or LMTP session, without I/O.
 *
 * Rules
 * 1. Bytes come in through `receive` and go out through `takeOutput`; events come out through `next`.
 * 2. The opening, the login and the transaction each have a file; here replies find the command that they belong to.
 * 3. After STARTTLS all that was learnt is forgotten; bytes behind its reply end the session (RFC 3207 4.2, CVE-2021-38371 and kin).
 * 4. No password is sent outside TLS unless that was named as allowed; AUTH that was asked for is never skipped.
 * 5. Every recipient gets exactly one result, however the session ends.
 * 6. Nothing with a CR, LF or other control reaches a command line: it throws before a byte is written.
 * 7. Stepwise, each command of the opening is called for; commands that are no part of a transaction may be sent in groups.
 * 8. UTF-8 in an address goes out under SMTPUTF8 alone; else its domain goes as A-labels, and a UTF-8 local part throws.
 */
import type { Envelope } from "../mail/envelope.ts";
import { isPositive, type Reply } from "../mail/reply.ts";
import type { Capabilities } from "./capabilities.ts";
import type { ClientEvent } from "./client-events.ts";
import { ClientOpening, type OpeningStep } from "./client-opening.ts";
import type { ClientSessionOptions } from "./client-options.ts";
import { type ClientState, clientStates } from "./client-states.ts";
import { ClientTransaction, type TransactionOptions, type TransactionStep } from "./client-transaction.ts";
import { CommandPipeline } from "./command-pipeline.ts";
import { assertLine } from "./envelope-commands.ts";
import { ReplyParser } from "./reply-parser.ts";
import type { ChannelBindings } from "./sasl/channel-binding.ts";
import type { Credentials } from "./sasl/credentials.ts";
import type { ClientAnswer } from "./sasl/question.ts";
import type { SessionFailure } from "./session-failure.ts";

export type { ClientEvent } from "./client-events.ts";
export type { ClientSessionOptions } from "./client-options.ts";
export type { TransactionOptions } from "./client-transaction.ts";
export type { RecipientResult } from "./recipient-result.ts";
export type { SessionFailure } from "./session-failure.ts";

export class ClientSession {
  readonly #options: ClientSessionOptions;
  readonly #parser = new ReplyParser();
  readonly #pipeline = new CommandPipeline();
  readonly #opening: ClientOpening;
  #events: ClientEvent[] = [];
  #transaction: ClientTransaction | undefined;
  /** A transaction was broken off: RSET goes before the next MAIL. */
  #stale = false;
  /** Recipients that single RCPT commands got accepted since the last MAIL. */
  #steppedRecipients = 0;
  #over = false;
  #leaving = false;
  #answers = 0;

  constructor(options: Partial<ClientSessionOptions> & Pick<ClientSessionOptions, "name">) {
    const defaults = { protocol: "smtp", tls: "opportunistic", opening: "whole", passwordInClear: false, host: "", port: 0 } as const;
    this.#options = { ...defaults, ...options };
    assertLine(this.#options.name, "EHLO name");
    this.#opening = new ClientOpening(this.#options, this.#pipeline);
  }

  get capabilities(): Capabilities {
    return this.#opening.capabilities;
  }

  /** No transaction or command is under way and another may begin. */
  get idle(): boolean {
    return this.#quiet && this.#pipeline.answered;
  }

  /** Neither over nor in a transaction or a login; replies may be on their way. */
  get #quiet(): boolean {
    return !this.#over && !this.#leaving && this.#transaction === undefined && !this.#opening.asking;
  }

  /** What it waits for now; its time-out and phrase are in `clientStates`. */
  get state(): ClientState {
    return this.#transaction?.sending ? "content" : (this.#pipeline.awaited ?? "idle");
  }

  /** Replies that have come whole: what a server sends without ending one is no answer. */
  get answers(): number {
    return this.#answers;
  }

  receive(chunk: Uint8Array): void {
    if (this.#over) return;
    const answers = this.#parser.push(chunk);
    this.#answers += answers.length;
    for (const answer of answers) this.#take(answer);
    const { fault, idle } = this.#parser;
    if (this.#pipeline.awaited === "handshake") {
      if (!idle) this.#injected();
    } else if (fault !== undefined) this.#fail({ state: this.state, why: fault.message, lasting: "temporary", about: "protocol" });
  }

  next(): ClientEvent | undefined {
    return this.#events.shift();
  }

  /** What is to be written now, in order; empty where there is nothing. */
  takeOutput(): Uint8Array[] {
    return this.#pipeline.takeOutput();
  }

  /** The TLS handshake is done. */
  upgraded(): void {
    if (this.#pipeline.awaited !== "handshake") throw new Error("no TLS handshake is due");
    this.#pipeline.settle();
    this.#open(this.#opening.upgraded());
  }

  /** What binds a login to the TLS session that the stream is in: to be told before `upgraded`, or before the greeting of implicit TLS. */
  bind(bindings: ChannelBindings): void {
    this.#opening.bind(bindings);
  }

  /** Answers an "ask". */
  answer(answer: ClientAnswer): void {
    if (!this.#over) this.#open(this.#opening.answer(answer));
  }

  // Stepwise

  /** EHLO, HELO or LHLO; "reply" answers it. `name`: another than that of the options. */
  hello(verb: "EHLO" | "HELO" | "LHLO", name: string = this.#options.name): void {
    assertLine(name, "EHLO name");
    this.#assertIdle();
    this.#open(this.#opening.hello(verb, name));
  }

  /** "reply" answers it, behind "starttls" where that is a 220. */
  startTls(): void {
    this.#assertIdle();
    this.#open(this.#opening.startTls());
  }

  /** AUTH; "reply" or "login-failed" answers it. */
  login(credentials: Credentials): void {
    this.#assertIdle();
    this.#open(this.#opening.login(credentials));
  }

  /** DATA behind MAIL and RCPT that were sent as commands; "done" with one result for each recipient they got accepted, but at least one. */
  data(): void {
    this.#assertIdle();
    const transaction = new ClientTransaction(this.#pipeline, this.capabilities, this.#options.protocol === "lmtp", { via: "DATA" });
    transaction.adopt(this.#steppedRecipients);
    this.#stale = true;
    this.#transaction = transaction;
  }

  /**
   * Begins a transaction. Throws a TypeError for addresses and parameters that cannot stand in a command, and for an envelope
   * without recipients; nothing is written then. Content larger than the server takes (SIZE) is "done" at once, unsent.
   */
  begin(envelope: Envelope, options: TransactionOptions): void {
    this.#assertIdle();
    const transaction = new ClientTransaction(this.#pipeline, this.capabilities, this.#options.protocol === "lmtp", options);
    const step = transaction.begin(envelope, this.#stale);
    if (step !== undefined) return this.#advance(step);
    this.#stale = true;
    this.#transaction = transaction;
  }

  /**
   * A chunk of the content, after "send-content"; it must not be changed afterwards. Where the session has ended meanwhile, it and
   * `endContent` do nothing: the transaction is "done" already.
   */
  content(chunk: Uint8Array): void {
    if (!this.#over) this.#sendingTransaction().content(chunk);
  }

  endContent(): void {
    if (this.#over) return;
    for (const answer of this.#sendingTransaction().endContent()) this.#take(answer);
  }

  /** Any other command, such as NOOP or VRFY; "reply" answers it. Others may follow before it does. */
  command(line: string): void {
    assertLine(line, "command");
    if (!this.#quiet || openingStates.has(this.state)) this.#assertIdle();
    this.#pipeline.send(line, { state: stateOf(line) });
  }

  /** Says QUIT; "closed" answers it. Throws where something is under way: in the middle of content it would be content. */
  quit(): void {
    if (this.#over || this.#leaving) return;
    this.#assertIdle();
    this.#leaving = true;
    this.#pipeline.send("QUIT", { state: "quit" });
  }

  /** The stream is gone or timed out: settles what was under way. */
  lost(why: string): void {
    if (this.#over) return;
    if (this.#transaction?.contentComplete) this.endContent();
    const state = this.state;
    this.#over = true;
    if (this.#transaction !== undefined) this.#advance(this.#transaction.lost(why, state));
    else if (state === "quit") this.#events.push({ type: "closed" });
    else this.#events.push({ type: "failed", failure: { state, why, lasting: "temporary", about: "connection" } });
  }

  // Replies

  #take(answer: Reply): void {
    if (this.#over) return;
    const expected = this.#pipeline.settle();
    if (expected === undefined) return this.#unasked(answer);
    const { state, index = 0 } = expected;
    switch (state) {
      case "greeting":
        return this.#open(this.#opening.greetingAnswered(answer));
      case "ehlo":
      case "helo":
        return this.#open(this.#opening.helloAnswered(state, answer));
      case "starttls":
        return this.#open(this.#opening.startTlsAnswered(answer));
      case "handshake":
        return this.#injected();
      case "auth":
        return this.#open(this.#opening.authAnswered(answer));
      case "mail":
        return this.#transaction === undefined ? this.#stepAnswered(state, answer) : this.#advance(this.#transaction.mailAnswered(answer));
      case "rcpt":
        return this.#transaction === undefined
          ? this.#stepAnswered(state, answer)
          : this.#advance(this.#transaction.rcptAnswered(index, answer));
      case "data":
        return this.#advance(this.#transaction?.dataAnswered(answer));
      case "sent-dot":
        return this.#contentAnswered(answer);
      case "rset":
        return this.#resetAnswered(answer);
      case "quit":
        return this.#close();
      default:
        this.#events.push({ type: "reply", reply: answer });
    }
  }

  #open(step: OpeningStep): void {
    if (step === undefined) return;
    if (step.type === "failed") this.#fail(step.failure);
    else this.#events.push(step);
  }

  #advance(step: TransactionStep): void {
    if (step === undefined) return;
    if (step.type === "done") {
      this.#transaction = undefined;
      this.#pipeline.dropQueue();
    }
    this.#events.push(step);
  }

  #contentAnswered(answer: Reply): void {
    const step = this.#transaction?.contentAnswered(answer);
    if (step !== undefined) this.#stale = false;
    this.#advance(step);
  }

  #resetAnswered(answer: Reply): void {
    if (this.#transaction !== undefined) return this.#transaction.resetAnswered(); // it went ahead of MAIL
    this.#stale = false;
    this.#steppedRecipients = 0;
    this.#events.push({ type: "reply", reply: answer });
  }

  #stepAnswered(state: "mail" | "rcpt", answer: Reply): void {
    if (state === "mail") this.#steppedRecipients = 0;
    else if (isPositive(answer)) this.#steppedRecipients++;
    this.#stale = true;
    this.#events.push({ type: "reply", reply: answer });
  }

  #unasked(answer: Reply): void {
    const transaction = this.#transaction;
    if (transaction?.keepEarly(answer)) return;
    if (transaction?.sending && !isPositive(answer)) {
      this.#over = true;
      return this.#advance(transaction.contentRefused(answer));
    }
    if (answer.code === 421) return this.#close();
    this.#fail({
      state: this.state,
      reply: answer,
      why: "the server sent a reply that nothing had asked for",
      lasting: "temporary",
      about: "protocol",
    });
  }

  #injected(): void {
    const why = "the server sent something in clear behind its reply to STARTTLS: dropped, as an attacker may have put it there";
    this.#over = true;
    this.#events = [{ type: "failed", failure: { state: "starttls", why, lasting: "temporary", about: "tls" } }];
  }

  // Small tools

  #assertIdle(): void {
    if (this.idle) return;
    throw new Error(`the session is not idle: ${this.#over || this.#leaving ? "it is over" : clientStates[this.state].doing}`);
  }

  #sendingTransaction(): ClientTransaction {
    if (!this.#transaction?.sending) throw new Error("no content is due");
    return this.#transaction;
  }

  #close(): void {
    this.#over = true;
    this.#events.push({ type: "closed" });
  }

  #fail(failure: SessionFailure): void {
    if (this.#over) return;
    if (this.#transaction?.contentComplete) this.endContent();
    if (this.#transaction !== undefined) this.#advance(this.#transaction.lost(failure.why, this.state));
    this.#over = true;
    if (failure.about !== "protocol") this.#pipeline.write("QUIT");
    this.#events.push({ type: "failed", failure });
  }
}

const openingStates: ReadonlySet<ClientState> = new Set(["greeting", "ehlo", "helo", "starttls", "handshake", "auth"]);

/** What a command of the caller's is to wait for. */
function stateOf(line: string): ClientState {
  const [verb] = line.toUpperCase().split(/[ :]/, 1);
  if (verb === "RSET") return "rset";
  return verb === "MAIL" ? "mail" : verb === "RCPT" ? "rcpt" : "command";
}
