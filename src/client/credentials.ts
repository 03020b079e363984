/**
 * As whom a client logs in, and with what.
 *
 * Rules
 * 1. A token is asked for when it is needed, kept until it expires, and asked for once more where it was refused.
 */

import type { Credentials as SessionCredentials } from "../protocol/sasl/credentials.ts";
import type { ClientMechanism } from "../protocol/sasl/mechanism.ts";
import { type Clock, seconds, systemClock } from "../util/clock.ts";

export interface Credentials {
  readonly user: string;
  readonly password?: string;
  /** A bearer token for OAUTHBEARER and XOAUTH2, or where it comes from. */
  readonly token?: string | TokenSource;
  /** RFC 4422 3.4.1: whom to act as; the user where absent. */
  readonly authorization?: string;
  /** The client's certificate is the credential: EXTERNAL. */
  readonly external?: true;
  /** Mechanisms to allow, in the order to try. Where absent: the strongest first, and never CRAM-MD5. */
  readonly mechanisms?: readonly string[];
  /** A mechanism of your own, used instead of all others. */
  readonly mechanism?: () => ClientMechanism;
}

export interface Token {
  readonly token: string;
  /** Milliseconds since 1970 after which it is not used any more. */
  readonly expires?: number;
}

/** `refused`: the server did not take the token that was given before, so that another is wanted. */
export type TokenSource = (why: { readonly refused: boolean }) => string | Token | Promise<string | Token>;

/** A token is not used in its last moments: the login has to get there. */
const MARGIN = seconds(10);

/** Keeps what a source gives until it expires; several who ask at once share one call. */
export function cachedToken(source: TokenSource, clock: Clock = systemClock): TokenSource {
  let kept: Token | undefined;
  let asking: Promise<Token> | undefined;
  const ask = async (refused: boolean): Promise<Token> => {
    const given = await source({ refused });
    kept = typeof given === "string" ? { token: given } : given;
    return kept;
  };
  return ({ refused }) => {
    if (!refused && kept !== undefined && (kept.expires === undefined || kept.expires - MARGIN > clock.now())) return kept;
    asking ??= ask(refused).finally(() => {
      asking = undefined;
    });
    return asking;
  };
}

/** As the session wants them: without the token itself, which it asks for. */
export function sessionCredentials(credentials: Credentials): SessionCredentials {
  const { token, ...rest } = credentials;
  return token === undefined ? rest : { ...rest, bearer: true };
}
