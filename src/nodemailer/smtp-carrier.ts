/**
 * Brings messages away by SMTP or LMTP.
 *
 * Rules
 * 1. Without `pool` each message has a connection of its own; with it, connections are kept and their number is limited.
 * 2. A message with `auth` or `dkim` of its own goes by a transport of its own, which is closed behind it.
 * 3. Nothing is tried again by itself, as in Nodemailer.
 */
import { createTransport } from "../client/node.ts";
import type { Transport } from "../client/transport.ts";
import { dial } from "../net/dial.ts";
import type { Carrier } from "./carrier.ts";
import { signerOf } from "./dkim.ts";
import { hearingEhlo } from "./ehlo-watch.ts";
import { toNodemailerError } from "./errors.ts";
import { type SmtpSentMessageInfo, smtpInfo } from "./info.ts";
import type { Log } from "./logger.ts";
import type { MailMessage } from "./mail-message.ts";
import type { SendMailOptions } from "./mail-options.ts";
import type { TokenHooks } from "./oauth2.ts";
import { type SmtpSettings, smtpSettings } from "./smtp-settings.ts";
import type { AuthOptions, SmtpOptions } from "./transport-options.ts";

export interface SmtpCarrierParts {
  readonly options: SmtpOptions;
  readonly log: Log;
  readonly hooks: TokenHooks;
  /** Another message could go at once. */
  readonly idle: () => void;
}

/** What of a message's `auth` counts: who logs in and with what, never where secrets of the transport are sent. */
const ownAuth = ["type", "user", "pass", "accessToken", "refreshToken", "expires"] as const;

export class SmtpCarrier implements Carrier<SmtpSentMessageInfo> {
  readonly name: string;
  readonly version: string;
  readonly #parts: SmtpCarrierParts;
  readonly #settings: SmtpSettings;
  readonly #transport: Transport;
  #ehlo: readonly string[] = [];
  #sending = 0;

  /** Throws a NodemailerError, ECONFIG, for options that are not supported. */
  constructor(parts: SmtpCarrierParts, version: string) {
    this.#parts = parts;
    this.#settings = smtpSettings(parts.options, parts.hooks);
    this.name = this.#settings.pooled ? "SMTP (pool)" : "SMTP";
    this.version = version;
    this.#transport = this.#open(this.#settings, parts.options.dkim);
  }

  async send(mail: MailMessage): Promise<SmtpSentMessageInfo> {
    this.#sending++;
    try {
      const message = await mail.outgoing();
      const own = this.#ownTransport(mail.data);
      try {
        const info = await this.#sendBy(own ?? this.#transport, message, mail.data.signal);
        // What plugins have changed goes as a stream, in which the id is not looked for.
        if (info.messageId === "" && mail.message !== null) info.messageId = mail.message.messageId();
        return info;
      } finally {
        await own?.close();
      }
    } catch (error) {
      throw toNodemailerError(error, this.#settings.context);
    } finally {
      this.#sending--;
      if (this.#settings.pooled) this.#parts.idle();
    }
  }

  async verify(): Promise<void> {
    try {
      await this.#transport.verify();
    } catch (error) {
      throw toNodemailerError(error, this.#settings.context);
    }
  }

  /** Without a pool there is nothing to close, and messages can still be sent. */
  close(): void {
    if (this.#settings.pooled) this.#transport.close().catch((error: Error) => this.#parts.log.error("pool", error));
  }

  isIdle(): boolean {
    return this.#sending < this.#settings.maxConnections;
  }

  async #sendBy(transport: Transport, message: Awaited<ReturnType<MailMessage["outgoing"]>>, signal: AbortSignal | undefined) {
    const began = performance.now();
    let contentBegan: number | undefined;
    let size = 0;
    const result = await transport.send(message, {
      ...(signal === undefined ? {} : { signal }),
      progress: (sent) => {
        contentBegan ??= performance.now();
        size = sent;
      },
    });
    const ended = performance.now();
    const middle = contentBegan ?? ended;
    const measured = {
      ehlo: this.#ehlo,
      size: result.size ?? size,
      envelopeTime: Math.round(middle - began),
      messageTime: Math.round(ended - middle),
    };
    return smtpInfo(result, measured);
  }

  #ownTransport({ auth, dkim }: SendMailOptions): Transport | undefined {
    const { options, hooks } = this.#parts;
    if (auth === undefined && (dkim === undefined || dkim === options.dkim)) return undefined;
    const given =
      auth === undefined ? {} : Object.fromEntries(ownAuth.filter((name) => Object.hasOwn(auth, name)).map((name) => [name, auth[name]]));
    const merged: AuthOptions | undefined = auth === undefined ? options.auth : { ...options.auth, ...given };
    return this.#open(smtpSettings(options, hooks, merged), dkim ?? options.dkim);
  }

  #open({ transport }: SmtpSettings, dkim: SmtpOptions["dkim"]): Transport {
    const { options, log } = this.#parts;
    const shows = log.on && (options.debug === true || options.transactionLog === true);
    return createTransport({
      ...transport,
      dial: hearingEhlo(dial, (lines) => {
        this.#ehlo = lines;
      }),
      ...(dkim === undefined ? {} : { sign: signerOf(dkim) }),
      ...(shows ? { transcript: log.transcript } : {}),
    });
  }
}
