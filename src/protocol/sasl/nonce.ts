/** Values that are used once. */
import { encodeBase64 } from "../../util/base64.ts";

/** Octets of chance: as many as RFC 5802's own examples have, and no padding in base64. */
const NONCE_OCTETS = 18;

/** 24 characters that nobody can foretell. */
export function newNonce(): string {
  return encodeBase64(crypto.getRandomValues(new Uint8Array(NONCE_OCTETS)));
}
