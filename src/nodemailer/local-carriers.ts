/**
 * Nodemailer's transports that send nothing: `streamTransport` gives the octets, `jsonTransport` the message as JSON.
 *
 * Rules
 * 1. Bcc is in the envelope and, as everywhere here, not in the octets.
 * 2. JSON holds addresses taken apart, texts as strings, and other contents in base64.
 */
import { Transform } from "node:stream";
import { buffer } from "node:stream/consumers";
import { formatMailbox } from "../mail/mailbox.ts";
import { parseAddressList } from "../message/address.ts";
import { mediaTypeOfFile } from "../message/media-type.ts";
import { addressInputs } from "./addresses.ts";
import type { Carrier } from "./carrier.ts";
import type { Contents } from "./contents.ts";
import { toNodemailerError } from "./errors.ts";
import type { JsonSentMessageInfo, StreamSentMessageInfo } from "./info.ts";
import type { ComposedMessage, MailMessage } from "./mail-message.ts";
import type { AddressLike, ContentLike, Part, SendMailOptions } from "./mail-options.ts";
import type { JsonOptions, StreamOptions } from "./transport-options.ts";

export class StreamCarrier implements Carrier<StreamSentMessageInfo> {
  readonly name = "StreamTransport";
  readonly composes = true;
  readonly version: string;
  readonly #options: StreamOptions;

  constructor(options: StreamOptions, version: string) {
    this.#options = options;
    this.version = version;
  }

  async send(mail: MailMessage): Promise<StreamSentMessageInfo> {
    const message = mail.message as ComposedMessage;
    const common = { envelope: message.getEnvelope(), messageId: message.messageId() };
    const unix = /^(?:unix|linux|lf|\n)$/i.test(this.#options.newline ?? "");
    const octets = message.createReadStream();
    const stream = unix ? octets.pipe(withoutCr()) : octets;
    if (stream !== octets) octets.once("error", (error) => stream.destroy(error));
    if (this.#options.buffer !== true) return { ...common, message: stream };
    try {
      return { ...common, message: await buffer(stream) };
    } catch (error) {
      throw toNodemailerError(error);
    }
  }
}

/** Line ends as Unix has them: what is composed has CR before LF alone. */
function withoutCr(): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(null, Buffer.from(chunk.filter((octet) => octet !== 13)));
    },
  });
}

export class JsonCarrier implements Carrier<JsonSentMessageInfo> {
  readonly name = "JSONTransport";
  readonly composes = true;
  readonly version: string;
  readonly #options: JsonOptions;
  /** Reads the contents of a message, as its transporter allows it. */
  readonly #contentsOf: (data: SendMailOptions) => Contents;

  constructor(options: JsonOptions, version: string, contentsOf: (data: SendMailOptions) => Contents) {
    this.#options = options;
    this.version = version;
    this.#contentsOf = contentsOf;
  }

  async send(mail: MailMessage): Promise<JsonSentMessageInfo> {
    const message = mail.message as ComposedMessage;
    const envelope = message.getEnvelope();
    const messageId = message.messageId();
    const data = await jsonOf({ ...mail.data, messageId }, this.#contentsOf(mail.data));
    return { envelope, messageId, message: this.#options.skipEncoding === true ? data : JSON.stringify(data) };
  }
}

const single = ["from", "sender"] as const;
const several = ["to", "cc", "bcc", "replyTo"] as const;
const texts = ["text", "html", "watchHtml", "amp"] as const;
/** Settings that came with the message, or what a reader could do nothing with. */
const leftOut = [
  "envelope",
  "signal",
  "auth",
  "dkim",
  "disableFileAccess",
  "disableUrlAccess",
  "normalizeHeaderKey",
  "maxRecipients",
] as const;

async function jsonOf(data: SendMailOptions, contents: Contents): Promise<Record<string, unknown>> {
  const json: Record<string, unknown> = { ...data };
  for (const name of leftOut) delete json[name];
  for (const name of single) if (data[name]) json[name] = addressesOf(data[name])[0];
  for (const name of several) if (data[name]) json[name] = addressesOf(data[name]);
  for (const name of texts) if (data[name]) json[name] = await contents.text(data[name]);
  if (data.icalEvent)
    json.icalEvent = await partJson(isPart(data.icalEvent) ? data.icalEvent : { content: data.icalEvent as ContentLike }, contents);
  for (const name of ["attachments", "alternatives"] as const) {
    if (data[name]) json[name] = await Promise.all(data[name].map((part) => partJson(part, contents)));
  }
  return json;
}

function isPart(value: unknown): value is Part {
  return typeof value === "object" && value !== null && ("content" in value || "path" in value || "href" in value);
}

function addressesOf(given: AddressLike | undefined): { address: string; name: string }[] {
  return addressInputs(given).flatMap((input) => {
    if (typeof input !== "string") return [{ address: input.address, name: input.name ?? "" }];
    const list = parseAddressList(input);
    return list.ok
      ? list.addresses.map(({ name = "", mailbox }) => ({ address: formatMailbox(mailbox), name }))
      : [{ address: input, name: "" }];
  });
}

async function partJson(part: Part, contents: Contents): Promise<Record<string, unknown>> {
  const { path, href, httpHeaders, ...given } = part;
  const named = part.filename || path || href || "";
  const rest = { ...given, ...(part.contentType === undefined && named !== "" ? { contentType: mediaTypeOfFile(named) } : {}) };
  if (typeof part.content === "string") return { ...rest };
  const octets = await contents.octets(path || href ? { path, href, httpHeaders } : (part.content ?? part.raw), part.encoding);
  return { ...rest, content: Buffer.from(octets).toString("base64"), encoding: "base64" };
}
