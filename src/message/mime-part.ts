/**
 * A MIME part being made: a leaf with its body encoded, or a multipart of others (RFC 2045, RFC 2046).
 *
 * Rules
 * 1. The encoding is the lightest that keeps the body: 7bit, else quoted-printable or base64, whichever is shorter.
 * 2. Everything made is ASCII with lines of at most 998 octets: no next hop needs to convert it.
 * 3. Bodies are passed on as chunks; an attachment is encoded once and never joined with others.
 */
import { encodeBase64Lines } from "../util/base64.ts";
import { CRLF, concat, EMPTY, utf8 } from "../util/bytes.ts";
import { foldField } from "./encoded-word.ts";
import { contentFacts } from "./facts.ts";
import { formatParameter } from "./parameters.ts";
import { encodeQuotedPrintable, endWithLine } from "./quoted-printable.ts";

const LINE_LIMIT = 998;

export interface MimePart {
  /** Content- fields, each with its CRLF. */
  readonly header: string;
  readonly body: readonly Uint8Array[];
}

/** A structured field: `Content-Type: text/plain; charset=utf-8`, folded, with its CRLF. */
export function structuredField(name: string, value: string, parameters: readonly (readonly [string, string])[] = []): string {
  const pieces = [value, ...parameters.flatMap(([key, text]) => formatParameter(key, text))];
  return foldField(
    name,
    pieces.map((piece, i) => (i < pieces.length - 1 ? `${piece};` : piece)),
  );
}

/** A text; any kind of line break becomes CRLF. `alone`: it is the whole body, and ends in a line break. */
export function textPart(subtype: "plain" | "html", text: string, alone: boolean): MimePart {
  const bytes = utf8(text.replace(/\r\n|\r|\n/g, "\r\n").toWellFormed());
  const facts = contentFacts([bytes]);
  const charset = facts.eightBit ? "utf-8" : "us-ascii";
  const type = structuredField("Content-Type", `text/${subtype}`, [["charset", charset]]);
  if (!facts.eightBit && !facts.binary && facts.longestLine <= LINE_LIMIT) {
    return { header: type, body: [alone ? endWithLine(bytes) : bytes] };
  }
  return encoded(type, alone ? endWithLine(bytes) : bytes);
}

function encoded(type: string, bytes: Uint8Array): MimePart {
  let wide = 0;
  for (const c of bytes) if (c > 126 || c === 61 || (c < 32 && c !== 9 && c !== 10 && c !== 13)) wide++;
  // Quoted-printable grows by 2 for each such octet and 4% of soft breaks, base64 by 37%; the former is read more easily.
  const readable = 2 * wide + 0.04 * bytes.length <= 0.37 * bytes.length;
  const body = readable ? encodeQuotedPrintable(bytes) : encodeBase64Lines(bytes);
  return { header: `${type}Content-Transfer-Encoding: ${readable ? "quoted-printable" : "base64"}\r\n`, body: [body] };
}

export interface BinaryPart {
  /** `type/subtype`, with parameters. */
  readonly type: string;
  readonly disposition: "attachment" | "inline";
  readonly filename?: string;
  /** Without angle brackets. */
  readonly contentId?: string;
  readonly content: Uint8Array;
}

/** An attachment or an inline image: base64, but for messages, which RFC 2046 5.2.1 wants as they are. */
export function binaryPart(part: BinaryPart): MimePart {
  const asIs = /^(message|multipart)\//i.test(part.type);
  const facts = asIs ? contentFacts([part.content]) : undefined;
  const clean = facts !== undefined && !facts.eightBit && !facts.binary && facts.longestLine <= LINE_LIMIT;
  // A message that is no 7-bit text may not be encoded as a message: it then goes as a file.
  let header = foldField("Content-Type", asIs && !clean ? ["application/octet-stream"] : splitType(part.type));
  const filename: [string, string][] = part.filename === undefined ? [] : [["filename", part.filename]];
  header += structuredField("Content-Disposition", part.disposition, filename);
  if (part.contentId !== undefined) header += `Content-ID: <${part.contentId}>\r\n`;
  if (clean) return { header, body: [part.content] };
  return { header: `${header}Content-Transfer-Encoding: base64\r\n`, body: [encodeBase64Lines(part.content)] };
}

const splitType = (type: string): string[] => type.split(/(?<=;)(?=\s)/);

/** Parts in a multipart; `boundary` must stand in none of them. */
export function multipart(
  subtype: string,
  parts: readonly MimePart[],
  boundary: string,
  parameters: readonly (readonly [string, string])[] = [],
): MimePart {
  const header = structuredField("Content-Type", `multipart/${subtype}`, [...parameters, ["boundary", boundary]]);
  const body: Uint8Array[] = [];
  for (const [i, part] of parts.entries()) {
    // RFC 2046 5.1.1: the CRLF before a delimiter belongs to the delimiter.
    body.push(utf8(`${i === 0 ? "" : "\r\n"}--${boundary}\r\n${part.header}\r\n`), ...part.body);
  }
  body.push(utf8(`\r\n--${boundary}--\r\n`));
  return { header, body };
}

/** Header and body as one content. */
export function partContent(header: string, part: MimePart): Uint8Array[] {
  const bodies = part.body.filter((chunk) => chunk.length > 0);
  return [concat([utf8(header + part.header), CRLF]), ...(bodies.length === 0 ? [EMPTY] : bodies)].filter((chunk) => chunk.length > 0);
}
