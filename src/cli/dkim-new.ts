/**
 * `postrider dkim new`: key files, the records that belong into DNS, and the lines that belong into the configuration.
 *
 * Rules
 * 1. Nothing signs by this alone: the configuration is the operator's, and its turn comes when DNS has the records.
 * 2. Ed25519 stands beside RSA under a selector of its own: receivers that do not know it (RFC 8463) take the other.
 */
import { join } from "node:path";
import { type KeyFile, KeyFolder, withSigning } from "../keys/index.ts";
import { domainKey, isDomain } from "../mail/domain.ts";
import type { KeyKind } from "../message/dkim/index.ts";
import { type Algorithm, algorithmName, configLines, type DkimOptions, indented, keyZoneText, recordJson, withKeys } from "./dkim-keys.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { painter, print, table } from "./terminal.ts";

export interface NewKeyOptions extends DkimOptions {
  readonly selector?: string;
  readonly algorithm: Algorithm;
}

/** Selectors of one day that are tried. */
const SUFFIXES = ["", ..."bcdefghijklmnopqrstuvwxyz"];

export function newKey(domain: string, options: NewKeyOptions): Promise<number> {
  return withKeys(async () => {
    const folder = new KeyFolder(options.folder, domain);
    const before = folder.rotation();
    if (before.next !== undefined) {
      throw new CliError(
        exitCodes.data,
        `keys of ${folder.domain} are being replaced just now.`,
        `\`postrider dkim rotate ${folder.domain}\` says what remains; then make another.`,
      );
    }
    const files = folder.create(newKeys(folder, options));
    folder.writeRotation(withSigning(before, selectorsOf(files)));
    if (options.json === true) await print(`${JSON.stringify(newKeysJson(folder, files, options), null, 2)}\n`);
    else await print(describe(folder, files, options));
    return exitCodes.ok;
  });
}

export function selectorsOf(files: readonly KeyFile[]): string[] {
  return files.map(({ key }) => key.selector);
}

/** Which keys to make: RSA has the selector itself, an Ed25519 key beside it one that says so. */
export function newKeys(
  folder: KeyFolder,
  { algorithm, selector }: Pick<NewKeyOptions, "algorithm" | "selector">,
): { readonly selector: string; readonly kind: KeyKind }[] {
  if (selector !== undefined && !isDomain(selector)) {
    throw new CliError(
      exitCodes.usage,
      `${JSON.stringify(selector)} is no selector.`,
      "A selector is a DNS label: letters, digits and hyphens.",
    );
  }
  const named = (base: string): { readonly selector: string; readonly kind: KeyKind }[] => {
    if (algorithm === "both")
      return [
        { selector: base, kind: "rsa" },
        { selector: `${base}-ed25519`, kind: "ed25519" },
      ];
    return [{ selector: base, kind: algorithm === "ed25519" ? "ed25519" : "rsa" }];
  };
  if (selector !== undefined) return named(domainKey(selector));
  const today = `s${new Date().toISOString().slice(0, 10).replaceAll("-", "")}`;
  for (const suffix of SUFFIXES) {
    const keys = named(`${today}${suffix}`);
    if (!keys.some((key) => folder.has(key.selector))) return keys;
  }
  throw new CliError(exitCodes.cannotCreate, `${folder.path} has too many keys of today.`, "Name a --selector.");
}

export function newKeysJson(folder: KeyFolder, files: readonly KeyFile[], options: DkimOptions): unknown {
  return {
    domain: folder.domain,
    keys: files.map((file) => ({
      selector: file.key.selector,
      algorithm: file.key.algorithm,
      file: file.path,
      record: recordJson(file.key),
      config: configLines(file, options),
    })),
  };
}

export function fileRows(files: readonly KeyFile[]): string {
  return table(files.map(({ path, key }) => [path, algorithmName(key)]));
}

export function recordsText(files: readonly KeyFile[]): string {
  return files.map(({ key }) => keyZoneText(key)).join("");
}

function describe(folder: KeyFolder, files: readonly KeyFile[], options: NewKeyOptions): string {
  const paint = painter(process.stdout);
  const made = files.length === 1 ? "one key made" : `${files.length} keys made`;
  const where = options.folder === "keys" ? "" : ` --folder ${options.folder}`;
  return [
    `${paint("bold", folder.domain)}: ${made}, readable by this user alone\n`,
    indented(fileRows(files), 2),
    `\n${paint("bold", "1. Publish in DNS")} (strings in quotes are one text; a web form takes them joined, without the quotes)\n\n`,
    recordsText(files),
    `\n${paint("bold", "2. Ask whether DNS has it")}\n\n  postrider dkim check ${folder.domain}${where}\n`,
    `\n${paint("bold", "3. Then sign with it")}: into the configuration\n\n`,
    files.map((file) => configLines(file, options)).join("\n"),
    `\nKeep a copy of ${join(options.folder, folder.domain)} where nobody else can read it; a lost key is replaced by \`postrider dkim rotate\`.\n`,
  ].join("");
}
