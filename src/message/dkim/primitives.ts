/**
 * What DKIM asks of cryptography, as interfaces: `crypto.ts` gives them over node:crypto, another runtime may give its own.
 *
 * Rules
 * 1. Nothing here is imported at run time: these are types.
 */

/** RFC 8301 and RFC 8463: the kinds of keys a signature may be made with. */
export type KeyKind = "rsa" | "ed25519";

/** Takes octets; they may be changed once the call has returned. */
export interface ByteSink {
  update(bytes: Uint8Array): void;
}

/** A hash of what went by. */
export interface RunningHash extends ByteSink {
  /** The digest of what went by so far; more may follow. */
  digestSoFar(): Uint8Array;
  /** The digest; to be asked for once, at the end. */
  digest(): Uint8Array;
}

/** A private key, read and tried. */
export interface SigningKey {
  readonly kind: KeyKind;
  /** Of the modulus for RSA; 256 for Ed25519. */
  readonly bits: number;
  /** What `p=` of its DNS record has, in base64: SubjectPublicKeyInfo for RSA, 32 octets for Ed25519 (RFC 8463 4.2). */
  readonly publicKey: string;
  /** The signature over these octets: RSASSA-PKCS1-v1_5 with SHA-256, or PureEdDSA over their SHA-256 (RFC 8463 3). */
  sign(input: Uint8Array): Uint8Array;
}

/** A public key out of DNS. */
export interface VerifyingKey {
  readonly kind: KeyKind;
  readonly bits: number;
  /** Whether the signature is this key's over these octets; false for a signature that is not even one. */
  verify(input: Uint8Array, signature: Uint8Array): boolean;
}

/** A value, or why there is none. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

export interface DkimCrypto {
  sha256(): RunningHash;
  /** PEM (PKCS#1 or PKCS#8), DER of PKCS#8, or for Ed25519 the 32 octets of the seed in base64. */
  signingKey(text: string | Uint8Array): Read<SigningKey>;
  /** `p=` of a key record in base64 without spaces. */
  verifyingKey(kind: KeyKind, base64: string): Read<VerifyingKey>;
  /** A new private key as PEM of PKCS#8; `bits` for RSA alone. */
  generate(kind: KeyKind, bits: number): string;
}
