/**
 * The data folder and the certificate that is kept in it.
 *
 * Rules
 * 1. The folder is for its owner alone (0700), what is secret in it too (0600).
 * 2. A self-signed certificate is made once and kept: clients that trust it go on trusting it. It is made anew only when it has run out
 *    or lacks the server's name.
 */
import { chmodSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolders } from "../database/folders.ts";
import { selfSignedCertificate } from "../net/certificate.ts";
import { CertificateError, type CertificatePair, checkCertificate } from "../net/tls-context.ts";
import { days } from "../util/clock.ts";
import { CliError, exitCodes } from "./exit-codes.ts";

/** Makes the folder, with those above it, where it is missing. Throws a CliError. */
export function makeDataFolder(folder: string): void {
  process.umask(0o077); // mail is nobody else's to read, whatever mode a folder that was there already has
  try {
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
    makeFolders(folder, 0o700);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const denied = code === "EACCES" || code === "EPERM" || code === "EROFS";
    const why = denied
      ? "permission denied"
      : code === "EEXIST" || code === "ENOTDIR"
        ? "a file is in its place"
        : (error as Error).message;
    throw new CliError(
      denied ? exitCodes.noPermission : exitCodes.cannotCreate,
      `cannot make the data folder ${folder}: ${why}.`,
      "Make it yourself and give it to the user that runs Postrider, or name another one (`data` in the configuration, or --data).",
      { cause: error },
    );
  }
}

/** Throws a CliError where there is no such folder. */
export function needDataFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new CliError(
    exitCodes.noInput,
    `there is no data folder ${folder} yet.`,
    "`postrider serve` and `postrider user add` make it; or name another one with --config or --data.",
  );
}

/** Writes a file for its owner alone, wholly or not at all. */
export function writePrivately(path: string, text: string): void {
  try {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    chmodSync(`${path}.new`, 0o600);
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new CliError(exitCodes.cannotCreate, `cannot write ${path}: ${(error as Error).message}.`, undefined, { cause: error });
  }
}

export interface KeptCertificate {
  readonly pair: CertificatePair;
  /** PEM file: what a client is told to trust. */
  readonly path: string;
  /** Made just now. */
  readonly made: boolean;
}

/** The folder's own certificate for this name, also good for `localhost` and the loopback addresses. */
export function keptCertificate(folder: string, hostname: string): KeptCertificate {
  const path = join(folder, "certificate.pem");
  const keyPath = join(folder, "key.pem");
  const labels = { certificateLabel: path, keyLabel: keyPath };
  if (existsSync(path) && existsSync(keyPath)) {
    const pair = { certificate: read(path), key: read(keyPath), ...labels };
    if (isGood(pair, hostname)) return { pair, path, made: false };
  }
  const made = selfSignedCertificate({ names: [hostname, "localhost", "127.0.0.1", "::1"] });
  writePrivately(keyPath, made.key);
  writePrivately(path, made.certificate);
  return { pair: { ...made, ...labels }, path, made: true };
}

/** A damaged pair is made anew: nobody can have trusted it since. */
function isGood(pair: CertificatePair, hostname: string): boolean {
  try {
    const { names, expires } = checkCertificate(pair);
    return names.includes(hostname) && expires > Date.now() + days(1);
  } catch (error) {
    if (error instanceof CertificateError) return false;
    throw error;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CliError(
      exitCodes.noPermission,
      `cannot read ${path}: ${(error as Error).message}.`,
      "Let the user that runs Postrider read it.",
    );
  }
}
