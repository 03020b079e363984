/**
 * Judges a chain of ARC sets, with what DNS said about their keys (RFC 8617 5.2).
 *
 * Rules
 * 1. The chain passes where it is whole, the newest ARC-Message-Signature is good and every seal is.
 * 2. Older message signatures may have been broken by those who sealed after them: they decide `oldestPass` alone.
 * 3. A DNS failure is temperror unless something has failed for good anyway.
 */
import type { ArcChain, ArcSet, ChainValidation } from "./arc-set.ts";
import { HeaderInput } from "./canonical-header.ts";
import type { TxtAnswer } from "./key-record.ts";
import type { ReadField, Signature } from "./signature-field.ts";
import type { SignedMessage } from "./signed-message.ts";
import { type Judgement, judgeMessageSignature, judgeSeal } from "./verify.ts";

/** RFC 8617 4.4 has none, pass and fail; temperror: DNS did not say enough. */
export type ArcVerdict = "none" | "pass" | "fail" | "temperror";

export interface ArcSetResult {
  readonly instance: number;
  /** Who sealed: d= of the seal; nothing where it cannot be read. */
  readonly domain: string | undefined;
  readonly selector: string | undefined;
  /** cv= of the seal. */
  readonly validation: ChainValidation;
  readonly seal: Judgement;
  readonly message: Judgement;
}

export interface ArcResult {
  readonly verdict: ArcVerdict;
  /** In words, as a judgement's. */
  readonly reason: string;
  /** From instance 1 on; empty where there is no chain or it is not whole. */
  readonly sets: readonly ArcSetResult[];
  /** RFC 8617 5.2, step 5: the lowest instance from which on all message signatures are good; 0 where all are. Absent: none is. */
  readonly oldestPass: number | undefined;
}

/** What DNS said about the key of a signature. */
export type KeyAnswers = (signature: Signature) => TxtAnswer;

/** Judges the chain of a message. `now` in milliseconds since 1970 UTC. */
export function judgeArc(message: SignedMessage, answers: KeyAnswers, now: number): ArcResult {
  const { arc } = message;
  if (arc.kind === "none") return { verdict: "none", reason: "there are no ARC sets", sets: [], oldestPass: undefined };
  const early = earlyFailure(message, arc);
  if (early !== undefined) return { verdict: "fail", reason: early, sets: [], oldestPass: undefined };
  const { sets } = arc as { readonly sets: readonly ArcSet[] };
  const seals = judgeSeals(sets, message, answers);
  const results = sets.map((set, i): ArcSetResult => {
    const { domain, selector } = set.seal.value;
    const judgement = judge(set.message, (signature) => judgeMessageSignature(signature, message, answers(signature), now));
    return { instance: set.instance, domain, selector, validation: set.validation, seal: seals[i] as Judgement, message: judgement };
  });
  return { ...verdictOf(results), sets: results, oldestPass: oldestPass(results) };
}

/** What is wrong with a chain before any signature is looked at (RFC 8617 5.2, steps 1 to 3). */
function earlyFailure(message: SignedMessage, arc: Exclude<ArcChain, { kind: "none" }>): string | undefined {
  if (message.section.ending === "limit") return "the header section is too long to be verified";
  if (arc.ended) return "who sealed last found that the chain had failed (cv=fail)";
  if (arc.kind === "broken") return `the chain is broken: ${arc.why}`;
  const wrong = arc.sets.find(({ instance, validation }) => validation !== (instance === 1 ? "none" : "pass"));
  return wrong === undefined ? undefined : `the chain is broken: the seal of instance ${wrong.instance} has cv=${wrong.validation}`;
}

/** Each seal is over all sets up to its own, so the octets are written once and grow (RFC 8617 5.1.1). */
function judgeSeals(sets: readonly ArcSet[], message: SignedMessage, answers: KeyAnswers): Judgement[] {
  const input = new HeaderInput(4096);
  return sets.map((set) => {
    input.add(set.results.raw, "relaxed");
    input.add(set.messageField.raw, "relaxed");
    const before = input.size;
    const judgement = judge(set.seal, (seal) => {
      input.addSignature(seal.field.raw, seal.hole, "relaxed");
      return judgeSeal(seal, input.bytes(), answers(seal), message.crypto);
    });
    input.truncate(before);
    input.add(set.sealField.raw, "relaxed");
    return judgement;
  });
}

function judge<T>(read: ReadField<T>, whole: (value: T) => Judgement): Judgement {
  if (read.ok) return whole(read.value);
  return { verdict: read.value.verdict, cause: "unusable-field", reason: read.value.why, key: undefined, body: undefined };
}

function verdictOf(results: readonly ArcSetResult[]): { verdict: ArcVerdict; reason: string } {
  const newest = results.at(-1) as ArcSetResult;
  const needed = [
    { what: `the message signature of instance ${newest.instance}`, of: newest.message },
    ...results.map(({ instance, seal }) => ({ what: `the seal of instance ${instance}`, of: seal })).reverse(),
  ];
  const failed = needed.find(({ of }) => of.verdict !== "pass" && of.verdict !== "temperror");
  if (failed !== undefined) return { verdict: "fail", reason: `${failed.what} is not good: ${failed.of.reason}` };
  const unknown = needed.find(({ of }) => of.verdict === "temperror");
  if (unknown !== undefined) return { verdict: "temperror", reason: `${unknown.what}: ${unknown.of.reason}` };
  return { verdict: "pass", reason: `all ${results.length} seals and the newest message signature, by ${newest.domain}, are good` };
}

function oldestPass(results: readonly ArcSetResult[]): number | undefined {
  let oldest: number | undefined;
  for (let i = results.length - 1; i >= 0 && results[i]?.message.verdict === "pass"; i--) oldest = results[i]?.instance;
  return oldest === 1 ? 0 : oldest;
}
