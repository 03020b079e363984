/**
 * A message that is there already, on its way out as it is: its envelope, and a copy without Bcc.
 *
 * Rules
 * 1. Bcc and Resent-Bcc never go out (RFC 5322 3.6.3): a header section too long to be searched for them is refused.
 * 2. Each CR or LF alone becomes CRLF, unless the caller keeps them for a binary content. Nothing else is changed; no dot is touched here.
 * 3. A stream is read while it is sent: what is in it is not known before, and its envelope must be given.
 */
import type { ContentFacts } from "../mail/content.ts";
import { ComposeError } from "./compose-error.ts";
import { LineEnds, mendedLineEnds } from "./crlf.ts";
import type { Accepted } from "./draft.ts";
import type { Piece } from "./draft-content.ts";
import { contentFacts } from "./facts.ts";
import { HEADER_SECTION_LIMIT, HeaderReader, type HeaderSection, readHeaderSection } from "./header-section.ts";
import { checkedBody, domainOf, type MimePart } from "./mime-part.ts";
import type { Read, StreamPiece } from "./source.ts";

const hiddenFields = ["bcc", "resent-bcc"];

export interface RawContent {
  readonly pieces: readonly Piece[];
  readonly facts: ContentFacts;
  /** With Bcc still in it. */
  readonly section: HeaderSection;
}

/** A raw message in memory; the caller's bytes are left as they are. Throws a `ComposeError`. */
export function rawContent(bytes: Uint8Array, lineEnds: "crlf" | "keep"): RawContent {
  const before = contentFacts([bytes]);
  // Where nothing is binary no CR or LF stands alone.
  const whole = lineEnds === "crlf" && before.binary ? mendedLineEnds(bytes) : bytes;
  const { section, body } = readHeaderSection(whole);
  checkedSection(section);
  const hidden = hides(section);
  const pieces = hidden ? [...section.without(hiddenFields), section.whole.subarray(section.bytes.length), body] : [whole];
  const chunks = pieces.filter((piece) => piece.length > 0);
  return { pieces: chunks, facts: hidden || whole !== bytes ? contentFacts(chunks) : before, section };
}

/** A raw message that is read while it is sent. */
export function rawStream(source: StreamPiece, lineEnds: "crlf" | "keep"): StreamPiece {
  return { size: undefined, replayable: source.replayable, open: () => readRaw(source, lineEnds) };
}

/** A MIME part that is there already, its header included. Throws a `ComposeError` for a header that no part can have. */
export function rawPart(field: string, content: Read, accept: Accepted): MimePart {
  if (content.kind === "bytes") {
    const bytes = mendedLineEnds(content.bytes);
    const { section } = readHeaderSection(bytes);
    if (section.ending !== "empty-line") throw new ComposeError(field, "is no MIME part: its header does not end in an empty line");
    if (section.eightBit) throw new ComposeError(field, "the header of a part has to be ASCII");
    return { header: "", body: [bytes], domain: domainOf(bytes), whole: true };
  }
  const domain = accept.eightBitMime === true ? "8bit" : "7bit";
  const mended: Read = { kind: "stream", size: undefined, replayable: content.replayable, open: () => readMended(content) };
  return { header: "", body: [checkedBody(field, mended, domain)], domain, whole: true };
}

async function* readMended(source: StreamPiece): AsyncGenerator<Uint8Array, void> {
  const mender = new LineEnds();
  for await (const chunk of source.open()) yield mender.push(chunk);
  yield mender.end();
}

async function* readRaw(source: StreamPiece, lineEnds: "crlf" | "keep"): AsyncGenerator<Uint8Array, void> {
  const mender = new LineEnds();
  const reader = new HeaderReader();
  let inHeader = true;
  const header = (): Uint8Array[] => {
    const { section, rest } = reader.finish();
    checkedSection(section);
    inHeader = false;
    const kept = hides(section) ? [...section.without(hiddenFields), section.whole.subarray(section.bytes.length)] : [section.whole];
    return [...kept, ...rest].filter((chunk) => chunk.length > 0);
  };
  for await (const chunk of source.open()) {
    // The reader keeps what it is given: a source may use its buffer again.
    const bytes = lineEnds === "keep" ? chunk : mender.push(chunk);
    if (!inHeader) yield bytes;
    else if (reader.push(bytes === chunk ? chunk.slice() : bytes)) yield* header();
  }
  const last = mender.end();
  if (inHeader) {
    if (last.length > 0) reader.push(last);
    if (inHeader) yield* header();
  } else if (last.length > 0) yield last;
}

const hides = (section: HeaderSection): boolean => hiddenFields.some((name) => section.has(name));

function checkedSection(section: HeaderSection): void {
  if (section.ending === "limit") throw new ComposeError("raw", `its header section is longer than ${HEADER_SECTION_LIMIT} octets`);
}
