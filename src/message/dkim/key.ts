/**
 * A key to sign with: whose it is, where its public half stands in DNS, and the key itself, read once.
 *
 * Rules
 * 1. A bad key is an error when it is loaded, never a message that goes out unsigned.
 * 2. RFC 8301 3.2: an RSA key below 1024 bits is refused, one below 2048 is used with a warning.
 */
import { domainKey, isDomain } from "../../mail/domain.ts";
import { nodeCrypto } from "./crypto.ts";
import { keyName } from "./key-record.ts";
import type { DkimCrypto, SigningKey } from "./primitives.ts";

export const RSA_BITS_REFUSED_BELOW = 1024;
export const RSA_BITS_ADVISED = 2048;
/** RFC 1035 2.3.4: 255 octets on the wire, as characters. */
const DNS_NAME_LIMIT = 253;

/** What is wrong with a key. name: with the domain or the selector. too-short: RSA. unreadable: all else about the key itself. */
export type DkimKeyFault = "name" | "unreadable" | "too-short";

/** A key that cannot be signed with. The message says which, why, and what to do. */
export class DkimKeyError extends Error {
  override readonly name = "DkimKeyError";
  readonly fault: DkimKeyFault;
  readonly domain: string;
  readonly selector: string;

  constructor(fault: DkimKeyFault, of: { readonly domain: string; readonly selector: string }, why: string) {
    super(`DKIM key ${of.selector} of ${of.domain}: ${why}`);
    this.fault = fault;
    this.domain = of.domain;
    this.selector = of.selector;
  }
}

export interface DkimKeyOptions {
  /** d=: the domain that signs. */
  readonly domain: string;
  readonly selector: string;
  /** PEM (PKCS#8 or PKCS#1) as a text or as octets, DER of PKCS#8, or for Ed25519 the seed's 32 octets in base64. */
  readonly privateKey: string | Uint8Array;
  /** Instead of node:crypto. */
  readonly crypto?: DkimCrypto;
}

export class DkimKey {
  /** A-labels, in lower case. */
  readonly domain: string;
  readonly selector: string;
  readonly key: SigningKey;
  readonly algorithm: "rsa-sha256" | "ed25519-sha256";
  /** What an operator should know, each a sentence. */
  readonly warnings: readonly string[];
  readonly crypto: DkimCrypto;

  /** Throws a `DkimKeyError`. Takes about as long as two signatures: to be made once, not for each message. */
  constructor({ domain, selector, privateKey, crypto = nodeCrypto }: DkimKeyOptions) {
    const of = { domain, selector };
    if (!isDomain(domain)) throw new DkimKeyError("name", of, "this is no domain name");
    if (!isDomain(selector)) throw new DkimKeyError("name", of, "the selector is no domain label or labels");
    if (keyName(selector, domain).length > DNS_NAME_LIMIT)
      throw new DkimKeyError("name", of, "selector and domain together are longer than a DNS name");
    const read = crypto.signingKey(privateKey);
    if (!read.ok) throw new DkimKeyError("unreadable", of, read.why);
    const { kind, bits } = read.value;
    if (kind === "rsa" && bits < RSA_BITS_REFUSED_BELOW) {
      const why = `its RSA key has ${bits} bits: receivers refuse less than ${RSA_BITS_REFUSED_BELOW} (RFC 8301 3.2). Make one of ${RSA_BITS_ADVISED}`;
      throw new DkimKeyError("too-short", of, why);
    }
    this.domain = domainKey(domain);
    this.selector = domainKey(selector);
    this.key = read.value;
    this.algorithm = kind === "rsa" ? "rsa-sha256" : "ed25519-sha256";
    this.warnings =
      kind === "rsa" && bits < RSA_BITS_ADVISED
        ? [`The RSA key ${selector} of ${domain} has ${bits} bits; ${RSA_BITS_ADVISED} are advised (RFC 8301 3.2).`]
        : [];
    this.crypto = crypto;
  }

  /** Where its record stands in DNS: `selector._domainkey.example.com`. */
  get recordName(): string {
    return keyName(this.selector, this.domain);
  }
}
