/**
 * What the commands of `postrider dkim` share: where keys are, which of them the configuration signs with, and how they are shown.
 *
 * Rules
 * 1. What a private key holds is never shown; what DNS may hold is all that leaves its file.
 */
import { existsSync } from "node:fs";
import { dirname, isAbsolute, relative, resolve } from "node:path";
import type { CheckDns } from "../authentication/index.ts";
import { type DkimTable, readDkimTables } from "../config/dkim-tables.ts";
import { type InDns, type KeyFile, KeysError } from "../keys/index.ts";
import { compareKeyRecord, type DkimKey, type KeyComparison, keyRecordText, txtStrings, zoneText } from "../message/dkim/index.ts";
import type { ResolverOption } from "./dns-access.ts";
import { CliError, type ExitCode, exitCodes } from "./exit-codes.ts";
import { configPath } from "./load-config.ts";

export interface DkimOptions extends ResolverOption {
  /** Where keys are: a folder for each domain. */
  readonly folder: string;
  readonly config?: string;
  readonly json?: boolean;
}

export type Algorithm = "rsa2048" | "ed25519" | "both";

const codes: Readonly<Record<KeysError["fault"], ExitCode>> = {
  name: exitCodes.usage,
  missing: exitCodes.noInput,
  exists: exitCodes.cannotCreate,
  unreadable: exitCodes.noPermission,
  unwritable: exitCodes.cannotCreate,
  key: exitCodes.data,
  state: exitCodes.data,
};

/** Runs work on key files; what is wrong with them is told as the user reads it. */
export async function withKeys<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof KeysError)) throw error;
    throw new CliError(codes[error.fault], error.message, error.hint, { cause: error });
  }
}

/** What the configuration signs with; `undefined` where there is no configuration, or none that can be read. */
export function configuredKeys(options: { readonly config?: string }): readonly DkimTable[] | undefined {
  const path = configPath(options.config);
  if (!existsSync(path)) {
    if (options.config === undefined) return undefined;
    throw new CliError(exitCodes.config, `there is no configuration file ${path}.`, "Name it with --config FILE, or leave that out.");
  }
  try {
    return readDkimTables(path);
  } catch (error) {
    if (options.config === undefined) return undefined;
    throw new CliError(exitCodes.config, `${path} cannot be read: ${(error as Error).message}.`, "`postrider config check` says more.");
  }
}

/** The lines for the configuration that sign with a key. */
export function configLines({ key, path }: KeyFile, options: { readonly config?: string }): string {
  const folder = dirname(resolve(configPath(options.config)));
  const near = relative(folder, resolve(path));
  const shownPath = near.startsWith("..") || isAbsolute(near) ? resolve(path) : near;
  const lines = [
    `domain = ${JSON.stringify(key.domain)}`,
    `selector = ${JSON.stringify(key.selector)}`,
    `key = ${JSON.stringify(shownPath)}`,
  ];
  return `[[dkim]]\n${lines.join("\n")}\n`;
}

export function algorithmName({ key }: DkimKey): string {
  return key.kind === "rsa" ? `RSA-${key.bits}` : "Ed25519";
}

/** The record as `--json` has it. */
export function recordJson(key: DkimKey): { name: string; type: "TXT"; text: string; strings: readonly string[]; zone: string } {
  const text = keyRecordText(key);
  return { name: key.recordName, type: "TXT", text, strings: txtStrings(text), zone: zoneText(key.recordName, text) };
}

export function keyZoneText(key: DkimKey): string {
  return zoneText(key.recordName, keyRecordText(key));
}

export interface ComparedKey {
  readonly file: KeyFile;
  readonly comparison: KeyComparison;
}

/** Asks DNS for the records of these keys. */
export function compareKeys(files: readonly KeyFile[], dns: CheckDns): Promise<ComparedKey[]> {
  return Promise.all(files.map(async (file) => ({ file, comparison: compareKeyRecord(file.key, await dns.txt(file.key.recordName)) })));
}

export function inDns(compared: readonly ComparedKey[]): ReadonlyMap<string, InDns> {
  return new Map(compared.map(({ file, comparison }) => [file.key.selector, comparison.kind]));
}

export const indented = (text: string, by: number): string => text.replace(/^(?=.)/gm, " ".repeat(by));
