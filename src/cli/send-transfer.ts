/**
 * When a message that `postrider send` sends goes out, by when it is there, and how urgent it is.
 *
 * Rules
 * 1. What cannot be read is said before anything is asked or opened.
 */
import type { TransferInput } from "../client/transfer-input.ts";
import { parseDateTime } from "../protocol/date-time.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { spanOf } from "./spans.ts";
import { shown } from "./terminal.ts";

export interface TransferOptions {
  readonly holdFor?: string;
  readonly holdUntil?: string;
  readonly deliverBy?: string;
  readonly orReturn?: boolean;
  readonly priority?: string;
}

/** Throws a CliError. */
export function transferOf({ holdFor, holdUntil, deliverBy, orReturn, priority }: TransferOptions): TransferInput {
  if (holdFor !== undefined && holdUntil !== undefined) throw new CliError(exitCodes.usage, "--hold-for or --hold-until, not both.");
  if (orReturn === true && deliverBy === undefined)
    throw new CliError(
      exitCodes.usage,
      "--or-return, if it is not there by when?",
      "Name the time with --deliver-by, such as --deliver-by 2h.",
    );
  const otherwise = orReturn === true ? "return" : "notify";
  return {
    ...(holdFor === undefined ? {} : { holdFor: positive("--hold-for", holdFor) }),
    ...(holdUntil === undefined ? {} : { holdUntil: time(holdUntil) }),
    ...(deliverBy === undefined ? {} : { deliverBy: { within: positive("--deliver-by", deliverBy), otherwise } }),
    ...(priority === undefined ? {} : { transferPriority: level(priority) }),
  };
}

function positive(option: string, text: string): number {
  const ms = spanOf(option, text);
  if (ms > 0 && ms < 1e12) return ms;
  throw new CliError(exitCodes.usage, `${option} expects a duration above zero and below 31 years, not "${shown(text)}".`);
}

function time(text: string): number {
  const at = parseDateTime(text);
  if (at !== undefined) return at;
  const example = "2026-12-24T18:00:00Z or 2026-12-24T18:00:00+01:00";
  throw new CliError(exitCodes.usage, `--hold-until expects a time with its zone such as ${example}, not "${shown(text)}".`);
}

function level(text: string): number {
  if (/^[+-]?\d$/.test(text)) return Number(text);
  throw new CliError(exitCodes.usage, `--priority expects a number from -9 to 9, not "${shown(text)}".`);
}
