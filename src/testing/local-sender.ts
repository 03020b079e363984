/**
 * What transports that send nothing have in common: a message is composed, fitted and signed as for a server, then kept.
 *
 * Rules
 * 1. What a `Transport` refuses before it writes anything is refused here, with the same errors.
 * 2. A message counts as sent once it is kept whole; one that fails leaves nothing.
 */

import { convertedContent } from "../client/convert-content.ts";
import type { SmtpError } from "../client/error.ts";
import { NotSupportedError } from "../client/error.ts";
import { fitMessage, fitRecipient, holdMisfit } from "../client/fit.ts";
import { type ClientMessage, type MadeMessage, messageFor } from "../client/message-input.ts";
import { failureOf } from "../client/send-failure.ts";
import type { RecipientReport, SendResult } from "../client/send-result.ts";
import type { Sender, SendOptions } from "../client/transport.ts";
import type { TransportOptions } from "../client/transport-options.ts";
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import { type DraftContent, readDraftContent, sizedContent } from "../message/draft-content.ts";
import { type Capabilities, parseCapabilities } from "../protocol/capabilities.ts";
import { isAscii } from "../util/bytes.ts";

export interface LocalSenderOptions extends Pick<TransportOptions, "defaults" | "encoding" | "sign"> {
  /** What the server that is stood in for offers, as EHLO lists it; `8BITMIME` and `SMTPUTF8` where absent. */
  readonly offers?: readonly string[];
}

/** An envelope as addresses; from "" is the null reverse-path. */
export interface KeptEnvelope {
  readonly from: string;
  readonly to: readonly string[];
}

/** A message on its way to where it is kept. */
export interface Outgoing {
  readonly envelope: KeptEnvelope;
  /** With its angle brackets; "" where there is none. */
  readonly messageId: string;
  /** The octets, once. */
  read(): AsyncIterable<Uint8Array>;
}

export abstract class LocalSender implements Sender {
  readonly #options: LocalSenderOptions;
  readonly #capabilities: Capabilities;
  /** Names where it is kept, as a server's `host:port`. */
  readonly #place: string;
  #closed = false;

  constructor(place: string, options: LocalSenderOptions = {}) {
    this.#place = place;
    this.#options = options;
    const offers = options.offers ?? ["8BITMIME", "SMTPUTF8"];
    this.#capabilities = parseCapabilities({ code: 250, text: [place, ...offers].join("\n") });
  }

  /** Keeps a message; what it throws is the failure of the message. Gives the text that stands for the server's reply. */
  protected abstract keep(message: Outgoing): Promise<string>;

  /** Rejects as a Transport's `send` does where the message cannot be made or is not for this server. */
  async send(message: ClientMessage, { signal, progress }: SendOptions = {}): Promise<SendResult> {
    if (this.#closed) throw new Error("the transport is closed");
    const began = performance.now();
    const { defaults } = this.#options;
    const made = await messageFor(defaults === undefined || "raw" in message ? message : { ...defaults, ...message }, this.#capabilities);
    if (signal?.aborted) throw signal.reason;
    const envelope = { from: made.from === null ? "" : formatMailbox(made.from), to: made.to.map(formatMailbox) };
    const { content, recipients, failure } = await this.#fit(made);
    const result = (reports: readonly RecipientReport[], size?: number): SendResult => ({
      messageId: made.messageId,
      envelope,
      ...(size === undefined ? {} : { size }),
      recipients: reports,
      elapsed: performance.now() - began,
    });
    if (content === undefined) throw this.#refused(failure as SmtpError, result(envelope.to.map((to) => this.#report(to, failure))));
    let size = 0;
    const text = await this.keep({
      envelope: { from: envelope.from, to: recipients.filter((each) => typeof each === "string") },
      messageId: made.messageId,
      async *read() {
        for await (const chunk of readDraftContent(content)) {
          if (signal?.aborted) throw signal.reason;
          size += chunk.length;
          yield chunk;
          progress?.(size);
        }
      },
    });
    const reports = envelope.to.map((to, i) => this.#report(to, typeof recipients[i] === "string" ? undefined : recipients[i], text));
    return result(reports, size);
  }

  /** Takes no more messages. */
  async close(): Promise<void> {
    this.#closed = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The content as the server can take it; each recipient, or why it cannot be one. */
  async #fit(made: MadeMessage) {
    const { encoding, sign } = this.#options;
    const offered = this.#capabilities;
    const portable = (encoding ?? (sign === undefined ? "offered" : "portable")) === "portable";
    const { content, facts } = made.write(
      portable ? {} : { eightBitMime: offered.eightBitMime, binaryMime: offered.binaryMime && offered.chunking },
    );
    const people = [...(made.from === null ? [] : [made.from]), ...made.to];
    const smtpUtf8 = facts.eightBitHeader || people.some(({ localPart }) => !isAscii(localPart));
    const body = facts.binary || facts.longestLine > 998 ? "BINARYMIME" : facts.eightBit ? "8BITMIME" : "7BIT";
    const { hold, extras } = made.transfer;
    const fit =
      holdMisfit(hold, offered) ?? fitMessage({ reversePath: made.from, body, smtpUtf8, ...extras }, facts, offered, { now: Date.now() });
    if (fit.kind === "misfit") return this.#unfit(fit);
    const recipients = made.to.map((mailbox) => this.#recipient(mailbox, fit.envelope.smtpUtf8));
    if (!recipients.some((each) => typeof each === "string"))
      return { content: undefined, recipients, failure: recipients[0] as SmtpError };
    let fitted: DraftContent = content;
    if (fit.convert !== undefined) {
      const converted = await convertedContent(sizedContent(content), facts, fit.convert);
      if (converted.kind === "impossible") return this.#unfit({ status: "5.6.3", text: converted.why });
      fitted = converted.content;
    }
    return { content: sign === undefined ? fitted : await sign(sizedContent(fitted)), recipients, failure: undefined };
  }

  #recipient(mailbox: Mailbox, smtpUtf8: boolean): string | NotSupportedError {
    const fit = fitRecipient({ mailbox }, smtpUtf8);
    return "kind" in fit ? this.#notSupported(fit) : formatMailbox(fit.mailbox);
  }

  #unfit(misfit: { readonly status: string; readonly text: string }) {
    const failure = this.#notSupported(misfit);
    return { content: undefined, recipients: [] as (string | NotSupportedError)[], failure };
  }

  #notSupported({ status, text }: { readonly status: string; readonly text: string }): NotSupportedError {
    return new NotSupportedError(this.#place, { state: "mail", why: `${text} (${status})`, lasting: "permanent", about: "protocol" });
  }

  #report(address: string, failure: SmtpError | undefined, text = ""): RecipientReport {
    const common = { address, host: this.#place, attempts: 1 };
    if (failure === undefined) return { ...common, status: "accepted", code: 250, text };
    return { ...common, status: "failed", text: failure.message, lasting: failure.lasting };
  }

  #refused(failure: SmtpError, result: SendResult): SmtpError {
    const { from: sender, to: recipients } = result.envelope;
    const error = failureOf([{ kind: "failed", error: failure }], { sender, recipients, host: this.#place, cancelled: false });
    error.result = result;
    return error;
  }
}
