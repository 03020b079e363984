/**
 * One mail transaction on its way in: envelope, and content that is written on as it comes.
 *
 * Rules
 * 1. Content passes chunk by chunk into the sink. Only the header section is held, until it is whole (256 KiB at most).
 * 2. The header section is looked at once: our Received goes before it, loops are counted, a submission is mended (RFC 6409 8).
 * 3. Whatever ends it early discards the sink: nothing half accepted stays.
 */
import type { Content, ContentFacts } from "../mail/content.ts";
import type { Envelope, Recipient } from "../mail/envelope.ts";
import { type MessageId, type NewMessage, newMessageId, type Origin } from "../mail/message.ts";
import { reply } from "../mail/reply.ts";
import { ContentScanner } from "../message/facts.ts";
import { HeaderReader, type HeaderSection } from "../message/header-section.ts";
import { LineEndMender } from "../message/line-ends.ts";
import { fixSubmission, messageIdText } from "../message/submission.ts";
import { receivedField } from "../message/trace.ts";
import type { MailCommand } from "../protocol/server-session.ts";
import type { ServerOptions } from "./options.ts";
import { type ContentSink, type Intake, type Peer, type Refusal, refuse } from "./policy.ts";
import { LINE_LIMIT, reencoded } from "./reencode.ts";

/** What a caller is to wait for before it brings more. */
type Pending = Promise<void> | undefined;

export class Transaction {
  readonly mail: MailCommand;
  readonly id: MessageId;
  readonly recipients: Recipient[] = [];
  readonly #options: ServerOptions;
  readonly #intake: Intake;
  readonly #now: number;
  readonly #peer: Peer;
  #sink: ContentSink | undefined;
  #header: HeaderReader | undefined;
  readonly #scanner = new ContentScanner();
  #mender: LineEndMender | undefined;
  readonly #pieces: Uint8Array[] = [];

  constructor(mail: MailCommand, peer: Peer, options: ServerOptions, intake: Intake, now: number) {
    this.mail = mail;
    this.id = newMessageId(now);
    this.#peer = peer;
    this.#options = options;
    this.#intake = intake;
    this.#now = now;
  }

  get #submission(): boolean {
    return this.#peer.listener !== "smtp";
  }

  get #lineEnds(): "refuse" | "convert" | "keep" {
    if (this.mail.body === "BINARYMIME") return "keep";
    return this.#options.bareLineEnds[this.#submission ? "submission" : "smtp"];
  }

  /** Opens the sink; throws what the intake throws. */
  begin(): void {
    this.#sink = this.#intake.receive(this.mail.size);
    this.#header = new HeaderReader();
    if (this.#lineEnds === "convert") this.#mender = new LineEndMender();
  }

  /** Takes a chunk in; a Refusal ends the content's way. */
  write(chunk: Uint8Array): Pending | Refusal {
    if (this.#mender === undefined) return this.#take(chunk);
    this.#mender.push(chunk, this.#pieces);
    return this.#takePieces();
  }

  #takePieces(): Pending | Refusal {
    let pending: Pending;
    for (const piece of this.#pieces.splice(0)) {
      const taken = this.#take(piece);
      if (taken !== undefined && "kind" in taken) return taken;
      pending = taken ?? pending;
    }
    return pending;
  }

  #take(chunk: Uint8Array): Pending | Refusal {
    this.#scanner.push(chunk);
    if (this.#header === undefined) return this.#put(chunk);
    if (this.#header.push(chunk)) return this.#endHeader();
    return undefined;
  }

  #endHeader(): Pending | Refusal {
    const { section, rest } = (this.#header as HeaderReader).finish();
    this.#header = undefined;
    const refusal = this.#judge(section);
    if (refusal !== undefined) return refusal;
    let pending = this.#put(this.#received());
    for (const chunk of this.#submission ? this.#mended(section) : [section.whole]) pending = this.#put(chunk) ?? pending;
    for (const chunk of rest) pending = this.#put(chunk) ?? pending;
    return pending;
  }

  #put(chunk: Uint8Array): Pending {
    return this.#sink?.write(chunk) ?? undefined;
  }

  #judge(section: HeaderSection): Refusal | undefined {
    const hops = section.count("received");
    if (hops >= this.#options.maxReceived) {
      return refuse(reply(554, "5.4.6", "Too many hops: this message is going in a circle"), `${hops} Received fields`);
    }
    if (this.#submission && section.ending === "limit") {
      return refuse(reply(552, "5.3.4", "The header section is too long"), "header section beyond its limit");
    }
    return undefined;
  }

  #mended(section: HeaderSection): Uint8Array[] {
    return fixSubmission(section, { now: this.#now, messageId: messageIdText(this.id, this.#options.hostname) });
  }

  #received(): Uint8Array {
    const { helo, address, extended, tls, account } = this.#peer;
    const hidden = this.#submission && this.#options.hideSubmitter;
    return receivedField({
      ...(hidden ? {} : { peer: { helo, address } }),
      hostname: this.#options.hostname,
      protocol: { esmtp: extended, tls: tls !== undefined, authenticated: account !== undefined, utf8: this.mail.smtpUtf8 },
      ...(tls === undefined ? {} : { tls: { version: tls.protocol, cipher: tls.cipher } }),
      id: this.id,
      recipients: this.recipients.map((recipient) => recipient.mailbox),
      now: this.#now,
    });
  }

  /** Ends the content and hands the message over; resolves once it is safe. */
  async finish(): Promise<NewMessage | Refusal> {
    this.#mender?.end(this.#pieces);
    const last = this.#takePieces();
    const ended = this.#header === undefined ? last : this.#endHeader();
    const refusal = [last, ended].find((step) => step !== undefined && "kind" in step);
    if (refusal !== undefined && "kind" in refusal) return refusal;
    const facts = this.#scanner.facts();
    const problem = this.#judgeContent(facts);
    if (problem !== undefined) return problem;
    const content = await (this.#sink as ContentSink).finish();
    const message = await this.#mendedMessage(content, { ...facts, size: content.size });
    await this.#intake.accept(message);
    this.#sink = undefined;
    return message;
  }

  /** RFC 6409 8 lets a submission be mended: lines that no server has to take are encoded anew. */
  async #mendedMessage(content: Content, facts: ContentFacts): Promise<NewMessage> {
    if (!this.#submission || this.#lineEnds === "keep" || facts.longestLine <= LINE_LIMIT) return this.#message(content, facts);
    const sink = this.#intake.receive(content.size);
    const mended = await reencoded(content, facts, sink);
    if (mended === undefined) return this.#message(content, facts);
    this.#sink?.discard();
    this.#sink = sink;
    return this.#message(mended.content, mended.facts);
  }

  #judgeContent(facts: ContentFacts): Refusal | undefined {
    if (facts.binary && this.#lineEnds === "refuse") {
      return refuse(reply(550, "5.6.0", "Bare CR or LF, or NUL, in the content: lines end in CRLF"), "bare CR, LF or NUL in content");
    }
    return undefined;
  }

  #message(content: Content, facts: ContentFacts): NewMessage {
    const { size: _, ...mail } = this.mail;
    const envelope: Envelope = { ...mail, recipients: this.recipients };
    return { id: this.id, envelope, content, facts, origin: this.#origin(), arrived: this.#now };
  }

  #origin(): Origin {
    const { account, address, helo } = this.#peer;
    return account === undefined ? { kind: "smtp", peer: address, helo } : { kind: "submission", account, peer: address };
  }

  discard(): void {
    this.#sink?.discard();
    this.#sink = undefined;
    this.#header = undefined;
  }
}
