/**
 * A header section, byte for byte as it came (RFC 5322 2.2).
 *
 * Rules
 * 1. Nothing is decoded or rewritten here: a field is its octets, folding and CRLF included.
 * 2. What arrives in one chunk is never copied. A section in several chunks is joined once; what follows it stays a slice.
 * 3. The reader holds at most `HEADER_SECTION_LIMIT` octets and what the last chunk brought.
 * 4. Pushed chunks must not be changed afterwards.
 */
import { fromLatin1, fromUtf8, EMPTY as NO_BYTES } from "../util/bytes.ts";
import { BODY, EMPTY, FIRST, headerSteps, LINE, NAME, SPACE, VALUE, VALUE_CR } from "./header-line.ts";

/** Octets a header section may have, its empty line not counted. */
export const HEADER_SECTION_LIMIT = 256 * 1024;
const EMPTY_LINE_SIZE = 2;

/**
 * How a section ended. `limit` means that it has not: more fields may follow in `rest`, so nothing that must look at all
 * of them may be done with it.
 */
export type HeaderEnding = "empty-line" | "body-line" | "content-end" | "limit";

export interface HeaderField {
  /** As written, without the colon. */
  readonly name: string;
  /** The whole field: name, colon, value, folding and CRLF (which the last field of a content cut short may lack). */
  readonly raw: Uint8Array;
}

/** The fields of a message or of a MIME part. */
export class HeaderSection {
  /** The fields' octets, without the empty line. */
  readonly bytes: Uint8Array;
  readonly ending: HeaderEnding;
  /** Some octet above 127: such a section needs SMTPUTF8 (RFC 6531 3.6). */
  readonly eightBit: boolean;
  /** The octets of the fields and of the empty line, where there was one. */
  readonly whole: Uint8Array;
  /** Start and end of name for each field, in turn, then the end of the last field. */
  readonly #marks: readonly number[];
  #fields: readonly HeaderField[] | undefined;

  /** Made by `HeaderReader` and `readHeaderSection`. `marks` holds start and name's end of each field, then the end of all. */
  constructor(whole: Uint8Array, marks: readonly number[], ending: HeaderEnding, eightBit: boolean) {
    const end = marks[marks.length - 1] ?? 0;
    this.whole = whole;
    this.bytes = whole.length === end ? whole : whole.subarray(0, end);
    this.ending = ending;
    this.eightBit = eightBit;
    this.#marks = marks;
  }

  /** False where the body began without an empty line, or the section was too long. */
  get wellFormed(): boolean {
    return this.ending === "empty-line" || this.ending === "content-end";
  }

  get fieldCount(): number {
    return this.#marks.length >> 1;
  }

  /** Every field, in order. */
  get fields(): readonly HeaderField[] {
    if (this.#fields === undefined) {
      const fields: HeaderField[] = [];
      for (let i = 0; i < this.fieldCount; i++) fields.push(this.#field(i));
      this.#fields = fields;
    }
    return this.#fields;
  }

  /** The first field of this name, case not counted. */
  find(name: string): HeaderField | undefined {
    const i = this.#indexOf(name, 0);
    return i < 0 ? undefined : this.#field(i);
  }

  /** Every field of this name, case not counted. */
  all(name: string): HeaderField[] {
    const found: HeaderField[] = [];
    for (let i = this.#indexOf(name, 0); i >= 0; i = this.#indexOf(name, i + 1)) found.push(this.#field(i));
    return found;
  }

  has(name: string): boolean {
    return this.#indexOf(name, 0) >= 0;
  }

  /** How many fields have this name: `count("Received")` tells of loops (RFC 5321 6.3). */
  count(name: string): number {
    let count = 0;
    for (let i = this.#indexOf(name, 0); i >= 0; i = this.#indexOf(name, i + 1)) count++;
    return count;
  }

  /** The unfolded text of the first field of this name. */
  value(name: string): string | undefined {
    const field = this.find(name);
    return field === undefined ? undefined : fieldText(field);
  }

  /** What is left when fields of these names (in lower case) are taken out: slices of `bytes`, neighbours in one. */
  without(names: readonly string[]): Uint8Array[] {
    const left: Uint8Array[] = [];
    let from = 0;
    for (let i = 0; i < this.fieldCount; i++) {
      if (!names.some((name) => this.#isNamed(i, name))) continue;
      const start = this.#marks[2 * i] as number;
      if (start > from) left.push(this.bytes.subarray(from, start));
      from = this.#end(i);
    }
    if (from < this.bytes.length) left.push(from === 0 ? this.bytes : this.bytes.subarray(from));
    return left;
  }

  #end(i: number): number {
    return this.#marks[2 * i + 2] as number;
  }

  #field(i: number): HeaderField {
    const start = this.#marks[2 * i] as number;
    const name = fromLatin1(this.bytes.subarray(start, this.#marks[2 * i + 1]));
    return { name, raw: this.bytes.subarray(start, this.#end(i)) };
  }

  #indexOf(name: string, from: number): number {
    const lower = name.toLowerCase();
    for (let i = from; i < this.fieldCount; i++) if (this.#isNamed(i, lower)) return i;
    return -1;
  }

  #isNamed(i: number, lower: string): boolean {
    const start = this.#marks[2 * i] as number;
    if ((this.#marks[2 * i + 1] as number) - start !== lower.length) return false;
    for (let k = 0; k < lower.length; k++) {
      const c = this.bytes[start + k] as number;
      if ((c >= 65 && c <= 90 ? c | 32 : c) !== lower.charCodeAt(k)) return false;
    }
    return true;
  }
}

/**
 * The value of a field: unfolded (RFC 5322 2.2.3), trimmed, as UTF-8 or, where it is not, one character an octet. It may hold
 * any control, a lone CR or LF too: it is to be read, not to be written into another header.
 */
export function fieldText(field: HeaderField): string {
  const colon = field.raw.indexOf(58);
  const value = field.raw.subarray(colon + 1);
  const text = fromUtf8(value) ?? fromLatin1(value);
  return text
    .replaceAll("\r\n", "")
    .replace(/^[ \t]+/, "")
    .trimEnd();
}

/** Collects the header section from the chunks of a content. */
export class HeaderReader {
  #state = FIRST;
  /** What earlier chunks brought; the first of them itself, until a second makes a copy needed. */
  #held: Uint8Array = NO_BYTES;
  #heldSize = 0;
  /** Octets stepped over, in all chunks. */
  #size = 0;
  /** Start and name's end of each field, in turn. */
  readonly #marks: number[] = [];
  /** Where the last whole line ended. */
  #end = 0;
  #lineStart = 0;
  #nameEnd = -1;
  #bits = 0;
  #section: HeaderSection | undefined;
  readonly #rest: Uint8Array[] = [];

  /**
   * Takes the next chunk. True once the section is whole, or its limit is passed: `finish` then gives it. Later chunks are
   * the body's; to push them is an error of the caller and throws.
   */
  push(chunk: Uint8Array): boolean {
    if (this.#section !== undefined) throw new Error("the header section has ended already");
    const used = this.#step(chunk);
    if (this.#state === EMPTY) this.#close("empty-line", chunk, used);
    else if (this.#state === BODY) this.#close("body-line", chunk, used);
    else if (this.#size >= HEADER_SECTION_LIMIT + EMPTY_LINE_SIZE) this.#closeAtLimit(chunk, used);
    else this.#hold(chunk, used);
    return this.#section !== undefined;
  }

  /** The section, and what followed it so far. Where the section has not ended yet, the content has. */
  finish(): { readonly section: HeaderSection; readonly rest: readonly Uint8Array[] } {
    if (this.#section === undefined) {
      const inValue = this.#state === VALUE || this.#state === VALUE_CR;
      if (inValue) this.#end = this.#size;
      // A last line that has not become a field ("Subj", a lone CR) is the body's.
      const whole = inValue || this.#state === FIRST || this.#state === LINE;
      this.#close(whole ? "content-end" : "body-line", NO_BYTES, 0);
    }
    return { section: this.#section as HeaderSection, rest: this.#rest };
  }

  /** Steps through the chunk up to the section's end or limit; how many octets that were. */
  #step(chunk: Uint8Array): number {
    const base = this.#size;
    const stop = Math.min(chunk.length, HEADER_SECTION_LIMIT + EMPTY_LINE_SIZE - base);
    let state = this.#state;
    let bits = this.#bits;
    let i = 0;
    while (i < stop) {
      const c = chunk[i] as number;
      const next = headerSteps[(state << 8) | c] as number;
      i++;
      if (next === BODY) {
        state = next;
        break;
      }
      bits |= c;
      if (next === state) continue;
      if (next === EMPTY) {
        state = next;
        break;
      }
      this.#enter(state, next, base + i - 1);
      state = next;
    }
    this.#state = state;
    this.#bits = bits;
    this.#size = base + i;
    return i;
  }

  #enter(state: number, next: number, at: number): void {
    if (next === LINE) this.#end = at + 1;
    else if (next === NAME) {
      this.#lineStart = at;
      this.#nameEnd = -1;
    } else if (next === SPACE) this.#nameEnd = at;
    else if (state === NAME) this.#marks.push(this.#lineStart, at);
    else if (state === SPACE) this.#marks.push(this.#lineStart, this.#nameEnd);
  }

  #hold(chunk: Uint8Array, size: number): void {
    if (size === 0) return;
    if (this.#heldSize === 0) this.#held = chunk;
    else {
      const needed = this.#heldSize + size;
      if (needed > this.#held.length) {
        const larger = new Uint8Array(Math.max(needed, 2 * this.#held.length));
        larger.set(this.#held.subarray(0, this.#heldSize));
        this.#held = larger;
      }
      this.#held.set(size === chunk.length ? chunk : chunk.subarray(0, size), this.#heldSize);
    }
    this.#heldSize += size;
  }

  /** The last field may go on beyond the limit: it is left to the rest. */
  #closeAtLimit(chunk: Uint8Array, used: number): void {
    const open = this.#state === LINE || this.#state === VALUE || this.#state === VALUE_CR;
    if (open) {
      this.#end = this.#marks.at(-2) ?? 0;
      this.#marks.length -= 2;
    }
    this.#close("limit", chunk, used);
  }

  #close(ending: HeaderEnding, chunk: Uint8Array, used: number): void {
    const end = ending === "empty-line" ? this.#end + EMPTY_LINE_SIZE : this.#end;
    if (this.#heldSize === 0) {
      this.#open(end, chunk, ending);
      if (end < chunk.length) this.#rest.push(chunk.subarray(end));
      return;
    }
    this.#hold(chunk, used);
    this.#open(end, this.#held, ending);
    if (end < this.#heldSize) this.#rest.push(this.#held.subarray(end, this.#heldSize));
    if (used < chunk.length) this.#rest.push(chunk.subarray(used));
  }

  #open(end: number, bytes: Uint8Array, ending: HeaderEnding): void {
    this.#marks.push(this.#end);
    this.#section = new HeaderSection(bytes.subarray(0, end), this.#marks, ending, this.#bits > 127);
  }
}

/** The section at the start of a content that is there as a whole. */
export function readHeaderSection(content: Uint8Array): { readonly section: HeaderSection; readonly body: Uint8Array } {
  const reader = new HeaderReader();
  reader.push(content);
  const { section } = reader.finish();
  return { section, body: content.subarray(section.whole.length) };
}
