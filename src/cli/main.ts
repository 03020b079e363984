/**
 * The command line's entry.
 *
 * Rules
 * 1. Each command ends with an exit code of sysexits.h; nothing but `main` sets it.
 * 2. An expected failure is one sentence and what to do. A stack is shown for defects alone.
 */
import { CommanderError } from "commander";
import { exitCodes } from "./exit-codes.ts";
import { explain } from "./failures.ts";
import { makeProgram } from "./program.ts";

/** Runs the command line (without node and script) and sets the exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader such as `head` that is gone is no failure.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      process.exit(process.exitCode ?? exitCodes.ok);
    });
  }
  const program = makeProgram((code) => {
    process.exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    process.exitCode = await failed(error);
  }
}

async function failed(error: unknown): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage; // it has said why
  const known = await explain(error);
  if (known === undefined) {
    console.error("postrider: a defect, please report it:");
    console.error(error);
    return exitCodes.software;
  }
  console.error(`postrider: ${known.message}`);
  for (const line of known.hint?.split("\n") ?? []) console.error(`  ${line}`);
  return known.code;
}
