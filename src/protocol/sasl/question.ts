/**
 * What a client's mechanism asks of its caller in the middle of an exchange: what is slow, asynchronous, or needs keys that `protocol/` does
 * not touch.
 *
 * Rules
 * 1. One question at a time; the exchange goes on with its answer, or is given up.
 */

export type SaslHash = "SHA-1" | "SHA-256";

export type ClientQuestion =
  /** RFC 5802 3: the proof and the signature to expect, of the password as it was typed (the caller prepares it). */
  | {
      readonly kind: "scram";
      readonly hash: SaslHash;
      readonly password: string;
      readonly salt: Uint8Array;
      readonly iterations: number;
      readonly authMessage: Uint8Array;
    }
  /** A bearer token; `refused`: the one that was given before did not serve. */
  | { readonly kind: "token"; readonly refused: boolean };

export type ClientAnswer =
  | { readonly kind: "scram"; readonly proof: Uint8Array; readonly serverSignature: Uint8Array }
  | { readonly kind: "token"; readonly token: string };
