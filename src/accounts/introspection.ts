/** Asks the issuer whether a token is good (RFC 7662). */
import { seconds } from "../util/clock.ts";
import type { Claims } from "./token-claims.ts";

export interface IntrospectionOptions {
  readonly url: URL;
  /** RFC 7662 2.1: who may ask. */
  readonly clientId: string;
  readonly clientSecret: string;
}

/** Milliseconds for the issuer's answer. */
const TIMEOUT = seconds(5);
/** Octets of an answer. */
export const ANSWER_LIMIT = 64 * 1024;

/** Rejects where there is no answer to be had. */
export async function introspect(token: string, { url, clientId, clientSecret }: IntrospectionOptions): Promise<Claims> {
  // RFC 6749 2.3.1: both are encoded as form fields before they are joined.
  const basic = Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString("base64");
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Basic ${basic}`, accept: "application/json" },
    body: new URLSearchParams({ token, token_type_hint: "access_token" }),
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT),
  });
  const text = await boundedText(response);
  if (response.status !== 200) return unavailable(`the introspection endpoint answers ${response.status}`);
  const answer = parsed(text);
  if (typeof answer?.active !== "boolean") return unavailable("the introspection endpoint does not answer as RFC 7662 has it");
  return answer.active ? { kind: "claims", claims: answer } : { kind: "rejected", why: "the issuer says that the token is not active" };
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > ANSWER_LIMIT) throw new Error(`the introspection endpoint answers with more than ${ANSWER_LIMIT} octets`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1);
}

function unavailable(why: string): Claims {
  return { kind: "unavailable", why };
}
