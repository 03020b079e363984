/**
 * What is to be done with one entity (a message or a part of one), decided by its header alone.
 *
 * Rules
 * 1. What is signed or encrypted, or a piece of a message cut up, is not changed (RFC 1847 2.1, RFC 2046 5.2.2.1): it goes as it is or not at all.
 * 2. Multiparts and messages take no encoding but 7bit and 8bit (RFC 2045 6.4): their parts are converted instead.
 * 3. Text becomes quoted-printable, everything else base64; what is encoded already stays encoded as it is.
 */
import { concat, fromLatin1, isAscii, latin1, utf8 } from "../util/bytes.ts";
import { LINE_LIMIT } from "./body-sinks.ts";
import { contentFacts } from "./facts.ts";
import type { HeaderSection } from "./header-section.ts";
import { parseParameters } from "./parameters.ts";

/** RFC 2046 5.1.1 has 70; longer ones stand in real mail. */
export const BOUNDARY_LIMIT = 200;

export interface PlanOptions {
  /** What the next hop takes. */
  readonly target: "7bit" | "8bit";
  /** Bodies that are not encoded may hold what the target lacks. */
  readonly convertPlain: boolean;
  /** The content has octets above 127 somewhere. */
  readonly eightBit: boolean;
}

export interface Entity {
  /** A message, with MIME-Version of its own, or a part. */
  readonly kind: "message" | "part";
  /** Inside multipart/digest, where a part without a type is a message (RFC 2046 5.1.5). */
  readonly inDigest: boolean;
}

export type BodyPlan =
  | { readonly kind: "multipart"; readonly boundary: string; readonly digest: boolean }
  | { readonly kind: "message" }
  | { readonly kind: "quoted-printable" | "base64" | "mend-quoted-printable" | "mend-base64" | "plain" | "checked" };

/** Why a content cannot be converted. */
export type Unconvertible = "eight-bit-header" | "header-line" | "header-too-long" | "unchangeable" | "boundary" | "nesting" | "parts";

export type Plan =
  | { readonly ok: true; readonly header: readonly Uint8Array[]; readonly body: BodyPlan }
  | { readonly ok: false; readonly why: Unconvertible };

export function planEntity(section: HeaderSection, entity: Entity, options: PlanOptions): Plan {
  if (section.ending === "limit") return { ok: false, why: "header-too-long" };
  if (section.eightBit && options.target === "7bit") return { ok: false, why: "eight-bit-header" };
  const type = parseParameters(section.value("content-type") ?? "");
  const encoding = parseParameters(section.value("content-transfer-encoding") ?? "7bit").value;
  const body = planBody(typeOf(type.value, entity), type.parameters.get("boundary"), encoding, options);
  if (body === undefined) return { ok: false, why: "boundary" };
  const header = planHeader(section, entity, encoding, body, options);
  return header === undefined ? { ok: false, why: "header-line" } : { ok: true, header, body };
}

/** RFC 2045 5.2: without a type, or with one that is none, it is a text. */
function typeOf(value: string, entity: Entity): string {
  if (/^[^\s/]+\/[^\s/]+$/.test(value)) return value;
  return value === "" && entity.inDigest ? "message/rfc822" : "text/plain";
}

const plainEncodings = ["7bit", "8bit", "binary", ""];

function planBody(type: string, boundary: string | undefined, encoding: string, options: PlanOptions): BodyPlan | undefined {
  if (type === "multipart/signed" || type === "multipart/encrypted") return { kind: "checked" };
  if (!plainEncodings.includes(encoding)) {
    if (encoding === "quoted-printable" || encoding === "base64") return { kind: `mend-${encoding}` };
    return { kind: "checked" };
  }
  if (type.startsWith("multipart/")) {
    const marks = boundary?.trimEnd() ?? "";
    if (marks === "" || marks.length > BOUNDARY_LIMIT || !isAscii(marks)) return undefined;
    return { kind: "multipart", boundary: marks, digest: type === "multipart/digest" };
  }
  if (type === "message/rfc822") return { kind: "message" };
  const converts = options.convertPlain || encoding === "binary";
  if (type.startsWith("message/") && !type.startsWith("message/global")) return { kind: "checked" };
  if (!converts) return { kind: "plain" };
  // RFC 6532 3.7 and RFC 6533 4, 6: the types of messages in UTF-8 may be encoded.
  return { kind: type.startsWith("text/") || type.startsWith("message/global-") ? "quoted-printable" : "base64" };
}

/** The header with the fields that the plan changes; `undefined` where a line of it is too long to be folded, or holds what no line may. */
function planHeader(
  section: HeaderSection,
  entity: Entity,
  before: string,
  body: BodyPlan,
  options: PlanOptions,
): Uint8Array[] | undefined {
  const after = encodingAfter(before, body, options);
  const encodes = body.kind === "quoted-printable" || body.kind === "base64";
  let added = "";
  if (encodes && entity.kind === "message") {
    if (!section.has("mime-version")) added += "MIME-Version: 1.0\r\n";
    // RFC 1428 3: which charset the octets are in was not said, and cannot be known.
    if (!section.has("content-type") && options.eightBit) added += "Content-Type: text/plain; charset=unknown-8bit\r\n";
  }
  const relabels = after !== before;
  if (relabels && after !== "7bit") added += `Content-Transfer-Encoding: ${after}\r\n`;
  const fields = relabels ? section.without(["content-transfer-encoding"]) : section.bytes.length === 0 ? [] : [section.bytes];
  const clean = cleanLines(fields);
  if (clean === undefined) return undefined;
  if (added === "" && !relabels && clean === fields && section.ending !== "body-line") return [section.whole];
  const last = clean.at(-1);
  const open = last !== undefined && fromLatin1(last.subarray(-2)) !== "\r\n";
  return [...clean, utf8(`${open ? "\r\n" : ""}${added}\r\n`)];
}

/** What Content-Transfer-Encoding is to say. */
function encodingAfter(before: string, body: BodyPlan, options: PlanOptions): string {
  switch (body.kind) {
    case "quoted-printable":
    case "base64":
      return body.kind;
    case "multipart":
    case "message":
    case "checked": {
      if (before !== "binary" && (before !== "8bit" || options.target === "8bit")) return before;
      return options.target;
    }
    default:
      return before;
  }
}

/** The same fields where their lines are legal; overlong ones folded. */
function cleanLines(fields: Uint8Array[]): Uint8Array[] | undefined {
  const facts = contentFacts(fields);
  if (facts.binary && !fields.every((chunk) => chunk.length === 0)) return undefined;
  if (facts.longestLine <= LINE_LIMIT) return fields;
  const lines = fromLatin1(concat(fields)).split("\r\n");
  for (const [i, line] of lines.entries()) {
    if (line.length <= LINE_LIMIT) continue;
    const folded = foldLine(line);
    if (folded === undefined) return undefined;
    lines[i] = folded;
  }
  return [latin1(lines.join("\r\n"))];
}

/** Broken before blanks; a line of blanks alone never comes to be (RFC 5322 3.2.2). */
function foldLine(line: string): string | undefined {
  const pieces: string[] = [];
  let start = 0;
  while (line.length - start > LINE_LIMIT) {
    let at = start + LINE_LIMIT;
    while (at > start && !(isBlank(line[at]) && !isBlank(line[at + 1]) && at + 1 < line.length)) at--;
    // Nothing but blanks before the break: what follows is one word.
    if (at === start || line.slice(start, at).trim() === "") return undefined;
    pieces.push(line.slice(start, at));
    start = at;
  }
  pieces.push(line.slice(start));
  return pieces.join("\r\n");
}

const isBlank = (c: string | undefined): boolean => c === " " || c === "\t";
