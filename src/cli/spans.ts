/** Options that say how long: `--for 4h`. */
import { parseDuration } from "../util/duration.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { shown } from "./terminal.ts";

/** Milliseconds; case does not count. Throws a CliError. */
export function spanOf(option: string, text: string): number {
  const ms = parseDuration(text.toLowerCase());
  if (ms !== undefined) return ms;
  throw new CliError(exitCodes.usage, `${option} expects a duration such as 90s, 5m, 4h or 2d, not "${shown(text)}".`);
}

/** When `--for` ends; nothing where it was not given. Throws a CliError. */
export function untilOf({ for: text }: { readonly for?: string }): { readonly until?: number } {
  return text === undefined ? {} : { until: Date.now() + spanOf("--for", text) };
}
