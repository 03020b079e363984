/**
 * A transport as Nodemailer's URL: `smtps://user:pass@host:465/?pool=true&tls.rejectUnauthorized=false`.
 *
 * Rules
 * 1. Parameters are options by their names, `tls.` before those of TLS; numbers, true and false are taken as such.
 * 2. What the URL says before its parameters is not changed by them, and no error text bears the password.
 */
import { NodemailerError } from "./errors.ts";
import type { SmtpOptions, TlsOptions } from "./transport-options.ts";

/** Parameters that could reach into objects are no options. */
const forbidden: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** Throws a NodemailerError, ECONFIG, for what is no URL of this kind. */
export function parseConnectionUrl(text: string): SmtpOptions {
  const slashed = text.trim().replace(/^(smtps?:)(?!\/\/)/i, "$1//");
  const url = URL.canParse(slashed) ? new URL(slashed) : undefined;
  if (url === undefined || !/^smtps?:$/.test(url.protocol)) {
    throw new NodemailerError("ECONFIG", "a transport's URL begins with smtp: or smtps:", { command: "API" });
  }
  const options: SmtpOptions = { secure: url.protocol === "smtps:" };
  if (url.hostname !== "") options.host = decode(url.hostname).replace(/^\[(.*)\]$/, "$1");
  if (url.port !== "") options.port = Number(url.port);
  if (url.username !== "" || url.password !== "") options.auth = { user: decode(url.username), pass: decode(url.password) };
  const tls: TlsOptions = {};
  for (const [name, value] of url.searchParams) {
    const [, within = ""] = /^tls\.(\w+)$/.exec(name) ?? [];
    if (within !== "" && !forbidden.has(within)) tls[within] ??= optionOf(value);
    else if (/^\w+$/.test(name) && !forbidden.has(name)) options[name] ??= optionOf(value);
  }
  return Object.keys(tls).length === 0 ? options : { ...options, tls };
}

function optionOf(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  return text.trim() !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
