/**
 * Tag-lists, RFC 6376 3.2: `v=1; a=rsa-sha256; d=example.com`, as signatures and key records have them.
 *
 * Rules
 * 1. Strict: a name without "=", an empty tag, a name that comes twice or an octet that may not stand there make the whole list void.
 * 2. Octets above 127 may stand in values (RFC 8616 3): what may hold them is each tag's matter.
 * 3. Where a value stands is kept, so that a signature can be taken out of its own field.
 * 4. Linear, and bounded: `TAG_LIST_LIMIT` characters, `TAG_LIMIT` tags.
 */
import type { Read } from "./primitives.ts";

/** Characters of a tag-list: an RSA signature of 8192 bits and a hundred signed names are 4,000. */
export const TAG_LIST_LIMIT = 16 * 1024;
export const TAG_LIMIT = 64;

export interface Tag {
  /** Without white space around it; folding inside is left as it is. */
  readonly value: string;
  /** Index after "=". */
  readonly start: number;
  /** Index of the ";" or of the list's end. */
  readonly end: number;
}

export type TagList = ReadonlyMap<string, Tag>;

const nameForm = /^[A-Za-z][A-Za-z0-9_]*$/;
const badValue = /[^\x21-\x3a\x3c-\x7e\x80-\uffff \t\r\n]/;

/** The tags by name, in order. `text` is one character an octet, or as DNS gave it. */
export function parseTagList(text: string): Read<TagList> {
  if (text.length > TAG_LIST_LIMIT) return bad(`it has more than ${TAG_LIST_LIMIT} characters`);
  const tags = new Map<string, Tag>();
  for (let at = 0; at < text.length; ) {
    const semicolon = text.indexOf(";", at);
    const end = semicolon < 0 ? text.length : semicolon;
    const equals = text.indexOf("=", at);
    if (equals < 0 || equals >= end) {
      const rest = trim(text.slice(at, end));
      // What follows the last semicolon may be nothing.
      if (rest === "" && semicolon < 0 && tags.size > 0) break;
      return bad(rest === "" ? 'there is an empty tag (";;")' : `"${shown(rest)}" is no tag: it has no "="`);
    }
    const name = trim(text.slice(at, equals));
    if (!nameForm.test(name)) return bad(`"${shown(name)}" is no name of a tag`);
    if (tags.has(name)) return bad(`the tag ${shown(name)}= comes twice`);
    const value = trim(text.slice(equals + 1, end));
    if (badValue.test(value)) return bad(`the value of ${shown(name)}= has an octet that may not stand there`);
    if (tags.size === TAG_LIMIT) return bad(`it has more than ${TAG_LIMIT} tags`);
    tags.set(name, { value, start: equals + 1, end });
    at = end + 1;
  }
  if (tags.size === 0) return bad("it is empty");
  return { ok: true, value: tags };
}

/** A value whose white space means nothing, such as base64, without it. */
export function withoutSpace(value: string): string {
  return /[ \t\r\n]/.test(value) ? value.replaceAll(/[ \t\r\n]+/g, "") : value;
}

/** `a : b` -> `["a", "b"]`. */
export function colonList(value: string): string[] {
  return value.split(":").map(trim);
}

/** What a stranger wrote, fit for a sentence: short, without controls. */
export function shown(text: string): string {
  const plain = text.slice(0, 61).replaceAll(/[^\x20-\x7e\xa0-\uffff]/g, "?");
  return plain.length > 60 ? `${plain.slice(0, 60)}...` : plain;
}

function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

function isSpace(c: number): boolean {
  return c === 32 || c === 9 || c === 13 || c === 10;
}

function bad(why: string): { readonly ok: false; readonly why: string } {
  return { ok: false, why };
}
