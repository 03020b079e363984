/**
 * Bearer tokens as Nodemailer's `auth: { type: "OAuth2" }` has them: one that is there, one refreshed (RFC 6749 6), one for a service account
 * (RFC 7523), or one that a callback gives.
 *
 * Rules
 * 1. A token is used until it expires or is refused. The transport keeps it and asks once for all connections.
 * 2. No error text bears a token or a secret.
 */
import { createPrivateKey, sign } from "node:crypto";
import type { Token, TokenSource } from "../client/credentials.ts";
import { NodemailerError } from "./errors.ts";
import type { AuthOptions, ProvisionCallback } from "./transport-options.ts";

export interface TokenEvent {
  readonly user: string;
  readonly accessToken: string;
  /** Milliseconds since 1970; 0 where it is not known. */
  readonly expires: number;
}

/** What is asked besides the options. */
export interface TokenHooks {
  /** Set on the transporter after it was made. */
  provision(): ProvisionCallback | undefined;
  /** A new token was got. */
  got(token: TokenEvent): void;
}

const GOOGLE = "https://accounts.google.com/o/oauth2/token";
const GOOGLE_SCOPE = "https://mail.google.com/";
/** Milliseconds for the token endpoint to answer. */
const REQUEST_TIMEOUT = 30_000;
/** Octets of its answer. */
const ANSWER_LIMIT = 64 * 1024;
/** Seconds that a service account's assertion is good for. */
const ASSERTION_LIFETIME = 300;

/** Where tokens come from. Throws a NodemailerError for options without any. */
export function tokenSource(auth: AuthOptions, hooks: TokenHooks): TokenSource {
  const { accessToken, expires, timeout } = auth;
  const until = Number(expires) || (Number(timeout) > 0 ? Date.now() + Number(timeout) * 1000 : 0);
  let first = accessToken;
  return async ({ refused }) => {
    const current = first;
    const fresh = until === 0 || until > Date.now();
    const renews = hooks.provision() !== undefined || auth.refreshToken !== undefined || auth.serviceClient !== undefined;
    if (current !== undefined && current !== "" && ((!refused && fresh) || !renews)) return tokenOf(current, until);
    first = undefined;
    return renew(auth, hooks, refused);
  };
}

async function renew(auth: AuthOptions, hooks: TokenHooks, refused: boolean): Promise<Token> {
  const user = auth.user ?? "";
  const provision = hooks.provision();
  const token = provision === undefined ? await request(auth) : await provided(provision, user, refused);
  hooks.got({ user, accessToken: token.token, expires: token.expires ?? 0 });
  return token;
}

function tokenOf(token: string, expires: number): Token {
  return expires > 0 ? { token, expires } : { token };
}

function provided(provision: ProvisionCallback, user: string, renewed: boolean): Promise<Token> {
  return new Promise((resolve, reject) => {
    provision(user, renewed, (error, accessToken, expires) => {
      if (error) reject(failed(error.message, error));
      else if (typeof accessToken !== "string" || accessToken === "") reject(failed("the callback gave no token"));
      else resolve(tokenOf(accessToken, Number(expires) || 0));
    });
  });
}

/** RFC 6749 6, or RFC 7523 2.1. */
async function request(auth: AuthOptions): Promise<Token> {
  const url = auth.accessUrl ?? GOOGLE;
  const parameters = new URLSearchParams({
    ...(auth.serviceClient === undefined ? refreshing(auth) : asserting(auth, url)),
    ...auth.customParams,
  });
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(url, {
      method: "POST",
      body: parameters,
      headers: { Accept: "application/json", ...auth.customHeaders },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT),
    });
    text = await limitedText(answer);
  } catch (error) {
    throw error instanceof NodemailerError
      ? error
      : failed(`${new URL(url).host}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  return tokenOfAnswer(text, answer.status);
}

async function limitedText(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > ANSWER_LIMIT) throw failed(`the token endpoint's answer is longer than ${ANSWER_LIMIT} octets`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function tokenOfAnswer(text: string, status: number): Token {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw failed(`the token endpoint answered ${status}, and not in JSON`);
  }
  if (typeof answer !== "object" || answer === null) throw failed(`the token endpoint answered ${status} without a token`);
  const { access_token: token, expires_in: lifetime, error, error_description: description } = answer as Record<string, unknown>;
  if (error !== undefined)
    throw failed(`the token endpoint answered ${String(error)}${description === undefined ? "" : `: ${String(description)}`}`);
  if (typeof token !== "string" || token === "") throw failed(`the token endpoint answered ${status} without a token`);
  return tokenOf(token, Number(lifetime) > 0 ? Date.now() + Number(lifetime) * 1000 : 0);
}

function refreshing({ clientId = "", clientSecret = "", refreshToken }: AuthOptions): Record<string, string> {
  if (refreshToken === undefined) throw failed("there is no access token, and nothing to get one with");
  return { grant_type: "refresh_token", client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken };
}

function asserting({ serviceClient, user, scope, privateKey }: AuthOptions, url: string): Record<string, string> {
  if (privateKey === undefined || user === undefined) throw failed("a service account needs user and privateKey");
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: serviceClient, scope: scope ?? GOOGLE_SCOPE, sub: user, aud: url, iat, exp: iat + ASSERTION_LIFETIME };
  const signed = [{ alg: "RS256", typ: "JWT" }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = sign("sha256", Buffer.from(signed), createPrivateKey(privateKey)).toString("base64url");
  return { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: `${signed}.${signature}` };
}

function failed(why: string, cause?: unknown): NodemailerError {
  return new NodemailerError("EOAUTH2", `no access token: ${why}`, cause === undefined ? {} : { cause });
}
