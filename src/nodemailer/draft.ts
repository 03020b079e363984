/**
 * A message in Nodemailer's shape as a draft of ours.
 *
 * Rules
 * 1. Nothing is read before it is sent but texts, and what has to be known before: a file's size.
 * 2. What cannot be taken over throws; nothing is left out in silence.
 * 3. Message-ID and date are set here, so that whoever asks before the message is composed hears what it will have.
 */
import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import type { ClientMessage, DsnInput } from "../client/message-input.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import { parseAddressList } from "../message/address.ts";
import type {
  AddressInput,
  Alternative,
  CalendarEvent,
  Draft,
  Attachment as DraftAttachment,
  EnvelopeInput,
  RawDraft,
  Source,
  TransferEncoding,
} from "../message/draft.ts";
import { extensionOf, mediaTypeOfFile } from "../message/media-type.ts";
import { addressInputs } from "./addresses.ts";
import { type Contents, isPlace } from "./contents.ts";
import { NodemailerError, unsupported } from "./errors.ts";
import { type Field, readHeaders, readList } from "./headers.ts";
import type {
  Address,
  AddressLike,
  Attachment,
  ContentLike,
  Dsn,
  Envelope,
  IcalEvent,
  Part,
  SendMailOptions,
  TextLike,
} from "./mail-options.ts";

/** The draft of a message. Rejects with a NodemailerError. */
export async function draftOf(data: SendMailOptions, contents: Contents): Promise<ClientMessage> {
  if (data.requireTLSExtensionEnabled === true) throw unsupported("REQUIRETLS (requireTLSExtensionEnabled)");
  if (data.otp !== undefined && data.otp !== null) throw unsupported("otp");
  const envelope = envelopeOf(data.envelope, data);
  const dsn = dsnOf(data.dsn);
  const common = { ...(envelope === undefined ? {} : { envelope }), ...(dsn === undefined ? {} : { dsn }) };
  if (data.raw !== undefined && data.raw !== null) return { ...(await rawOf(data.raw, data, contents)), ...common };
  return { ...(await draftFields(data, contents)), ...common };
}

/** A stream has no header that could be read before: the addresses of the message then make the envelope. */
async function rawOf(raw: ContentLike, data: SendMailOptions, contents: Contents): Promise<RawDraft> {
  const source = await contents.source(raw);
  const [from] = [...addressInputs(data.sender), ...addressInputs(data.from)];
  const to = [...addressInputs(data.to), ...addressInputs(data.cc), ...addressInputs(data.bcc)];
  const envelope = { ...(from === undefined ? {} : { from }), ...(to.length === 0 ? {} : { to }) };
  return { raw: source, ...(Object.keys(envelope).length === 0 ? {} : { envelope }) };
}

async function draftFields(given: SendMailOptions, contents: Contents): Promise<Draft> {
  const { fields, placed } = readHeaders(given.headers, given.normalizeHeaderKey);
  const data: SendMailOptions = { ...placed, ...withoutEmpty(given) };
  const { list, fields: listFields } = readList(data.list);
  const from = authorsOf(data.from);
  const [sender] = addressInputs(data.sender);
  const messageId = data.messageId ?? `<${randomUUID()}@${domainOf(from[0])}>`;
  const inReplyTo = typeof data.inReplyTo === "object" ? (data.inReplyTo as Address).address : data.inReplyTo;
  const headers: Field[] = [...fields, ...listFields];
  if (typeof data.xMailer === "string" && data.xMailer !== "") headers.push({ name: "X-Mailer", value: data.xMailer });
  return {
    from,
    // RFC 5322 3.6.2: several authors need one sender.
    ...(sender !== undefined ? { sender } : from.length > 1 && from[0] !== undefined ? { sender: from[0] } : {}),
    to: addressInputs(data.to),
    cc: addressInputs(data.cc),
    bcc: addressInputs(data.bcc),
    replyTo: addressInputs(data.replyTo),
    messageId,
    ...(data.subject === undefined ? {} : { subject: String(data.subject) }),
    ...(data.date === undefined ? {} : { date: dateOf(data.date) }),
    ...(inReplyTo === undefined || inReplyTo === "" ? {} : { inReplyTo }),
    ...(data.references === undefined ? {} : { references: data.references }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(list === undefined ? {} : { list }),
    ...(isPriority(data.priority) ? { priority: data.priority.toLowerCase() as "high" | "low" } : {}),
    ...(data.attachDataUrls === true ? { attachDataUris: true } : {}),
    ...(data.encoding === "base64" || data.encoding === "quoted-printable" ? { textEncoding: data.encoding } : {}),
    ...(await bodiesOf(data, contents)),
  };
}

function withoutEmpty(data: SendMailOptions): SendMailOptions {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined && value !== null && value !== ""));
}

function isPriority(value: string | undefined): value is string {
  return /^(?:high|low)$/i.test(value ?? "");
}

function domainOf(input: unknown): string {
  const address = typeof input === "string" ? input : ((input as Address | undefined)?.address ?? "");
  return /@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)[>\s]*$/.exec(address.slice(-260))?.[1] ?? "localhost";
}

function dateOf(given: Date | string | number): Date {
  const date = new Date(given);
  if (Number.isNaN(date.getTime())) throw new NodemailerError("EMESSAGE", `date: ${JSON.stringify(given)} is no date`, { command: "API" });
  return date;
}

async function bodiesOf(data: SendMailOptions, contents: Contents): Promise<Partial<Draft>> {
  const text = await bodyText(data.text, contents);
  const html = await bodyText(data.html, contents);
  const amp = await bodyText(data.amp, contents);
  const watch = await bodyText(data.watchHtml, contents);
  const alternatives: Alternative[] = watch === undefined ? [] : [{ contentType: "text/watch-html; charset=utf-8", content: watch }];
  for (const part of listOf(data.alternatives)) alternatives.push(await alternativeOf(part, contents, data));
  const attachments: DraftAttachment[] = [];
  for (const [i, attachment] of listOf(data.attachments).entries()) attachments.push(await attachmentOf(attachment, i, contents, data));
  const calendar = data.icalEvent === undefined ? undefined : await calendarOf(data.icalEvent, contents);
  return {
    ...(text === undefined ? {} : { text }),
    ...(html === undefined ? {} : { html }),
    ...(amp === undefined ? {} : { amp }),
    ...(calendar === undefined ? {} : { calendar }),
    ...(alternatives.length === 0 ? {} : { alternatives }),
    ...(attachments.length === 0 ? {} : { attachments }),
  };
}

/** Programs without types give one instead of a list. */
function listOf<T>(given: readonly T[] | T | null | undefined): readonly T[] {
  return given === undefined || given === null ? [] : Array.isArray(given) ? given : [given as T];
}

async function bodyText(value: TextLike, contents: Contents): Promise<string | undefined> {
  const given = await value;
  if (isPart(given) && (given as Part).raw !== undefined) throw unsupported("a text, HTML or AMP part given as raw");
  return contents.text(given as TextLike);
}

function isPart(value: unknown): boolean {
  return typeof value === "object" && value !== null && !(value instanceof Uint8Array) && !(Symbol.asyncIterator in value);
}

async function alternativeOf(part: Part, contents: Contents, data: SendMailOptions): Promise<Alternative> {
  if (part.raw !== undefined) throw unsupported("an alternative given as raw");
  const named = part.filename || part.path || part.href || "";
  const contentType = part.contentType ?? (named === "" ? "text/plain" : mediaTypeOfFile(named.split("?")[0] as string));
  return { contentType, content: await partContent(part, contents), ...partFields(part, data) };
}

async function partContent(part: Part, contents: Contents): Promise<Source> {
  return isPlace(part) ? contents.place(part) : contents.source(part.content, part.encoding);
}

function partFields(part: Part, data: SendMailOptions): Pick<Alternative, "headers" | "contentTransferEncoding"> {
  const { fields } = readHeaders(part.headers, data.normalizeHeaderKey);
  const encoding = part.contentTransferEncoding;
  return {
    ...(fields.length === 0 ? {} : { headers: fields }),
    ...(typeof encoding === "string" ? { contentTransferEncoding: encoding.toLowerCase() as TransferEncoding } : {}),
  };
}

async function attachmentOf(attachment: Attachment, index: number, contents: Contents, data: SendMailOptions): Promise<DraftAttachment> {
  const { cid, contentDisposition } = attachment;
  if (attachment.raw !== undefined && attachment.raw !== null) {
    return { raw: await contents.source(attachment.raw), ...(cid === undefined ? {} : { cid }) };
  }
  const where = attachment.path || attachment.href || "";
  const isData = /^data:/i.test(where);
  const contentType = attachment.contentType ?? (isData ? undefined : mediaTypeOfFile(attachment.filename || where.split("?")[0] || ""));
  const filename = filenameOf(attachment, isData ? "" : where, contentType, index);
  const isMessage = /^message\//i.test(contentType ?? "");
  const disposition = contentDisposition ?? (isMessage ? "inline" : undefined);
  return {
    ...(filename === undefined ? {} : { filename }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(cid === undefined || cid === "" ? {} : { cid }),
    ...(disposition === undefined ? {} : { contentDisposition: disposition as "attachment" | "inline" }),
    ...(isData ? { dataUri: where } : { content: await partContent(attachment, contents) }),
    // As Nodemailer has it: octets come through every reader as they were, also where they could stand as they are.
    ...(isMessage ? {} : { contentTransferEncoding: "base64" }),
    ...partFields(attachment, data),
  };
}

/** As Nodemailer names what has no name: after its path, else by its number. */
function filenameOf({ filename }: Attachment, where: string, contentType: string | undefined, index: number): string | undefined {
  if (filename === false) return undefined;
  if (filename !== undefined && filename !== "") return filename;
  if (/^message\//i.test(contentType ?? "")) return undefined;
  const name = basename((where.split("?")[0] ?? "").replaceAll("\\", "/")) || `attachment-${index + 1}`;
  const type = (contentType ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  return name.includes(".") ? name : `${name}.${extensionOf(type)}`;
}

async function calendarOf(given: ContentLike | IcalEvent, contents: Contents): Promise<CalendarEvent> {
  const value = await given;
  const event: IcalEvent = isPart(value) ? (value as IcalEvent) : { content: value as ContentLike };
  if (event.raw !== undefined) throw unsupported("icalEvent given as raw");
  const content = isPlace(event) ? await contents.octets(event) : await contents.octets(event.content, event.encoding);
  return {
    content,
    ...(event.method === undefined ? { method: "PUBLISH" } : { method: event.method }),
    ...(event.filename === undefined ? {} : { filename: event.filename }),
  };
}

/** The addresses of From, each by itself. */
function authorsOf(given: AddressLike | undefined): AddressInput[] {
  return addressInputs(given).flatMap((input) => {
    const list = typeof input === "string" && input.includes(",") ? parseAddressList(input) : undefined;
    if (list?.ok !== true) return [input];
    return list.addresses.map(({ name, mailbox }) => ({ ...(name === undefined ? {} : { name }), address: formatMailbox(mailbox) }));
  });
}

/** As in Nodemailer, bounces go to the first of From, even where there is a Sender. */
function envelopeOf(given: Envelope | undefined, { from: author, sender, raw }: SendMailOptions): EnvelopeInput | undefined {
  if (given === undefined || given === null) {
    const [first] = raw === undefined && sender !== undefined ? authorsOf(author) : [];
    return first === undefined ? undefined : { from: first };
  }
  const [from] = addressInputs(given.from);
  const to = [...addressInputs(given.to), ...addressInputs(given.cc), ...addressInputs(given.bcc)];
  const nobody = "from" in given && given.from !== undefined && from === undefined;
  return { ...(nobody ? { from: null } : from === undefined ? {} : { from }), ...(to.length === 0 ? {} : { to }) };
}

function dsnOf(given: Dsn | undefined): DsnInput | undefined {
  if (given === undefined || given === null) return undefined;
  const ret = given.ret ?? given.return;
  const id = given.envid ?? given.id;
  const notify = notifyOf(given.notify);
  return {
    ...(notify === undefined ? {} : { notify }),
    ...(typeof ret === "string" && ret !== "" ? { ret: returned(ret) } : {}),
    ...(typeof id === "string" && id !== "" ? { envelopeId: id } : {}),
  };
}

function returned(text: string): "full" | "headers" {
  if (/^(?:hdrs|headers)$/i.test(text)) return "headers";
  if (/^(?:full|body)$/i.test(text)) return "full";
  throw new NodemailerError("EENVELOPE", `dsn: ${JSON.stringify(text)} is neither headers nor full`, { command: "API" });
}

function notifyOf(given: Dsn["notify"]): DsnInput["notify"] | undefined {
  if (given === undefined || given === null || given.length === 0) return undefined;
  const words = (typeof given === "string" ? given.split(",") : given).map((word) => word.trim().toLowerCase());
  if (words.includes("never") && words.length === 1) return "never";
  const wrong = words.find((word) => word !== "success" && word !== "failure" && word !== "delay");
  if (wrong !== undefined)
    throw new NodemailerError("EENVELOPE", `dsn: notify ${JSON.stringify(wrong)} is not known, or not alone`, { command: "API" });
  return words as ("success" | "failure" | "delay")[];
}
