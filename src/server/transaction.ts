/**
 * One mail transaction on its way in: envelope, and content that is written on as it comes.
 *
 * Rules
 * 1. Content passes chunk by chunk into the sink. Only the header section is held, until it is whole (256 KiB at most).
 * 2. The header section is looked at once: our Received goes before it, loops are counted, a submission is mended (RFC 6409 8).
 * 3. An inspection sees the header section before it is kept, and the body as it comes; what it has to say goes in front, once all is here.
 * 4. Idempotency-Key is read and taken out on submission alone: on 25 it is a field like others, and passes.
 * 5. Whatever ends it early discards the sink: nothing half accepted stays.
 */
import { type Content, type ContentFacts, readContent } from "../mail/content.ts";
import type { Envelope, EnvelopeExtras, Recipient } from "../mail/envelope.ts";
import { type MessageId, type NewMessage, newMessageId, type Origin, type QueuedBefore } from "../mail/message.ts";
import { reply } from "../mail/reply.ts";
import { ContentScanner } from "../message/facts.ts";
import { HeaderReader, type HeaderSection } from "../message/header-section.ts";
import { readIdempotencyKey } from "../message/idempotency-key.ts";
import { LineEndMender } from "../message/line-ends.ts";
import { fixSubmission, messageIdText } from "../message/submission.ts";
import { receivedField } from "../message/trace.ts";
import type { MailCommand } from "../protocol/server-session.ts";
import type { ServerOptions } from "./options.ts";
import { type ContentSink, type Inspection, type Inspector, type Intake, isRefusal, type Peer, type Refusal, refuse } from "./policy.ts";
import { LINE_LIMIT, reencode } from "./reencode.ts";

/** A Refusal ends the content's way; a promise is to be waited for before more is brought. */
type Taken = Refusal | Promise<Refusal | undefined> | undefined;

/** What has become of a complete content. */
export type Finished =
  | { readonly kind: "accepted"; readonly message: NewMessage }
  /** Every recipient was queued before, under the same key. */
  | { readonly kind: "repeated"; readonly message: NewMessage; readonly as: MessageId }
  | Refusal;

export interface TransactionParts {
  readonly options: ServerOptions;
  readonly intake: Intake;
  readonly inspector?: Inspector;
}

export class Transaction {
  readonly mail: MailCommand;
  readonly id: MessageId;
  readonly recipients: Recipient[] = [];
  readonly #options: ServerOptions;
  readonly #intake: Intake;
  readonly #inspector: Inspector | undefined;
  readonly #now: number;
  readonly #peer: Peer;
  #inspection: Inspection | undefined;
  #sink: ContentSink | undefined;
  #header: HeaderReader | undefined;
  #idempotencyKey: string | undefined;
  readonly #scanner = new ContentScanner();
  #mender: LineEndMender | undefined;

  constructor(mail: MailCommand, peer: Peer, { options, intake, inspector }: TransactionParts, now: number) {
    this.mail = mail;
    this.#inspector = inspector;
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
    const { id, mail, recipients } = this;
    this.#inspection = this.#inspector?.begin({ id, mail, recipients, peer: this.#peer, now: this.#now });
  }

  /** Takes a chunk in. */
  write(chunk: Uint8Array): Taken {
    if (this.#mender === undefined) return this.#take(chunk);
    const pieces: Uint8Array[] = [];
    this.#mender.push(chunk, pieces);
    return this.#takeAll(pieces);
  }

  #takeAll(pieces: readonly Uint8Array[]): Taken {
    for (const [i, piece] of pieces.entries()) {
      const taken = this.#take(piece);
      if (taken === undefined) continue;
      if (!(taken instanceof Promise)) return taken;
      if (i === pieces.length - 1) return taken;
      return taken.then((refusal) => refusal ?? this.#takeAll(pieces.slice(i + 1)));
    }
    return undefined;
  }

  #take(chunk: Uint8Array): Taken {
    this.#scanner.push(chunk);
    if (this.#header === undefined) return this.#takeBody([chunk]);
    return this.#header.push(chunk) ? this.#endHeader() : undefined;
  }

  #takeBody(chunks: readonly Uint8Array[]): Taken {
    for (const chunk of chunks) this.#inspection?.body(chunk);
    return this.#put(chunks);
  }

  #endHeader(): Taken {
    const { section, rest } = (this.#header as HeaderReader).finish();
    this.#header = undefined;
    const refusal = this.#judge(section);
    if (refusal !== undefined) return refusal;
    const kept = this.#submission ? this.#mended(section) : [section.whole];
    const seen = this.#inspection?.header(section, kept) ?? kept;
    return seen instanceof Promise ? seen.then((given) => this.#keep(given, rest)) : this.#keep(seen, rest);
  }

  #keep(header: readonly Uint8Array[] | Refusal, rest: readonly Uint8Array[]): Taken {
    if (isRefusal(header)) return header;
    const put = this.#put([this.#received(), ...header]);
    return this.#takeBody(rest) ?? put;
  }

  /** Writes the chunks; the last promise is the one that counts, for the sink waits for all before it. */
  #put(chunks: readonly Uint8Array[]): Promise<undefined> | undefined {
    let pending: Promise<void> | undefined;
    for (const chunk of chunks) pending = this.#sink?.write(chunk) ?? pending;
    return pending?.then(() => undefined);
  }

  #judge(section: HeaderSection): Refusal | undefined {
    const hops = section.count("received");
    if (hops >= this.#options.maxReceived) {
      return refuse(reply(554, "5.4.6", "Too many hops: this message is going in a circle"), `${hops} Received fields`);
    }
    if (this.#submission && section.ending === "limit") {
      return refuse(reply(552, "5.3.4", "The header section is too long"), "header section beyond its limit");
    }
    return this.#submission ? this.#readKey(section) : undefined;
  }

  #readKey(section: HeaderSection): Refusal | undefined {
    const found = readIdempotencyKey(section);
    if (found.kind === "wrong") return refuse(reply(550, "5.6.0", found.why), found.why);
    if (found.kind === "key") this.#idempotencyKey = found.key;
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
      ...(this.mail.priority === undefined ? {} : { priority: this.mail.priority }),
      now: this.#now,
    });
  }

  /** Ends the content and hands the message over; resolves once it is safe. */
  async finish(): Promise<Finished> {
    const pieces: Uint8Array[] = [];
    this.#mender?.end(pieces);
    const refusal = (await this.#takeAll(pieces)) ?? (this.#header === undefined ? undefined : await this.#endHeader());
    if (refusal !== undefined) return refusal;
    const facts = this.#scanner.facts();
    const problem = this.#judgeContent(facts);
    if (problem !== undefined) return problem;
    const target = this.#encodingFor(facts);
    const message = target === undefined ? await this.#asItCame(facts) : await this.#encoded(facts, target);
    if ("kind" in message) return message;
    const before = await this.#intake.accept(message);
    // What was queued is not touched by this; where copies of it were, what they were made of goes.
    if (message.content.kind === "stored") this.#sink?.discard();
    if (before !== undefined) return this.#repeated(message, before);
    this.#sink = undefined;
    return { kind: "accepted", message };
  }

  #repeated(message: NewMessage, { id, recipients: before }: QueuedBefore): Finished {
    const { envelope } = message;
    if (before.length === envelope.recipients.length) {
      this.discard();
      return { kind: "repeated", message, as: id };
    }
    this.#sink = undefined;
    const recipients = envelope.recipients.filter((_, index) => !before.includes(index));
    return { kind: "accepted", message: { ...message, envelope: { ...envelope, recipients } } };
  }

  async #asItCame(facts: ContentFacts): Promise<NewMessage | Refusal> {
    const front = await this.#inspection?.end();
    if (front !== undefined && isRefusal(front)) return front;
    const content = await (this.#sink as ContentSink).finish(front);
    return this.#message(content, { ...facts, size: content.size });
  }

  /** What the content must be encoded anew for; RFC 6409 8 lets a submission be mended. */
  #encodingFor(facts: ContentFacts): "7bit" | "8bit" | undefined {
    if (!this.#submission) return undefined;
    const signed = this.#inspection?.again !== undefined;
    // RFC 6376 5.3. A server that takes SMTPUTF8 takes 8-bit content as well (RFC 6531 3.1): nobody will convert it.
    if (signed && (facts.binary || (facts.eightBit && !this.mail.smtpUtf8))) return "7bit";
    return this.#lineEnds !== "keep" && facts.longestLine > LINE_LIMIT ? "8bit" : undefined;
  }

  async #encoded(facts: ContentFacts, target: "7bit" | "8bit"): Promise<NewMessage | Refusal> {
    const content = await (this.#sink as ContentSink).finish();
    const sink = this.#intake.receive(content.size);
    const again = this.#inspection?.again?.();
    const inspected = {
      write: (chunk: Uint8Array) => {
        again?.body(chunk);
        return sink.write(chunk);
      },
      discard: () => sink.discard(),
    };
    const encoded = await reencode(content, { facts: { ...facts, size: content.size }, target }, inspected);
    if (encoded === undefined) return this.#unchanged(content, facts);
    this.#sink?.discard();
    this.#sink = sink;
    const front = await again?.end();
    if (front !== undefined && isRefusal(front)) return front;
    const whole = await sink.finish(front);
    return this.#message(whole, { ...encoded, size: whole.size });
  }

  /** What may not be encoded anew (it is signed or encrypted by its author) goes as it came, with what was to go in front of it. */
  async #unchanged(content: Content, facts: ContentFacts): Promise<NewMessage | Refusal> {
    const front = await this.#inspection?.end();
    if (front === undefined) return this.#message(content, { ...facts, size: content.size });
    if (isRefusal(front)) return front;
    const sink = this.#intake.receive(content.size);
    for await (const chunk of readContent(content)) await sink.write(chunk);
    this.#sink?.discard();
    this.#sink = sink;
    const whole = await sink.finish(front);
    return this.#message(whole, { ...facts, size: whole.size });
  }

  #judgeContent(facts: ContentFacts): Refusal | undefined {
    if (facts.binary && this.#lineEnds === "refuse") {
      return refuse(reply(550, "5.6.0", "Bare CR or LF, or NUL, in the content: lines end in CRLF"), "bare CR, LF or NUL in content");
    }
    return undefined;
  }

  #message(content: Content, facts: ContentFacts): NewMessage {
    const { size: _, hold: _hold, deliverBy: _deliverBy, priority: _priority, ...mail } = this.mail;
    // What was encoded anew needs no BINARYMIME any more.
    const body = mail.body === "BINARYMIME" && !facts.binary ? "8BITMIME" : mail.body;
    const envelope: Envelope = { ...mail, body, recipients: this.recipients, ...this.#extras() };
    const key = this.#idempotencyKey === undefined ? {} : { idempotencyKey: this.#idempotencyKey };
    return { id: this.id, envelope, content, facts, origin: this.#origin(), arrived: this.#now, ...key };
  }

  /** What MAIL asked for, in times that stay. What is held is to be there so long after its release: before it, nobody could bring it. */
  #extras(): EnvelopeExtras {
    const { hold, deliverBy, priority } = this.mail;
    const release = hold === undefined ? this.#now : hold.kind === "for" ? this.#now + hold.seconds * 1000 : Math.max(this.#now, hold.at);
    return {
      ...(priority === undefined || priority === 0 ? {} : { priority }),
      ...(hold === undefined ? {} : { holdUntil: release }),
      ...(deliverBy === undefined
        ? {}
        : { deliverBy: { at: release + deliverBy.seconds * 1000, mode: deliverBy.mode, trace: deliverBy.trace } }),
    };
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
