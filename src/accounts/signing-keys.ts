/**
 * The issuer's keys (RFC 7517), from its URL or from a file, and the signatures that they check.
 *
 * Rules
 * 1. Keys are fetched when they are needed, kept, and fetched again for a key that is not among them, but not more often than the pause.
 */
import { readFile } from "node:fs/promises";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
  jwtVerify,
} from "jose";
import { minutes, seconds } from "../util/clock.ts";
import { CLOCK_TOLERANCE, type Claims } from "./token-claims.ts";

export interface KeySource {
  /** A URL, or the path of a file. */
  readonly keys: URL | string;
}

/** Milliseconds for the issuer's answer. */
const TIMEOUT = seconds(5);
/** Milliseconds between two fetches. */
const PAUSE = seconds(30);
/** Milliseconds after which keys are fetched anew: one that was taken back must not be believed for long. */
const KEPT = minutes(10);

type KeySet = (header: JWSHeaderParameters, token: FlattenedJWSInput) => ReturnType<ReturnType<typeof createLocalJWKSet>>;

/** What the issuer's side or the network is to blame for, not the token. */
const NOT_THE_TOKENS: ReadonlySet<string> = new Set(["ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"]);

export class SigningKeys {
  readonly #keySet: KeySet;

  constructor({ keys }: KeySource) {
    this.#keySet =
      typeof keys === "string"
        ? fileKeySet(keys)
        : createRemoteJWKSet(keys, { timeoutDuration: TIMEOUT, cooldownDuration: PAUSE, cacheMaxAge: KEPT });
  }

  /** What the token says, if one of the keys has signed it. Rejects where the keys cannot be had. */
  async verify(token: string, { algorithms }: { readonly algorithms: readonly string[] }): Promise<Claims> {
    const options = { algorithms: [...algorithms], clockTolerance: CLOCK_TOLERANCE / 1000 };
    try {
      const { payload } = await this.#signed(token, options);
      return { kind: "claims", claims: payload };
    } catch (error) {
      // Its time is judged with the other claims.
      if (error instanceof errors.JWTExpired) return { kind: "claims", claims: error.payload };
      if (!(error instanceof errors.JOSEError) || NOT_THE_TOKENS.has(error.code)) throw error;
      return { kind: "rejected", why: `the token is not good (${error.code})` };
    }
  }

  async #signed(token: string, options: Parameters<typeof jwtVerify>[2]): ReturnType<typeof jwtVerify> {
    try {
      return await jwtVerify(token, this.#keySet, options);
    } catch (error) {
      // A token that names no key, and an issuer that has several: any of them will do.
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      for await (const key of error) {
        const result = await jwtVerify(token, key, options).catch((why: unknown) => {
          if (!(why instanceof errors.JWSSignatureVerificationFailed)) throw why;
        });
        if (result !== undefined) return result;
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  }
}

function fileKeySet(path: string): KeySet {
  let read: Promise<ReturnType<typeof createLocalJWKSet>> | undefined;
  let at = 0;
  const keys = (older: number): NonNullable<typeof read> => {
    if (read !== undefined && Date.now() - at < older) return read;
    at = Date.now();
    const reading = readFile(path, "utf8").then((text) => createLocalJWKSet(JSON.parse(text) as JSONWebKeySet));
    reading.catch(() => {
      if (read === reading) read = undefined;
    });
    read = reading;
    return reading;
  };
  return async (header, token) => {
    const known = await keys(KEPT);
    try {
      return await known(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      return (await keys(PAUSE))(header, token);
    }
  };
}
