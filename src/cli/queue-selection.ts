/**
 * Which messages a command means: ids, or a filter (queue/filter.ts), as the shell hands them over.
 *
 * Rules
 * 1. Words that are all ids are ids; anything else is a filter.
 * 2. A shell takes quotes off: a word that only makes sense with them gets them back.
 */
import { isMessageId } from "../mail/message.ts";
import { FilterError, parseFilter } from "../queue/filter.ts";
import { CliError, exitCodes } from "./exit-codes.ts";

export type SelectionParameters = { readonly ids: string[] } | { readonly filter: string };

/** Throws a CliError for nothing at all, where `all` does not allow it. */
export function selectionOf(words: readonly string[], all: boolean): SelectionParameters {
  const ids = [...new Set(words.map((word) => word.toUpperCase()))];
  if (words.length > 0 && ids.every(isMessageId)) return { ids };
  if (words.length === 0 && !all) {
    throw new CliError(
      exitCodes.usage,
      "which messages?",
      "Name ids or a filter such as to:example.test age>1h, or say --all. docs/queue.md has all of it.",
    );
  }
  if (words.length > 0 && all) throw new CliError(exitCodes.usage, "--all is for every message.", "Name ids or a filter, or say --all.");
  return { filter: filterText(words) };
}

/** Throws a CliError for what cannot be read. */
export function filterText(words: readonly string[]): string {
  const plain = words.join(" ");
  const first = problemOf(plain);
  if (first === undefined) return plain;
  const quoted = words.map(withQuotes).join(" ");
  if (problemOf(quoted) === undefined) return quoted;
  throw new CliError(exitCodes.usage, `the filter cannot be read: ${first.message}.`, `${plain}\n${" ".repeat(first.at)}^`);
}

function problemOf(text: string): FilterError | undefined {
  try {
    parseFilter(text);
    return undefined;
  } catch (error) {
    if (error instanceof FilterError) return error;
    throw error;
  }
}

function withQuotes(word: string): string {
  const [, head = "", value = ""] = /^([a-z]+(?:>=|<=|[:~=<>]))(.*)$/is.exec(word) ?? [];
  return head === "" || /^"/.test(value) ? word : `${head}"${value.replace(/["\\]/g, "\\$&")}"`;
}
