/**
 * What a TLS socket tells of its session beside version and cipher: what binds a login to it, and who the client says it is.
 *
 * Rules
 * 1. What cannot be known for sure is absent; a login then does without.
 */
import { createHash, type X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { ClientCertificate, TlsBindings } from "../util/byte-stream.ts";

/** RFC 9266 2 */
const EXPORTER_LABEL = "EXPORTER-Channel-Binding";
const EXPORTER_LENGTH = 32;

/** Worked out at the first call, and kept. */
export function channelBindings(socket: TLSSocket, side: "server" | "client"): () => TlsBindings {
  let known: TlsBindings | undefined;
  return () => {
    known ??= { ...exporter(socket), ...serverEndPoint(socket, side) };
    return known;
  };
}

/** RFC 9266 3: under TLS 1.2 it would bind only with extended master secret and without renegotiation, so there it is left out. */
function exporter(socket: TLSSocket): TlsBindings {
  if (socket.getProtocol() !== "TLSv1.3") return {};
  try {
    return { "tls-exporter": socket.exportKeyingMaterial(EXPORTER_LENGTH, EXPORTER_LABEL, Buffer.alloc(0)) };
  } catch {
    return {}; // the connection is gone
  }
}

/** RFC 5929 4. On a resumed session the client has no certificate of its peer. */
function serverEndPoint(socket: TLSSocket, side: "server" | "client"): TlsBindings {
  const certificate = side === "server" ? socket.getX509Certificate() : socket.getPeerX509Certificate();
  const hash = certificate === undefined ? undefined : endPointHash(certificate);
  return certificate === undefined || hash === undefined
    ? {}
    : { "tls-server-end-point": createHash(hash).update(certificate.raw).digest() };
}

/** RFC 5929 4.1: the hash of its signature, but SHA-256 instead of MD5 and SHA-1; `undefined` where the signature has not just one. */
function endPointHash({ signatureAlgorithm }: X509Certificate): string | undefined {
  const [, name] = /(md5|sha1|sha224|sha256|sha384|sha512)(?!\d)/i.exec(signatureAlgorithm ?? "") ?? [];
  const hash = name?.toLowerCase();
  return hash === "md5" || hash === "sha1" ? "sha256" : hash;
}

/** The client's certificate, if OpenSSL found it to be issued by an authority of the context for use by a client, and valid now. */
export function clientCertificate(socket: TLSSocket): { clientCertificate?: ClientCertificate } {
  // A socket that is no tls.Server's has no `authorized`; what it would tell is asked of the handle. No answer counts as a bad one.
  const { ssl } = socket as TLSSocket & { ssl?: { verifyError?: () => Error | null | undefined } };
  const error = ssl?.verifyError === undefined ? new Error("not known") : ssl.verifyError();
  const certificate = socket.getPeerX509Certificate();
  // A resumed session without a certificate has no error either.
  if (certificate === undefined || (error !== null && error !== undefined)) return {};
  const commonName = certificate.toLegacyObject().subject?.CN as string | string[] | undefined;
  return {
    clientCertificate: {
      mailboxes: mailboxesOf(certificate.subjectAltName ?? ""),
      ...(typeof commonName === "string" ? { commonName } : {}),
    },
  };
}

/** Node's text form: `email:ann@example.test, DNS:example.test`; values that could be read in two ways are in quotes, and passed over here. */
export function mailboxesOf(subjectAltName: string): string[] {
  const mailboxes: string[] = [];
  const entry = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  while (entry.lastIndex < subjectAltName.length) {
    const found = entry.exec(subjectAltName);
    if (found === null) return [];
    const [, type, value = ""] = found;
    if (type === "email" && !value.startsWith('"') && value !== "") mailboxes.push(value);
  }
  return mailboxes;
}
