/**
 * Checks bearer tokens: signed ones (RFC 9068, RFC 7519) by the issuer's keys, others by asking the issuer (RFC 7662).
 *
 * Rules
 * 1. What cannot be checked now is `unavailable`, never `accepted` and never `rejected`.
 * 2. Only asymmetric signatures count: a key that is published must not be able to sign.
 * 3. A token without an expiry is none. No part of a token is in any text.
 */

import { type IntrospectionOptions, introspect } from "./introspection.ts";
import { type KeySource, SigningKeys } from "./signing-keys.ts";
import { accountOfClaims, type Claims } from "./token-claims.ts";

export type BearerVerdict =
  /** `account`: the name as the token has it. */
  | { readonly kind: "accepted"; readonly account: string }
  /** `expired`: it was good once, so it is nobody's guess. */
  | { readonly kind: "rejected"; readonly why: string; readonly expired?: boolean }
  | { readonly kind: "unavailable"; readonly why: string };

export interface BearerVerifier {
  verify(token: string): Promise<BearerVerdict>;
}

export interface BearerOptions {
  /** How a token is checked. */
  readonly by: ({ readonly kind: "keys" } & KeySource) | ({ readonly kind: "introspection" } & IntrospectionOptions);
  /** What "iss" must be. Introspection: where the answer has one. */
  readonly issuer: string;
  /** One of these must be in "aud"; empty: any audience. */
  readonly audience: readonly string[];
  /** The claim that names the account. */
  readonly claim: string;
  readonly algorithms: readonly SignatureAlgorithm[];
}

export const signatureAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"] as const;
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

/** Octets of a token: what a response of AUTH can hold is less. */
const TOKEN_LIMIT = 12_288;
/** Tokens that are checked at once; each may wait for another server. */
export const CHECKS_LIMIT = 100;

export function bearerVerifier(options: BearerOptions): BearerVerifier {
  const { by } = options;
  const keys = by.kind === "keys" ? new SigningKeys(by) : undefined;
  const read = (token: string): Promise<Claims> =>
    by.kind === "introspection" ? introspect(token, by) : (keys as SigningKeys).verify(token, options);
  let checking = 0;
  return {
    async verify(token) {
      if (token.length > TOKEN_LIMIT) return { kind: "rejected", why: "the token is too long" };
      if (checking >= CHECKS_LIMIT) return { kind: "unavailable", why: "too many tokens to check at once" };
      checking++;
      try {
        const claims = await read(token);
        return claims.kind === "claims" ? accountOfClaims(claims.claims, options, by.kind === "keys") : claims;
      } catch (error) {
        return { kind: "unavailable", why: `the token could not be checked: ${error instanceof Error ? error.message : String(error)}` };
      } finally {
        checking--;
      }
    },
  };
}
