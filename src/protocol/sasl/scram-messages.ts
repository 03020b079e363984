/**
 * The four messages of SCRAM (RFC 5802 7), read and written.
 *
 * Rules
 * 1. Reading is strict: attributes in their order, base64 as RFC 4648 has it, extensions well formed. A message that is none is the reason why.
 * 2. An extension that must be understood ("m=") is refused; others are passed over (RFC 5802 5.1).
 */
import { decodeBase64, encodeBase64 } from "../../util/base64.ts";
import { fromUtf8 } from "../../util/bytes.ts";
import { decodeSaslName, encodeSaslName, type Gs2Header, parseGs2Header } from "./gs2.ts";

/** Characters of a nonce, both parts together. Ours have 24 each. */
export const NONCE_LIMIT = 1024;
/** Octets of a salt. */
export const SALT_LIMIT = 1024;

export interface ClientFirst {
  readonly header: Gs2Header;
  /** Without the header: the first part of what is signed. */
  readonly bare: string;
  readonly user: string;
  readonly nonce: string;
}

export interface ServerFirst {
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
}

export interface ClientFinal {
  /** The header again, and what binds behind it. */
  readonly binding: Uint8Array;
  readonly nonce: string;
  readonly proof: Uint8Array;
  /** The last part of what is signed. */
  readonly withoutProof: string;
}

export type ServerFinal =
  | { readonly kind: "signature"; readonly signature: Uint8Array }
  /** RFC 5802 7, server-error-value. */
  | { readonly kind: "error"; readonly error: string };

export const clientFirstBare = (user: string, nonce: string): string => `n=${encodeSaslName(user)},r=${nonce}`;
export const serverFirst = ({ nonce, salt, iterations }: ServerFirst): string => `r=${nonce},s=${encodeBase64(salt)},i=${iterations}`;
export const clientFinalWithoutProof = (binding: Uint8Array, nonce: string): string => `c=${encodeBase64(binding)},r=${nonce}`;

/** The message, or why it is none. */
export function parseClientFirst(bytes: Uint8Array): ClientFirst | string {
  const text = fromUtf8(bytes);
  const header = text === undefined ? undefined : parseGs2Header(text);
  if (text === undefined || header === undefined) return "the first message has no GS2 header";
  const bare = text.slice(header.text.length);
  if (bare.startsWith("m=")) return MANDATORY;
  const [, name = "", nonce, extensions] = /^n=([^,]*),r=([^,]*)(?:,(.*))?$/s.exec(bare) ?? [];
  const user = decodeSaslName(name);
  if (user === undefined || !isNonce(nonce) || !areExtensions(extensions)) return "the first message is malformed";
  return { header, bare, user, nonce };
}

/** The message, or why it is none. */
export function parseServerFirst(bytes: Uint8Array): ServerFirst | string {
  const text = fromUtf8(bytes) ?? "";
  if (text.startsWith("m=")) return MANDATORY;
  const [, nonce, base64 = "", count, extensions] = /^r=([^,]*),s=([^,]*),i=([1-9]\d*)(?:,(.*))?$/s.exec(text) ?? [];
  const salt = base64.length > 2 * SALT_LIMIT ? undefined : decodeBase64(base64);
  if (!isNonce(nonce) || !areExtensions(extensions) || salt === undefined || salt.length === 0 || salt.length > SALT_LIMIT) {
    return "the server's first message is malformed";
  }
  return { nonce, salt, iterations: Number(count) };
}

/** The message, or why it is none. */
export function parseClientFinal(bytes: Uint8Array): ClientFinal | string {
  const text = fromUtf8(bytes) ?? "";
  const [, withoutProof, channel = "", nonce, extensions, last = ""] = /^(c=([^,]*),r=([^,]*)(?:,(.*))?),p=([^,]*)$/s.exec(text) ?? [];
  const [binding, proof] = [decodeBase64(channel), decodeBase64(last)];
  if (withoutProof === undefined || binding === undefined || proof === undefined || !isNonce(nonce) || !areExtensions(extensions)) {
    return "the final message is malformed";
  }
  return { binding, nonce, proof, withoutProof };
}

/** The message, or why it is none. */
export function parseServerFinal(bytes: Uint8Array): ServerFinal | string {
  const text = fromUtf8(bytes) ?? "";
  const [, error, base64 = "", extensions] = /^(?:e=([^,]+)|v=([^,]*))(?:,(.*))?$/s.exec(text) ?? [];
  const signature = decodeBase64(base64);
  if (!areExtensions(extensions) || text.includes("\0")) return MALFORMED_FINAL;
  if (error !== undefined) return { kind: "error", error };
  return signature === undefined || signature.length === 0 ? MALFORMED_FINAL : { kind: "signature", signature };
}

const MANDATORY = "it wants an extension that is not known here";
const MALFORMED_FINAL = "the server's final message is malformed";

/** Printable ASCII but for the comma. */
function isNonce(text: string | undefined): text is string {
  return text !== undefined && text.length <= NONCE_LIMIT && /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}

function areExtensions(text: string | undefined): boolean {
  return text === undefined || text.split(",").every((one) => /^[A-Za-z]=[^\0]+$/s.test(one) && !one.startsWith("m="));
}
