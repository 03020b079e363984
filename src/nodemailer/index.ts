/**
 * `postrider/nodemailer`: Nodemailer's interface over this package's client, so that a project can switch by changing one import.
 *
 * `import nodemailer from "postrider/nodemailer"`; docs/nodemailer.md says what is the same, what differs and why, and what is not there.
 */
import { type Carrier, carrierOf, type TransportPlugin } from "./carrier.ts";
import { parseConnectionUrl } from "./connection-url.ts";
import { unsupported } from "./errors.ts";
import type { JsonSentMessageInfo, SentMessageInfo, SmtpSentMessageInfo, StreamSentMessageInfo } from "./info.ts";
import { JsonCarrier, StreamCarrier } from "./local-carriers.ts";
import { Log } from "./logger.ts";
import type { SendMailOptions } from "./mail-options.ts";
import type { TokenHooks } from "./oauth2.ts";
import { SmtpCarrier } from "./smtp-carrier.ts";
import { mergedOptions } from "./smtp-settings.ts";
import type { CommonOptions, JsonOptions, ProvisionCallback, SmtpOptions, StreamOptions } from "./transport-options.ts";
import { Transporter } from "./transporter.ts";

export type { TransportPlugin } from "./carrier.ts";
export { type ErrorCode, NodemailerError } from "./errors.ts";
export type { JsonSentMessageInfo, SentMessageInfo, SmtpSentMessageInfo, StreamSentMessageInfo } from "./info.ts";
export type { LoggerLike } from "./logger.ts";
export type { ComposedMessage, MailMessage } from "./mail-message.ts";
export type { Address, Attachment, Envelope, Headers, IcalEvent, ListHeaders, SendMailOptions } from "./mail-options.ts";
export type { AuthOptions, DkimOptions, JsonOptions, SmtpOptions, StreamOptions, TlsOptions } from "./transport-options.ts";
export { type PluginFunction, Transporter } from "./transporter.ts";

/** Told to who asks `transporter.version`. */
const VERSION = "0.1.0";

/**
 * A transporter. `defaults` are fields of every message that does not set them. Throws a NodemailerError, ECONFIG, for what is not supported.
 * Nothing is connected before the first message.
 */
export function createTransport(options: StreamOptions, defaults?: SendMailOptions): Transporter<StreamSentMessageInfo>;
export function createTransport(options: JsonOptions, defaults?: SendMailOptions): Transporter<JsonSentMessageInfo>;
export function createTransport<T extends SentMessageInfo>(transport: TransportPlugin<T>, defaults?: SendMailOptions): Transporter<T>;
export function createTransport(options?: SmtpOptions | string, defaults?: SendMailOptions): Transporter<SmtpSentMessageInfo>;
export function createTransport(
  given: StreamOptions | JsonOptions | TransportPlugin | SmtpOptions | string = {},
  defaults: SendMailOptions = {},
): Transporter<SentMessageInfo> {
  const options: CommonOptions & { send?: unknown } = typeof given === "string" ? parseConnectionUrl(given) : (given as CommonOptions);
  const log = new Log(options.logger);
  const made: Transporter<SentMessageInfo> = new Transporter<SentMessageInfo>({
    carrier: carrierFor(options, log, () => made),
    options: typeof options.send === "function" ? {} : options,
    defaults,
    log,
  });
  return made;
}

function carrierFor(options: CommonOptions, log: Log, transporter: () => Transporter<SentMessageInfo>): Carrier<SentMessageInfo> {
  if ("send" in options && typeof options.send === "function") return carrierOf(options as unknown as TransportPlugin);
  if ("streamTransport" in options && options.streamTransport) return new StreamCarrier(options as StreamOptions, VERSION);
  if ("jsonTransport" in options && options.jsonTransport) {
    return new JsonCarrier(options as JsonOptions, VERSION, (data) => transporter().contentsOf(data));
  }
  const smtp = options as SmtpOptions;
  if (smtp.sendmail) throw unsupported("sendmail", "send by SMTP to the server that runs on this machine");
  if (smtp.SES) throw unsupported("SES", 'use its SMTP endpoint, service: "SES"');
  const hooks: TokenHooks = {
    provision: () => transporter().get("oauth2_provision_cb") as ProvisionCallback | undefined,
    got: (token) => void transporter().emit("token", token),
  };
  return new SmtpCarrier({ options: mergedOptions(smtp), log, hooks, idle: () => transporter().tellIdle() }, VERSION);
}

/** What `import nodemailer from "nodemailer"` gives. */
export default { createTransport };
