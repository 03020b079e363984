/**
 * The leaves of a message that came in, decoded: for programs that read what is attached, such as reports.
 *
 * Rules
 * 1. What is malformed is read as well as it can be; nothing throws.
 * 2. Octets, parts and nesting that are looked at have limits; what is beyond them is left out.
 */

import { decodeBase64 } from "../util/base64.ts";
import { fromLatin1, latin1 } from "../util/bytes.ts";
import { fieldText, type HeaderSection, readHeaderSection } from "./header-section.ts";
import { parseParameters, type StructuredValue } from "./parameters.ts";

export interface MimePart {
  /** `type/subtype` in lower case; text/plain where none is named (RFC 2045 5.2). */
  readonly type: string;
  /** As it was sent: it may hold anything. */
  readonly fileName: string | undefined;
  readonly content: Uint8Array;
}

/** Parts of a message that are looked at. */
export const PART_LIMIT = 200;
/** Multiparts within multiparts. */
export const NESTING_LIMIT = 10;

/** The parts that are no multipart, in their order. A message inside is one of them. */
export function mimeParts(content: Uint8Array): MimePart[] {
  const parts: MimePart[] = [];
  collect(content, 0, parts);
  return parts;
}

function collect(entity: Uint8Array, depth: number, parts: MimePart[]): void {
  if (parts.length >= PART_LIMIT) return;
  const { section, body } = readHeaderSection(entity);
  const type = structured(section, "content-type");
  const boundary = type.parameters.get("boundary");
  if (type.value.startsWith("multipart/") && boundary !== undefined && boundary !== "") {
    if (depth < NESTING_LIMIT) for (const part of bodyParts(body, boundary)) collect(part, depth + 1, parts);
    return;
  }
  const disposition = structured(section, "content-disposition");
  const encoding = structured(section, "content-transfer-encoding").value;
  parts.push({
    type: type.value === "" ? "text/plain" : type.value,
    fileName: disposition.parameters.get("filename") ?? type.parameters.get("name"),
    content: decoded(body, encoding),
  });
}

function structured(section: HeaderSection, name: string): StructuredValue {
  const field = section.find(name);
  return parseParameters(field === undefined ? "" : fieldText(field));
}

/** No line of a delimiter is longer. */
const DELIMITER_LINE = 100;

/** What stands between the delimiter lines (RFC 2046 5.1.1); the last may lack its end. */
function bodyParts(body: Uint8Array, boundary: string): Uint8Array[] {
  const text = fromLatin1(body);
  const delimiter = `--${boundary}`;
  const parts: Uint8Array[] = [];
  let start: number | undefined;
  for (let at = text.indexOf(delimiter); at !== -1; at = text.indexOf(delimiter, at + delimiter.length)) {
    const lineEnd = text.indexOf("\r\n", at);
    const after = at + delimiter.length;
    const rest = text.slice(after, Math.min(lineEnd === -1 ? text.length : lineEnd, after + DELIMITER_LINE));
    if ((at > 0 && text[at - 1] !== "\n") || !/^(?:--)?[ \t]*$/.test(rest)) continue;
    if (start !== undefined) parts.push(body.subarray(start, Math.max(start, at - 2)));
    start = undefined;
    if (rest.startsWith("--") || lineEnd === -1 || parts.length >= PART_LIMIT) return parts;
    start = lineEnd + 2;
  }
  if (start !== undefined) parts.push(body.subarray(start));
  return parts;
}

function decoded(body: Uint8Array, encoding: string): Uint8Array {
  const text = fromLatin1(body);
  if (encoding === "base64") return fromBase64(text) ?? body;
  if (encoding !== "quoted-printable") return body;
  return latin1(
    text
      .replace(/[ \t]+(?=\r\n)/g, "")
      .replace(/=\r\n/g, "")
      .replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  );
}

/** As lenient as mail needs it: whatever is not of the alphabet is passed over, and a padding that was cut is put back. */
function fromBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/[^A-Za-z0-9+/]/g, "");
  const whole = digits.length % 4 === 1 ? digits.slice(0, -1) : digits;
  return decodeBase64(whole + "=".repeat((4 - (whole.length % 4)) % 4));
}
