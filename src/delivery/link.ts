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
import type { QueuedMessage } from "../mail/message.ts";
import type { Outcome, RemoteHost } from "../mail/outcome.ts";
import type { RecipientResult } from "../protocol/client-session.ts";
import type { Dial } from "../util/byte-stream.ts";
import type { Clock } from "../util/clock.ts";
import type { Link } from "./destination.ts";
import type { RemoteHop, TargetHost } from "./hosts.ts";
import type { DeliveryOptions } from "./options.ts";
import { delayedHere, failedHere, outcomeOf } from "./outcomes.ts";

/** One message, and those of its recipients that go to one destination in one transaction. */
export interface Job {
  readonly message: QueuedMessage;
  readonly recipients: readonly Recipient[];
  /** One outcome for each recipient, in order. Called once. */
  settle(outcomes: readonly Outcome[]): void;
}

export interface LinkOptions {
  readonly delivery: DeliveryOptions;
  readonly dial: Dial;
  readonly clock: Clock;
  /** Ends every connection. */
  readonly signal: AbortSignal;
  /** The connection of a link that was opened is gone. */
  onClosed(): void;
  /** A TLS handshake failed and clear text is used instead. */
  onFallback(host: TargetHost, why: string): void;
}

/** Rejects with an SmtpError. */
export async function openLink(target: TargetHost, hop: RemoteHop, options: LinkOptions): Promise<HostLink> {
  const { hostname, timeouts, sourceIPv4, sourceIPv6 } = options.delivery;
  const source = target.address.includes(":") ? sourceIPv6 : sourceIPv4;
  const common = {
    host: target.address,
    port: target.port,
    name: hostname,
    tlsName: target.name,
    ...termsOf(hop),
    timeouts,
    dial: options.dial,
    clock: options.clock,
    signal: options.signal,
    ...(source === undefined ? {} : { localAddress: source }),
  };
  const tls = hop.kind === "host" ? (hop.tls ?? "opportunistic") : "opportunistic";
  try {
    return await open({ ...common, tls }, target, options.onClosed);
  } catch (error) {
    if (tls !== "opportunistic" || !(error instanceof SmtpError) || error.phase !== "handshake") throw error;
    options.onFallback(target, error.why);
    return open({ ...common, tls: "none" }, target, options.onClosed);
  }
}

/** Who is logged in to is checked: a password is for nobody else. */
function termsOf(hop: RemoteHop): Pick<ConnectionOptions, "verify" | "protocol" | "credentials"> {
  if (hop.kind === "mx") return { verify: false };
  const { credentials, protocol = "smtp", verify = credentials !== undefined } = hop;
  return { verify, protocol, ...(credentials === undefined ? {} : { credentials }) };
}

/** `onClosed` is called for a link that was handed out, and for no other. */
async function open(options: ConnectionOptions, target: TargetHost, onClosed: () => void): Promise<HostLink> {
  let handedOut = false;
  const connection = await SmtpConnection.open({ ...options, onClosed: () => handedOut && onClosed() });
  handedOut = true;
  return new HostLink(connection, target, options.protocol === "lmtp");
}

export class HostLink implements Link<Job> {
  readonly at: RemoteHost;
  readonly #connection: SmtpConnection;

  /** What it has taken is in the mailbox. */
  readonly #final: boolean;

  constructor(connection: SmtpConnection, target: TargetHost, final = false) {
    this.#connection = connection;
    this.#final = final;
    const { tls } = connection;
    this.at = {
      name: target.name,
      address: target.address,
      port: target.port,
      ...(tls === undefined ? {} : { tls: `${tls.protocol} ${tls.cipher}` }),
    };
  }

  get usable(): boolean {
    return this.#connection.idle;
  }

  /** What the server calls itself in its reply to EHLO. */
  get serverName(): string {
    return this.#connection.capabilities.name;
  }

  async send(job: Job, reused: boolean): Promise<boolean> {
    const { capabilities } = this.#connection;
    const { message } = job;
    const fit = fitMessage(message.envelope, message.facts, capabilities, { now: this.#connection.now, final: this.#final });
    if (fit.kind === "misfit") {
      const outcome = failedHere(fit.status, fit.text);
      job.settle(job.recipients.map(() => outcome));
      return true;
    }
    let content: Content = message.content;
    if (fit.convert !== undefined) {
      const converted = await convertedContent(content, message.facts, fit.convert);
      if (converted.kind === "impossible") {
        const outcome = failedHere("5.6.3", `the next hop does not take this content, and it cannot be converted: ${converted.why}`);
        job.settle(job.recipients.map(() => outcome));
        return true;
      }
      content = converted.content;
    }
    return this.#transact(job, content, fit, reused);
  }

  async #transact(job: Job, content: Content, fit: Extract<Fit, { kind: "send" }>, reused: boolean): Promise<boolean> {
    const { capabilities } = this.#connection;
    const prepared = job.recipients.map((recipient) => fitRecipient(recipient, fit.envelope.smtpUtf8));
    const sendable = prepared.filter((recipient): recipient is Recipient => !isMisfit(recipient));
    let results: readonly RecipientResult[] = [];
    try {
      if (sendable.length > 0) results = await this.#connection.send({ ...fit.envelope, recipients: sendable }, content, { via: fit.via });
    } catch (error) {
      const outcome = delayedHere("4.3.0", error instanceof Error ? error.message : String(error), "message");
      job.settle(job.recipients.map(() => outcome));
      return true;
    }
    if (reused && results.length > 0 && results.every((result) => result.kind === "lost")) return false;
    let next = 0;
    job.settle(
      prepared.map((each) =>
        isMisfit(each)
          ? failedHere(each.status, each.text, "recipient")
          : outcomeOf(results[next++] as RecipientResult, this.at, {
              dsn: capabilities.dsn,
              final: this.#final,
              deliverBy: capabilities.deliverBy !== undefined,
            }),
      ),
    );
    return true;
  }

  quit(): Promise<void> {
    return this.#connection.quit();
  }
}

function isMisfit(value: Recipient | Misfit): value is Misfit {
  return "kind" in value;
}
