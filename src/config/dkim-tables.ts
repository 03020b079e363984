/**
 * The `[[dkim]]` tables of a configuration file alone, for commands that look after keys: they help also where the rest of the file is not
 * finished, or names a key file that is still to be made.
 *
 * Rules
 * 1. A table that is not whole is left out: `config check` says what is wrong with it.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "smol-toml";
import { domainKey, isDomain } from "../mail/domain.ts";

export interface DkimTable {
  /** A-labels in lower case, both. */
  readonly domain: string;
  readonly selector: string;
  /** Absolute path. */
  readonly key: string;
}

/** Without tables where the file has none; throws what reading and parsing throw. */
export function readDkimTables(path: string): readonly DkimTable[] {
  return dkimTables(readFileSync(path, "utf8"), dirname(resolve(path)));
}

/** `folder` is what paths are relative to. */
export function dkimTables(text: string, folder: string): readonly DkimTable[] {
  const { dkim } = parse(text);
  if (!Array.isArray(dkim)) return [];
  const tables: DkimTable[] = [];
  for (const table of dkim) {
    if (typeof table !== "object" || table === null || Array.isArray(table) || table instanceof Date) continue;
    const { domain, selector, key } = table as { domain?: unknown; selector?: unknown; key?: unknown };
    if (typeof domain !== "string" || typeof selector !== "string" || typeof key !== "string") continue;
    if (isDomain(domain) && isDomain(selector))
      tables.push({ domain: domainKey(domain), selector: domainKey(selector), key: resolve(folder, key) });
  }
  return tables;
}
