/**
 * MAIL and RCPT as the server reads them, and what it has to remember of them for the commands behind.
 *
 * Rules
 * 1. A command is read whole or refused: nothing of a refused one is kept.
 * 2. Whether a mailbox is wanted here is not asked: that is the decision of the session's caller.
 */
import type { Recipient } from "../mail/envelope.ts";
import { isAsciiMailbox } from "../mail/mailbox.ts";
import type { Reply } from "../mail/reply.ts";
import { isReply, type MailParameters, type ParameterSupport, readMailParameters, readRcptParameters } from "./parameters.ts";
import { type PathArgument, parsePathArgument } from "./path.ts";
import type { MailCommand } from "./server-events.ts";
import type { ServerSessionOptions } from "./server-options.ts";
import * as say from "./server-replies.ts";

type ReadPath = Extract<PathArgument, { kind: "path" }>;

export class EnvelopeReader {
  readonly #options: ServerSessionOptions;
  #mail: MailCommand | undefined;
  #recipients = 0;
  #lowered = false;

  constructor(options: ServerSessionOptions) {
    this.#options = options;
  }

  /** BODY=BINARYMIME was said: the content may come by BDAT alone (RFC 3030 3). */
  get binary(): boolean {
    return this.#mail?.body === "BINARYMIME";
  }

  /** The reply to MAIL, where it is not the usual one: it did not get the priority that it asked for. */
  get mailReply(): Reply | undefined {
    return this.#lowered ? say.priorityLowered(this.#options.maxPriority as number) : undefined;
  }

  /** No more recipients are taken in this transaction. */
  get full(): boolean {
    return this.#recipients >= this.#options.maxRecipients;
  }

  /** MAIL, by its argument, or the reply that refuses it. */
  readMail(argument: string, support: ParameterSupport): MailCommand | Reply {
    const path = this.#readPath("MAIL", "FROM:", argument);
    if (isReply(path)) return path;
    const { mailbox } = path;
    const parameters = readMailParameters(path.parameters, support);
    if (isReply(parameters)) return parameters;
    const { size, ...others } = parameters;
    if (mailbox !== null && mailbox.domain === "") return say.malformedPath("MAIL", "no domain");
    if (mailbox !== null && !others.smtpUtf8 && !isAsciiMailbox(mailbox)) return say.utf8Sender;
    if (size !== undefined && size > this.#options.maxSize) return say.tooBig(this.#options.maxSize);
    const refusal = this.#refusalOfTimes(others);
    if (refusal !== undefined) return refusal;
    const { maxPriority } = this.#options;
    this.#lowered = maxPriority !== undefined && others.priority !== undefined && others.priority > maxPriority;
    this.#mail = { reversePath: mailbox, size, ...others, ...(this.#lowered ? { priority: maxPriority as number } : {}) };
    return this.#mail;
  }

  /** RCPT, by its argument, or the reply that refuses it. */
  readRcpt(argument: string, support: ParameterSupport): Recipient | Reply {
    const path = this.#readPath("RCPT", "TO:", argument);
    if (isReply(path)) return path;
    const { mailbox } = path;
    if (mailbox === null) return say.malformedPath("RCPT", "<> is no recipient");
    const parameters = readRcptParameters(path.parameters, support);
    if (isReply(parameters)) return parameters;
    if (this.#mail?.smtpUtf8 !== true && !isAsciiMailbox(mailbox)) return say.utf8Recipient;
    return { mailbox, ...parameters };
  }

  /** The recipient that was read last is taken. */
  countRecipient(): void {
    this.#recipients++;
  }

  /** The transaction is over, or MAIL was refused after all. */
  clear(): void {
    this.#mail = undefined;
    this.#recipients = 0;
    this.#lowered = false;
  }

  #refusalOfTimes({ hold, deliverBy }: MailParameters): Reply | undefined {
    const { futureRelease, minDeliverBy } = this.#options;
    if (hold !== undefined && futureRelease !== undefined) {
      const beyond = hold.kind === "for" ? hold.seconds > futureRelease.seconds : hold.at > futureRelease.until;
      if (beyond) return say.heldTooLong(futureRelease.seconds);
    }
    const soon = deliverBy !== undefined && deliverBy.mode === "return" && deliverBy.seconds < minDeliverBy;
    return soon ? say.deliverByTooSoon(minDeliverBy) : undefined;
  }

  #readPath(verb: "MAIL" | "RCPT", word: string, argument: string): ReadPath | Reply {
    if (argument.slice(0, word.length).toUpperCase() !== word) return say.syntax(verb, word);
    const parsed = parsePathArgument(argument.slice(word.length), this.#options.leniencies);
    if (parsed.kind === "path") return parsed;
    return parsed.what === "path" ? say.malformedPath(verb, parsed.text) : say.malformedParameters;
  }
}
