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
import type { Credentials } from "../client/credentials.ts";
import { refreshedToken } from "../client/refresh-token.ts";
import { DkimKey } from "../message/dkim/key.ts";
import { CertificateError, type CertificatePair, checkAuthorities, checkCertificate } from "../net/tls-context.ts";
import { parseConfig } from "./config.ts";
import type { ConfigProblem } from "./problem.ts";
import type { Config, LoginSetting, TlsSetting } from "./settings.ts";

export type ReadResult =
  | {
      readonly kind: "ok";
      readonly config: Config;
      /** `undefined` where a self-signed one is to be made. */
      readonly certificate: CertificatePair | undefined;
      readonly files: NamedFiles;
    }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

/** A key, and how it signs. */
export interface DomainKey {
  readonly key: DkimKey;
  readonly headerForm: "relaxed" | "simple";
  readonly bodyForm: "relaxed" | "simple";
}

/** What the other files hold that the configuration names. */
export interface NamedFiles {
  /** PEM: who may issue certificates that clients log in with. */
  readonly authorities?: string;
  /** For introspection. */
  readonly clientSecret?: string;
  /** Of the database that keeps the queue. */
  readonly storePassword?: string;
  /** Of [[route]], in its order. */
  readonly credentials: readonly (Credentials | undefined)[];
  /** Of [[dkim]], in its order. */
  readonly keys: readonly DomainKey[];
  /** Of authentication.seal_key. */
  readonly sealWith?: DkimKey;
}

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
  const files = readNamedFiles(result.config);
  if (certificate.kind === "ok" && files.kind === "ok") {
    return { kind: "ok", config: result.config, certificate: certificate.pair, files: files.files };
  }
  return { kind: "invalid", problems: [certificate, files].flatMap((one) => (one.kind === "invalid" ? one.problems : [])) };
}

type NamedFilesResult =
  | { readonly kind: "ok"; readonly files: NamedFiles }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

function readNamedFiles({ oauth, clientCertificates, queue, dkim, checks, logins }: Config): NamedFilesResult {
  const problems: ConfigProblem[] = [];
  const keys: DomainKey[] = [];
  const files: {
    authorities?: string;
    clientSecret?: string;
    storePassword?: string;
    sealWith?: DkimKey;
    keys: DomainKey[];
    credentials: (Credentials | undefined)[];
  } = {
    keys,
    credentials: [],
  };
  const read = (key: string, path: string, check: (text: string) => void): void => {
    const result = readText(path);
    if (result.kind === "unreadable") problems.push({ kind: "file", key, text: result.why });
    else {
      try {
        check(result.text);
      } catch (error) {
        problems.push({ kind: "file", key, text: error instanceof Error ? error.message : String(error) });
      }
    }
  };
  if (clientCertificates !== undefined) {
    const path = clientCertificates.authorities;
    read("accounts.certificates.authorities", path, (text) => {
      checkAuthorities(text, path);
      files.authorities = text;
    });
  }
  if (oauth?.by.kind === "introspection") {
    const path = oauth.by.clientSecretFile;
    read("accounts.oauth.client_secret_file", path, (text) => {
      files.clientSecret = secretIn(text, path);
    });
  } else if (typeof oauth?.by.keys === "string") {
    const path = oauth.by.keys;
    read("accounts.oauth.keys", path, (text) => {
      if (!isKeySet(text)) throw new Error(`${path} is no JWKS: a JSON object with a list "keys" (RFC 7517 5)`);
    });
  }
  const passwordFile = queue.shared?.passwordFile;
  if (passwordFile !== undefined) {
    read("queue.store_password_file", passwordFile, (text) => {
      files.storePassword = secretIn(text, passwordFile);
    });
  }
  for (const [i, { domain, selector, key, headerForm, bodyForm }] of dkim.entries()) {
    read(`dkim[${i}].key`, key, (text) => keys.push({ key: new DkimKey({ domain, selector, privateKey: text }), headerForm, bodyForm }));
  }
  for (const [i, login] of logins.entries()) files.credentials.push(login === undefined ? undefined : credentialsOf(login, i, read));
  const seal = checks?.seal;
  if (seal !== undefined) {
    read("authentication.seal_key", seal.key, (text) => {
      files.sealWith = new DkimKey({ domain: seal.domain, selector: seal.selector, privateKey: text });
    });
  }
  return problems.length === 0 ? { kind: "ok", files } : { kind: "invalid", problems };
}

type Read = (key: string, path: string, check: (text: string) => void) => void;

/** A token is asked for when it is needed. */
function credentialsOf({ user, passwordFile, token }: LoginSetting, i: number, read: Read): Credentials {
  const first = (key: string, path: string | undefined): string | undefined => {
    let secret: string | undefined;
    if (path !== undefined) {
      read(`route[${i}].${key}`, path, (text) => {
        secret = secretIn(text, path);
      });
    }
    return secret;
  };
  if (token === undefined) {
    const password = first("password_file", passwordFile);
    return { user, ...(password === undefined ? {} : { password }) };
  }
  const { url, clientId } = token;
  const clientSecret = first("client_secret_file", token.clientSecretFile);
  const refreshToken = first("refresh_token_file", token.refreshTokenFile) ?? "";
  const secret = clientSecret === undefined ? {} : { clientSecret };
  return { user, token: refreshedToken({ url, clientId, refreshToken, ...secret }) };
}

/** The file's first line. */
function secretIn(text: string, path: string): string {
  const secret = (text.split("\n", 1)[0] as string).trim();
  if (secret === "") throw new Error(`${path} has no secret in its first line`);
  return secret;
}

function isKeySet(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "keys" in value && Array.isArray(value.keys);
  } catch {
    return false;
  }
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
