/**
 * The body of a draft as a tree of MIME parts:
 * mixed( alternative( text, AMP, related( HTML, inline... ), calendar, others... ), attachment... ), each level only where there is something to hold together.
 *
 * Rules
 * 1. Each text, name and identifier is checked before anything is encoded.
 * 2. A boundary stands in no part: it is random, and what goes as it is is searched for it all the same.
 */
import { utf8 } from "../util/bytes.ts";
import { ComposeError, checkedString, checkedText, shown } from "./compose-error.ts";
import { attachDataImages, decodeDataUri } from "./data-uri.ts";
import type { Accepted, Alternative, Attachment, CalendarEvent, Draft, HeaderInputs, Source, StringEncoding } from "./draft.ts";
import { otherFields } from "./fields.ts";
import { flowText } from "./flowed.ts";
import { mediaTypeOfFile, readMediaType } from "./media-type.ts";
import { filePart, type MimePart, multipart, type TextPart, textPart, withCrlf } from "./mime-part.ts";
import { rawPart } from "./raw-message.ts";
import { type Read, readSource } from "./source.ts";

export interface BodyOptions {
  /** Letters and digits, random. */
  readonly boundary: string;
  /** The right side of Content-IDs that are made here. */
  readonly domain: string;
  readonly accept: Accepted;
  readonly normalize: boolean;
}

/** Attachments of one message. */
export const ATTACHMENT_LIMIT = 1000;
/** Characters of a file's name. */
export const FILENAME_LIMIT = 1024;
/** Octets of a Content-ID: with its brackets it stays on a line. */
export const CONTENT_ID_LIMIT = 900;

/** Throws a `ComposeError` for what cannot be part of a message. */
export function bodyPart(draft: Draft, options: BodyOptions): MimePart {
  if (!/^[A-Za-z0-9]{1,40}$/.test(options.boundary)) throw new ComposeError("boundary", "up to 40 letters and digits are needed");
  const boundary = `=_${options.boundary}`;
  const { html, inline, files } = partsOf(draft, options);
  const alone = files.length === 0 && inline.length === 0 && draft.calendar === undefined && (draft.alternatives ?? []).length === 0;
  const onlyText = alone && [draft.text, draft.amp, html].filter((text) => text !== undefined).length <= 1;
  const forms = formsOf(draft, html, inline, onlyText, options);
  for (const part of [...forms, ...inline, ...files]) checkBoundary(part, boundary);
  const body = forms.length > 1 ? multipart("alternative", forms, `${boundary}a`) : forms[0];
  if (files.length === 0 && body !== undefined) return body;
  const all = body === undefined ? files : [body, ...files];
  return all.length === 1 && all[0]?.whole !== true ? (all[0] as MimePart) : multipart("mixed", all, `${boundary}m`);
}

interface Parts {
  readonly html: string | undefined;
  /** What the HTML shows. */
  readonly inline: readonly MimePart[];
  readonly files: readonly MimePart[];
}

function partsOf(draft: Draft, options: BodyOptions): Parts {
  const html = draft.html === undefined ? undefined : checkedString("html", draft.html);
  const images =
    html !== undefined && draft.attachDataUris === true ? attachDataImages(html, `${options.boundary}@${options.domain}`) : undefined;
  const attachments = [...(draft.attachments ?? []), ...(images?.attachments ?? [])];
  if (attachments.length > ATTACHMENT_LIMIT) throw new ComposeError("attachments", `there are more than ${ATTACHMENT_LIMIT}`);
  const inline: MimePart[] = [];
  const files: MimePart[] = [];
  for (const attachment of attachments) {
    // Without HTML nothing refers to an inline image: it is an attachment like others.
    const isInline = attachment.cid !== undefined && html !== undefined;
    (isInline ? inline : files).push(attachmentPart(attachment, isInline ? "inline" : "attachment", options));
  }
  const { calendar } = draft;
  if (calendar !== undefined && calendar.filename !== false) files.push(calendarFile(calendar, options));
  return { html: images?.html ?? html, inline, files };
}

/** Text, AMP, HTML, calendar and others: the least first (RFC 2046 5.1.4). */
function formsOf(draft: Draft, html: string | undefined, inline: readonly MimePart[], alone: boolean, options: BodyOptions): MimePart[] {
  const { amp, calendar, textEncoding: encoding } = draft;
  const others = draft.alternatives ?? [];
  const nothing = html === undefined && amp === undefined && calendar === undefined && others.length === 0;
  const forms: MimePart[] = [];
  const add = (part: TextPart) => forms.push(textPart(part, options.accept));
  if (encoding !== undefined && encoding !== "base64" && encoding !== "quoted-printable") {
    throw new ComposeError("textEncoding", `${shown(String(encoding))} is neither quoted-printable nor base64`);
  }
  const hasFiles = (draft.attachments ?? []).length > 0;
  if (draft.text !== undefined || (nothing && !hasFiles)) add({ ...plainText(draft), alone, encoding });
  if (amp !== undefined) add({ type: "text/x-amp-html", text: checkedString("amp", amp), alone, encoding });
  if (html !== undefined) {
    const part = textPart({ type: "text/html", text: html, alone, encoding }, options.accept);
    checkBoundary(part, `=_${options.boundary}`);
    const related = () => multipart("related", [part, ...inline], `=_${options.boundary}r`, [["type", "text/html"]]);
    forms.push(inline.length === 0 ? part : related());
  }
  if (calendar !== undefined) add({ ...calendarText(calendar), encoding });
  for (const alternative of others) forms.push(alternativePart(alternative, options));
  return forms;
}

function plainText({ text, format }: Draft): TextPart {
  const plain = text === undefined ? "" : checkedString("text", text);
  switch (format) {
    case undefined:
    case "fixed":
      return { type: "text/plain", text: plain };
    case "flowed":
      return { type: "text/plain", text: flowText(plain), parameters: [["format", "flowed"]] };
    case "flowed-delsp": {
      const parameters = [
        ["format", "flowed"],
        ["delsp", "yes"],
      ] as const;
      return { type: "text/plain", text: flowText(plain, true), parameters };
    }
    default:
      throw new ComposeError("format", `${shown(String(format))} is not fixed, flowed or flowed-delsp`);
  }
}

function calendarContent({ content }: CalendarEvent): string {
  if (typeof content === "string") return content;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch (cause) {
    throw new ComposeError("calendar", "its content is not UTF-8", { cause });
  }
}

/** RFC 6047 2.4: the parameter says what the content's METHOD says. */
function calendarText(calendar: CalendarEvent): TextPart {
  const text = calendarContent(calendar);
  const given = calendar.method ?? /^METHOD:([A-Za-z-]{1,40})\s*$/m.exec(text)?.[1] ?? "PUBLISH";
  const method = checkedText("calendar", checkedString("calendar", given)).trim().toUpperCase();
  if (!/^[A-Z0-9-]{1,40}$/.test(method)) throw new ComposeError("calendar", `${shown(given)} is not a method`);
  return { type: "text/calendar", text, parameters: [["method", method]] };
}

function calendarFile(calendar: CalendarEvent, options: BodyOptions): MimePart {
  const filename = calendar.filename === undefined || calendar.filename === false ? "invite.ics" : calendar.filename;
  return filePart(
    {
      field: "calendar",
      type: { type: "application/ics", parameters: [] },
      disposition: "attachment",
      filename: checkedFilename("calendar", filename),
      content: { kind: "bytes", bytes: utf8(withCrlf(calendarContent(calendar))) },
    },
    options.accept,
  );
}

function alternativePart(alternative: Alternative, options: BodyOptions): MimePart {
  const field = "alternatives";
  const { content, encoding, contentTransferEncoding } = alternative;
  const type = readMediaType(field, checkedString(field, alternative.contentType));
  const header = partFields(field, alternative.headers, options);
  const isText = typeof content === "string" && (encoding === undefined || encoding === "utf-8") && type.type.startsWith("text/");
  const free =
    contentTransferEncoding === undefined || contentTransferEncoding === "base64" || contentTransferEncoding === "quoted-printable";
  if (isText && free) {
    const parameters = type.parameters.filter(([name]) => name !== "charset");
    return textPart({ type: type.type, text: content, parameters, encoding: contentTransferEncoding, header }, options.accept);
  }
  return filePart(
    { field, type, content: readContent(field, content, encoding), encoding: contentTransferEncoding, header },
    options.accept,
  );
}

function attachmentPart(attachment: Attachment, disposition: "attachment" | "inline", options: BodyOptions): MimePart {
  const field = "attachments";
  if (attachment.raw !== undefined) return rawPart(field, readContent(field, attachment.raw), options.accept);
  const { filename, cid, contentDisposition } = attachment;
  if (cid !== undefined && (!/^[!-;=?-~]+$/.test(checkedString(field, cid)) || cid.length > CONTENT_ID_LIMIT)) {
    throw new ComposeError(field, `${shown(cid)} is not a Content-ID`);
  }
  if (contentDisposition !== undefined && contentDisposition !== "attachment" && contentDisposition !== "inline") {
    throw new ComposeError(field, `${shown(String(contentDisposition))} is neither attachment nor inline`);
  }
  const name = filename === undefined ? undefined : checkedFilename(field, filename);
  const data = attachment.dataUri === undefined ? undefined : decodeDataUri(checkedString(field, attachment.dataUri), field);
  const source = data?.content ?? attachment.content;
  if (source === undefined) throw new ComposeError(field, `${name === undefined ? "one" : shown(name)} has no content`);
  const given = attachment.contentType ?? data?.contentType;
  const type = readMediaType(field, given === undefined ? mediaTypeOfFile(name ?? "") : checkedString(field, given));
  // A string is known to be UTF-8: without a charset a text would be taken for ASCII (RFC 2046 4.1.2).
  const isUtf8 = typeof source === "string" && (attachment.encoding === undefined || attachment.encoding === "utf-8");
  const lacksCharset = isUtf8 && type.type.startsWith("text/") && type.parameters.every(([key]) => key !== "charset");
  return filePart(
    {
      field,
      type: lacksCharset ? { type: type.type, parameters: [...type.parameters, ["charset", "utf-8"]] } : type,
      disposition: contentDisposition ?? disposition,
      filename: name,
      contentId: cid,
      content: readContent(field, source, attachment.encoding),
      encoding: attachment.contentTransferEncoding,
      header: partFields(field, attachment.headers, options),
    },
    options.accept,
  );
}

function readContent(field: string, source: Source, encoding?: StringEncoding): Read {
  return readSource(field, source, encoding);
}

function checkedFilename(field: string, filename: string): string {
  const name = checkedText(field, checkedString(field, filename));
  if (name.length > FILENAME_LIMIT) throw new ComposeError(field, `${shown(name)} is longer than ${FILENAME_LIMIT} characters`);
  return name;
}

const ownOfPart: ReadonlySet<string> = new Set([
  "content-type",
  "content-transfer-encoding",
  "content-disposition",
  "content-id",
  "mime-version",
]);

function partFields(property: string, headers: HeaderInputs | undefined, { normalize }: BodyOptions): string {
  return otherFields(headers, { property, taken: (name) => ownOfPart.has(name), style: "ascii", normalize });
}

/** Encoded bodies cannot hold a boundary: "=_" stands in neither base64 nor quoted-printable. */
function checkBoundary(part: MimePart, boundary: string): void {
  if (part.whole !== true && part.header.includes("Content-Transfer-Encoding: ") && part.domain === "7bit") return;
  for (const piece of part.body) {
    const found =
      typeof piece === "string"
        ? part.body.length === 1 && piece.includes(boundary)
        : piece instanceof Uint8Array && holds(piece, boundary);
    if (found) throw new ComposeError("boundary", "stands in a part: give another");
  }
}

function holds(bytes: Uint8Array, text: string): boolean {
  if (typeof Buffer !== "undefined") return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(text, 0, "latin1");
  const first = text.charCodeAt(0);
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let k = 1;
    while (k < text.length && bytes[at + k] === text.charCodeAt(k)) k++;
    if (k === text.length) return true;
  }
  return false;
}
