/**
 * `postrider dkim check`: whether DNS has what the keys need, and what to do where it has not.
 *
 * Rules
 * 1. Every key that signs or is about to is looked at, of the key folder and of the configuration; keys that were retired are not.
 * 2. Exit code 0 where all are published, 65 where one is not, 75 where DNS could not tell.
 */
import { basename } from "node:path";
import { domainsIn, type KeyFile, KeyFolder, KeysError, readKeyFile, tooOpen } from "../keys/index.ts";
import { domainKey } from "../mail/domain.ts";
import { DkimKey, DkimKeyError, type KeyComparison } from "../message/dkim/index.ts";
import {
  algorithmName,
  type ComparedKey,
  compareKeys,
  configuredKeys,
  type DkimOptions,
  keyZoneText,
  recordJson,
  withKeys,
} from "./dkim-keys.ts";
import { withDns } from "./dns-access.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { painter, print, type Style, shown } from "./terminal.ts";

export function checkKeys(domain: string | undefined, options: DkimOptions): Promise<number> {
  return withKeys(async () => {
    const files = keysToCheck(domain, options);
    if (files.length === 0) {
      const whose = domain === undefined ? "" : ` of ${shown(domain)}`;
      throw new CliError(
        exitCodes.noInput,
        `there is no key${whose}, neither in ${options.folder} nor in a configuration.`,
        "`postrider dkim new DOMAIN` makes one; --folder and --config say where to look.",
      );
    }
    const compared = await withDns(options, ({ dns }) => compareKeys(files, dns));
    if (options.json === true) await print(`${JSON.stringify({ keys: compared.map(keyJson) }, null, 2)}\n`);
    else await print(describe(compared));
    return checkCode(compared.map(({ comparison }) => comparison));
  });
}

export function checkCode(comparisons: readonly KeyComparison[]): number {
  if (comparisons.every(({ kind }) => kind === "published")) return exitCodes.ok;
  return comparisons.some(({ kind }) => kind !== "published" && kind !== "unknown") ? exitCodes.data : exitCodes.temporary;
}

/** The keys of the folder that are not retired, and those of the configuration beside them. */
export function keysToCheck(domain: string | undefined, options: DkimOptions): KeyFile[] {
  const wanted = domain === undefined ? undefined : domainKey(domain);
  const tables = (configuredKeys(options) ?? []).filter((table) => wanted === undefined || table.domain === wanted);
  const files: KeyFile[] = [];
  for (const name of domain === undefined ? domainsIn(options.folder) : [domain]) {
    const folder = new KeyFolder(options.folder, name);
    const rotation = folder.rotation();
    const done = [...rotation.retired, ...(rotation.retiring?.selectors ?? [])];
    const configured = (selector: string): boolean => tables.some((table) => table.domain === folder.domain && table.selector === selector);
    for (const selector of folder.selectors()) if (!done.includes(selector) || configured(selector)) files.push(folder.load(selector));
  }
  for (const table of tables) {
    if (files.some(({ key }) => key.domain === table.domain && key.selector === table.selector)) continue;
    files.push(configuredKey(table));
  }
  return files;
}

function configuredKey({ domain, selector, key }: { readonly domain: string; readonly selector: string; readonly key: string }): KeyFile {
  const privateKey = readKeyFile(key);
  try {
    return { path: key, key: new DkimKey({ domain, selector, privateKey }) };
  } catch (error) {
    if (!(error instanceof DkimKeyError)) throw error;
    throw new KeysError("key", `${key}: ${error.message}.`);
  }
}

function keyJson({ file, comparison }: ComparedKey): unknown {
  const { key, path } = file;
  return {
    domain: key.domain,
    selector: key.selector,
    algorithm: key.algorithm,
    file: path,
    result: comparison.kind,
    ...(comparison.kind === "published" ? {} : { why: comparison.why }),
    notes: notesOf(file, comparison),
    record: recordJson(key),
  };
}

function notesOf({ key, path }: KeyFile, comparison: KeyComparison): readonly string[] {
  const open = tooOpen(path);
  return [...(comparison.kind === "published" ? comparison.notes : []), ...key.warnings, ...(open === undefined ? [] : [open])];
}

const styles: Readonly<Record<KeyComparison["kind"], Style>> = {
  published: "green",
  absent: "red",
  revoked: "red",
  different: "red",
  unknown: "yellow",
};

const todo: Readonly<Record<Exclude<KeyComparison["kind"], "published">, string>> = {
  absent: "Publish this record. Resolvers remember for minutes or hours that there was none:",
  revoked: "This key was taken back and must not sign any more; `postrider dkim rotate` makes another. Or publish its record again:",
  different: "Either this is not the key that was published, or the record was cut or changed on the way. It should be:",
  unknown: "Nothing is known about this key now. Ask again later, or ask another server with --resolver.",
};

function describe(compared: readonly ComparedKey[]): string {
  const paint = painter(process.stdout);
  let text = "";
  let domain = "";
  const widths = [(key: DkimKey): string => key.selector, algorithmName].map((cell) =>
    Math.max(...compared.map(({ file }) => cell(file.key).length)),
  );
  const [selectors = 0, algorithms = 0] = widths;
  for (const { file, comparison } of compared) {
    const { key, path } = file;
    if (key.domain !== domain) text += `${text === "" ? "" : "\n"}${paint("bold", key.domain)}\n`;
    domain = key.domain;
    text += `  ${paint(styles[comparison.kind], comparison.kind.padEnd(9))}  ${key.selector.padEnd(selectors)}  ${algorithmName(key).padEnd(algorithms)}  ${paint("dim", basename(path))}\n`;
    if (comparison.kind !== "published") {
      text += `             ${shown(comparison.why)}\n             ${todo[comparison.kind]}\n`;
      if (comparison.kind !== "unknown") text += `\n${keyZoneText(key)}\n`; // not indented: in a zone file that would mean the name before
    }
    for (const note of notesOf(file, comparison)) text += `             ${paint("yellow", "note")}: ${shown(note)}\n`;
  }
  return text;
}
