/**
 * A transport as a URL: `smtp://user:pass@mail.example.org:587?tls=starttls`, `smtps://…`, `lmtp://…`, `lmtp:///run/lmtp`, `direct:`.
 *
 * Rules
 * 1. The mode of TLS follows the port where it is not named: 465 is TLS from the first byte, all others need STARTTLS.
 * 2. What is not known is an error: a mistyped `tls` must not mean none.
 * 3. No error text bears the password.
 */

import type { TlsMode } from "./connection-options.ts";
import type { TransportOptions } from "./transport-options.ts";

type FromUrl = Omit<TransportOptions, "dial" | "lookUp">;

const modes: Readonly<Record<string, TlsMode>> = {
  starttls: "required",
  required: "required",
  implicit: "implicit",
  opportunistic: "opportunistic",
  none: "none",
};

/** Throws a TypeError that says what is wrong, and where. */
export function parseTransportUrl(text: string): FromUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url?.protocol.slice(0, -1);
  if (url === undefined || !(scheme === "smtp" || scheme === "smtps" || scheme === "lmtp" || scheme === "direct")) {
    throw new TypeError("a transport's URL begins with smtp:, smtps:, lmtp: or direct:");
  }
  if (url.hash !== "") throw new TypeError('a transport\'s URL has no "#": write %23 in a password');
  const path = decode(url.pathname);
  const unix = scheme === "lmtp" && url.hostname === "" && path.startsWith("/");
  if (!unix && path !== "" && path !== "/") throw new TypeError(`a transport's URL has no path: ${JSON.stringify(url.pathname)}`);
  const host = unix ? path : decode(url.hostname).replace(/^\[(.*)\]$/, "$1");
  if (scheme !== "direct" && host === "") throw new TypeError("a transport's URL names a host");
  const port = url.port === "" ? undefined : Number(url.port);
  return {
    ...(scheme === "direct" ? { direct: true } : { host }),
    ...(port === undefined ? {} : { port }),
    ...(scheme === "lmtp" ? { protocol: "lmtp" } : {}),
    ...(scheme === "smtps" ? { tlsMode: "implicit" } : {}),
    ...loginOf(url),
    ...settingsOf(url.searchParams, scheme),
  };
}

function loginOf({ username, password, searchParams }: URL): Pick<FromUrl, "auth"> {
  if (username === "") return {};
  const mechanisms = searchParams.get("auth")?.toUpperCase().split(",");
  return { auth: { user: decode(username), password: decode(password), ...(mechanisms === undefined ? {} : { mechanisms }) } };
}

function settingsOf(parameters: URLSearchParams, scheme: string): FromUrl {
  const settings: { -readonly [K in keyof FromUrl]: FromUrl[K] } = {};
  for (const [name, value] of parameters) {
    switch (name) {
      case "tls": {
        const mode = Object.hasOwn(modes, value) ? modes[value] : undefined;
        if (mode === undefined) throw new TypeError(`tls=${value}: one of ${Object.keys(modes).join(", ")} is meant`);
        if (scheme === "smtps" && mode !== "implicit") throw new TypeError(`smtps: is TLS from the first byte, tls=${value} is not`);
        settings.tlsMode = mode;
        break;
      }
      case "name":
        settings.name = value;
        break;
      case "verify":
        if (value !== "yes" && value !== "no") throw new TypeError(`verify=${value}: yes or no is meant`);
        settings.tls = { ...settings.tls, verify: value === "yes" };
        break;
      case "tlsName":
        settings.tls = { ...settings.tls, name: value };
        break;
      case "connections":
        settings.pool = { ...settings.pool, maxConnections: wholeNumber(name, value) };
        break;
      case "auth":
        break; // read with the login
      default:
        throw new TypeError(`a transport's URL knows tls, name, verify, tlsName, auth and connections, not ${JSON.stringify(name)}`);
    }
  }
  return settings;
}

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new TypeError(`${name}=${text}: a number from 1 is meant`);
  return Number(text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError('a "%" in a transport\'s URL is written %25');
  }
}
