/**
 * SASL (RFC 4422) as values: what a peer sends goes in, what to send or to look up comes out.
 *
 * Rules
 * 1. No mechanism looks a credential up or derives a key: it asks, as an event, and is answered.
 * 2. No error text of a mechanism bears a part of a password.
 */

/** What the server's side of a mechanism wants next. */
export type ServerStep =
  | { readonly kind: "challenge"; readonly bytes: Uint8Array }
  /** To be checked by the caller, who ends the exchange with the result. */
  | { readonly kind: "password"; readonly authorization: string; readonly user: string; readonly password: string }
  /** The response is not one of this mechanism. */
  | { readonly kind: "malformed"; readonly why: string };

export interface ServerMechanism {
  readonly name: string;
  /** `response` is absent where AUTH came without an initial one. */
  step(response: Uint8Array | undefined): ServerStep;
}

/** The client's side: the initial response (`undefined`: none), then one response for each challenge. */
export interface ClientMechanism {
  readonly name: string;
  /** Only inside TLS may it be spoken: its responses bear the password, or what is as good. */
  readonly needsPrivacy: boolean;
  initial(): Uint8Array | undefined;
  /** `undefined`: the challenge makes no sense; the exchange is cancelled. */
  respond(challenge: Uint8Array): Uint8Array | undefined;
}
