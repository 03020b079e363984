/**
 * Sends messages: takes them in any number, and keeps the connections that they need.
 *
 * Rules
 * 1. A message that cannot be made throws before a connection is asked for.
 * 2. `send` gives a result where at least one recipient was taken, and rejects where none was; each recipient has its own report.
 * 3. Tried again is what is temporary and certain; never a message whose outcome is unknown.
 * 4. A reused connection that turns out dead before the content was complete does not count as an attempt.
 * 5. What a server's LIMITS (RFC 9422) do not let through in one transaction or one connection goes in several.
 * 6. Every connection ends with QUIT, unless it is broken.
 */
import type { Mailbox } from "../mail/mailbox.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import type { Accepted } from "../message/draft.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { type AttemptResult, isWorthAnotherTry, reportOf } from "./attempt-result.ts";
import { cachedToken } from "./credentials.ts";
import { NotSupportedError, SmtpError } from "./error.ts";
import { type ClientMessage, type MadeMessage, messageFor } from "./message-input.ts";
import type { Lease, Pool } from "./pool.ts";
import { RateLimit } from "./rate-limit.ts";
import { defaultRetry, noRetry, type RetryOptions, retryDelay } from "./retry.ts";
import { type Route, Routes } from "./routes.ts";
import { failureOf } from "./send-failure.ts";
import type { RecipientReport, SendResult } from "./send-result.ts";
import type { SmtpConnection } from "./smtp-connection.ts";
import { acceptedBy, isPortable, transact } from "./transact.ts";
import type { TransportOptions } from "./transport-options.ts";

export interface SendOptions {
  /** Gives the message up where it is not on its way yet; an attempt under way ends with its connection. */
  readonly signal?: AbortSignal;
  /** Hears how many octets of the content have been handed over, in each attempt anew. */
  readonly progress?: (sent: number) => void;
}

/** What takes messages: a transport, or one that stands in for it in a test. */
export interface Sender extends AsyncDisposable {
  send(message: ClientMessage, options?: SendOptions): Promise<SendResult>;
  close(): Promise<void>;
}

interface Attempted {
  readonly host: string;
  readonly results: readonly AttemptResult[];
  readonly size?: number;
}

/** What a transaction came to, for those that it took, by their places. */
interface Turn extends Attempted {
  readonly taken: readonly number[];
}

interface Settled {
  readonly report: RecipientReport;
  readonly result: AttemptResult;
}

export class Transport implements Sender {
  readonly #options: TransportOptions;
  readonly #clock: Clock;
  readonly #routes: Routes;
  readonly #rate: RateLimit | undefined;
  readonly #retry: RetryOptions;
  /** What the server that was connected to last takes: the next message is written for it. */
  #accept: Accepted = {};
  readonly #portable: boolean;
  #underWay = 0;
  #drained: (() => void)[] = [];
  #closed = false;

  /** Throws a TypeError or a RangeError for options that contradict one another. */
  constructor(options: TransportOptions) {
    if (options.direct !== true && options.host === undefined) throw new TypeError("a transport needs a host, or direct");
    if (options.direct === true && options.lookUp === undefined) throw new TypeError("direct needs lookUp: where DNS is asked");
    if (options.direct === true && options.auth !== undefined)
      throw new TypeError("direct goes to servers that know no login: auth has no use");
    this.#clock = options.clock ?? systemClock;
    this.#options = withCachedToken(options, this.#clock);
    this.#portable = isPortable(options);
    this.#routes = new Routes(this.#options, this.#clock);
    this.#rate = options.rate === undefined ? undefined : new RateLimit(options.rate, this.#clock);
    this.#retry = options.retry === false ? noRetry : { ...defaultRetry, ...options.retry };
  }

  /** Connections now; those without work, and messages that wait for one. */
  get state(): { readonly connections: number; readonly idle: number; readonly waiting: number; readonly sending: number } {
    return { ...this.#routes.state, sending: this.#underWay };
  }

  /**
   * Sends one message. Rejects, where no recipient was taken, with the SmtpError of the situation: ConnectError, TlsError,
   * AuthenticationError, SenderRefusedError, RecipientsRefusedError, DataError, OutcomeUnknownError, …; `error.result` has the
   * reports. Throws a ComposeError for a message that cannot be made.
   */
  async send(message: ClientMessage, options: SendOptions = {}): Promise<SendResult> {
    if (this.#closed) throw new Error("the transport is closed");
    this.#underWay++;
    try {
      return await this.#send(message, options);
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) for (const drained of this.#drained.splice(0)) drained();
    }
  }

  async #send(message: ClientMessage, options: SendOptions): Promise<SendResult> {
    const began = this.#clock.now();
    const { defaults } = this.#options;
    const made = await messageFor(defaults === undefined || "raw" in message ? message : { ...defaults, ...message }, this.#accept);
    const settled = new Array<Settled | undefined>(made.to.length).fill(undefined);
    const groups = this.#routes.groups(made.to);
    const sizes = await Promise.all(groups.map(({ route, indices }) => this.#sendBy(route, made, indices, settled, options)));
    const size = sizes.find((octets) => octets !== undefined);
    const reports = settled.map((each) => (each as Settled).report);
    const result: SendResult = {
      messageId: made.messageId,
      envelope: { from: made.from === null ? "" : formatMailbox(made.from), to: made.to.map(formatMailbox) },
      ...(size === undefined ? {} : { size }),
      recipients: reports,
      elapsed: this.#clock.now() - began,
    };
    if (reports.some(({ status }) => status === "accepted")) return result;
    throw this.#failure(result, settled as readonly Settled[], options.signal?.aborted === true);
  }

  #failure(result: SendResult, settled: readonly Settled[], cancelled: boolean): SmtpError {
    const { from: sender, to: recipients } = result.envelope;
    const host = result.recipients[0]?.host ?? "";
    const error = failureOf(
      settled.map((each) => each.result),
      { sender, recipients, host, cancelled },
    );
    error.result = result;
    return error;
  }

  /** Logs in and says NOOP: the settings are right. Rejects with an SmtpError. */
  async verify(): Promise<void> {
    if (this.#options.direct === true) throw new TypeError("direct has no server of its own to verify");
    const route = this.#routes.only();
    const lease = await route.pool.take();
    try {
      await lease.connection.command("NOOP");
    } finally {
      route.pool.give(lease);
    }
  }

  /** Resolves when no message is under way. */
  async drain(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  /** Takes no more messages, waits for those under way, then ends every connection with QUIT. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.drain();
    await this.#routes.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** All attempts for the recipients that go one way. Gives the octets of the content as it was sent. */
  async #sendBy(
    route: Route,
    made: MadeMessage,
    indices: readonly number[],
    settled: (Settled | undefined)[],
    options: SendOptions,
  ): Promise<number | undefined> {
    let left = [...indices];
    let size: number | undefined;
    for (let attempt = 1; ; attempt++) {
      await this.#pause(this.#rate?.take() ?? 0, options.signal);
      const attempted = await this.#attempt(route, made, left, options);
      size = attempted.size ?? size;
      for (const [i, result] of attempted.results.entries()) {
        const index = left[i] as number;
        settled[index] = { result, report: reportOf(made.to[index] as Mailbox, result, attempted.host, attempt) };
      }
      left = left.filter((index) => isWorthAnotherTry((settled[index] as Settled).result));
      if (left.length === 0 || attempt >= this.#retry.attempts || options.signal?.aborted || !made.replayable) return size;
      await this.#pause(retryDelay(this.#retry, attempt), options.signal);
    }
  }

  /** One attempt; a connection that cannot be had is each recipient's result. */
  async #attempt(route: Route, made: MadeMessage, indices: readonly number[], options: SendOptions): Promise<Attempted> {
    const to = indices.map((index) => made.to[index] as Mailbox);
    const results = new Array<AttemptResult>(to.length);
    let host = "";
    let size: number | undefined;
    // As many transactions as the server's LIMITS make of it; one, as a rule.
    for (let left = [...to.keys()]; left.length > 0; ) {
      const turn = await this.#turn(
        route,
        made,
        left.map((i) => to[i] as Mailbox),
        options,
      );
      host = turn.host;
      size = turn.size ?? size;
      for (const [i, place] of turn.taken.entries()) results[left[place] as number] = turn.results[i] as AttemptResult;
      const gone = new Set(turn.taken);
      left = left.filter((_, place) => !gone.has(place));
    }
    return { host, results, ...(size === undefined ? {} : { size }) };
  }

  /** One transaction, for as many of these as one takes. */
  async #turn(route: Route, made: MadeMessage, to: readonly Mailbox[], options: SendOptions): Promise<Turn> {
    for (let fresh = false; ; fresh = true) {
      let lease: Lease;
      try {
        lease = await takeUnlessAborted(route.pool, fresh, options.signal);
      } catch (error) {
        if (!(error instanceof SmtpError)) throw error;
        return { host: error.host, results: to.map(() => ({ kind: "failed", error })), taken: [...to.keys()] };
      }
      const { connection, used } = lease;
      if (!this.#portable) this.#accept = acceptedBy(connection.capabilities);
      try {
        const taken = connection.allowance.next(to);
        if (taken.length === 0 && used > 0) continue;
        if (taken.length < to.length && !made.replayable) return { ...readOnce(connection, to.length), taken: [...to.keys()] };
        const these = taken.map((place) => to[place] as Mailbox);
        const { results, size } = await transact(connection, made, these, this.#options, options);
        const dead = used > 0 && results.every((result) => result.kind === "lost" && result.state !== "content");
        if (!dead || options.signal?.aborted) return { host: connection.place, results, taken, ...(size === undefined ? {} : { size }) };
      } finally {
        route.pool.give(lease);
      }
    }
  }

  async #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) throw signal.reason;
    if (ms <= 0) return;
    await new Promise<void>((resolve, reject) => {
      const off = this.#clock.after(ms, () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      });
      const stop = (): void => {
        off();
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", stop, { once: true });
    });
  }
}

/** LIMITS ask for several transactions, and what it is read from gives it only once. */
function readOnce({ place }: SmtpConnection, recipients: number): Attempted {
  const why = `the server takes fewer than ${recipients} recipients at a time (LIMITS), and the message can be read only once`;
  const error = new NotSupportedError(place, { state: "mail", why, lasting: "permanent", about: "protocol" });
  return { host: place, results: new Array<AttemptResult>(recipients).fill({ kind: "failed", error }) };
}

/** A connection, unless the caller gives up while it is waited for; it is then given back when it comes. */
function takeUnlessAborted(pool: Pool, fresh: boolean, signal: AbortSignal | undefined): Promise<Lease> {
  const taking = pool.take(fresh);
  if (signal === undefined) return taking;
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(signal.reason);
      taking.then(
        (lease) => pool.give(lease),
        () => {},
      );
    };
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    taking
      .then((lease) => {
        if (!signal.aborted) resolve(lease);
      }, reject)
      .finally(() => signal.removeEventListener("abort", stop));
  });
}

function withCachedToken(options: TransportOptions, clock: Clock): TransportOptions {
  const token = options.auth?.token;
  if (options.auth === undefined || typeof token !== "function") return options;
  return { ...options, auth: { ...options.auth, token: cachedToken(token, clock) } };
}
