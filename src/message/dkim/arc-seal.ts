/**
 * Seals a message: adds an ARC set that says what we found, for those it is handed on to (RFC 8617 5.1).
 *
 * Rules
 * 1. The set says the truth about the chain that came: cv=none, pass or fail. What is not known (temperror) is not sealed.
 * 2. A chain that has ended (cv=fail) or is full is left as it is.
 * 3. A failed chain's seal covers its own set alone (RFC 8617 5.1.2).
 * 4. Tags stand in alphabetical order, as in the public suite: the same input gives the same signature as others make. A seal covers the
 *    folding of the message signature beside it; the suite has none there, which `signatureInOneLine` gives.
 */
import { encodeBase64 } from "../../util/base64.ts";
import { latin1, utf8 } from "../../util/bytes.ts";
import type { HeaderSection } from "../header-section.ts";
import { ARC_SET_LIMIT, type ArcChain, type ChainValidation } from "./arc-set.ts";
import type { Canonicalization } from "./canonical-body.ts";
import { HeaderInput } from "./canonical-header.ts";
import { type FieldIndex, namesToSign, SIGNED_NAMES, type SigningName } from "./field-selection.ts";
import type { DkimKey } from "./key.ts";
import { foldedAtSemicolons, signedField, unsignedField, type WrittenTag } from "./signature-text.ts";
import type { BodyHash } from "./signed-message.ts";

/** What an ARC-Message-Signature covers where nothing else is asked for: the usual, and the DKIM-Signature fields (RFC 8617 4.1.2). */
export const ARC_SIGNED_NAMES: readonly SigningName[] = [
  ...SIGNED_NAMES.map(({ name }): SigningName => ({ name, oversign: "never" })),
  { name: "dkim-signature", oversign: "never" },
];

/** RFC 8617 4.1.2: these would be broken by the next who seals or checks. */
const NEVER_SIGNED = ["authentication-results", "arc-authentication-results", "arc-message-signature", "arc-seal"];

/** What of a `SignedMessage` a sealer needs; its body must have been hashed in its relaxed form. */
export interface SealableMessage {
  readonly section: HeaderSection;
  readonly index: FieldIndex;
  readonly arc: ArcChain;
  bodyHash(form: Canonicalization, length: number | undefined): BodyHash;
}

export interface SealOptions {
  /** What was found about the chain that came (`judgeArc`). temperror must be tried again or counted as fail. */
  readonly validation: ChainValidation;
  /** What an Authentication-Results field would say: `mx.example.com; arc=none; spf=pass ...`, unfolded. */
  readonly authenticationResults: string;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
}

export interface ArcSealerOptions {
  /** What the message signature covers; From always. `ARC_SIGNED_NAMES` where absent. */
  readonly names?: readonly SigningName[];
  /** b= is not folded; false by default. */
  readonly signatureInOneLine?: boolean;
}

export type Sealed =
  /** ARC-Seal, ARC-Message-Signature and ARC-Authentication-Results, to be put in front of the message. */
  { readonly kind: "sealed"; readonly fields: Uint8Array; readonly instance: number } | { readonly kind: "left"; readonly why: string };

export class ArcSealer {
  readonly #key: DkimKey;
  readonly #names: readonly SigningName[];
  readonly #inOneLine: boolean;

  /** Throws a RangeError for names that must not be signed. */
  constructor(key: DkimKey, options: ArcSealerOptions = {}) {
    const names = options.names ?? ARC_SIGNED_NAMES;
    const forbidden = names.find(({ name }) => NEVER_SIGNED.includes(name));
    if (forbidden !== undefined) throw new RangeError(`${forbidden.name} must not be covered by an ARC-Message-Signature`);
    this.#key = key;
    this.#inOneLine = options.signatureInOneLine ?? false;
    this.#names = names.some(({ name }) => name === "from") ? names : [{ name: "from", oversign: "never" }, ...names];
  }

  seal(message: SealableMessage, options: SealOptions): Sealed {
    const { arc } = message;
    if (arc.kind !== "none" && arc.ended) return { kind: "left", why: "the chain has failed before (cv=fail): nothing is added to it" };
    const highest = arc.kind === "none" ? 0 : arc.kind === "broken" ? arc.highest : arc.sets.length;
    const instance = highest + 1;
    if (instance > ARC_SET_LIMIT) return { kind: "left", why: `the chain has ${ARC_SET_LIMIT} sets already` };
    checkValidation(arc, options.validation);
    const created = String(Math.floor(options.now / 1000));
    const results = utf8(resultsField(instance, options.authenticationResults));
    const messageSignature = latin1(this.#messageSignature(message, instance, created));
    const seal = latin1(this.#seal(arc, options.validation, { instance, created, results, messageSignature }));
    const fields = new Uint8Array(seal.length + messageSignature.length + results.length);
    fields.set(seal);
    fields.set(messageSignature, seal.length);
    fields.set(results, seal.length + messageSignature.length);
    return { kind: "sealed", fields, instance };
  }

  #messageSignature(message: SealableMessage, instance: number, created: string): string {
    const { digest } = message.bodyHash("relaxed", undefined);
    const names = namesToSign(message.index, this.#names);
    const input = new HeaderInput(message.section.bytes.length + 2048);
    for (const { raw } of message.index.select(names)) input.add(raw, "relaxed");
    return this.#signed("ARC-Message-Signature", input, [
      { name: "a", value: this.#key.algorithm },
      { name: "b", value: "" },
      { name: "bh", value: encodeBase64(digest as Uint8Array) },
      { name: "c", value: "relaxed/relaxed" },
      { name: "d", value: this.#key.domain },
      { name: "h", value: names.join(":"), form: "list" },
      { name: "i", value: String(instance) },
      { name: "s", value: this.#key.selector },
      { name: "t", value: created },
    ]);
  }

  #seal(arc: ArcChain, validation: ChainValidation, own: OwnSet): string {
    const input = new HeaderInput(8192);
    if (arc.kind === "sets" && validation !== "fail") {
      for (const set of arc.sets) for (const { raw } of [set.results, set.messageField, set.sealField]) input.add(raw, "relaxed");
    }
    input.add(own.results, "relaxed");
    input.add(own.messageSignature, "relaxed");
    return this.#signed("ARC-Seal", input, [
      { name: "a", value: this.#key.algorithm },
      { name: "b", value: "" },
      { name: "cv", value: validation },
      { name: "d", value: this.#key.domain },
      { name: "i", value: String(own.instance) },
      { name: "s", value: this.#key.selector },
      { name: "t", value: own.created },
    ]);
  }

  #signed(name: string, input: HeaderInput, tags: readonly WrittenTag[]): string {
    const unsigned = unsignedField(name, tags);
    const { length } = unsigned.before;
    input.addSignature(latin1(unsigned.before + unsigned.after), { start: length, end: length }, "relaxed");
    return signedField(unsigned, encodeBase64(this.#key.key.sign(input.bytes())), this.#inOneLine);
  }
}

interface OwnSet {
  readonly instance: number;
  readonly created: string;
  readonly results: Uint8Array;
  readonly messageSignature: Uint8Array;
}

/** A caller that says pass of nothing, or none of something, would lie in our name. */
function checkValidation(arc: ArcChain, validation: ChainValidation): void {
  if ((validation === "none") !== (arc.kind === "none"))
    throw new RangeError(`cv=${validation} of a message with ${arc.kind === "none" ? "no" : "a"} chain`);
  if (validation === "pass" && arc.kind === "broken") throw new RangeError("cv=pass of a chain that is broken");
}

function resultsField(instance: number, text: string): string {
  const line = text.replaceAll(/\r\n(?=[ \t])/g, "").trim();
  if (/[\r\n\0]/.test(line)) throw new RangeError("authentication results with a line end or NUL in them");
  return `${foldedAtSemicolons("ARC-Authentication-Results:", ` i=${instance}; ${line}`)}\r\n`;
}
