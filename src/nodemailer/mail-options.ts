/**
 * A message as Nodemailer's `sendMail` takes it: the names and shapes of its options.
 *
 * Rules
 * 1. Types alone. What a field becomes stands in draft.ts; what is not taken over is not here, and is refused there.
 */
import type { Readable } from "node:stream";
import type { Source } from "../message/draft.ts";
import type { AuthOptions, DkimOptions } from "./transport-options.ts";

/** A mailbox with its name apart, or a group, of which the mailboxes alone are written. */
export interface Address {
  name?: string | undefined;
  address?: string | undefined;
  group?: Address[] | undefined;
}

/** A list as a header has it, a mailbox, or any of these in arrays. */
export type AddressLike = string | Address | readonly AddressLike[];

/** Where a content is, instead of the content. */
export interface ContentPlace {
  /** A file, a `data:` URI or, with `allowUrlAccess`, an http or https URL. */
  path?: string | false | undefined;
  /** An http or https URL, with `allowUrlAccess`; or a `data:` URI. */
  href?: string | false | undefined;
  httpHeaders?: Record<string, string> | undefined;
}

/** A content, or its place. */
export type ContentValue = string | Uint8Array | Readable | Source | ContentPlace | null | undefined;
export type ContentLike = ContentValue | Promise<ContentValue>;

/** A part by its fields: what `text`, `html`, `amp`, `watchHtml`, `icalEvent`, `alternatives` and `attachments` may be. */
export interface Part extends ContentPlace {
  content?: ContentLike;
  /** How a string `content` holds octets, such as "base64", "hex" or "binary". */
  encoding?: BufferEncoding | "binary" | string | undefined;
  /** A whole MIME part, its header included. */
  raw?: ContentLike;
  contentType?: string | undefined;
  contentTransferEncoding?: string | false | undefined;
  /** False: none. */
  filename?: string | false | undefined;
  headers?: Headers | undefined;
}

export interface Attachment extends Part {
  contentDisposition?: "attachment" | "inline" | string | undefined;
  /** Without angle brackets; the HTML shows it as `cid:...`. */
  cid?: string | undefined;
}

export interface IcalEvent extends Part {
  /** PUBLISH where absent. */
  method?: string | undefined;
}

export type TextLike = ContentLike | Part | Promise<Part>;

/** `prepared`: written as it is. */
export type HeaderValue =
  | string
  | number
  | boolean
  | Date
  | { prepared?: boolean | undefined; foldLines?: boolean | undefined; value: string };
export type Headers =
  | Record<string, HeaderValue | readonly HeaderValue[] | null | undefined>
  | readonly { key: string; value: HeaderValue | readonly HeaderValue[] }[];

export type ListEntry = string | { url: string; comment?: string | undefined } | false | null;

/** By what follows "List-", such as `unsubscribe`. */
export type ListHeaders = Record<string, ListEntry | readonly (ListEntry | readonly ListEntry[])[]>;

export interface Envelope {
  /** Where bounces go; false or "": nowhere, `MAIL FROM:<>`. */
  from?: AddressLike | false | null | undefined;
  to?: AddressLike | undefined;
  cc?: AddressLike | undefined;
  bcc?: AddressLike | undefined;
}

/** RFC 3461. */
export interface Dsn {
  id?: string | null | undefined;
  envid?: string | null | undefined;
  return?: "headers" | "full" | string | null | undefined;
  ret?: "HDRS" | "FULL" | string | null | undefined;
  notify?: string | readonly string[] | null | undefined;
  /** Each recipient's own address is sent; this is not looked at. */
  recipient?: string | null | undefined;
  orcpt?: string | null | undefined;
}

export interface SendMailOptions {
  from?: AddressLike | undefined;
  sender?: AddressLike | undefined;
  to?: AddressLike | undefined;
  cc?: AddressLike | undefined;
  bcc?: AddressLike | undefined;
  replyTo?: AddressLike | undefined;
  inReplyTo?: string | Address | undefined;
  references?: string | readonly string[] | undefined;
  subject?: string | undefined;
  text?: TextLike;
  html?: TextLike;
  watchHtml?: TextLike;
  amp?: TextLike;
  icalEvent?: ContentLike | IcalEvent;
  attachments?: readonly Attachment[] | undefined;
  alternatives?: readonly Part[] | undefined;
  envelope?: Envelope | undefined;
  /** With or without angle brackets. */
  messageId?: string | undefined;
  date?: Date | string | number | undefined;
  /** Of the texts: "quoted-printable" or "base64". */
  encoding?: string | undefined;
  /** A message that is there already; `envelope` says from whom and to whom where its header does not. */
  raw?: ContentLike;
  /** Of words in the header; both kinds mean the same, and the shorter one is written. */
  textEncoding?: string | undefined;
  headers?: Headers | undefined;
  list?: ListHeaders | undefined;
  priority?: "high" | "normal" | "low" | string | undefined;
  xMailer?: string | false | undefined;
  /** `data:` images of the HTML become attachments. */
  attachDataUrls?: boolean | undefined;
  dkim?: DkimOptions | undefined;
  dsn?: Dsn | undefined;
  /** As whom to log in for this message. */
  auth?: AuthOptions | undefined;
  normalizeHeaderKey?: ((key: string, value: string) => string) | undefined;
  disableFileAccess?: boolean | undefined;
  disableUrlAccess?: boolean | undefined;
  maxRecipients?: number | undefined;
  signal?: AbortSignal | undefined;
  /** What else Nodemailer knows, or a plugin reads. */
  [key: string]: unknown;
}
