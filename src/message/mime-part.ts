/**
 * A MIME part being made: a leaf with its body encoded, or a multipart of others (RFC 2045, RFC 2046).
 *
 * Rules
 * 1. The encoding is the lightest that keeps the body and that the server takes: 7bit, with 8BITMIME 8bit, else quoted-printable or base64, whichever is
 *    shorter; with BINARYMIME a file goes as it is.
 * 2. Unless the server takes more everything made is ASCII with lines of at most 998 octets: no next hop needs to convert it.
 * 3. Bodies are passed on as pieces; an attachment is encoded once and never joined with others. A stream is encoded while it is read.
 * 4. A message inside a message is never encoded (RFC 2046 5.2.1): where it cannot go as it is it goes as a file.
 */
import { base64LinesSize, encodeBase64Lines } from "../util/base64.ts";
import { isAscii, utf8 } from "../util/bytes.ts";
import { type BodySink, base64Sink, checkedSink, LINE_LIMIT, quotedPrintableSink } from "./body-sinks.ts";
import { ComposeError } from "./compose-error.ts";
import type { Accepted, TransferEncoding } from "./draft.ts";
import type { Piece } from "./draft-content.ts";
import { foldField } from "./encoded-word.ts";
import { contentFacts } from "./facts.ts";
import type { MediaType } from "./media-type.ts";
import { formatFallback, formatParameter } from "./parameters.ts";
import { encodeQuotedPrintable, endWithLine, quotedPrintableText } from "./quoted-printable.ts";
import type { Read, StreamPiece } from "./source.ts";

/** What a part needs of the server, as RFC 2045 2.7 to 2.9 name it; each needs what those before it need. */
export type Domain = "7bit" | "8bit" | "binary";
const domains: readonly Domain[] = ["7bit", "8bit", "binary"];

export interface MimePart {
  /** Content- fields and those of the part's own, each with its CRLF. */
  readonly header: string;
  readonly body: readonly Piece[];
  readonly domain: Domain;
  /** The body is the whole part, its header and empty line included. */
  readonly whole?: boolean;
}

/** A structured field: `Content-Type: text/plain; charset=utf-8`, folded, with its CRLF. */
export function structuredField(
  name: string,
  value: string,
  parameters: readonly (readonly [string, string])[] = [],
  more: readonly string[] = [],
): string {
  const pieces = [value, ...parameters.flatMap(([key, text]) => formatParameter(key, text)), ...more];
  return foldField(
    name,
    pieces.map((piece, i) => (i < pieces.length - 1 ? `${piece};` : piece)),
  );
}

const encodingField = (encoding: TransferEncoding): string => `Content-Transfer-Encoding: ${encoding}\r\n`;

export interface TextPart {
  /** `text/html`. */
  readonly type: string;
  readonly parameters?: readonly (readonly [string, string])[];
  readonly text: string;
  /** It is the whole body: it ends in a line break. */
  readonly alone?: boolean;
  /** Chosen where absent. */
  readonly encoding?: "quoted-printable" | "base64" | undefined;
  /** Fields of the part's own. */
  readonly header?: string;
}

/** A text; any kind of line break becomes CRLF. */
export function textPart(part: TextPart, accept: Accepted): MimePart {
  const text = withCrlf(part.text);
  const ascii = isAscii(text);
  const type = structuredField("Content-Type", part.type, [["charset", ascii ? "us-ascii" : "utf-8"], ...(part.parameters ?? [])]);
  const header = type + (part.header ?? "");
  if (part.encoding === undefined && (ascii || accept.eightBitMime === true) && !text.includes("\0") && linesFit(text, ascii)) {
    const body = part.alone === true && text !== "" && !text.endsWith("\r\n") ? `${text}\r\n` : text;
    return ascii ? { header, body: [body], domain: "7bit" } : { header: header + encodingField("8bit"), body: [body], domain: "8bit" };
  }
  if (ascii && part.encoding !== "base64" && isMostlyPlain(text)) {
    const encoded = quotedPrintableText(part.alone === true && text !== "" && !text.endsWith("\r\n") ? `${text}\r\n` : text);
    if (encoded !== undefined) return { header: header + encodingField("quoted-printable"), body: [encoded], domain: "7bit" };
  }
  const bytes = part.alone === true ? endWithLine(utf8(text)) : utf8(text);
  const encoding = part.encoding ?? lighterEncoding(bytes);
  const body = encoding === "base64" ? encodeBase64Lines(bytes) : encodeQuotedPrintable(bytes);
  return { header: header + encodingField(encoding), body: [body], domain: "7bit" };
}

/** Any kind of line break as CRLF. */
export function withCrlf(text: string): string {
  if (!text.includes("\r")) return text.replaceAll("\n", "\r\n");
  return /\r(?!\n)|[^\r]\n|^\n/.test(text) ? text.replace(/\r\n|\r|\n/g, "\r\n") : text;
}

/** No line has more than 998 octets. */
function linesFit(text: string, ascii: boolean): boolean {
  if (!ascii) return contentFacts([utf8(text)]).longestLine <= LINE_LIMIT;
  let start = 0;
  while (text.length - start > LINE_LIMIT) {
    const end = text.indexOf("\r\n", start);
    if (end < 0 || end - start > LINE_LIMIT) return false;
    start = end + 2;
  }
  return true;
}

/** Of its characters so few are escaped that quoted-printable is the lighter encoding, as `lighterEncoding` has it; controls are not counted. */
function isMostlyPlain(text: string): boolean {
  let escapes = 0;
  for (let at = text.indexOf("="); at >= 0; at = text.indexOf("=", at + 1)) escapes++;
  return 2 * escapes <= 0.33 * text.length;
}

/** 1 for an octet that quoted-printable escapes, as a rule. */
const escaped = Uint8Array.from({ length: 256 }, (_, c) => (c > 126 || c === 61 || (c < 32 && c !== 9 && c !== 10 && c !== 13) ? 1 : 0));

/** Quoted-printable grows by 2 for each octet that it escapes and 4% of soft breaks, base64 by 37%; the former is read more easily. */
function lighterEncoding(bytes: Uint8Array): "quoted-printable" | "base64" {
  let wide = 0;
  for (let i = 0; i < bytes.length; i++) wide += escaped[bytes[i] as number] as number;
  return 2 * wide + 0.04 * bytes.length <= 0.37 * bytes.length ? "quoted-printable" : "base64";
}

export interface FilePart {
  /** For errors. */
  readonly field: string;
  readonly type: MediaType;
  readonly disposition?: "attachment" | "inline";
  readonly filename?: string | undefined;
  /** Without angle brackets. */
  readonly contentId?: string | undefined;
  readonly content: Read;
  /** Chosen where absent. */
  readonly encoding?: TransferEncoding | undefined;
  /** Fields of the part's own. */
  readonly header?: string;
}

/** A file: octets that come out as they went in. */
export function filePart(part: FilePart, accept: Accepted): MimePart {
  const { type, encoding, body, domain } = encodeFile(part, accept);
  const names: [string, string][] = part.filename === undefined ? [] : [["filename", part.filename]];
  const fallback = part.filename === undefined ? [] : formatFallback("name", part.filename);
  let header = structuredField(
    "Content-Type",
    type.type,
    type.parameters.filter(([name]) => name !== "name" || fallback.length === 0),
    fallback,
  );
  if (part.disposition !== undefined) header += structuredField("Content-Disposition", part.disposition, names);
  if (part.contentId !== undefined) header += foldField("Content-ID", [`<${part.contentId}>`]);
  if (encoding !== "7bit") header += encodingField(encoding);
  return { header: header + (part.header ?? ""), body: [body], domain };
}

interface EncodedFile {
  readonly type: MediaType;
  readonly encoding: TransferEncoding;
  readonly body: Piece;
  readonly domain: Domain;
}

const anyFile: MediaType = { type: "application/octet-stream", parameters: [] };

function encodeFile(part: FilePart, accept: Accepted): EncodedFile {
  const { field, type, content } = part;
  const composite = /^(?:message|multipart)\//.test(type.type);
  if (part.encoding !== undefined) return { type, ...encodeAs(field, content, part.encoding, composite) };
  if (accept.binaryMime === true) return { type, ...encodeAs(field, content, "binary", composite) };
  if (composite && content.kind === "bytes") {
    const domain = domainOf(content.bytes);
    if (domain === "7bit" || (domain === "8bit" && accept.eightBitMime === true)) {
      return { type, encoding: domain, body: content.bytes, domain };
    }
  }
  return { type: composite ? anyFile : type, ...encodeAs(field, content, "base64", false) };
}

function encodeAs(field: string, content: Read, encoding: TransferEncoding, composite: boolean): Omit<EncodedFile, "type"> {
  switch (encoding) {
    case "base64":
    case "quoted-printable": {
      if (composite) throw new ComposeError(field, "a message or multipart takes no encoding but 7bit, 8bit and binary (RFC 2046 5.2.1)");
      const body = encoding === "base64" ? base64Body(content) : quotedPrintableBody(content);
      return { encoding, body, domain: "7bit" };
    }
    case "binary":
      return { encoding, body: content.kind === "bytes" ? content.bytes : content, domain: "binary" };
    case "7bit":
    case "8bit":
      return { encoding, body: checkedBody(field, content, encoding), domain: encoding };
    default:
      throw new ComposeError(field, `${JSON.stringify(encoding)} is not a transfer encoding`);
  }
}

function base64Body(content: Read): Piece {
  if (content.kind === "bytes") return encodeBase64Lines(content.bytes);
  return through(content, content.size === undefined ? undefined : base64LinesSize(content.size), base64Sink);
}

function quotedPrintableBody(content: Read): Piece {
  return content.kind === "bytes" ? encodeQuotedPrintable(content.bytes) : through(content, undefined, quotedPrintableSink);
}

/** A body that goes as it is, if it may: octets are looked at now, a stream while it is read. */
export function checkedBody(field: string, content: Read, domain: "7bit" | "8bit"): Piece {
  const fails = () => new ComposeError(field, `cannot go as ${domain}: it has octets or lines that ${domain} does not allow`);
  if (content.kind === "stream") return through(content, content.size, () => checkedSink(domain === "7bit"), fails);
  const needed = domainOf(content.bytes);
  if (domains.indexOf(needed) > domains.indexOf(domain)) throw fails();
  return content.bytes;
}

/** The lightest domain that these octets can go in as they are. */
export function domainOf(bytes: Uint8Array): Domain {
  const facts = contentFacts([bytes]);
  return facts.binary || facts.longestLine > LINE_LIMIT ? "binary" : facts.eightBit ? "8bit" : "7bit";
}

/** The heaviest of these. */
export function heaviest(parts: readonly { readonly domain: Domain }[]): Domain {
  return domains[Math.max(0, ...parts.map(({ domain }) => domains.indexOf(domain)))] as Domain;
}

function through(source: StreamPiece, size: number | undefined, sinkFor: () => BodySink, fails?: () => Error): StreamPiece {
  return {
    size,
    replayable: source.replayable,
    async *open() {
      const sink = sinkFor();
      for await (const chunk of source.open()) {
        const out = sink.push(chunk);
        if (out.length > 0) yield out;
      }
      const rest = sink.end();
      if (rest === undefined) throw fails?.() ?? new Error("the body cannot go in this way");
      if (rest.length > 0) yield rest;
    },
  };
}

/** Parts in a multipart; `boundary` must stand in none of them. */
export function multipart(
  subtype: string,
  parts: readonly MimePart[],
  boundary: string,
  parameters: readonly (readonly [string, string])[] = [],
): MimePart {
  const domain = heaviest(parts);
  const type = structuredField("Content-Type", `multipart/${subtype}`, [...parameters, ["boundary", boundary]]);
  // RFC 2045 6.4: a multipart names what its parts need, and is never encoded itself.
  const header = domain === "7bit" ? type : type + encodingField(domain);
  const body: Piece[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as MimePart;
    // RFC 2046 5.1.1: the CRLF before a delimiter belongs to the delimiter.
    body.push(`${i === 0 ? "" : "\r\n"}--${boundary}\r\n${part.whole === true ? "" : `${part.header}\r\n`}`, ...part.body);
  }
  body.push(`\r\n--${boundary}--\r\n`);
  return { header, body, domain };
}
