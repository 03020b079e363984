/**
 * Writes the fields that hold signatures, folded.
 *
 * Rules
 * 1. What is signed is the text before and after the value of b=; what is sent has the signature between them.
 * 2. A line is folded where the syntax has white space already: between tags, between the names of h=, inside base64.
 * 3. Lines are at most `FOLD_AT` characters, but where one name alone is longer.
 * 4. b= begins a line and goes on in lines of `SIGNATURE_LINE` characters, or in one where that is asked for.
 */
import { FOLD_AT } from "../trace.ts";

/** Characters of a line of base64, `b=` counted. */
const SIGNATURE_LINE = 72;

/** One tag. list: may be folded after each colon; others are never cut. */
export interface WrittenTag {
  readonly name: string;
  readonly value: string;
  readonly form?: "list";
}

/** A field without its signature. */
export interface UnsignedField {
  /** Up to and with `b=`. */
  readonly before: string;
  /** What follows the signature, without the CRLF. */
  readonly after: string;
}

/** The field `name` with these tags, b= at the place of the tag of that name, whose value is not looked at. */
export function unsignedField(name: string, tags: readonly WrittenTag[]): UnsignedField {
  const folder = new Folder(`${name}:`);
  let before = "";
  for (const [i, { name: tag, value, form }] of tags.entries()) {
    const end = i === tags.length - 1 ? "" : ";";
    if (tag === "b") {
      folder.startLine("");
      folder.add(" b=");
      before = folder.take();
      folder.startLine(end);
    } else if (form === "list") folder.addList(` ${tag}=`, value.split(":"), end);
    else folder.add(` ${tag}=${value}${end}`);
  }
  return { before, after: folder.take() };
}

/** The whole field, with its CRLF. `inOneLine`: the signature is not folded, however long it is. */
export function signedField({ before, after }: UnsignedField, base64: string, inOneLine = false): string {
  if (inOneLine) return `${before}${base64}${after}\r\n`;
  let text = before + base64.slice(0, SIGNATURE_LINE - 2);
  for (let at = SIGNATURE_LINE - 2; at < base64.length; at += SIGNATURE_LINE) text += `\r\n ${base64.slice(at, at + SIGNATURE_LINE)}`;
  return `${text}${after}\r\n`;
}

/** `text` folded at the spaces that follow semicolons, behind `start`. */
export function foldedAtSemicolons(start: string, text: string): string {
  const folder = new Folder(start);
  for (const piece of text.split(/(?<=;)(?= )/)) folder.add(piece);
  return folder.take();
}

class Folder {
  #text: string;
  #width: number;

  constructor(text: string) {
    this.#text = text;
    this.#width = text.length;
  }

  /** What was written, which begins anew. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  /** What comes next, if anything does, stands on a new line. */
  startLine(end: string): void {
    this.#text += end;
    this.#width = FOLD_AT;
  }

  /** A piece that begins with the white space at which a line may end. */
  add(piece: string): void {
    if (this.#width + piece.length > FOLD_AT) this.#fold("");
    this.#append(piece);
  }

  addList(start: string, items: readonly string[], end: string): void {
    for (const [i, item] of items.entries()) {
      const text = `${item}${i === items.length - 1 ? end : ":"}`;
      if (i === 0) this.add(start + text);
      else {
        if (this.#width + text.length > FOLD_AT) this.#fold(" ");
        this.#append(text);
      }
    }
  }

  #append(piece: string): void {
    this.#text += piece;
    this.#width += piece.length;
  }

  #fold(space: string): void {
    this.#text += `\r\n${space}`;
    this.#width = space.length;
  }
}
