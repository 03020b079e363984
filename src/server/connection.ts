/**
 * One client's connection: moves bytes between the stream and the session, and puts the session's questions to those who
 * can answer them.
 *
 * Rules
 * 1. One question at a time; while its answer is awaited, what comes in is kept up to `UNREAD_LIMIT`, then the peer waits.
 * 2. Replies leave together, when there is nothing more to read or to ask (RFC 2920 3.2).
 * 3. An answer that fails is 451: it is never taken for a yes.
 * 4. However it ends, the transaction is discarded unless it was handed over whole.
 */
import type { Recipient } from "../mail/envelope.ts";
import type { EventSink, ListenerKind } from "../mail/event.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { type ServerEvent, ServerSession, type ServerSessionOptions } from "../protocol/server-session.ts";
import type { ServerStream, StreamHandler, TlsFacts } from "../util/byte-stream.ts";
import type { Clock } from "../util/clock.ts";
import { LoginDesk, type LoginOutcome } from "./login-desk.ts";
import type { ServerOptions } from "./options.ts";
import {
  type Credentials,
  type Inspector,
  type Intake,
  type Peer,
  type Policy,
  type RcptDecision,
  type Refusal,
  refuse,
} from "./policy.ts";
import { type Finished, Transaction } from "./transaction.ts";

/** Octets that may wait unread while an answer is awaited. */
export const UNREAD_LIMIT = 64 * 1024;
/** Milliseconds that a peer gets to take our last words. */
const LINGER = 2000;

export interface ConnectionContext {
  readonly options: ServerOptions;
  readonly policy: Policy;
  readonly credentials: Credentials;
  readonly intake: Intake;
  readonly inspector?: Inspector;
  readonly events: EventSink;
  readonly clock: Clock;
  /** STARTTLS can be offered. */
  readonly hasCertificate: boolean;
}

const LEFT = "the peer closed the connection";
const crashed = reply(451, "4.3.0", "Temporary failure; try again later");

/** RFC 4865 3: nine digits. */
const HOLD_MOST = 999_999_999;

/** The date is that of the session's begin: a promise that still holds at its end. */
function futureRelease({ maxHold }: ServerOptions, now: number): Pick<ServerSessionOptions, "futureRelease"> {
  return maxHold < 1000 ? {} : { futureRelease: { seconds: Math.min(Math.floor(maxHold / 1000), HOLD_MOST), until: now + maxHold } };
}

export class ServerConnection implements StreamHandler {
  readonly #stream: ServerStream;
  readonly #context: ConnectionContext;
  readonly #kind: ListenerKind;
  readonly #session: ServerSession;
  readonly #id: string;
  readonly #onClosed: () => void;
  readonly #logins: LoginDesk;
  #transaction: Transaction | undefined;
  #asking = false;
  #reading = true;
  /** Replies wait for the peer to read. */
  #blocked = false;
  /** The last words are on their way. */
  #ending = false;
  #peerEnded = false;
  #closed = false;
  #stopping: Reply | undefined;
  #why = LEFT;
  #accepted = 0;
  /** Told already, when it was decided: the session tells it again when it says it. */
  #contentRefusal: Reply | undefined;
  #deadline: number;

  constructor(stream: ServerStream, kind: ListenerKind, id: string, context: ConnectionContext, onClosed: () => void) {
    this.#stream = stream;
    this.#kind = kind;
    this.#id = id;
    this.#context = context;
    this.#onClosed = onClosed;
    const { options, hasCertificate, credentials } = context;
    this.#logins = new LoginDesk(credentials, stream.remoteAddress);
    this.#session = new ServerSession({
      ...options,
      tls: !hasCertificate ? "none" : kind === "submission" ? "required" : "offered",
      secured: kind === "submissions",
      authentication: kind === "smtp" ? "none" : "required",
      ...futureRelease(options, context.clock.now()),
    });
    this.#deadline = context.clock.now() + options.idleTimeout;
  }

  /** Greets, or turns the peer away. On 465 the handshake comes first. */
  start(refusal?: Refusal): void {
    this.#tell({ type: "connected", listener: this.#kind, ...this.#names });
    if (this.#kind === "submissions") {
      // A handshake for each that is turned away would be what the limit is there to spare.
      if (refusal !== undefined) return this.#turnAway(refusal);
      this.#secure(() => this.#greet());
      return;
    }
    this.#stream.handle(this);
    const delay = this.#kind === "smtp" ? this.#context.options.greetingDelay : 0;
    if (delay > 0 && refusal === undefined) this.#context.clock.after(delay, () => this.#greet());
    else this.#greet(refusal);
  }

  #turnAway(refusal: Refusal): void {
    this.#tellRefused("connection", refusal.reply, refusal.why);
    this.#stream.handle(this);
    this.destroy(refusal.why);
  }

  #greet(refusal?: Refusal): void {
    if (this.#closed || this.#session.closing) return;
    if (refusal !== undefined) this.#tellRefused("greeting", refusal.reply, refusal.why);
    this.#session.greet(refusal?.reply ?? this.#stopping);
    this.#pump();
  }

  /** Called now and then: ends the session if the peer has been silent for too long. */
  checkIdle(now: number): void {
    if (now < this.#deadline || this.#closed) return;
    if (this.#asking) return; // it is us who are slow
    this.#why = "idle for too long";
    this.#session.close(reply(421, "4.4.2", "Idle for too long; closing connection"));
    this.#pump();
  }

  /** Ends the session as soon as no message is under way. */
  stop(last: Reply): void {
    this.#stopping = last;
    this.#why = "this server stops";
    if (this.#asking || this.#session.receivingContent) return;
    this.#session.close(last);
    this.#pump();
  }

  destroy(why: string): void {
    this.#why = why;
    this.#stream.destroy();
  }

  // The stream

  data(chunk: Uint8Array): void {
    this.#deadline = this.#context.clock.now() + this.#context.options.idleTimeout;
    this.#session.receive(chunk);
    if (!this.#asking) this.#pump();
    this.#throttle();
  }

  drained(): void {
    this.#blocked = false;
    if (!this.#asking) this.#pump();
    this.#throttle();
  }

  ended(): void {
    this.#peerEnded = true;
    if (!this.#asking) this.#pump();
  }

  closed(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#discard();
    // Many peers drop the connection as soon as they have read our 221; that is no fault.
    if (error !== undefined && !this.#session.closing) this.#why = error.message;
    else if (this.#session.closing && this.#why === LEFT) this.#why = "said goodbye";
    this.#tell({ type: "disconnected", ...this.#names, why: this.#why, accepted: this.#accepted });
    this.#onClosed();
  }

  // The session

  #pump(): void {
    // A peer that does not read its replies gets no more of them.
    for (let event = this.#next(); event !== undefined; event = this.#next()) {
      const answer = this.#put(event);
      if (answer === undefined) continue;
      // What waits for a disk must not hold back the replies to what came before it.
      if (event.type === "content-end") this.#write();
      return this.#await(answer);
    }
    if (this.#stopping !== undefined && !this.#session.receivingContent) this.#session.close(this.#stopping);
    this.#flush();
  }

  #next(): ServerEvent | undefined {
    return this.#blocked ? undefined : this.#session.next();
  }

  #await(answer: Promise<void>): void {
    this.#asking = true;
    answer
      .catch((error: unknown) => this.#crash(error))
      .then(() => {
        this.#asking = false;
        if (this.#closed) return;
        this.#deadline = this.#context.clock.now() + this.#context.options.idleTimeout;
        this.#pump();
        this.#throttle();
      });
  }

  /** A bug or a lost back end. The session is in the middle of something, so its end is the only clear answer. */
  #crash(error: unknown): void {
    this.#tell({
      type: "trouble",
      where: `session ${this.#id}`,
      why: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    this.#discard();
    this.#why = "an error of this server";
    this.#session.close(reply(421, "4.3.0", "Temporary failure; closing connection"));
  }

  #flush(): void {
    this.#write();
    if (this.#session.closing || (this.#peerEnded && !this.#blocked)) this.#end();
  }

  #write(): void {
    const output = this.#session.takeOutput();
    if (output !== undefined && !this.#stream.write(output)) this.#blocked = true;
  }

  /** Reads on only while little is held: neither unread commands nor unread replies pile up. */
  #throttle(): void {
    this.#read(this.#ending || (!this.#blocked && this.#session.unread <= UNREAD_LIMIT));
  }

  #end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#discard();
    this.#stream.end();
    this.#read(true); // what still comes is dropped, so that our last words are not lost to a reset
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#context.clock.after(LINGER, () => this.#stream.destroy());
  }

  #read(on: boolean): void {
    if (this.#reading === on) return;
    this.#reading = on;
    if (on) this.#stream.resume();
    else this.#stream.pause();
  }

  /** Puts an event to who can answer it; a promise where the answer takes time. */
  #put(event: ServerEvent): Promise<void> | undefined {
    switch (event.type) {
      case "content":
        return this.#content(event.chunk);
      case "rcpt":
        return this.#rcpt(event.recipient);
      case "mail":
        this.#discard();
        return this.#decide(
          "MAIL",
          () => this.#context.policy.mail(this.#peer, event.mail),
          () => {
            this.#transaction = new Transaction(event.mail, this.#peer, this.#context, this.#context.clock.now());
          },
        );
      case "data":
        return this.#begin();
      case "content-end":
        return this.#finish();
      case "reset":
        this.#discard();
        return undefined;
      case "refused":
        if (event.reply !== this.#contentRefusal) this.#tellRefused(event.command, event.reply, event.why ?? "");
        return undefined;
      case "salt":
        return this.#logins.parametersOf(event.user).then((found) => {
          if (this.#closed) return;
          if (found.kind === "parameters") this.#session.salted(found);
          else this.#refuseLogin(event.user, found);
        });
      case "auth":
        return this.#logins.verify(event).then((outcome) => this.#settleLogin(event.mechanism, outcome));
      case "starttls":
        return this.#upgrade();
    }
  }

  #rcpt(recipient: Recipient): Promise<void> | undefined {
    const { mail, recipients } = this.#transaction as Transaction;
    return this.#decide(
      "RCPT",
      () => this.#context.policy.rcpt(this.#peer, mail, recipient),
      (decision) => recipients.push("as" in decision ? decision.as : recipient),
    );
  }

  #decide<D extends RcptDecision>(
    at: string,
    ask: () => D | Promise<D>,
    accepted: (decision: Exclude<D, Refusal>) => void,
  ): Promise<void> | undefined {
    const settle = (decision: D | Refusal): void => {
      if (this.#closed) return;
      if (decision.kind === "refuse") return this.#refuse(at, decision);
      accepted(decision as Exclude<D, Refusal>);
      this.#session.accept("reply" in decision ? decision.reply : undefined);
    };
    const fail = (error: unknown): void =>
      settle(refuse(crashed, `the check failed: ${error instanceof Error ? error.message : String(error)}`));
    try {
      const decision = ask();
      if (!(decision instanceof Promise)) settle(decision);
      else return decision.then(settle, fail);
    } catch (error) {
      fail(error);
    }
    return undefined;
  }

  #begin(): undefined {
    try {
      this.#transaction?.begin();
      this.#session.accept();
    } catch (error) {
      this.#refuse("DATA", this.#context.intake.refusal(error));
    }
  }

  #content(chunk: Uint8Array): Promise<void> | undefined {
    const taken = this.#transaction?.write(chunk);
    if (taken === undefined) return undefined;
    if (taken instanceof Promise) {
      return taken
        .catch((error: unknown) => this.#context.intake.refusal(error))
        .then((refusal) => {
          if (refusal !== undefined) this.#refuseContent(refusal);
        });
    }
    this.#refuseContent(taken);
    return undefined;
  }

  #refuseContent(refusal: Refusal): void {
    this.#contentRefusal = refusal.reply;
    this.#tellRefused("DATA", refusal.reply, refusal.why);
    this.#session.refuseContent(refusal.reply);
    this.#discard();
  }

  #finish(): Promise<void> | undefined {
    const transaction = this.#transaction;
    if (transaction === undefined) {
      this.#session.refuse(crashed);
      return undefined;
    }
    return transaction
      .finish()
      .catch((error: unknown) => this.#context.intake.refusal(error))
      .then((result) => {
        this.#transaction = undefined;
        if (result.kind === "refuse") {
          transaction.discard();
          if (!this.#closed) this.#refuse("DATA", result);
        } else this.#accept(result);
      });
  }

  /** RFC 5321 4.2.5: from the 250 on it is ours; what was ours already is, too. */
  #accept(result: Exclude<Finished, Refusal>): void {
    const { envelope, facts, id } = result.message;
    const recipients = envelope.recipients.map((recipient) => recipient.mailbox);
    const about = { ...this.#names, from: envelope.reversePath, recipients };
    let text = `OK, message accepted as ${id}`;
    if (result.kind === "repeated") {
      this.#tell({ type: "repeated", id: result.as, ...about });
      text = `OK, message accepted as ${result.as} before, under the same Idempotency-Key; not queued again`;
    } else {
      this.#accepted++;
      this.#tell({ type: "accepted", id, ...about, size: facts.size });
    }
    if (!this.#closed) this.#session.accept(reply(250, "2.0.0", text));
  }

  #settleLogin(mechanism: string, { user, result }: LoginOutcome): void {
    if (this.#closed) return;
    if (result.kind !== "accepted") return this.#refuseLogin(user, result);
    this.#tell({ type: "authenticated", ...this.#names, account: result.account, mechanism });
    this.#session.authenticated(result.account, result.signature);
  }

  #refuseLogin(user: string, { kind, why }: { readonly kind: "rejected" | "unavailable"; readonly why: string }): void {
    this.#tell({ type: "authentication-failed", ...this.#names, user, why });
    if (kind === "unavailable") this.#session.refuse(reply(454, "4.7.0", "Temporary authentication failure"));
    else this.#session.refuse(reply(535, "5.7.8", "Authentication credentials invalid"));
  }

  #upgrade(): Promise<void> {
    this.#flushOnly();
    return this.#secureNow(() => this.#session.upgraded()).then(() => {});
  }

  #secure(then: () => void): void {
    this.#await(
      this.#secureNow(() => this.#stream.handle(this)).then((secured) => {
        if (secured) then();
      }),
    );
  }

  /**
   * Makes the handshake; resolves when the session knows what to offer in it. `done` is called as soon as it is made, so that nothing the
   * peer sends or does from then on is missed.
   */
  async #secureNow(done: () => void): Promise<boolean> {
    const off = this.#context.clock.after(this.#context.options.handshakeTimeout, () => this.destroy("no TLS handshake in time"));
    let tls: TlsFacts;
    try {
      tls = await this.#stream.secure();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#tell({ type: "tls-failed", ...this.#names, why });
      this.closed(undefined);
      return false;
    } finally {
      off();
    }
    this.#tell({ type: "secured", ...this.#names, tls: `${tls.protocol} ${tls.cipher}` });
    if (this.#closed) return false;
    done();
    if (this.#kind !== "smtp") this.#session.offer(await this.#logins.offer(tls));
    return !this.#closed;
  }

  #flushOnly(): void {
    const output = this.#session.takeOutput();
    if (output !== undefined) this.#stream.write(output);
  }

  #refuse(at: string, refusal: Refusal): void {
    this.#tellRefused(at, refusal.reply, refusal.why);
    this.#session.refuse(refusal.reply);
  }

  #discard(): void {
    this.#transaction?.discard();
    this.#transaction = undefined;
  }

  get #peer(): Peer {
    const session = this.#session;
    return {
      session: this.#id,
      listener: this.#kind,
      address: this.#stream.remoteAddress,
      port: this.#stream.remotePort,
      helo: session.clientName,
      extended: session.extended,
      tls: this.#stream.tls,
      account: session.account,
    };
  }

  get #names(): { session: string; peer: string } {
    return { session: this.#id, peer: this.#stream.remoteAddress };
  }

  #tell(event: Parameters<EventSink>[0]): void {
    this.#context.events(event);
  }

  #tellRefused(at: string, answer: Reply, why: string): void {
    this.#tell({ type: "refused", ...this.#names, at, reply: answer, why });
  }
}
