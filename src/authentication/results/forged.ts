/**
 * Fields that bear our name and are not ours (RFC 8601 5): found and taken out where mail comes in, so that no one behind us
 * believes what a stranger wrote.
 *
 * Rules
 * 1. A field that cannot be read is taken out, too: someone who reads it otherwise might find our name in it.
 * 2. Fields that name other checkers stay, octet for octet: they may be signed, and ARC and mail readers use them.
 */
import { domainKey } from "../../mail/domain.ts";
import { fieldText, type HeaderField, type HeaderSection } from "../../message/header-section.ts";
import { claimedAuthservId } from "./parse.ts";

const NAME = "Authentication-Results";

/** The Authentication-Results fields of a section that bear one of our names, or none that can be read. */
export function forgedResults(section: HeaderSection, authservIds: readonly string[]): HeaderField[] {
  const ours = new Set(authservIds.map(idKey));
  return section.all(NAME).filter((field) => isForged(field, ours));
}

export interface Cleaned {
  /** What is left of `section.bytes`: slices of it, neighbours in one. */
  readonly chunks: readonly Uint8Array[];
  readonly removed: readonly HeaderField[];
}

/** The section without them, and without fields of the names in `also`. One that passed the limit is cleaned as far as it was read. */
export function withoutForged(section: HeaderSection, authservIds: readonly string[], also: readonly string[] = []): Cleaned {
  const whole = section.bytes.length === 0 ? [] : [section.bytes];
  if (!section.has(NAME) && !also.some((name) => section.has(name))) return { chunks: whole, removed: [] };
  const unwanted = new Set(also.map((name) => name.toLowerCase()));
  const ours = new Set(authservIds.map(idKey));
  const chunks: Uint8Array[] = [];
  const removed: HeaderField[] = [];
  let from = 0;
  let at = 0;
  for (const field of section.fields) {
    const end = at + field.raw.length;
    const name = field.name.toLowerCase();
    if (unwanted.has(name) || (name === NAME.toLowerCase() && isForged(field, ours))) {
      if (at > from) chunks.push(section.bytes.subarray(from, at));
      removed.push(field);
      from = end;
    }
    at = end;
  }
  if (removed.length === 0) return { chunks: whole, removed };
  if (at > from) chunks.push(section.bytes.subarray(from, at));
  return { chunks, removed };
}

function isForged(field: HeaderField, ours: ReadonlySet<string>): boolean {
  const id = claimedAuthservId(fieldText(field));
  return id === undefined || ours.has(idKey(id));
}

const idKey = (id: string): string => domainKey(id);
