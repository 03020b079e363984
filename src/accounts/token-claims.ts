/**
 * From what a token says to the name of an account.
 *
 * Rules
 * 1. Who checked the signature and who is asked again here makes no difference: issuer, audience and time are judged in one place.
 */
import { seconds } from "../util/clock.ts";

export type Claims =
  | { readonly kind: "claims"; readonly claims: Readonly<Record<string, unknown>> }
  | { readonly kind: "rejected"; readonly why: string }
  | { readonly kind: "unavailable"; readonly why: string };

export interface ClaimRules {
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly claim: string;
}

type Judgement =
  | { readonly kind: "accepted"; readonly account: string }
  | { readonly kind: "rejected"; readonly why: string; readonly expired?: boolean };

/** By how much the issuer's clock may differ, in milliseconds. */
export const CLOCK_TOLERANCE = seconds(30);
/** Longer names are no account's. */
const NAME_LIMIT = 320;

/** `strictly`: "iss" and "exp" must be there, as in a signed token; who introspects has asked the issuer itself. */
export function accountOfClaims(
  claims: Readonly<Record<string, unknown>>,
  { issuer, audience, claim }: ClaimRules,
  strictly: boolean,
  now = Date.now(),
): Judgement {
  const { iss, aud, exp, nbf } = claims;
  if (strictly || iss !== undefined) {
    if (iss !== issuer) return rejected("the token is of another issuer");
  }
  const audiences = Array.isArray(aud) ? aud : [aud];
  if (audience.length > 0 && !audience.some((one) => audiences.includes(one))) return rejected("the token is for another audience");
  if (typeof exp !== "number" && (strictly || exp !== undefined)) return rejected("the token has no time of expiry");
  if (typeof exp === "number" && exp * 1000 + CLOCK_TOLERANCE <= now) return { ...rejected("the token has expired"), expired: true };
  if (nbf !== undefined && !(typeof nbf === "number" && nbf * 1000 - CLOCK_TOLERANCE <= now)) return rejected("the token is not valid yet");
  const account = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  if (typeof account !== "string" || account === "" || account.length > NAME_LIMIT) return rejected(`the token has no claim "${claim}"`);
  // OpenID Connect Core 5.1: an address that nobody has checked can be anyone's.
  if (claim === "email" && claims.email_verified === false) return rejected("the issuer did not verify the address in the token");
  return { kind: "accepted", account };
}

function rejected(why: string): { readonly kind: "rejected"; readonly why: string } {
  return { kind: "rejected", why };
}
