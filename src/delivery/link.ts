/**
 * A session at one host, and the sending of one message through it.
 *
 * Rules
 * 1. TLS when it is offered. A handshake that fails is tried again in clear on a new connection, and said (RFC 7435).
 * 2. Each recipient has its own outcome.
 */

import type { ConnectionOptions } from "../client/connection-options.ts";
import { convertedContent } from "../client/convert-content.ts";
import { SmtpError } from "../client/error.ts";
import { type Fit, fitMessage, fitRecipient, type Misfit } from "../client/fit.ts";
import { SmtpConnection } from "../client/smtp-connection.ts";
import type { Content } from "../mail/content.ts";
import type { Recipient } from "../mail/envelope.ts";
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import { describeHost, type Outcome, type RemoteHost } from "../mail/outcome.ts";
import { isTemporary } from "../mail/reply.ts";
import type { RecipientResult } from "../protocol/client-session.ts";
import type { Dial } from "../util/byte-stream.ts";
import type { Clock } from "../util/clock.ts";
import type { Link, Sent } from "./destination.ts";
import type { TargetHost } from "./hosts.ts";
import type { DeliveryOptions } from "./options.ts";
import { delayedHere, failedHere, outcomeOf, untriedHere } from "./outcomes.ts";
import { raceTo } from "./race.ts";
import type { RemoteHop } from "./site.ts";

/** One message, and those of its recipients that go to one destination in one transaction. */
export interface Job {
  readonly message: QueuedMessage;
  readonly recipients: readonly QueuedRecipient[];
  /** One outcome for each recipient, in order. Called once. */
  settle(outcomes: readonly Outcome[]): void;
}

export interface LinkOptions {
  readonly delivery: DeliveryOptions;
  readonly dial: Dial;
  readonly clock: Clock;
  /** Ends every connection. */
  readonly signal: AbortSignal;
  /** The address to come from. */
  sourceFor(address: string): string | undefined;
  /** Whether the message may still be sent to them: asked right before it is complete. */
  holds(message: QueuedMessage, recipients: readonly QueuedRecipient[]): boolean;
  /** The connection of a link that was opened is gone. */
  onClosed(): void;
  /** A TLS handshake failed and clear text is used instead. */
  onFallback(host: RemoteHost, why: string): void;
}

/** There was no session at `at`, where an address was reached, and `error` says why. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly at: RemoteHost;
  /** It answered at this address; absent: none of them did. */
  readonly address: string | undefined;

  constructor(at: RemoteHost, address: string | undefined, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.at = at;
    this.address = address;
  }
}

/** A session at the first of the host's addresses that answers. Rejects with a LinkError. */
export async function openLink(host: TargetHost, hop: RemoteHop, options: LinkOptions): Promise<HostLink> {
  const { hostname, timeouts } = options.delivery;
  const race = raceTo(host.addresses, options);
  const common = {
    host: host.name,
    port: host.port,
    name: hostname,
    tlsName: host.name,
    ...termsOf(hop),
    timeouts,
    clock: options.clock,
    signal: options.signal,
  };
  const reached = (): RemoteHost => {
    const address = race.winner ?? (host.addresses.length === 1 ? host.addresses[0] : undefined);
    return { name: host.name, ...(address === undefined ? {} : { address }), port: host.port };
  };
  const tls = hop.kind === "host" ? (hop.tls ?? "opportunistic") : "opportunistic";
  try {
    return await open({ ...common, dial: race.dial, tls }, reached, options);
  } catch (error) {
    const refused = tls === "opportunistic" && error instanceof SmtpError && error.phase === "handshake";
    if (!refused || race.winner === undefined) throw new LinkError(reached(), race.winner, error);
    options.onFallback(reached(), error.why);
    const again = raceTo([race.winner], options);
    try {
      return await open({ ...common, dial: again.dial, tls: "none" }, reached, options);
    } catch (second) {
      throw new LinkError(reached(), race.winner, second);
    }
  }
}

/** Who is logged in to is checked: a password is for nobody else. */
function termsOf(hop: RemoteHop): Pick<ConnectionOptions, "verify" | "protocol" | "credentials"> {
  if (hop.kind === "mx") return { verify: false };
  const { credentials, protocol = "smtp", verify = credentials !== undefined } = hop;
  return { verify, protocol, ...(credentials === undefined ? {} : { credentials }) };
}

/** `onClosed` is called for a link that was handed out, and for no other. */
async function open(connection: ConnectionOptions, at: () => RemoteHost, { onClosed, holds }: LinkOptions): Promise<HostLink> {
  let handedOut = false;
  const opened = await SmtpConnection.open({ ...connection, onClosed: () => handedOut && onClosed() });
  handedOut = true;
  return new HostLink(opened, at(), { final: connection.protocol === "lmtp", holds });
}

type Fitting = Extract<Fit, { kind: "send" }>;

/** What one transaction came to. */
interface Transacted {
  readonly outcomes: readonly Outcome[];
  /** The connection was lost before the server had all of it. */
  readonly lost: boolean;
  readonly sent: Sent;
}

export class HostLink implements Link<Job> {
  readonly at: RemoteHost;
  readonly #connection: SmtpConnection;
  /** What it has taken is in the mailbox. */
  readonly #final: boolean;
  readonly #holds: LinkOptions["holds"];
  /** Its server takes somebody in another session alone. */
  #exhausted = false;

  constructor(connection: SmtpConnection, at: RemoteHost, { final, holds }: { readonly final: boolean } & Pick<LinkOptions, "holds">) {
    this.#connection = connection;
    this.#final = final;
    this.#holds = holds;
    const { tls } = connection;
    this.at = { ...at, ...(tls === undefined ? {} : { tls: `${tls.protocol} ${tls.cipher}` }) };
  }

  get usable(): boolean {
    return this.#connection.idle && !this.#exhausted && !this.#connection.allowance.spent;
  }

  /** What the server calls itself in its reply to EHLO. */
  get serverName(): string {
    return this.#connection.capabilities.name;
  }

  async send(job: Job, reused: boolean): Promise<Sent> {
    const { capabilities } = this.#connection;
    const { message } = job;
    const fit = fitMessage(message.envelope, message.facts, capabilities, { now: this.#connection.now, final: this.#final });
    if (fit.kind === "misfit") return settleAll(job, failedHere(fit.status, fit.text));
    let content: Content = message.content;
    if (fit.convert !== undefined) {
      const converted = await convertedContent(content, message.facts, fit.convert);
      if (converted.kind === "impossible")
        return settleAll(job, failedHere("5.6.3", `the next hop does not take this content, and it cannot be converted: ${converted.why}`));
      content = converted.content;
    }
    return this.#sendAll(job, content, fit, reused);
  }

  /** In as many transactions as the server's LIMITS want (RFC 9422); who does not fit this session waits for another. */
  async #sendAll(job: Job, content: Content, fit: Fitting, reused: boolean): Promise<Sent> {
    const outcomes: Outcome[] = [];
    let left = [...job.recipients.keys()];
    let sent: Sent = "done";
    while (left.length > 0 && sent === "done") {
      const all = left.map((i) => job.recipients[i] as QueuedRecipient);
      const places = this.#connection.allowance.next(all.map(({ mailbox }) => mailbox));
      if (places.length === 0) {
        this.#exhausted = true;
        // Nobody was tried: a fresh session has room for one at least.
        if (reused && outcomes.length === 0) return "dead";
        break;
      }
      const part = places.map((place) => all[place] as QueuedRecipient);
      const done = await this.#transact(job.message, part, content, fit);
      if (reused && outcomes.length === 0 && done.lost) return "dead";
      for (const [k, place] of places.entries()) outcomes[left[place] as number] = done.outcomes[k] as Outcome;
      const gone = new Set(places);
      left = left.filter((_, place) => !gone.has(place));
      sent = done.sent;
    }
    for (const i of left) outcomes[i] = untriedHere("4.5.3", `${describeHost(this.at)} takes no more in one session`, this.#connection.now);
    job.settle(outcomes);
    return sent;
  }

  async #transact(message: QueuedMessage, to: readonly QueuedRecipient[], content: Content, fit: Fitting): Promise<Transacted> {
    const { capabilities } = this.#connection;
    const prepared = to.map((recipient) => fitRecipient(recipient, fit.envelope.smtpUtf8));
    const sendable = prepared.filter((recipient): recipient is Recipient => !isMisfit(recipient));
    const mayEnd = (): boolean => this.#holds(message, to);
    let results: readonly RecipientResult[] = [];
    try {
      if (sendable.length > 0)
        results = await this.#connection.send({ ...fit.envelope, recipients: sendable }, content, { via: fit.via, mayEnd });
    } catch (error) {
      const outcome = delayedHere("4.3.0", error instanceof Error ? error.message : String(error), "message");
      return { outcomes: to.map(() => outcome), lost: false, sent: "done" };
    }
    let next = 0;
    const terms = { dsn: capabilities.dsn, final: this.#final, deliverBy: capabilities.deliverBy !== undefined };
    const outcomes = prepared.map((each) =>
      isMisfit(each) ? failedHere(each.status, each.text, "recipient") : outcomeOf(results[next++] as RecipientResult, this.at, terms),
    );
    const lost = results.length > 0 && results.every((result) => result.kind === "lost");
    return { outcomes, lost, sent: sentOf(results) };
  }

  quit(): Promise<void> {
    return this.#connection.quit();
  }
}

function isMisfit(value: Recipient | Misfit): value is Misfit {
  return "kind" in value;
}

function settleAll(job: Job, outcome: Outcome): Sent {
  job.settle(job.recipients.map(() => outcome));
  return "done";
}

/**
 * 421, or a connection that is gone: the server has enough. 4xx to MAIL may be that as well, or the sender's own trouble: others are not stopped
 * for it. What it says at RCPT (450 4.7.1, greylisting) concerns that recipient alone.
 */
function sentOf(results: readonly RecipientResult[]): Sent {
  if (results.some((result) => (result.kind === "refused" ? result.reply.code === 421 : result.kind !== "accepted"))) return "trouble";
  return results.some((result) => result.kind === "refused" && result.state === "mail" && isTemporary(result.reply)) ? "slow" : "done";
}
