/**
 * The configuration from its file, with the files that it names.
 *
 * Rules
 * 1. Whatever keeps the server from starting for its configuration is a problem in words; nothing throws.
 * 2. The certificate is read here, so that `config check` finds what `serve` would.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { CertificateError, type CertificatePair, checkCertificate } from "../net/tls-context.ts";
import { type Config, parseConfig, type TlsSetting } from "./config.ts";
import type { ConfigProblem } from "./problem.ts";

export type ReadResult =
  | {
      readonly kind: "ok";
      readonly config: Config;
      /** `undefined` where a self-signed one is to be made. */
      readonly certificate: CertificatePair | undefined;
    }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

/** A configuration file larger than this is a mistake. */
const FILE_LIMIT = 1024 * 1024;

/** Reads and checks the file, its certificate and its key. */
export function readConfig(path: string): ReadResult {
  const text = readText(path);
  if (text.kind === "unreadable") return { kind: "invalid", problems: [{ kind: "file", key: "", text: text.why }] };
  const result = parseConfig(text.text, { folder: dirname(resolve(path)), machineName: hostname() });
  if (result.kind === "invalid") {
    const files = result.tls === undefined ? undefined : readCertificate(result.tls);
    return { kind: "invalid", problems: files?.kind === "invalid" ? [...result.problems, ...files.problems] : result.problems };
  }
  const certificate = readCertificate(result.config.tls);
  if (certificate.kind === "invalid") return certificate;
  return { kind: "ok", config: result.config, certificate: certificate.pair };
}

type CertificateResult =
  | { readonly kind: "ok"; readonly pair: CertificatePair | undefined }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

/** The certificate and key that the setting names, read and found to belong together; again at each reload. */
export function readCertificate(setting: TlsSetting): CertificateResult {
  if (setting.kind === "self-signed") return { kind: "ok", pair: undefined };
  const certificate = readText(setting.certificate);
  const key = readText(setting.key);
  const problems: ConfigProblem[] = [];
  if (certificate.kind === "unreadable") problems.push({ kind: "file", key: "tls.certificate", text: certificate.why });
  if (key.kind === "unreadable") problems.push({ kind: "file", key: "tls.key", text: key.why });
  if (certificate.kind === "unreadable" || key.kind === "unreadable") return { kind: "invalid", problems };
  const pair: CertificatePair = {
    certificate: certificate.text,
    key: key.text,
    certificateLabel: setting.certificate,
    keyLabel: setting.key,
  };
  try {
    checkCertificate(pair);
    return { kind: "ok", pair };
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return { kind: "invalid", problems: [{ kind: "file", key: "tls", text: error.message }] };
  }
}

type TextResult = { readonly kind: "text"; readonly text: string } | { readonly kind: "unreadable"; readonly why: string };

function readText(path: string): TextResult {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return { kind: "unreadable", why: whyUnreadable(path, error as NodeJS.ErrnoException) };
  }
  if (bytes.length > FILE_LIMIT) return { kind: "unreadable", why: `${path} is larger than ${FILE_LIMIT} octets` };
  try {
    return { kind: "text", text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return { kind: "unreadable", why: `${path} is not UTF-8 text` };
  }
}

function whyUnreadable(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ENOENT":
      return `there is no file ${path}`;
    case "EACCES":
    case "EPERM":
      return `${path} cannot be read: permission denied; let the user that runs Postrider read it`;
    case "EISDIR":
      return `${path} is a folder, not a file`;
    default:
      return `${path} cannot be read: ${error.message}`;
  }
}
