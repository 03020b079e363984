/**
 * Makes a message of its fields, texts and attachments.
 *
 * Rules
 * 1. Everything is checked before anything is made: a CR, LF or other control in what goes into a header throws a `ComposeError`.
 * 2. Bcc is in the envelope and never in the content.
 * 3. Nothing is read here, no clock, no chance: time, Message-ID and boundary are given.
 */
import type { Mailbox } from "../mail/mailbox.ts";
import { isAscii } from "../util/bytes.ts";
import { formatNamedMailbox, type NamedMailbox, parseAddressList } from "./address.ts";
import { foldField, unstructuredField } from "./encoded-word.ts";
import { distinct } from "./envelope.ts";
import { binaryPart, type MimePart, multipart, partContent, textPart } from "./mime-part.ts";
import { formatDate } from "./trace.ts";

/** Something in the draft cannot be part of a message; `field` names it. */
export class ComposeError extends Error {
  override readonly name = "ComposeError";
  readonly field: string;

  constructor(field: string, message: string) {
    super(`${field}: ${message}`);
    this.field = field;
  }
}

/** A list as a header has it (`Ann <a@b.test>, c@d.test`), or one address with its name apart. */
export type AddressInput = string | { readonly name?: string; readonly address: string };
export type AddressInputs = AddressInput | readonly AddressInput[];

export interface Attachment {
  readonly filename?: string;
  /** `type/subtype`, with parameters if need be; `application/octet-stream` where absent. */
  readonly contentType?: string;
  readonly content: Uint8Array;
  /** Set for an image that the HTML shows as `cid:...`: without angle brackets. */
  readonly cid?: string;
}

export interface Draft {
  readonly from: AddressInputs;
  /** Needed where From has several; bounces then go to it. */
  readonly sender?: AddressInput;
  readonly to?: AddressInputs;
  readonly cc?: AddressInputs;
  readonly bcc?: AddressInputs;
  readonly replyTo?: AddressInputs;
  readonly subject?: string;
  /** Message-IDs, with or without angle brackets. */
  readonly inReplyTo?: string;
  readonly references?: readonly string[];
  /** Fields beside those that have a place of their own, in order. */
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
  readonly text?: string;
  readonly html?: string;
  readonly attachments?: readonly Attachment[];
}

export interface ComposeOptions {
  /** For Date; milliseconds since 1970 UTC. */
  readonly now: number;
  /** Minutes east of UTC that Date is written in; 0 by default. */
  readonly offset?: number;
  /** `left@right`, without angle brackets. */
  readonly messageId: string;
  /** Up to 40 letters and digits, random: parts the MIME parts. */
  readonly boundary: string;
}

export interface Composed {
  readonly from: Mailbox;
  /** To, Cc and Bcc, each once. */
  readonly to: readonly Mailbox[];
  readonly content: readonly Uint8Array[];
  /** A header holds an address whose local part is not ASCII: the envelope needs SMTPUTF8. */
  readonly smtpUtf8: boolean;
}

/** Throws a `ComposeError` for a draft that cannot be made into a message. */
export function compose(draft: Draft, options: ComposeOptions): Composed {
  const from = addresses("From", draft.from);
  const sender = draft.sender === undefined ? [] : addresses("Sender", [draft.sender]);
  const author = sender[0] ?? from[0];
  if (author === undefined || from.length === 0) throw new ComposeError("From", "an address is needed");
  // RFC 5322 3.6.2
  if (from.length > 1 && sender.length !== 1) throw new ComposeError("Sender", "one address is needed where From has several");
  const lists = { To: addresses("To", draft.to), Cc: addresses("Cc", draft.cc), Bcc: addresses("Bcc", draft.bcc) };
  const to = distinct(Object.values(lists).flatMap((list) => list.map(({ mailbox }) => mailbox)));
  if (to.length === 0) throw new ComposeError("To", "at least one recipient is needed in To, Cc or Bcc");

  const shown: [string, NamedMailbox[]][] = [
    ["From", from],
    ["Sender", sender],
    ["To", lists.To],
    ["Cc", lists.Cc],
    ["Reply-To", addresses("Reply-To", draft.replyTo)],
  ];
  let header = "";
  for (const [name, list] of shown) if (list.length > 0) header += addressField(name, list);
  header += otherFields(draft, options);
  const body = bodyPart(draft, options.boundary);
  const smtpUtf8 = shown.some(([, list]) => list.some(({ mailbox }) => !isAscii(mailbox.localPart)));
  return { from: author.mailbox, to, content: partContent(`${header}MIME-Version: 1.0\r\n`, body), smtpUtf8 };
}

function otherFields(draft: Draft, options: ComposeOptions): string {
  let header = "";
  if (draft.subject !== undefined) header += unstructuredField("Subject", checked("Subject", draft.subject));
  header += `Date: ${formatDate(options.now, options.offset)}\r\nMessage-ID: ${messageId("Message-ID", options.messageId)}\r\n`;
  if (draft.inReplyTo !== undefined) header += `In-Reply-To: ${messageId("In-Reply-To", draft.inReplyTo)}\r\n`;
  const references = (draft.references ?? []).map((id, i) => (i === 0 ? "" : " ") + messageId("References", id));
  if (references.length > 0) header += foldField("References", references);
  for (const { name, value } of draft.headers ?? []) header += customField(name, value);
  return header;
}

/** Fields that the draft has a place for, or that describe what is made here. */
const own = /^(from|sender|to|cc|bcc|reply-to|subject|date|message-id|in-reply-to|references|mime-version|content-.*|resent-bcc)$/i;

function customField(name: string, value: string): string {
  if (!/^[!-9;-~]{1,70}$/.test(name)) throw new ComposeError("headers", `${JSON.stringify(name)} is not a field name`);
  if (own.test(name)) throw new ComposeError("headers", `${name} cannot be set here`);
  return unstructuredField(name, checked(name, value));
}

function addresses(field: string, inputs: AddressInputs | undefined): NamedMailbox[] {
  if (inputs === undefined) return [];
  const list: readonly AddressInput[] = Array.isArray(inputs) ? inputs : [inputs as AddressInput];
  return list.flatMap((input) => {
    const text = checked(field, typeof input === "string" ? input : input.address);
    const parsed = parseAddressList(text);
    if (!parsed.ok) throw new ComposeError(field, parsed.error);
    if (typeof input === "string") return parsed.addresses;
    const [only] = parsed.addresses;
    if (only === undefined || parsed.addresses.length > 1) throw new ComposeError(field, `${JSON.stringify(text)} is not one address`);
    return input.name === undefined ? [only] : [{ name: checked(field, input.name).trim(), mailbox: only.mailbox }];
  });
}

function addressField(name: string, list: readonly NamedMailbox[]): string {
  const pieces: string[] = [];
  for (const [i, address] of list.entries()) {
    const words = formatNamedMailbox(address);
    if (i < list.length - 1) words[words.length - 1] += ",";
    pieces.push(...words);
  }
  return foldField(
    name,
    pieces.map((piece, i) => (i === 0 ? piece : ` ${piece}`)),
  );
}

/** The text, unless it holds a control (RFC 5322 2.2): with one a header could be forged, or a reader misled. */
function checked(field: string, text: string): string {
  if (/[\r\n]/.test(text)) throw new ComposeError(field, "holds a line break");
  if (/[\x00-\x08\x0b-\x1f\x7f]/.test(text)) throw new ComposeError(field, "holds a control character");
  return text;
}

function messageId(field: string, text: string): string {
  const id = checked(field, text.trim()).replace(/^<(.*)>$/s, "$1");
  if (!/^[!-;=?-~]{1,900}$/.test(id)) throw new ComposeError(field, `${JSON.stringify(text)} is not a Message-ID`);
  return `<${id}>`;
}

/** mixed( alternative( text, related( html, inline... ) ), attachment... ), each level only where there is something to hold together. */
function bodyPart(draft: Draft, boundary: string): MimePart {
  if (!/^[A-Za-z0-9]{1,40}$/.test(boundary)) throw new ComposeError("boundary", "up to 40 letters and digits are needed");
  const attachments = (draft.attachments ?? []).map(checkedAttachment);
  // Without HTML nothing refers to an inline image: it is an attachment like others.
  const isInline = (a: Attachment) => a.cid !== undefined && draft.html !== undefined;
  const inline = attachments.filter(isInline);
  const files = attachments.filter((a) => !isInline(a));
  const alone = attachments.length === 0 && (draft.text === undefined || draft.html === undefined);
  const parts: MimePart[] = [];
  if (draft.text !== undefined || (draft.html === undefined && files.length === 0)) parts.push(textPart("plain", draft.text ?? "", alone));
  if (draft.html !== undefined) {
    const html = textPart("html", draft.html, alone);
    const related = [html, ...inline.map((a) => attachmentPart(a, "inline"))];
    parts.push(related.length === 1 ? html : multipart("related", related, `=_r${boundary}`, [["type", "text/html"]]));
  }
  const body = parts.length > 1 ? multipart("alternative", parts, `=_a${boundary}`) : parts[0];
  if (files.length === 0 && body !== undefined) return body;
  const all = [...(body === undefined ? [] : [body]), ...files.map((a) => attachmentPart(a, "attachment"))];
  return multipart("mixed", all, `=_m${boundary}`);
}

const mediaType = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}(?:\s*;[ -~]*)?$/;

function checkedAttachment(attachment: Attachment): Attachment {
  const { filename, contentType, cid } = attachment;
  if (filename !== undefined) checked("attachments", filename);
  if (contentType !== undefined && (!mediaType.test(checked("attachments", contentType)) || contentType.length > 500)) {
    throw new ComposeError("attachments", `${JSON.stringify(contentType)} is not a media type`);
  }
  if (cid !== undefined && !/^[!-;=?-~]{1,900}$/.test(cid))
    throw new ComposeError("attachments", `${JSON.stringify(cid)} is not a Content-ID`);
  return attachment;
}

function attachmentPart(attachment: Attachment, disposition: "attachment" | "inline"): MimePart {
  return binaryPart({
    type: attachment.contentType ?? "application/octet-stream",
    disposition,
    ...(attachment.filename === undefined ? {} : { filename: attachment.filename }),
    ...(attachment.cid === undefined ? {} : { contentId: attachment.cid }),
    content: attachment.content,
  });
}
