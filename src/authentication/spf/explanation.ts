/**
 * What a domain says to a client that its record refuses (RFC 7208 6.2).
 *
 * Rules
 * 1. No explanation is ever worth an error: where something is wrong, there is none.
 * 2. The text is the sender's, not ours: whoever shows it says whose it is. Controls are taken out, and it is one line of bounded length.
 */
import type { Clock } from "../../util/clock.ts";
import { shown } from "../step.ts";
import type { Evaluated, SpfEvaluation } from "./evaluation.ts";
import { expandMacros, parseMacroString } from "./macro.ts";
import { RECORD_LIMIT } from "./record.ts";

/** Characters of an explanation that are kept: a line of a reply has 512 octets (RFC 5321 4.5.3.1.5). */
export const EXPLANATION_LIMIT = 400;

export async function explain(evaluation: SpfEvaluation, found: Evaluated, clock: Clock): Promise<string | undefined> {
  if (found.explanation === undefined || found.at === undefined) return undefined;
  const name = await evaluation.expand(found.explanation, found.at);
  const answer = await evaluation.dns.txt(name);
  const [text] = answer.kind === "found" ? answer.records : [];
  if (text === undefined || (answer.kind === "found" && answer.records.length > 1)) return undefined;
  if (text.length > RECORD_LIMIT) return undefined;
  const pieces = parseMacroString(text, { explanationLetters: true, spaces: true });
  if (typeof pieces === "string") return undefined;
  return shown(await expandMacros(pieces, evaluation.values(found.at, clock.now())), EXPLANATION_LIMIT);
}
