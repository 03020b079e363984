/**
 * What TLS needs before a socket: the server's certificate and tickets, the client's policy.
 *
 * Rules
 * 1. TLS 1.2 and 1.3 only (RFC 8996), with forward secrecy and AEAD ciphers when we are the server (RFC 9325 4.2).
 * 2. Contexts are made once and shared: one costs milliseconds, a handshake with a made one does not.
 * 3. Ticket keys outlive a reload and are shared by all contexts of the server, so that sessions resume across both.
 * 4. A bad certificate or key is said in words with its label; a reload that fails leaves the old one in use.
 */
import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";

/** A certificate chain and its key as PEM, each with the name (a path, as a rule) that errors call it by. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
  readonly certificateLabel: string;
  readonly keyLabel: string;
}

export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

const SERVER_CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

const VERSIONS = { minVersion: "TLSv1.2", maxVersion: "TLSv1.3" } as const;

/** Node's size for `ticketKeys`. */
export const TICKET_KEYS_SIZE = 48;

export function newTicketKeys(): Buffer {
  return randomBytes(TICKET_KEYS_SIZE);
}

/** What a listener wraps its sockets with; `current` is looked up for each handshake. */
export interface ServerContext {
  readonly current: SecureContext;
  /** What the certificate says of itself. */
  readonly facts: CertificateFacts;
  /** Clients may show a certificate of an authority that is trusted for it. */
  readonly asksForCertificate: boolean;
  /** Takes another certificate for the handshakes to come. Throws a CertificateError and changes nothing where it is bad. */
  reload(pair: CertificatePair): void;
}

export interface CertificateFacts {
  /** Names and addresses that it is good for. */
  readonly names: readonly string[];
  readonly selfSigned: boolean;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/**
 * Throws a CertificateError. Processes and threads that share a port are given the same ticket keys. `clientAuthorities` (PEM): who may
 * issue certificates that clients log in with.
 */
export function serverContext(pair: CertificatePair, ticketKeys: Buffer = newTicketKeys(), clientAuthorities?: string): ServerContext {
  let made = makeServer(pair, ticketKeys, clientAuthorities);
  return {
    asksForCertificate: clientAuthorities !== undefined,
    get current() {
      return made.context;
    },
    get facts() {
      return made.facts;
    },
    reload(next) {
      made = makeServer(next, ticketKeys, clientAuthorities);
    },
  };
}

function makeServer(
  pair: CertificatePair,
  ticketKeys: Buffer,
  clientAuthorities: string | undefined,
): { context: SecureContext; facts: CertificateFacts } {
  const facts = checkCertificate(pair);
  try {
    const context = createSecureContext({
      ...VERSIONS,
      cert: pair.certificate,
      key: pair.key,
      ciphers: SERVER_CIPHERS,
      honorCipherOrder: true,
      ticketKeys,
      sessionIdContext: "postrider",
      ...(clientAuthorities === undefined ? {} : { ca: clientAuthorities }),
    });
    return { context, facts };
  } catch (error) {
    throw new CertificateError(`${pair.certificateLabel}: TLS cannot use this certificate: ${reasonOf(error)}`);
  }
}

/** Whether certificate and key are readable and belong together. Throws a CertificateError that says what is wrong and what to do. */
export function checkCertificate(pair: CertificatePair): CertificateFacts {
  const certificate = readCertificate(pair.certificate, pair.certificateLabel);
  const key = readKey(pair.key, pair.keyLabel);
  if (!certificate.checkPrivateKey(key)) {
    throw new CertificateError(
      `the key ${pair.keyLabel} does not belong to the certificate ${pair.certificateLabel}: ` +
        "give the two files that were made together; in a chain, the server's own certificate comes first",
    );
  }
  return {
    names: namesOf(certificate),
    selfSigned: certificate.issuer === certificate.subject,
    expires: Date.parse(certificate.validTo),
  };
}

/** How many certificates of authorities the text (PEM) holds. Throws a CertificateError where it holds none, or a damaged one. */
export function checkAuthorities(text: string, label: string): number {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [text];
  for (const block of blocks) {
    const { ca, subject } = readCertificate(block, label);
    if (!ca) throw new CertificateError(`${label}: the certificate of ${subject.replaceAll("\n", ", ")} is no authority's (CA:FALSE)`);
  }
  return blocks.length;
}

function readCertificate(text: string, label: string): X509Certificate {
  if (!text.includes("-----BEGIN ")) throw new CertificateError(`${label} is not PEM: it has no line "-----BEGIN CERTIFICATE-----"`);
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    const what = text.includes("PRIVATE KEY-----") ? "a private key, not a certificate: are the two files exchanged?" : "no certificate";
    throw new CertificateError(`${label} holds ${what}`);
  }
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new CertificateError(`${label}: the certificate in it is damaged: ${reasonOf(error)}`);
  }
}

function readKey(text: string, label: string): KeyObject {
  if (!text.includes("-----BEGIN ")) throw new CertificateError(`${label} is not PEM: it has no line "-----BEGIN PRIVATE KEY-----"`);
  if (!text.includes("PRIVATE KEY-----")) {
    const exchanged = text.includes("-----BEGIN CERTIFICATE-----");
    throw new CertificateError(
      `${label} holds ${exchanged ? "a certificate, not a private key: are the two files exchanged?" : "no private key"}`,
    );
  }
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text)) {
    throw new CertificateError(`${label} is protected by a passphrase: store it without one (openssl pkey -in KEY -out NEW)`);
  }
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new CertificateError(`${label}: the private key in it is damaged: ${reasonOf(error)}`);
  }
}

function namesOf(certificate: X509Certificate): readonly string[] {
  const names = certificate.subjectAltName?.split(", ").map((name) => name.replace(/^(?:DNS|IP Address):/, ""));
  return names ?? [/(?:^|\n)CN=([^\n]+)/.exec(certificate.subject)?.[1] ?? ""].filter((name) => name !== "");
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** How a client treats the peer's certificate. */
export type ClientPolicy =
  /** Any certificate will do: against those who only listen (RFC 7435). */
  | { readonly kind: "opportunistic" }
  /** A certificate of a known authority for the server's name; `authorities` (PEM) instead of the system's. */
  | { readonly kind: "verified"; readonly authorities?: string };

/** What `tls.connect` takes besides the socket and the server name. */
export interface ClientContext {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
}

/** Wider than the server's: a peer with an old cipher is still better spoken to inside TLS than in clear (RFC 7435). */
const OPPORTUNISTIC_CIPHERS = "DEFAULT:!aNULL:!eNULL";

/** Make it once for each policy and certificate. Throws what OpenSSL says of a certificate or key that it cannot use. */
export function clientContext(policy: ClientPolicy, certificate?: { readonly chain: string; readonly key: string }): ClientContext {
  const own = certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key };
  if (policy.kind === "opportunistic") {
    const secureContext = createSecureContext({ ...VERSIONS, ...own, ca: [], ciphers: OPPORTUNISTIC_CIPHERS });
    return { secureContext, rejectUnauthorized: false };
  }
  const ca = policy.authorities;
  return { secureContext: createSecureContext({ ...VERSIONS, ...own, ...(ca === undefined ? {} : { ca }) }), rejectUnauthorized: true };
}
