/**
 * Where `postrider send` connects to, how it is secured, and as whom it logs in.
 *
 * Rules
 * 1. Where the server is the try-out's, its certificate, account and password are known and need not be given.
 * 2. A password is never sent outside TLS.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import type { TlsMode } from "../client/connection-options.ts";
import { readEnvironment } from "../config/environment.ts";
import { isDomain } from "../mail/domain.ts";
import { type Endpoint, isLoopback, parseEndpoint } from "../net/address.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { askHidden, passwordFromInput } from "./prompt.ts";
import { findTryOut, type TryOut } from "./try-out.ts";

export interface TargetOptions {
  readonly server?: string;
  readonly tls?: "starttls" | "implicit" | "opportunistic" | "none";
  readonly ca?: string;
  readonly insecure?: boolean;
  readonly user?: string;
  readonly passwordStdin?: boolean;
  readonly data: string;
  readonly helo?: string;
}

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsMode;
  readonly verify?: boolean;
  readonly authorities?: string;
  readonly credentials?: { readonly user: string; readonly password: string };
  /** What EHLO says. */
  readonly name: string;
}

/** Throws a CliError. */
export async function targetOf(options: TargetOptions): Promise<Target> {
  const running = findTryOut(resolve(options.data));
  const endpoint = endpointOf(options.server, running);
  const tryOut = running !== undefined && isTryOut(endpoint, running) ? running : undefined;
  const tls = tlsMode(options, endpoint.port, tryOut);
  const ca = options.ca ?? tryOut?.certificate;
  const credentials = await credentialsOf(options, tryOut);
  return {
    ...endpoint,
    tls,
    ...(options.insecure === true ? { verify: false } : {}),
    ...(ca === undefined ? {} : { authorities: certificatesIn(ca) }),
    ...(credentials === undefined ? {} : { credentials }),
    name: options.helo ?? ownName(),
  };
}

function endpointOf(server: string | undefined, tryOut: TryOut | undefined): Endpoint {
  if (server !== undefined) {
    const endpoint = parseEndpoint(server, 587);
    if (endpoint !== undefined && endpoint.port !== 0) return endpoint;
    throw new CliError(
      exitCodes.usage,
      `${JSON.stringify(server)} is not host:port.`,
      "Such as --server mail.example.test:587 or --server [::1]:2587.",
    );
  }
  if (tryOut !== undefined) return { host: "127.0.0.1", port: tryOut.submission };
  throw new CliError(
    exitCodes.usage,
    "which server? No try-out runs here.",
    "Name one with --server host:port, or start the try-out with `npm start`.",
  );
}

function isTryOut({ host, port }: Endpoint, tryOut: TryOut): boolean {
  return (host === "localhost" || isLoopback(host)) && (port === tryOut.submission || port === tryOut.submissions);
}

const modes = { starttls: "required", implicit: "implicit", opportunistic: "opportunistic", none: "none" } as const;

function tlsMode({ tls, user }: TargetOptions, port: number, tryOut: TryOut | undefined): TlsMode {
  if (tls !== undefined) return modes[tls];
  if (port === 465 || port === 2465 || port === tryOut?.submissions) return "implicit";
  return port === 587 || port === 2587 || port === tryOut?.submission || user !== undefined ? "required" : "opportunistic";
}

async function credentialsOf(options: TargetOptions, tryOut: TryOut | undefined): Promise<Target["credentials"]> {
  const user = options.user ?? tryOut?.account;
  if (user === undefined) {
    if (options.passwordStdin === true) throw new CliError(exitCodes.usage, "a password, but of whom?", "Name the account with --user.");
    return undefined;
  }
  if (options.passwordStdin === true) return { user, password: await passwordFromInput() };
  if (tryOut !== undefined && user === tryOut.account) return { user, password: tryOut.password };
  const { password } = readEnvironment();
  return { user, password: password ?? (await askHidden(`Password of ${user}: `)) };
}

function certificatesIn(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CliError(exitCodes.noInput, `cannot read the certificates ${path}: ${(error as Error).message}.`);
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new CliError(exitCodes.data, `${path} holds no certificate.`, 'A PEM file with "-----BEGIN CERTIFICATE-----" is needed.');
}

/** RFC 5321 4.1.4: the machine's full name; where it has none, what says so without a lie. */
function ownName(): string {
  const name = hostname();
  return isDomain(name) ? name : "localhost";
}
