/**
 * Converts a content for a next hop that takes less: to 7-bit lines where 8BITMIME is lacking (RFC 6152 3), to legal lines where
 * BINARYMIME is lacking (RFC 3030 4) or lines are over 998.
 *
 * Rules
 * 1. Chunks in, chunks out: what is held is a header section and the start of one line.
 * 2. Each part is treated by its header as `conversion-plan.ts` decides; what a reader decodes stays the same, octet by octet.
 * 3. The CRLF before a delimiter is the delimiter's (RFC 2046 5.1.1); a delimiter of an outer multipart ends the inner ones.
 * 4. What cannot be converted is said as soon as it is known. Output may have left by then: who sends it on as it comes must be able to take it
 *    back, or have converted it once before for the answer alone.
 * 5. Any way of cutting the input into chunks gives the same output.
 */
import type { ContentFacts } from "../mail/content.ts";
import { CR, CRLF, concat, EMPTY, fromLatin1, LF, latin1 } from "../util/bytes.ts";
import {
  type BodySink,
  base64Mender,
  base64Sink,
  checkedSink,
  gapSink,
  LINE_LIMIT,
  plainSink,
  quotedPrintableMender,
  quotedPrintableSink,
} from "./body-sinks.ts";
import { BOUNDARY_LIMIT, type BodyPlan, type Entity, type PlanOptions, planEntity, type Unconvertible } from "./conversion-plan.ts";
import { HeaderReader } from "./header-section.ts";

/** Multiparts and messages inside one another. */
export const NESTING_LIMIT = 50;
/** Parts in all: a content that is nothing but delimiters would cost a hundred times what others do. */
export const PART_LIMIT = 10_000;
/** Octets of a line that may be a delimiter: both hyphens twice, the boundary, and blanks that a transport added. */
const DELIMITER_LIMIT = BOUNDARY_LIMIT + 100;
const HYPHEN = 45;

export type Converted =
  | { readonly ok: true; readonly chunks: readonly Uint8Array[] }
  | { readonly ok: false; readonly why: Unconvertible; readonly text: string };

const reasons: Record<Unconvertible, string> = {
  "eight-bit-header": "its headers are not ASCII and the next server does not take such headers",
  "header-line": "a header line is too long or holds characters that the next server does not take",
  "header-too-long": "its headers are too long",
  unchangeable: "it is signed, encrypted or partial and may not be changed, and the next server does not take it as it is",
  boundary: "its parts cannot be told apart",
  nesting: "its parts are nested too deeply",
  parts: "it has too many parts",
};

export interface ConversionOptions {
  /** What the next hop takes: `7bit`, or `8bit` where it has 8BITMIME but not BINARYMIME. */
  readonly target: "7bit" | "8bit";
  /** The facts of the content. */
  readonly facts: Pick<ContentFacts, "eightBit" | "binary" | "longestLine">;
}

interface Level {
  readonly boundary: string;
  readonly digest: boolean;
  /** Messages that the multipart stands in. */
  readonly messages: number;
}

const message: Entity = { kind: "message", inDigest: false };

export class Converter {
  readonly #options: PlanOptions;
  readonly #sevenBit: boolean;
  #out: Uint8Array[] = [];
  #failure: Unconvertible | undefined;
  /** The multiparts that the current place stands in, outermost first. */
  readonly #levels: Level[] = [];
  /** Messages that the current place stands in, beside the multiparts: both count against the limit. */
  #messages = 0;
  /** Set while a header is read; else `#sink` takes a body. */
  #reader: HeaderReader | undefined = new HeaderReader();
  #entity: Entity = message;
  #delimiters = 0;
  #sink: BodySink = plainSink();
  /** What an entity without any header would get, until it is seen to have a body: two delimiters in a row have no part between them. */
  #unsure: readonly Uint8Array[] = [];
  /** The start of a line that may be a delimiter, and the CRLF before it. */
  #kept: Uint8Array = EMPTY;
  /** The next octet of a body begins a line, though no CRLF before it is part of the body. */
  #atLineStart = false;

  constructor(options: ConversionOptions) {
    const { facts, target } = options;
    const convertPlain = facts.binary || facts.longestLine > LINE_LIMIT || (target === "7bit" && facts.eightBit);
    this.#options = { target, convertPlain, eightBit: facts.eightBit };
    this.#sevenBit = target === "7bit";
  }

  /** Takes a chunk; what is ready of the converted content. Once it has failed it fails for good. */
  push(chunk: Uint8Array): Converted {
    if (this.#failure === undefined && chunk.length > 0) this.#run(chunk, false);
    return this.#result();
  }

  /** The rest, after the last chunk. */
  end(): Converted {
    if (this.#failure === undefined) this.#run(EMPTY, true);
    if (this.#failure === undefined) this.#endSink();
    return this.#result();
  }

  #result(): Converted {
    if (this.#failure !== undefined) return { ok: false, why: this.#failure, text: reasons[this.#failure] };
    const chunks = this.#out;
    this.#out = [];
    return { ok: true, chunks };
  }

  #run(chunk: Uint8Array, final: boolean): void {
    let bytes = this.#kept.length === 0 ? chunk : concat([this.#kept, chunk]);
    this.#kept = EMPTY;
    while (this.#failure === undefined) {
      if (this.#reader === undefined) {
        bytes = this.#body(bytes, final);
        if (this.#reader === undefined) return;
      }
      if (!this.#reader.push(bytes) && !final) return;
      const { section, rest } = this.#reader.finish();
      bytes = concat(rest);
      const plan = planEntity(section, this.#entity, this.#options);
      if (!plan.ok) {
        this.#failure = plan.why;
        return;
      }
      if (section.fieldCount === 0 && section.ending !== "empty-line") this.#unsure = plan.header;
      else for (const part of plan.header) this.#emit(part);
      this.#enter(plan.body);
    }
  }

  #enter(plan: BodyPlan): void {
    this.#reader = undefined;
    this.#atLineStart = true;
    if (plan.kind === "multipart") {
      this.#levels.push({ boundary: plan.boundary, digest: plan.digest, messages: this.#messages });
      this.#sink = gapSink(this.#sevenBit);
    } else if (plan.kind === "message") {
      this.#messages++;
      this.#readHeader(message);
    } else this.#sink = this.#sinkFor(plan.kind);
    if (this.#levels.length + this.#messages > NESTING_LIMIT) this.#failure = "nesting";
  }

  #sinkFor(kind: Exclude<BodyPlan["kind"], "multipart" | "message">): BodySink {
    switch (kind) {
      case "quoted-printable":
        return quotedPrintableSink();
      case "base64":
        return base64Sink();
      case "mend-quoted-printable":
        return quotedPrintableMender(this.#sevenBit);
      case "mend-base64":
        return base64Mender(this.#sevenBit);
      case "checked":
        return checkedSink(this.#sevenBit);
      case "plain":
        return plainSink();
    }
  }

  #readHeader(entity: Entity): void {
    this.#reader = new HeaderReader();
    this.#entity = entity;
  }

  /** Takes the bytes of a body up to a delimiter that begins a part; what follows that. */
  #body(bytes: Uint8Array, final: boolean): Uint8Array {
    let done = 0;
    let from = 0;
    while (this.#levels.length > 0 && this.#failure === undefined) {
      // A line begins at `line`; the CRLF before it, if it is here, at `at`.
      const at = this.#atLineStart ? 0 : findBreak(bytes, from);
      if (at < 0) break;
      const line = this.#atLineStart ? 0 : at + 2;
      const end = endOfLine(bytes, line, final);
      if (end === undefined) {
        this.#push(bytes.subarray(done, at));
        this.#kept = bytes.slice(at);
        return EMPTY;
      }
      this.#atLineStart = false;
      from = Math.max(from, line);
      const found = end < 0 ? undefined : this.#delimiter(fromLatin1(bytes.subarray(line, end)));
      if (found === undefined) continue;
      this.#push(bytes.subarray(done, at));
      this.#delimit(found, at < line);
      if (this.#reader !== undefined) return bytes.subarray(Math.min(end + 2, bytes.length));
      done = end;
      from = end;
    }
    this.#push(bytes.subarray(done));
    return EMPTY;
  }

  /** The multipart whose delimiter this line is, innermost first. */
  #delimiter(line: string): { readonly level: number; readonly closes: boolean } | undefined {
    if (!line.startsWith("--")) return undefined;
    const text = line.slice(2).trimEnd();
    for (let level = this.#levels.length - 1; level >= 0; level--) {
      const { boundary } = this.#levels[level] as Level;
      if (text === boundary) return { level, closes: false };
      if (text.length === boundary.length + 2 && text.startsWith(boundary) && text.endsWith("--")) return { level, closes: true };
    }
    return undefined;
  }

  #delimit(found: { readonly level: number; readonly closes: boolean }, afterBreak: boolean): void {
    this.#unsure = [];
    const endsLine = this.#endSink();
    if (afterBreak && !endsLine) this.#emit(CRLF);
    const { boundary, digest, messages } = this.#levels[found.level] as Level;
    this.#emit(latin1(`--${boundary}${found.closes ? "--" : "\r\n"}`));
    this.#levels.length = found.closes ? found.level : found.level + 1;
    this.#messages = messages;
    if (found.closes) this.#sink = gapSink(this.#sevenBit);
    else this.#readHeader({ kind: "part", inDigest: digest });
    if (++this.#delimiters > PART_LIMIT) this.#failure = "parts";
  }

  /** True where the output now stands at the start of a line by the sink's own doing. */
  #endSink(): boolean {
    const sink = this.#sink;
    this.#sink = plainSink();
    const last = sink.end();
    if (last === undefined) this.#failure = "unchangeable";
    else this.#emit(last);
    return sink.endsLine;
  }

  #push(body: Uint8Array): void {
    if (body.length === 0) return;
    for (const part of this.#unsure) this.#emit(part);
    this.#unsure = [];
    this.#emit(this.#sink.push(body));
  }

  #emit(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#out.push(bytes);
  }
}

/** The next CRLF that two hyphens follow, or may follow beyond these bytes; -1 where there is none. */
function findBreak(bytes: Uint8Array, from: number): number {
  const length = bytes.length;
  for (let i = bytes.indexOf(CR, from); i >= 0; i = bytes.indexOf(CR, i + 1)) {
    const fits = (offset: number, octet: number) => i + offset >= length || bytes[i + offset] === octet;
    if (fits(1, LF) && fits(2, HYPHEN) && fits(3, HYPHEN)) return i;
  }
  return -1;
}

/** Where the line that begins at `line` ends; -1 where it is no delimiter, `undefined` where more is needed to tell. */
function endOfLine(bytes: Uint8Array, line: number, final: boolean): number | undefined {
  const length = bytes.length;
  for (let i = line; i < line + DELIMITER_LIMIT; i++) {
    if (i >= length) return final ? (i > line ? length : -1) : undefined;
    const c = bytes[i];
    if (i < line + 2 && c !== HYPHEN) return -1;
    if (c !== CR) continue;
    if (i + 1 < length) return bytes[i + 1] === LF ? i : -1;
    return final ? -1 : undefined;
  }
  return -1;
}

/** A content that is there as a whole, converted; or why it cannot be. */
export function convertContent(chunks: Iterable<Uint8Array>, options: ConversionOptions): Converted {
  const converter = new Converter(options);
  const out: Uint8Array[] = [];
  for (const chunk of chunks) {
    const converted = converter.push(chunk);
    if (!converted.ok) return converted;
    for (const part of converted.chunks) out.push(part);
  }
  const last = converter.end();
  return last.ok ? { ok: true, chunks: [...out, ...last.chunks] } : last;
}
