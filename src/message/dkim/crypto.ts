/**
 * DKIM's cryptography over node:crypto: the only file of message/ that imports it.
 *
 * Rules
 * 1. A private key is tried when it is read: what it signs its own public key must verify, so that a damaged key is an error at once.
 * 2. Public keys come from strangers: their size is bounded, and those read are kept, so that a busy sender's is parsed once.
 * 3. Nothing a stranger sends makes these functions throw.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject, sign, verify } from "node:crypto";
import { decodeBase64, encodeBase64 } from "../../util/base64.ts";
import { concat, utf8 } from "../../util/bytes.ts";
import type { DkimCrypto, KeyKind, Read, SigningKey, VerifyingKey } from "./primitives.ts";

/** Bits of a stranger's RSA key; a longer one costs more to verify than a message is worth. RFC 8301 3.2 asks for 4096. */
export const RSA_BITS_LIMIT = 8192;
/** Public keys that are kept in memory. */
export const KEY_CACHE_LIMIT = 512;
const ED25519_OCTETS = 32;

/** DER of what stands before the octets of an Ed25519 key (RFC 8410 4 and 7). */
const SPKI_ED25519 = Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00);
const PKCS8_ED25519 = Uint8Array.of(0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20);

const PROBE = utf8("postrider");
const kept = new Map<string, Read<VerifyingKey>>();

export const nodeCrypto: DkimCrypto = {
  sha256() {
    const running = createHash("sha256");
    return {
      update: (bytes) => void running.update(bytes),
      digestSoFar: () => running.copy().digest(),
      digest: () => running.digest(),
    };
  },
  signingKey(text) {
    const read = readPrivateKey(text);
    if (!read.ok) return read;
    const kind = kindOf(read.value);
    if (kind === undefined) {
      const type = read.value.asymmetricKeyType ?? "unknown";
      return { ok: false, why: `it is a key of type ${type}: DKIM signs with RSA (rsaEncryption) or Ed25519` };
    }
    return tried(signingKeyOf(read.value, kind));
  },
  verifyingKey(kind, base64) {
    const name = `${kind}:${base64}`;
    const known = kept.get(name);
    if (known !== undefined) return known;
    const read = readPublicKey(kind, base64);
    if (kept.size >= KEY_CACHE_LIMIT) kept.delete(kept.keys().next().value as string);
    kept.set(name, read);
    return read;
  },
  generate(kind, bits) {
    const format = { type: "pkcs8", format: "pem" } as const;
    const pair = kind === "rsa" ? generateKeyPairSync("rsa", { modulusLength: bits }) : generateKeyPairSync("ed25519");
    return pair.privateKey.export(format).toString();
  },
};

/** How many public keys are kept now. */
export function keptKeyCount(): number {
  return kept.size;
}

/** The first octet of every DER form of a key: a SEQUENCE. No PEM and no base64 of a seed begins with it where it has its length. */
const DER_BEGIN = 0x30;

function readPrivateKey(given: string | Uint8Array): Read<KeyObject> {
  try {
    if (typeof given !== "string" && given[0] === DER_BEGIN && given.length > 44) {
      return { ok: true, value: createPrivateKey({ key: Buffer.from(given), format: "der", type: "pkcs8" }) };
    }
    const text = typeof given === "string" ? given : Buffer.from(given).toString("latin1"); // a file, as it was read
    const seed = decodeBase64(text.trim());
    if (seed?.length === ED25519_OCTETS) {
      return { ok: true, value: createPrivateKey({ key: Buffer.from(concat([PKCS8_ED25519, seed])), format: "der", type: "pkcs8" }) };
    }
    if (/-----BEGIN (?:RSA )?PUBLIC KEY-----/.test(text)) return { ok: false, why: "it is a public key, where the private key is needed" };
    if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text)) {
      return { ok: false, why: "it is encrypted: write it without a passphrase (openssl pkey -in key.pem -out plain.pem)" };
    }
    return { ok: true, value: createPrivateKey(text) };
  } catch {
    // OpenSSL's words tell nothing here ("DECODER routines::unsupported").
    return { ok: false, why: "it cannot be read as a private key: PEM with BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY is expected" };
  }
}

function kindOf(key: KeyObject): KeyKind | undefined {
  const type = key.asymmetricKeyType;
  return type === "rsa" || type === "ed25519" ? type : undefined;
}

function bitsOf(key: KeyObject, kind: KeyKind): number {
  return kind === "rsa" ? (key.asymmetricKeyDetails?.modulusLength ?? 0) : 8 * ED25519_OCTETS;
}

function signingKeyOf(key: KeyObject, kind: KeyKind): SigningKey {
  const info = createPublicKey(key).export({ type: "spki", format: "der" });
  const octets = kind === "rsa" ? info : info.subarray(info.length - ED25519_OCTETS);
  return {
    kind,
    bits: bitsOf(key, kind),
    publicKey: encodeBase64(octets),
    sign: kind === "rsa" ? (input) => sign("sha256", input, key) : (input) => sign(null, hash("sha256", input, "buffer"), key),
  };
}

function tried(key: SigningKey): Read<SigningKey> {
  try {
    const own = readPublicKey(key.kind, key.publicKey);
    if (own.ok && own.value.verify(PROBE, key.sign(PROBE))) return { ok: true, value: key };
  } catch {
    // Said below.
  }
  return { ok: false, why: "what it signs its own public key does not verify: the key is damaged or too short" };
}

function readPublicKey(kind: KeyKind, base64: string): Read<VerifyingKey> {
  const octets = decodeBase64(padded(base64));
  if (octets === undefined) return { ok: false, why: "p= is not base64" };
  if (kind === "ed25519" && octets.length !== ED25519_OCTETS) {
    return { ok: false, why: `p= has ${octets.length} octets, an Ed25519 key has ${ED25519_OCTETS} (RFC 8463 4.2)` };
  }
  const key = kind === "rsa" ? rsaKey(octets) : derKey(concat([SPKI_ED25519, octets]), "spki");
  if (key === undefined || kindOf(key) !== kind) return { ok: false, why: `p= holds no ${kind === "rsa" ? "RSA" : "Ed25519"} key` };
  const bits = bitsOf(key, kind);
  if (kind === "rsa" && bits > RSA_BITS_LIMIT)
    return { ok: false, why: `its RSA key has ${bits} bits: more than ${RSA_BITS_LIMIT} are not tried` };
  return { ok: true, value: { kind, bits, verify: (input, signature) => verifies(key, kind, input, signature) } };
}

/** Records in DNS often lack the padding, which changes nothing. */
function padded(base64: string): string {
  return base64.includes("=") ? base64 : base64.padEnd(Math.ceil(base64.length / 4) * 4, "=");
}

/** RFC 6376 3.6.1 says RSAPublicKey, its examples and everyone else have SubjectPublicKeyInfo (erratum 3017). */
function rsaKey(octets: Uint8Array): KeyObject | undefined {
  return derKey(octets, "spki") ?? derKey(octets, "pkcs1");
}

function derKey(octets: Uint8Array, type: "spki" | "pkcs1"): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(octets), format: "der", type });
  } catch {
    return undefined;
  }
}

function verifies(key: KeyObject, kind: KeyKind, input: Uint8Array, signature: Uint8Array): boolean {
  try {
    return kind === "rsa" ? verify("sha256", input, key, signature) : verify(null, hash("sha256", input, "buffer"), key, signature);
  } catch {
    return false;
  }
}
