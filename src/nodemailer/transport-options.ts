/**
 * Nodemailer's options of a transport.
 *
 * Rules
 * 1. Types alone. What an option becomes stands in smtp-settings.ts; what is not taken over is refused there with ECONFIG, unless ignoring it makes
 *    nothing less safe.
 */
import type { LoggerLike } from "./logger.ts";

export interface AuthOptions {
  /** "login" where absent, or "OAuth2". */
  type?: string | undefined;
  user?: string | undefined;
  pass?: string | undefined;
  credentials?: { user?: string | undefined; pass?: string | undefined } | undefined;
  /** The only mechanism to use, such as "PLAIN". */
  method?: string | undefined;
  accessToken?: string | undefined;
  refreshToken?: string | undefined;
  clientId?: string | undefined;
  clientSecret?: string | undefined;
  /** Where tokens are refreshed; Google's where absent. */
  accessUrl?: string | undefined;
  /** Milliseconds since 1970 when `accessToken` expires. */
  expires?: number | undefined;
  /** Seconds until `accessToken` expires. */
  timeout?: number | undefined;
  /** A service account (RFC 7523) and its key, PEM. */
  serviceClient?: string | undefined;
  privateKey?: string | { key: string; passphrase: string } | undefined;
  scope?: string | undefined;
  customHeaders?: Record<string, string> | undefined;
  customParams?: Record<string, string> | undefined;
  /** Called where a token is wanted. */
  provisionCallback?: ProvisionCallback | undefined;
  [key: string]: unknown;
}

export type ProvisionCallback = (
  user: string,
  renew: boolean,
  callback: (error: Error | null, accessToken?: string, expires?: number) => void,
) => void;

export type Pem = string | Uint8Array;

export interface TlsOptions {
  /** False takes any certificate. */
  rejectUnauthorized?: boolean | undefined;
  servername?: string | undefined;
  ca?: Pem | readonly Pem[] | undefined;
  cert?: Pem | undefined;
  key?: Pem | undefined;
  passphrase?: string | undefined;
  minVersion?: string | undefined;
  [key: string]: unknown;
}

export interface DkimKeyOptions {
  domainName: string;
  keySelector: string;
  /** PEM. */
  privateKey: string | { key: string; passphrase: string };
}

export interface DkimOptions extends Partial<DkimKeyOptions> {
  /** Several, instead of the one beside it. */
  keys?: readonly DkimKeyOptions[] | DkimKeyOptions | undefined;
  /** Names parted by ":". */
  headerFieldNames?: string | undefined;
  /** Names parted by ":" that are not signed. */
  skipFields?: string | undefined;
  [key: string]: unknown;
}

/** What every transport reads. */
export interface CommonOptions {
  /** True: to the console. */
  logger?: LoggerLike | boolean | undefined;
  /** Shows the dialogue to the logger, credentials redacted. */
  debug?: boolean | undefined;
  transactionLog?: boolean | undefined;
  dkim?: DkimOptions | undefined;
  disableFileAccess?: boolean | undefined;
  disableUrlAccess?: boolean | undefined;
  /** Not Nodemailer's: lets `path` and `href` name http and https URLs. Whoever lets strangers fill in messages must leave it off. */
  allowUrlAccess?: boolean | undefined;
  normalizeHeaderKey?: ((key: string, value: string) => string) | undefined;
  maxRecipients?: number | undefined;
  attachDataUrls?: boolean | undefined;
  /** Refused: connections go straight to the server. */
  proxy?: string | undefined;
}

export interface SmtpOptions extends CommonOptions {
  url?: string | undefined;
  /** A provider's name, such as "Gmail"; services.ts has the table. */
  service?: string | undefined;
  /** "localhost" where absent. */
  host?: string | undefined;
  /** 465 where `secure`, else 587. */
  port?: number | string | undefined;
  /** TLS from the first byte; where absent, on port 465. */
  secure?: boolean | undefined;
  requireTLS?: boolean | undefined;
  ignoreTLS?: boolean | undefined;
  opportunisticTLS?: boolean | undefined;
  tls?: TlsOptions | undefined;
  servername?: string | undefined;
  auth?: AuthOptions | undefined;
  authMethod?: string | undefined;
  /** Not Nodemailer's: lets the password go outside TLS to other hosts than this one. */
  allowPasswordInClear?: boolean | undefined;
  /** What EHLO says. */
  name?: string | undefined;
  localAddress?: string | undefined;
  /** Milliseconds to connect; two minutes where absent. */
  connectionTimeout?: number | undefined;
  /** Milliseconds until the greeting; 30 s where absent. */
  greetingTimeout?: number | undefined;
  /** Milliseconds for any other answer; ten minutes where absent. */
  socketTimeout?: number | undefined;
  /** Looking the name up is part of connecting. */
  dnsTimeout?: number | undefined;
  lmtp?: boolean | undefined;
  pool?: boolean | undefined;
  maxConnections?: number | undefined;
  maxMessages?: number | undefined;
  rateLimit?: number | undefined;
  rateDelta?: number | undefined;
  [key: string]: unknown;
}

export interface StreamOptions extends CommonOptions {
  streamTransport: true;
  /** Gives a Buffer instead of a stream. */
  buffer?: boolean | undefined;
  /** "unix" or "windows"; windows where absent. */
  newline?: string | undefined;
}

export interface JsonOptions extends CommonOptions {
  jsonTransport: true;
  /** Gives the object instead of a string. */
  skipEncoding?: boolean | undefined;
}
