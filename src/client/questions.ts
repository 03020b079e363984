/**
 * Answers what a login asks: keys of a password (RFC 5802 3) by Web Crypto, which every runtime has, and tokens.
 *
 * Rules
 * 1. Keys derived from a password are kept for a while, since each connection of a pool would derive the same; the password is not.
 */
import type { ClientAnswer, ClientQuestion, SaslHash } from "../protocol/sasl/question.ts";
import { encodeBase64 } from "../util/base64.ts";
import { utf8 } from "../util/bytes.ts";
import { prepare } from "../util/saslprep.ts";
import type { Credentials } from "./credentials.ts";

/** Web Crypto's, whose type has no name in every runtime. */
type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;
type ScramQuestion = Extract<ClientQuestion, { kind: "scram" }>;

/** Salted passwords that are remembered, by a digest of what they were made of. */
const KEPT_LIMIT = 100;
const kept = new Map<string, Promise<Key>>();

/** Rejects with an Error where there is no answer. */
export async function answerQuestion(question: ClientQuestion, credentials: Credentials | undefined): Promise<ClientAnswer> {
  if (question.kind === "scram") return scram(question);
  const token = credentials?.token;
  if (token === undefined) throw new Error("no token was given");
  const given = typeof token === "string" ? token : await token({ refused: question.refused });
  return { kind: "token", token: typeof given === "string" ? given : given.token };
}

async function scram(question: ScramQuestion): Promise<ClientAnswer> {
  const { hash, authMessage } = question;
  const salted = await saltedPassword(question);
  const clientKey = await hmac(salted, utf8("Client Key"));
  const storedKey = new Uint8Array(await crypto.subtle.digest(hash, clientKey));
  const signature = await hmac(await hmacKey(storedKey, hash), authMessage);
  const serverKey = await hmac(salted, utf8("Server Key"));
  const serverSignature = await hmac(await hmacKey(serverKey, hash), authMessage);
  return { kind: "scram", proof: clientKey.map((octet, i) => octet ^ (signature[i] as number)), serverSignature };
}

/** As a key for HMAC. */
async function saltedPassword({ hash, password, salt, iterations }: ScramQuestion): Promise<Key> {
  const prepared = prepare(password);
  if (prepared === undefined) throw new Error("the password holds characters that SASL does not allow (RFC 4013)");
  const origin = utf8(JSON.stringify([hash, prepared, encodeBase64(salt), iterations]));
  const name = encodeBase64(new Uint8Array(await crypto.subtle.digest("SHA-256", plain(origin))));
  const known = kept.get(name);
  if (known !== undefined) return known;
  const derived = derive(prepared, hash, salt, iterations);
  kept.set(name, derived);
  if (kept.size > KEPT_LIMIT) kept.delete(kept.keys().next().value as string);
  derived.catch(() => kept.delete(name));
  return derived;
}

async function derive(password: string, hash: SaslHash, salt: Uint8Array, iterations: number): Promise<Key> {
  const key = await crypto.subtle.importKey("raw", plain(utf8(password)), "PBKDF2", false, ["deriveBits"]);
  const bits = hash === "SHA-1" ? 160 : 256;
  const salted = await crypto.subtle.deriveBits({ name: "PBKDF2", hash, salt: plain(salt), iterations }, key, bits);
  return hmacKey(new Uint8Array(salted), hash);
}

function hmacKey(key: Uint8Array, hash: SaslHash): Promise<Key> {
  return crypto.subtle.importKey("raw", plain(key), { name: "HMAC", hash }, false, ["sign"]);
}

async function hmac(key: Key, text: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, plain(text)));
}

/** Web Crypto takes no view of shared memory, which the type cannot rule out. */
function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}
