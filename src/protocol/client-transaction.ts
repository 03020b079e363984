/**
 * One transaction of the client: MAIL, RCPT, the content, and one result for each recipient.
 *
 * Rules
 * 1. Every recipient gets exactly one result: what is lost before the final dot is `lost`, what is lost after it is `unknown`.
 *    The last octet of BDAT LAST is its final dot, told by `endContent` or not.
 * 2. LMTP answers the content once for each recipient that it took, in their order (RFC 2033 4.2); SMTP once for all.
 * 3. After its "done" it is to be dropped.
 */
import type { Envelope } from "../mail/envelope.ts";
import { isPositive, type Reply, reply } from "../mail/reply.ts";
import type { Capabilities } from "./capabilities.ts";
import type { ClientEvent } from "./client-events.ts";
import type { ClientState } from "./client-states.ts";
import type { CommandPipeline } from "./command-pipeline.ts";
import { DotStuffer } from "./dot-stuffer.ts";
import { mailCommand, rcptCommand } from "./envelope-commands.ts";
import { type RecipientResult, refusedIn } from "./recipient-result.ts";

export interface TransactionOptions {
  /** How the content goes; BDAT needs CHUNKING. */
  readonly via: "DATA" | "BDAT";
  /** Octets of the content: exact for BDAT, absent where nobody knows them beforehand. */
  readonly size?: number;
  /** Parameters of MAIL and of each RCPT beside those of the envelope, as they are written. */
  readonly mailParameters?: readonly string[];
  readonly rcptParameters?: readonly string[];
  /** Milliseconds since 1970; without it no BY is written. */
  readonly now?: number;
}

type Done = Extract<ClientEvent, { type: "done" }>;
/** `undefined`: replies are to come. */
export type TransactionStep = Done | Extract<ClientEvent, { type: "send-content" }> | undefined;

const SEND_CONTENT: TransactionStep = { type: "send-content" };

export class ClientTransaction {
  readonly #pipeline: CommandPipeline;
  readonly #capabilities: Capabilities;
  readonly #lmtp: boolean;
  readonly #via: "DATA" | "BDAT";
  readonly #options: TransactionOptions;
  #results: (RecipientResult | undefined)[] = [];
  /** Indices of the recipients that RCPT accepted, in order. */
  readonly #accepted: number[] = [];
  #mailRefused = false;
  #sending = false;
  readonly #stuffer = new DotStuffer();
  #sent = 0;
  /** Replies to BDAT LAST that came before `endContent` was called. */
  #early: Reply[] = [];
  /** LMTP: replies that have come after the final dot. */
  #answered = 0;

  constructor(pipeline: CommandPipeline, capabilities: Capabilities, lmtp: boolean, options: TransactionOptions) {
    this.#pipeline = pipeline;
    this.#capabilities = capabilities;
    this.#lmtp = lmtp;
    this.#via = options.via;
    this.#options = options;
    if (options.via === "BDAT" && options.size === undefined) throw new TypeError("BDAT needs the size of the content");
  }

  /** The content is due. */
  get sending(): boolean {
    return this.#sending;
  }

  /** The server has all octets of BDAT LAST, and may answer, though `endContent` was not called. */
  get contentComplete(): boolean {
    return this.#sending && this.#via === "BDAT" && this.#sent === this.#options.size;
  }

  /**
   * Sends the commands, `reset`: behind a RSET. Throws a TypeError for what cannot stand in a command and for an envelope without
   * recipients; nothing is written then. Content larger than the server takes (SIZE) is "done" at once, unsent.
   */
  begin(envelope: Envelope, reset: boolean): TransactionStep {
    const { recipients, smtpUtf8 } = envelope;
    if (recipients.length === 0) throw new TypeError("the envelope has no recipients");
    const { size = 0, mailParameters, rcptParameters, now } = this.#options;
    const mail = mailCommand(envelope, this.#options.size, this.#capabilities, mailParameters, now);
    const lines = recipients.map((recipient) => rcptCommand(recipient, smtpUtf8, this.#capabilities, rcptParameters));
    this.#results = new Array(recipients.length).fill(undefined);
    const limit = this.#capabilities.size ?? 0; // 0: no limit is known (RFC 1870 4)
    if (limit > 0 && size > limit) {
      const text = `Message of ${size} octets exceeds the ${limit} octets that the server announced`;
      return this.#done({ kind: "refused", reply: reply(552, "5.3.4", text), state: "mail" });
    }
    if (reset) this.#pipeline.enqueue("RSET", { state: "rset" });
    this.#pipeline.enqueue(mail, { state: "mail" });
    for (let index = 0; index < lines.length; index++) this.#pipeline.enqueue(lines[index] as string, { state: "rcpt", index });
    if (this.#via === "DATA") this.#pipeline.enqueue("DATA", { state: "data" });
    this.#proceed();
    return undefined;
  }

  /** Takes over behind MAIL and so many accepted RCPT that others sent, and sends DATA. One result at least is given. */
  adopt(accepted: number): void {
    this.#results = new Array(Math.max(1, accepted)).fill(undefined);
    // Where nobody was accepted, what the server says to DATA decides all the same.
    for (let index = 0; index < this.#results.length; index++) this.#accepted.push(index);
    this.#pipeline.send("DATA", { state: "data" });
  }

  // Replies

  /** The RSET ahead of MAIL, whatever its answer. */
  resetAnswered(): void {
    this.#proceed();
  }

  mailAnswered(answer: Reply): TransactionStep {
    if (isPositive(answer)) {
      this.#proceed();
      return undefined;
    }
    this.#mailRefused = true;
    this.#results.fill(refusedIn("mail", answer));
    this.#pipeline.dropQueue();
    return this.#pipeline.answered ? this.#done() : undefined;
  }

  rcptAnswered(index: number, answer: Reply): TransactionStep {
    if (this.#mailRefused) {
      // It came behind a refused MAIL in one group and says nothing of its own.
    } else if (isPositive(answer)) this.#accepted.push(index);
    else this.#results[index] = refusedIn("rcpt", answer);
    if (this.#pipeline.queued === "data" && this.#accepted.length === 0) this.#pipeline.dropQueue();
    this.#proceed();
    return this.#pipeline.answered ? this.#recipientsAnswered() : undefined;
  }

  dataAnswered(answer: Reply): TransactionStep {
    if (answer.code !== 354) return this.#done(refusedIn("data", answer));
    if (this.#accepted.length > 0) return this.#askForContent();
    this.#pipeline.send(".", { state: "sent-dot" }); // RFC 2920 3.1: nobody to send to, and the server waits for content
    return undefined;
  }

  contentAnswered(answer: Reply): TransactionStep {
    const result: RecipientResult = isPositive(answer) ? { kind: "accepted", reply: answer } : refusedIn("sent-dot", answer);
    if (!this.#lmtp || this.#accepted.length === 0) return this.#done(result);
    this.#results[this.#accepted[this.#answered++] as number] = result;
    return this.#pipeline.answered ? this.#done() : undefined;
  }

  /** Keeps a reply that came before `endContent` told the end of BDAT LAST; `false` where it is none of those. */
  keepEarly(answer: Reply): boolean {
    if (!this.contentComplete || this.#early.length >= this.#repliesToContent()) return false;
    this.#early.push(answer);
    return true;
  }

  /** Refused in the middle of the content (a full disk, an endless message): the session cannot be used further. */
  contentRefused(answer: Reply): Done {
    return this.#done(refusedIn("content", answer));
  }

  /** The connection failed in this state. */
  lost(why: string, state: ClientState): Done {
    return this.#done({ kind: state === "sent-dot" ? "unknown" : "lost", why, state });
  }

  // Content

  /** Throws a RangeError for more than was announced to BDAT. */
  content(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const output = this.#pipeline.output();
    this.#sent += chunk.length;
    if (this.#via === "DATA") this.#stuffer.push(chunk, output);
    else if (this.#sent > this.#announced) throw new RangeError(`content is longer than the ${this.#announced} octets announced`);
    else output.push(chunk);
  }

  /** Returns the replies that are in already. Throws a RangeError for less than was announced to BDAT. */
  endContent(): readonly Reply[] {
    if (this.#via === "DATA") this.#stuffer.end(this.#pipeline.output());
    else if (this.#sent < this.#announced) throw new RangeError(`content is shorter than the ${this.#announced} octets announced`);
    this.#sending = false;
    for (let i = this.#repliesToContent(); i > 0; i--) this.#pipeline.expect({ state: "sent-dot" });
    return this.#early;
  }

  // Small tools

  get #announced(): number {
    return this.#options.size ?? 0;
  }

  #proceed(): void {
    this.#pipeline.proceed(this.#capabilities.pipelining);
  }

  /** All replies to RCPT are in and DATA is not on its way. */
  #recipientsAnswered(): TransactionStep {
    if (this.#accepted.length === 0) return this.#done();
    if (this.#via !== "BDAT") return undefined;
    this.#pipeline.write(`BDAT ${this.#announced} LAST`);
    return this.#askForContent();
  }

  #askForContent(): TransactionStep {
    this.#sending = true;
    return SEND_CONTENT;
  }

  #repliesToContent(): number {
    return this.#lmtp ? this.#accepted.length : 1;
  }

  /** `rest`: the result of those that have none yet. */
  #done(rest?: RecipientResult): Done {
    return { type: "done", results: this.#results.map((result) => result ?? (rest as RecipientResult)) };
  }
}
