/**
 * The client did something else than its script has.
 *
 * Rules
 * 1. The message shows the line of the script, the whole script with a mark at that line, and all that was said.
 * 2. It is an AssertionError, so that test runners show it as one: `expected` is the script, `actual` what was said.
 */
import { AssertionError } from "node:assert";
import type { Script } from "./script.ts";

export interface Difference {
  /** Connections are counted from 1. */
  readonly connection: number;
  /** Line of the script, from 1; absent where the script has no such connection, or the client goes on behind its end. */
  readonly line?: number;
  /** What the client did instead, as a sentence without its end. */
  readonly why: string;
  readonly script: Script | undefined;
  /** All that was said, each line with its arrow. */
  readonly said: readonly string[];
}

/** Characters of a line that are shown. */
const SHOWN_LIMIT = 200;

export class ScriptError extends AssertionError {
  override readonly name = "ScriptError";
  readonly connection: number;
  readonly line: number | undefined;

  constructor(difference: Difference) {
    const expected = (difference.script?.steps ?? []).map(({ source }) => source).join("\n");
    const actual = difference.said.map(shown).join("\n");
    super({ message: messageOf(difference), expected, actual, operator: "script" });
    this.connection = difference.connection;
    this.line = difference.line;
  }
}

function messageOf({ connection, line, why, script, said }: Difference): string {
  const title = script?.title === undefined || script.title === "" ? "" : ` (${script.title})`;
  const where = line === undefined ? "" : `, line ${line} of the script`;
  const steps = (script?.steps ?? []).map((step) => `${step.line === line ? ">" : " "} ${shown(step.source)}`);
  const missing = line === undefined && script !== undefined ? ["> (its end)"] : [];
  const parts = [
    `connection ${connection}${title}${where}: ${why}`,
    ...(script === undefined ? [] : ["", "The script:", ...steps, ...missing]),
    "",
    "What was said:",
    ...(said.length === 0 ? ["  (nothing)"] : said.map((text) => `  ${shown(text)}`)),
  ];
  return parts.join("\n");
}

function shown(text: string): string {
  return text.length > SHOWN_LIMIT ? `${text.slice(0, SHOWN_LIMIT)}... (${text.length} characters)` : text;
}
