/**
 * Bearer tokens from a refresh token (RFC 6749 6).
 *
 * Rules
 * 1. No error text bears a token or a secret.
 * 2. The answer has a limit, and a time in which it must come.
 */

import { seconds } from "../util/clock.ts";
import { cachedToken, type Token, type TokenSource } from "./credentials.ts";

export interface RefreshTokenOptions {
  /** The token endpoint. */
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret?: string;
  readonly refreshToken: string;
  readonly scope?: string;
  /** Instead of the global one. */
  readonly fetch?: typeof fetch;
}

const REQUEST_TIMEOUT = seconds(30);
/** Characters of the answer. */
const ANSWER_LIMIT = 64 * 1024;

/** Asks for a new token when there is none, when it has run out, and when it was refused; kept for all connections. */
export function refreshedToken(options: RefreshTokenOptions): TokenSource {
  return cachedToken(() => request(options));
}

async function request({ url, clientId, clientSecret, refreshToken, scope, fetch: ask = fetch }: RefreshTokenOptions): Promise<Token> {
  const body = new URLSearchParams({ grant_type: "refresh_token", client_id: clientId, refresh_token: refreshToken });
  if (clientSecret !== undefined) body.set("client_secret", clientSecret);
  if (scope !== undefined) body.set("scope", scope);
  const { host } = new URL(url);
  const answer = await ask(url, {
    method: "POST",
    body,
    headers: { Accept: "application/json" },
    redirect: "error",
    signal: AbortSignal.timeout(REQUEST_TIMEOUT),
  });
  const text = await answer.text();
  if (text.length > ANSWER_LIMIT) throw new Error(`${host}: the token endpoint's answer is too long`);
  return tokenOf(text, answer.status, host);
}

function tokenOf(text: string, status: number, host: string): Token {
  let answer: Record<string, unknown>;
  try {
    answer = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new Error(`${host}: the token endpoint answered ${status}, and not in JSON`);
  }
  const { access_token: token, expires_in: lifetime, error } = answer ?? {};
  if (typeof token === "string" && token !== "") {
    return typeof lifetime === "number" && lifetime > 0 ? { token, expires: Date.now() + seconds(lifetime) } : { token };
  }
  throw new Error(`${host}: the token endpoint gave no token (${typeof error === "string" ? error : status})`);
}
