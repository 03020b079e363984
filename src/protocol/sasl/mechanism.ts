/**
 * SASL (RFC 4422) as values: what a peer sends goes in, what to send or to look up comes out.
 *
 * Rules
 * 1. No mechanism looks a credential up or derives a key: it asks, as an event, and is answered.
 * 2. No error text of a mechanism bears a part of a password or of a token.
 */
import type { ClientAnswer, ClientQuestion, SaslHash } from "./question.ts";

/** What the client's side of a mechanism does next. */
export type ClientMechanismStep =
  /** `bytes` absent: AUTH goes out without an initial response. Behind a challenge, absent is empty. */
  | { readonly kind: "response"; readonly bytes?: Uint8Array }
  /** To be answered by `answered`. */
  | { readonly kind: "ask"; readonly question: ClientQuestion }
  /** The exchange is given up; `why` completes "the login was given up: …". `forged`: no other mechanism is to be tried with this server. */
  | { readonly kind: "cancel"; readonly why: string; readonly forged?: true };

/** The client's side of one exchange. */
export interface ClientMechanism {
  readonly name: string;
  /** Only inside TLS may it be spoken: its responses bear the password, or what is as good. */
  readonly needsPrivacy: boolean;
  initial(): ClientMechanismStep;
  respond(challenge: Uint8Array): ClientMechanismStep;
  answered(answer: ClientAnswer): ClientMechanismStep;
  /** After success was said: why it may not be believed, or `undefined`. */
  done(): string | undefined;
  /** What the server said of a failure beside its reply, as one line of printable text. */
  readonly complaint?: string | undefined;
}

/** What a client says to prove who it is, for the server's owner to check. */
export type LoginClaim =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  /** `user` is "" where the token alone says who it is. */
  | { readonly kind: "token"; readonly user: string; readonly token: string }
  /** The certificate of the TLS session. */
  | { readonly kind: "certificate" }
  /** RFC 5802 3: the proof over `authMessage` by the user's keys. */
  | {
      readonly kind: "scram";
      readonly hash: SaslHash;
      readonly user: string;
      readonly authMessage: Uint8Array;
      readonly proof: Uint8Array;
    };

/** What a stored SCRAM key was derived with. */
export interface ScramParameters {
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/** What the server's side of a mechanism wants next. */
export type ServerStep =
  | { readonly kind: "challenge"; readonly bytes: Uint8Array }
  /** The salt and iterations of the user's key: answered by `salted`. */
  | { readonly kind: "salt"; readonly hash: SaslHash; readonly user: string }
  /** To be checked by the caller, who ends the exchange with the result. `authorization`: whom to act as, "" for the user. */
  | { readonly kind: "check"; readonly authorization: string; readonly claim: LoginClaim }
  /** The exchange is complete, after the check was good. */
  | { readonly kind: "done" }
  /** The response is not one of this mechanism. */
  | { readonly kind: "malformed"; readonly why: string }
  /** The response is well formed and cannot be right. `why` is the operator's. */
  | { readonly kind: "rejected"; readonly why: string };

/** The server's side of one exchange. */
export interface ServerMechanism {
  readonly name: string;
  /** `response` is absent where AUTH came without an initial one. */
  step(response: Uint8Array | undefined): ServerStep;
  /** Answers "salt". */
  salted?(parameters: ScramParameters): ServerStep;
  /** The check was good; what there is still to send, or "done". Absent: nothing. `signature`: SCRAM's, of the server. */
  accepted?(signature: Uint8Array | undefined): ServerStep;
  /** A challenge that says what was wrong, before the refusal itself (RFC 7628 3.2.2). */
  complaint?(): Uint8Array;
}
