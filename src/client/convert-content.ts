/**
 * Converts content for a next hop that cannot take it as it is.
 *
 * Rules
 * 1. Whether it can be converted is known before a byte leaves: stored content is gone through once for that, and for its new
 *    size, then again while it is sent. Memory stays constant.
 */
import { type Content, type ContentFacts, memoryContent, readContent } from "../mail/content.ts";
import { type ConversionOptions, Converter } from "../message/conversion.ts";
import { totalSize } from "../util/bytes.ts";

export type ConvertedContent =
  | { readonly kind: "converted"; readonly content: Content }
  | { readonly kind: "impossible"; readonly why: string };

export async function convertedContent(content: Content, facts: ContentFacts, target: "7bit" | "8bit"): Promise<ConvertedContent> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const piece of converted(content, { target, facts })) {
      size += totalSize(piece);
      if (content.kind === "memory") chunks.push(...piece);
    }
  } catch (error) {
    if (error instanceof NotConvertible) return { kind: "impossible", why: error.message };
    throw error;
  }
  if (content.kind === "memory") return { kind: "converted", content: memoryContent(chunks) };
  return { kind: "converted", content: { kind: "stored", size, open: () => flat(converted(content, { target, facts })) } };
}

class NotConvertible extends Error {
  override readonly name = "NotConvertible";
}

async function* converted(content: Content, options: ConversionOptions): AsyncGenerator<readonly Uint8Array[]> {
  const converter = new Converter(options);
  for await (const chunk of readContent(content)) yield taken(converter.push(chunk));
  yield taken(converter.end());
}

function taken(step: ReturnType<Converter["push"]>): readonly Uint8Array[] {
  if (!step.ok) throw new NotConvertible(step.text);
  return step.chunks;
}

async function* flat(pieces: AsyncGenerator<readonly Uint8Array[]>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield* piece;
}
