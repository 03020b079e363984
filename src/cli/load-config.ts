/**
 * The configuration file, found and read; or all that is wrong with it.
 *
 * Rules
 * 1. `--config`, else POSTRIDER_CONFIG, else ./postrider.toml. Which of them it was is said where the file is missing.
 */
import { existsSync } from "node:fs";
import { type Config, formatProblems, type NamedFiles, readConfig, readEnvironment } from "../config/index.ts";
import type { CertificatePair } from "../net/tls-context.ts";
import { CliError, exitCodes } from "./exit-codes.ts";

export const DEFAULT_CONFIG = "postrider.toml";

export function configPath(given: string | undefined): string {
  return given ?? readEnvironment().config ?? DEFAULT_CONFIG;
}

export interface LoadedConfig {
  readonly path: string;
  readonly config: Config;
  readonly certificate: CertificatePair | undefined;
  readonly files: NamedFiles;
}

/** Throws a CliError with every problem in its text. */
export function loadConfig(given: string | undefined): LoadedConfig {
  const path = configPath(given);
  if (!existsSync(path)) {
    const origin = given !== undefined ? "--config" : readEnvironment().config !== undefined ? "POSTRIDER_CONFIG" : "the default";
    throw new CliError(
      exitCodes.config,
      `there is no configuration file ${path} (${origin}).`,
      "Name it with --config FILE; docs/config.md has every key. `postrider dev` needs none.",
    );
  }
  const result = readConfig(path);
  if (result.kind === "ok") return { path, ...result };
  const count = result.problems.length === 1 ? "one problem" : `${result.problems.length} problems`;
  throw new CliError(exitCodes.config, `${path} has ${count}:`, formatProblems(path, result.problems).trimEnd());
}
