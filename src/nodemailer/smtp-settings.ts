/**
 * Nodemailer's options of an SMTP transport as ours, with Nodemailer's defaults.
 *
 * Rules
 * 1. TLS as in Nodemailer: from the first byte on port 465 or with `secure`; else STARTTLS where it is offered, with the certificate checked.
 * 2. Otherwise than in Nodemailer a password goes outside TLS to this machine alone, unless `allowPasswordInClear` is set.
 * 3. What is not supported throws a NodemailerError, ECONFIG; what makes nothing less safe where it is ignored is ignored.
 */
import { createPrivateKey } from "node:crypto";
import type { TlsMode } from "../client/connection-options.ts";
import type { Credentials } from "../client/credentials.ts";
import type { CreateTransportOptions } from "../client/node.ts";
import type { TlsSettings } from "../client/smtp-client-options.ts";
import { clientStates } from "../protocol/client-states.ts";
import { minutes, seconds } from "../util/clock.ts";
import { parseConnectionUrl } from "./connection-url.ts";
import { type ErrorContext, NodemailerError, unsupported } from "./errors.ts";
import { type TokenHooks, tokenSource } from "./oauth2.ts";
import { findService } from "./services.ts";
import type { AuthOptions, Pem, SmtpOptions, TlsOptions } from "./transport-options.ts";

/** Nodemailer's, in milliseconds. */
const CONNECTION_TIMEOUT = minutes(2);
const GREETING_TIMEOUT = seconds(30);
const SOCKET_TIMEOUT = minutes(10);
/** Messages a connection of a pool, connections, and milliseconds of `rateLimit`. */
const MAX_MESSAGES = 100;
const MAX_CONNECTIONS = 5;
const RATE_DELTA = 1000;

export interface SmtpSettings {
  readonly transport: CreateTransportOptions;
  readonly pooled: boolean;
  readonly maxConnections: number;
  readonly context: ErrorContext;
}

/** Not taken over: each would change where or how a connection is made. */
const refused = ["proxy", "getSocket", "socket", "connection", "customAuth", "sendmail", "SES", "direct"] as const;

/** As in Nodemailer the URL says more than the options, and the service more than both. Throws a NodemailerError for a service that is not known. */
export function mergedOptions(given: SmtpOptions): SmtpOptions {
  const options = given.url === undefined ? given : withUrl(given, parseConnectionUrl(given.url));
  if (options.service === undefined || options.service === "") return options;
  const service = findService(options.service);
  if (service !== undefined) return { ...options, ...service };
  // An unknown name with a host beside it is a comment, as in Nodemailer; without one nothing would be left but localhost.
  if (options.host !== undefined) return options;
  throw new NodemailerError("ECONFIG", `the service ${JSON.stringify(options.service)} is not known: set host`, { command: "API" });
}

function withUrl(given: SmtpOptions, url: SmtpOptions): SmtpOptions {
  const { auth, tls } = given;
  return {
    ...given,
    ...url,
    ...(url.auth !== undefined && auth !== undefined ? { auth: { ...auth, ...url.auth } } : {}),
    ...(url.tls !== undefined && tls !== undefined ? { tls: { ...tls, ...url.tls } } : {}),
  };
}

/** `auth`: instead of the transport's own. Throws a NodemailerError, ECONFIG. */
export function smtpSettings(options: SmtpOptions, hooks: TokenHooks, auth: AuthOptions | undefined = options.auth): SmtpSettings {
  for (const name of refused) if (options[name] !== undefined && options[name] !== false) throw unsupported(name);
  const host = options.host ?? "localhost";
  const secure = options.secure ?? Number(options.port) === 465;
  const port = portOf(options.port) ?? (secure ? 465 : 587);
  const tlsMode: TlsMode = secure
    ? "implicit"
    : options.requireTLS === true
      ? "required"
      : options.ignoreTLS === true
        ? "none"
        : "opportunistic";
  const passwordInClear = isThisMachine(host) || options.allowPasswordInClear === true;
  const credentials = auth === undefined || auth === null ? undefined : credentialsOf(auth, options.authMethod, hooks);
  const pooled = options.pool === true;
  const maxConnections = pooled ? (options.maxConnections ?? MAX_CONNECTIONS) : Number.MAX_SAFE_INTEGER;
  const rate =
    pooled && Number(options.rateLimit) > 0
      ? { messages: Number(options.rateLimit), interval: options.rateDelta ?? RATE_DELTA }
      : undefined;
  return {
    transport: {
      host,
      port,
      tlsMode,
      tls: tlsOf(options),
      passwordInClear,
      retry: false,
      // Nodemailer writes 7 bit whatever the server offers; some readers change line ends in parts that are 8 bit or binary.
      encoding: "portable",
      timeouts: timeoutsOf(options),
      pool: { maxConnections, maxMessages: pooled ? (options.maxMessages ?? MAX_MESSAGES) : 1 },
      ...(options.lmtp === true ? { protocol: "lmtp" } : {}),
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.localAddress === undefined ? {} : { sourceAddress: options.localAddress }),
      ...(credentials === undefined ? {} : { auth: credentials }),
      ...(rate === undefined ? {} : { rate }),
    },
    pooled,
    maxConnections,
    context: {
      mechanism: credentials?.mechanisms?.[0],
      keepsPassword: !passwordInClear && (tlsMode === "opportunistic" || tlsMode === "none"),
    },
  };
}

function portOf(given: number | string | undefined): number | undefined {
  if (given === undefined || given === "") return undefined;
  const port = Number(given);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new NodemailerError("ECONFIG", `${JSON.stringify(given)} is no port`, { command: "API" });
}

/** Nobody else can listen on the way. */
export function isThisMachine(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i.test(host) || host.startsWith("/");
}

function credentialsOf(auth: AuthOptions, authMethod: string | undefined, hooks: TokenHooks): Credentials | undefined {
  const type = (auth.type ?? "").toString().toUpperCase();
  const user = auth.user ?? auth.credentials?.user;
  const method = (auth.method ?? authMethod ?? "").toString().trim().toUpperCase();
  const mechanisms = method === "" ? {} : { mechanisms: [method] };
  if (type === "CUSTOM") throw unsupported('auth.type "custom"', "postrider/client takes a mechanism of your own");
  if (type === "OAUTH2") {
    if (user === undefined) throw new NodemailerError("ECONFIG", "auth.type OAuth2 needs user", { command: "API" });
    const own: TokenHooks = { provision: () => hooks.provision() ?? auth.provisionCallback, got: hooks.got };
    return { user, token: tokenSource(auth, own), ...mechanisms };
  }
  const password = auth.pass ?? auth.credentials?.pass;
  if (user === undefined && password === undefined) return undefined;
  if (user === undefined || password === undefined) throw new NodemailerError("EAUTH", "auth needs user and pass", { command: "API" });
  return { user, password, ...mechanisms };
}

function timeoutsOf({ connectionTimeout, greetingTimeout, socketTimeout }: SmtpOptions): NonNullable<CreateTransportOptions["timeouts"]> {
  const socket = socketTimeout ?? SOCKET_TIMEOUT;
  const every = Object.fromEntries(Object.keys(clientStates).map((state) => [state, socket]));
  const connect = connectionTimeout ?? CONNECTION_TIMEOUT;
  return { ...every, connect, handshake: connect, greeting: greetingTimeout ?? GREETING_TIMEOUT };
}

/** Options of `tls` that would be weaker than asked for if they were ignored. */
const unsafeToIgnore = ["checkServerIdentity", "pfx", "crl", "pskCallback", "secureContext", "ALPNProtocols", "session", "lookup"] as const;

function tlsOf({ tls = {}, servername }: SmtpOptions): TlsSettings {
  for (const name of unsafeToIgnore) if (tls[name] !== undefined) throw unsupported(`tls.${name}`);
  if (tls.minVersion === "TLSv1.3") throw unsupported("tls.minVersion TLSv1.3", "1.2 is the lowest that is spoken");
  const name = tls.servername ?? servername;
  const authorities = tls.ca === undefined ? undefined : (Array.isArray(tls.ca) ? tls.ca : [tls.ca as Pem]).map(pemText).join("\n");
  return {
    // The default of opportunistic TLS would be to check nothing.
    verify: tls.rejectUnauthorized !== false,
    ...(name === undefined || name === "" ? {} : { name }),
    ...(authorities === undefined ? {} : { authorities }),
    ...(tls.cert === undefined || tls.key === undefined ? {} : { certificate: { chain: pemText(tls.cert), key: keyText(tls.key, tls) } }),
  };
}

function pemText(pem: Pem): string {
  return typeof pem === "string" ? pem : Buffer.from(pem).toString();
}

function keyText(key: Pem, { passphrase }: TlsOptions): string {
  if (passphrase === undefined) return pemText(key);
  return createPrivateKey({ key: pemText(key), passphrase })
    .export({ type: "pkcs8", format: "pem" })
    .toString();
}
