/**
 * The ARC sets of a message: three fields for each instance (RFC 8617 4), put together and looked at as a chain.
 *
 * Rules
 * 1. Instances are 1 to n without a gap, each with exactly one of each field, n at most `ARC_SET_LIMIT` (RFC 8617 5.2, steps 1 to 3).
 * 2. What is wrong with the chain is said once, with the highest instance there is, so that a sealer can go on from it.
 */
import { fieldText, type HeaderField } from "../header-section.ts";
import type { FieldIndex } from "./field-selection.ts";
import { type MessageSignature, type ReadField, readMessageSignature, readSeal, readTags, type Signature } from "./signature-field.ts";
import { shown, type TagList } from "./tag-list.ts";

/** RFC 8617 4.2.1. */
export const ARC_SET_LIMIT = 50;

export type ChainValidation = "none" | "pass" | "fail";

export interface ArcSet {
  readonly instance: number;
  /** ARC-Authentication-Results. */
  readonly results: HeaderField;
  /** ARC-Message-Signature. */
  readonly message: ReadField<MessageSignature>;
  readonly messageField: HeaderField;
  /** ARC-Seal. */
  readonly seal: ReadField<Signature>;
  readonly sealField: HeaderField;
  readonly validation: ChainValidation;
}

export type ArcChain =
  | { readonly kind: "none" }
  /** The sets from instance 1 on. `ended`: the newest seal says cv=fail, so that the chain has failed for good. */
  | { readonly kind: "sets"; readonly sets: readonly ArcSet[]; readonly ended: boolean }
  | { readonly kind: "broken"; readonly why: string; readonly highest: number; readonly ended: boolean };

const kinds = ["arc-authentication-results", "arc-message-signature", "arc-seal"] as const;
const titles = ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"] as const;

interface Found {
  readonly instance: number | undefined;
  readonly field: HeaderField;
  readonly tags: TagList | undefined;
}

/** Puts the ARC fields of a message together. */
export function readArcChain(index: FieldIndex): ArcChain {
  const counts = kinds.map((kind) => index.all(kind).length);
  if (counts.every((count) => count === 0)) return { kind: "none" };
  if (counts.some((count) => count > ARC_SET_LIMIT)) {
    return { kind: "broken", why: `it has more than ${ARC_SET_LIMIT} ARC sets`, highest: ARC_SET_LIMIT, ended: false };
  }
  const found = kinds.map((kind, i) => index.all(kind).map((field) => (i === 0 ? foundResults(field) : foundSignature(field))));
  const highest = Math.max(0, ...found.flat().map(({ instance }) => instance ?? 0));
  const ended = (found[2] as Found[]).some(({ instance, tags }) => instance === highest && tags?.get("cv")?.value.toLowerCase() === "fail");
  const sets = setsOf(found, highest);
  return typeof sets === "string" ? { kind: "broken", why: sets, highest, ended } : { kind: "sets", sets, ended };
}

/** `i=1; lists.example.org; ...` (RFC 8617 4.1.1). */
function foundResults(field: HeaderField): Found {
  const match = /^i[ \t]*=[ \t]*([0-9]{1,2})[ \t]*;/.exec(fieldText(field));
  return { instance: instanceOf(match?.[1]), field, tags: undefined };
}

function foundSignature(field: HeaderField): Found {
  const tags = readTags(field);
  return tags.ok
    ? { instance: instanceOf(tags.value.get("i")?.value), field, tags: tags.value }
    : { instance: undefined, field, tags: undefined };
}

function instanceOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,2}$/.test(text)) return undefined;
  const instance = Number(text);
  return instance >= 1 && instance <= ARC_SET_LIMIT ? instance : undefined;
}

/** The sets in order, or what is wrong with them. */
function setsOf(found: readonly (readonly Found[])[], highest: number): ArcSet[] | string {
  const byKind = found.map(() => new Map<number, Found>());
  for (const [k, fields] of found.entries()) {
    for (const each of fields) {
      if (each.instance === undefined) return `an ${titles[k]} field has no instance (i=) from 1 to ${ARC_SET_LIMIT}`;
      if (byKind[k]?.has(each.instance)) return `it has two ${titles[k]} fields of instance ${each.instance}`;
      byKind[k]?.set(each.instance, each);
    }
  }
  const sets: ArcSet[] = [];
  for (let instance = 1; instance <= highest; instance++) {
    const fields = byKind.map((map) => map.get(instance));
    const missing = fields.indexOf(undefined);
    if (missing >= 0) return `${titles[missing]} of instance ${instance} is missing`;
    const [results, message, seal] = fields as [Found, Found, Found];
    const validation = seal.tags?.get("cv")?.value.toLowerCase();
    if (validation !== "none" && validation !== "pass" && validation !== "fail") {
      return `the ARC-Seal of instance ${instance} has ${validation === undefined ? "no cv=" : `cv=${shown(validation)}`}`;
    }
    sets.push({
      instance,
      results: results.field,
      message: readMessageSignature(message.field, "arc"),
      messageField: message.field,
      seal: readSeal(seal.field),
      sealField: seal.field,
      validation,
    });
  }
  return sets;
}
