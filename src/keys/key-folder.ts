/**
 * DKIM keys as files: `<folder>/<domain>/<selector>.pem`, and beside them `rotation.json`, which says what each key is for.
 *
 * Rules
 * 1. A key file is made for its owner alone (0600) and is never overwritten: who had one key has it still, whatever is called twice.
 * 2. `rotation.json` is written beside itself and renamed: it is the old one or the new one, never a part of either. Keys are on disk before it
 *    names them.
 * 3. A key file that others may read is told, and so is one that cannot be read. What a key file holds is never shown.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { domainKey, isDomain } from "../mail/domain.ts";
import { DkimKey, DkimKeyError } from "../message/dkim/key.ts";
import { generateDkimKey } from "../message/dkim/key-tools.ts";
import type { KeyKind } from "../message/dkim/primitives.ts";
import { KeysError } from "./keys-error.ts";
import { NO_ROTATION, parseRotation, type Rotation, rotationText, withSigning } from "./rotation.ts";

/** A key file larger than this is none. */
const KEY_FILE_LIMIT = 64 * 1024;
const STATE_FILE = "rotation.json";

export interface KeyFile {
  readonly path: string;
  readonly key: DkimKey;
}

/** The keys of one domain. */
export class KeyFolder {
  /** A-labels, in lower case. */
  readonly domain: string;
  readonly path: string;

  /** `folder` holds a folder for each domain. Throws a KeysError for what is no domain. */
  constructor(folder: string, domain: string) {
    if (!isDomain(domain)) throw new KeysError("name", `${JSON.stringify(domain)} is no domain name.`);
    this.domain = domainKey(domain);
    this.path = join(folder, this.domain);
  }

  keyPath(selector: string): string {
    return join(this.path, `${selector}.pem`);
  }

  has(selector: string): boolean {
    return existsSync(this.keyPath(selector));
  }

  /** Makes keys and their files, all or none of which is there afterwards only where the disk does not fail between them. Throws a KeysError. */
  create(keys: readonly { readonly selector: string; readonly kind: KeyKind }[]): KeyFile[] {
    const made = keys.map(({ selector, kind }) => {
      const pem = generateDkimKey(kind);
      return { pem, path: this.keyPath(selector), key: this.#key(selector, pem) };
    });
    const taken = made.find(({ path }) => existsSync(path));
    if (taken !== undefined) throw alreadyThere(taken.path);
    this.#makeFolder();
    for (const { path, pem } of made) writeNew(path, pem);
    return made.map(({ path, key }) => ({ path, key }));
  }

  /** Throws a KeysError where there is no such key, or none that can be signed with. */
  load(selector: string): KeyFile {
    const path = this.keyPath(selector);
    return { path, key: this.#key(selector, readKeyFile(path), path) };
  }

  /** Selectors that have a key file, sorted. A file that is not named as DNS compares names (in lower case) is none of ours. */
  selectors(): string[] {
    if (!existsSync(this.path)) return [];
    const names = readdirSync(this.path).filter((name) => name.endsWith(".pem"));
    const selectors = names.map((name) => name.slice(0, -".pem".length));
    return selectors.filter((selector) => isDomain(selector) && selector === domainKey(selector)).sort();
  }

  /** What the keys are for; where nothing was written yet, all of them sign. Throws a KeysError for a file that is damaged. */
  rotation(): Rotation {
    const path = join(this.path, STATE_FILE);
    if (!existsSync(path)) return withSigning(NO_ROTATION, this.selectors());
    const read = parseRotation(readText(path));
    if (!read.ok)
      throw new KeysError("state", `${path} cannot be read: ${read.why}.`, "Restore it from a backup, or remove it and begin anew.");
    return read.value;
  }

  writeRotation(rotation: Rotation): void {
    this.#makeFolder();
    const path = join(this.path, STATE_FILE);
    writing(path, () => {
      writeSynced(`${path}.new`, "w", rotationText(rotation));
      renameSync(`${path}.new`, path);
      syncFolder(this.path);
    });
  }

  #makeFolder(): void {
    writing(this.path, () => mkdirSync(this.path, { recursive: true, mode: 0o700 }));
  }

  #key(selector: string, privateKey: string, path?: string): DkimKey {
    try {
      return new DkimKey({ domain: this.domain, selector, privateKey });
    } catch (error) {
      if (!(error instanceof DkimKeyError)) throw error;
      throw new KeysError("key", `${path === undefined ? "" : `${path}: `}${error.message}.`, undefined, { cause: error });
    }
  }
}

/** Domains that have a folder with keys, sorted. */
export function domainsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory() && isDomain(entry.name));
  return names
    .map(({ name }) => name)
    .filter((name) => new KeyFolder(folder, name).selectors().length > 0)
    .sort();
}

/** The text of a key file. Throws a KeysError. */
export function readKeyFile(path: string): string {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw new KeysError("missing", `there is no key file ${path}.`, "`postrider dkim new` makes one.");
  if (size > KEY_FILE_LIMIT) throw new KeysError("key", `${path} is no key file: it has ${size} octets.`);
  return readText(path);
}

/** Whether others than its owner may read a key file: a sentence, or `undefined`. */
export function tooOpen(path: string): string | undefined {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  if (mode === undefined || (mode & 0o007) === 0) return undefined;
  return `Every user of this machine may read ${path}: chmod 600 ${path}`;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new KeysError("unreadable", `cannot read ${path}: ${(error as Error).message}.`, undefined, { cause: error });
  }
}

function alreadyThere(path: string): KeysError {
  return new KeysError("exists", `${path} is there already, and a key is never overwritten.`, "Name another --selector.");
}

function writeNew(path: string, pem: string): void {
  writing(path, () => {
    try {
      writeSynced(path, "wx", pem);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") throw alreadyThere(path);
      throw error;
    }
    syncFolder(join(path, ".."));
  });
}

function writeSynced(path: string, flags: "w" | "wx", text: string): void {
  const file = openSync(path, flags, 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function writing(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (error instanceof KeysError) throw error;
    throw new KeysError("unwritable", `cannot write ${path}: ${(error as Error).message}.`, undefined, { cause: error });
  }
}
