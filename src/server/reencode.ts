/**
 * Encodes parts of a submission anew: where lines are longer than any server has to take (RFC 5321 4.5.3.1.6), and where it is to be signed and
 * a next hop might have to do it (RFC 6376 5.3).
 *
 * Rules
 * 1. What may not be changed (signed, encrypted) stays as it came.
 */
import { type Content, type ContentFacts, readContent } from "../mail/content.ts";
import { Converter } from "../message/conversion.ts";
import { ContentScanner } from "../message/facts.ts";
import type { ContentSink } from "./policy.ts";

/** RFC 5321 4.5.3.1.6, without the CRLF. */
export const LINE_LIMIT = 998;

/**
 * Writes the content, encoded, into `sink`, which is left to be finished; its facts. `undefined` where that cannot be done, and the sink is
 * then discarded.
 */
export async function reencode(
  content: Content,
  { facts, target }: { readonly facts: ContentFacts; readonly target: "7bit" | "8bit" },
  sink: Pick<ContentSink, "write" | "discard">,
): Promise<ContentFacts | undefined> {
  const converter = new Converter({ target, facts });
  const scanner = new ContentScanner();
  const take = async (step: ReturnType<Converter["push"]>): Promise<boolean> => {
    if (!step.ok) return false;
    for (const chunk of step.chunks) {
      scanner.push(chunk);
      await sink.write(chunk);
    }
    return true;
  };
  let done = false;
  try {
    for await (const chunk of readContent(content)) if (!(await take(converter.push(chunk)))) return undefined;
    if (!(await take(converter.end()))) return undefined;
    done = true;
    return scanner.facts();
  } finally {
    if (!done) sink.discard();
  }
}
