/**
 * Mends a submission whose lines are longer than any server has to take (RFC 5321 4.5.3.1.6): such parts are encoded anew.
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

/** The content with its long lines encoded, written into `sink`; `undefined` where that cannot be done, and the sink is then discarded. */
export async function reencoded(
  content: Content,
  facts: ContentFacts,
  sink: ContentSink,
): Promise<{ content: Content; facts: ContentFacts } | undefined> {
  const converter = new Converter({ target: "8bit", facts });
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
    const mended = await sink.finish();
    done = true;
    return { content: mended, facts: scanner.facts() };
  } finally {
    if (!done) sink.discard();
  }
}
