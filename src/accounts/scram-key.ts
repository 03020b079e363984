/**
 * A password as it is kept: the keys of SCRAM-SHA-256 (RFC 5802 3, RFC 7677), which serve PLAIN and LOGIN as well.
 *
 * Rules
 * 1. The password itself is kept nowhere.
 * 2. Comparing takes the same time wherever the difference is.
 * 3. Passwords are prepared by SASLprep (RFC 4013), not strictly: see util/saslprep.ts.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { prepare } from "../util/saslprep.ts";

export interface ScramKey {
  readonly iterations: number;
  readonly salt: Uint8Array;
  /** H(ClientKey): what a client's proof is checked against. */
  readonly storedKey: Uint8Array;
  /** What the server proves itself with. */
  readonly serverKey: Uint8Array;
}

export const SCRAM_ITERATIONS = 15_000;
/** RFC 7677 4: no fewer than 4096. The upper limit keeps a stored value from stopping the server. */
const LEAST_ITERATIONS = 4096;
const MOST_ITERATIONS = 10_000_000;
const SALT_LENGTH = 16;
const KEY_LENGTH = 32;
/** In octets of UTF-8, prepared. */
export const PASSWORD_LIMIT = 1024;

const derive = promisify(pbkdf2);

/** The key for a prepared password, with a new salt unless one is given. Takes some milliseconds in the thread pool. */
export async function deriveScramKey(
  password: string,
  iterations = SCRAM_ITERATIONS,
  salt: Uint8Array = randomBytes(SALT_LENGTH),
): Promise<ScramKey> {
  const salted = await derive(password, salt, iterations, KEY_LENGTH, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const storedKey = createHash("sha256").update(clientKey).digest();
  const serverKey = createHmac("sha256", salted).update("Server Key").digest();
  return { iterations, salt, storedKey, serverKey };
}

/** Whether this prepared password is the one the key was made from. */
export async function checkPassword(password: string, key: ScramKey): Promise<boolean> {
  const { storedKey } = await deriveScramKey(password, key.iterations, key.salt);
  return timingSafeEqual(storedKey, key.storedKey);
}

/**
 * What proves to a client that this server has the key (RFC 5802 3, ServerSignature); `undefined` where the client's own proof over
 * `authMessage` is wrong.
 */
export function checkProof(key: ScramKey, authMessage: Uint8Array, proof: Uint8Array): Uint8Array | undefined {
  const signature = createHmac("sha256", key.storedKey).update(authMessage).digest();
  const clientKey = signature.map((octet, i) => octet ^ (proof[i] ?? 0));
  const storedKey = createHash("sha256").update(clientKey).digest();
  const right = timingSafeEqual(storedKey, key.storedKey) && proof.length === KEY_LENGTH;
  return right ? createHmac("sha256", key.serverKey).update(authMessage).digest() : undefined;
}

/** The password in the form that is hashed; `undefined` where it cannot be one: empty, too long, or with characters SASLprep prohibits. */
export function preparePassword(text: string): string | undefined {
  const password = text.length > PASSWORD_LIMIT ? "" : (prepare(text) ?? "");
  return password === "" || Buffer.byteLength(password) > PASSWORD_LIMIT ? undefined : password;
}

/** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as PostgreSQL writes it. */
export function formatScramKey(key: ScramKey): string {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  return `SCRAM-SHA-256$${key.iterations}:${base64(key.salt)}$${base64(key.storedKey)}:${base64(key.serverKey)}`;
}

const form = /^SCRAM-SHA-256\$(\d{1,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

/** The key that such a text holds; `undefined` where it is none. */
export function parseScramKey(text: string): ScramKey | undefined {
  const [, count, ...parts] = form.exec(text) ?? [];
  const iterations = Number(count);
  const [salt, storedKey, serverKey] = parts.map((part) => new Uint8Array(Buffer.from(part, "base64")));
  if (salt === undefined || storedKey?.length !== KEY_LENGTH || serverKey?.length !== KEY_LENGTH) return undefined;
  if (!(iterations >= LEAST_ITERATIONS && iterations <= MOST_ITERATIONS)) return undefined;
  return { iterations, salt, storedKey, serverKey };
}
