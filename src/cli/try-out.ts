/**
 * What the try-out leaves in its data folder for `postrider send` and for its next start: account, password, ports.
 *
 * Rules
 * 1. Readable for the folder's owner alone. The ports are there only while it runs.
 */
import { randomInt } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writePrivately } from "./data-folder.ts";

export const TRY_OUT_ACCOUNT = "alice@example.test";
export const TRY_OUT_RECIPIENT = "bob@recipient.test";
export const TRY_OUT_HOSTNAME = "mail.example.test";
export const RECIPIENT_HOSTNAME = "mx.recipient.test";

export interface TryOut {
  readonly submission: number;
  readonly submissions: number;
  readonly recipient: number;
  readonly account: string;
  readonly password: string;
  /** PEM file to trust. */
  readonly certificate: string;
}

/** Where it keeps its data, from the current folder. */
export const TRY_OUT_DATA = "postrider-data";
const FILE = "try-out.json";
const PASSWORD_FILE = "password";
/** No characters that look alike, none that a shell reads. */
const letters = "abcdefghjkmnpqrstuvwxyz23456789";
const PASSWORD_LENGTH = 20;

/** The kept password, made at the first start. */
export function keptPassword(folder: string): string {
  const path = join(folder, PASSWORD_FILE);
  if (existsSync(path)) {
    const kept = readFileSync(path, "utf8").trim();
    if (kept !== "") return kept;
  }
  const password = Array.from({ length: PASSWORD_LENGTH }, () => letters[randomInt(letters.length)]).join("");
  writePrivately(path, `${password}\n`);
  return password;
}

export function announceTryOut(folder: string, tryOut: TryOut): void {
  writePrivately(join(folder, FILE), `${JSON.stringify(tryOut, null, 2)}\n`);
}

export function forgetTryOut(folder: string): void {
  rmSync(join(folder, FILE), { force: true });
}

/** Whether a try-out has lived in this folder. */
export function isTryOut(folder: string): boolean {
  return existsSync(join(folder, PASSWORD_FILE));
}

/** `undefined` where none runs, or none that this user may read of. */
export function findTryOut(folder: string): TryOut | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, FILE), "utf8")) as TryOut;
  } catch {
    return undefined;
  }
}
