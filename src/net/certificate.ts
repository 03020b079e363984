/**
 * A self-signed certificate, for as long as there is none from an authority.
 *
 * Rules
 * 1. ECDSA P-256: the handshake is the cheapest, and every TLS 1.2 peer takes it.
 * 2. An end entity's certificate, no authority's: a client that trusts it trusts this server and nothing else.
 * 3. The few pieces of DER (X.690) that this needs stand here; nothing is parsed.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIPv4, isIPv6, toAscii } from "../mail/domain.ts";
import { days, hours } from "../util/clock.ts";
import { canonicalAddress, ipv6Groups } from "./address.ts";

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8, not encrypted. */
  readonly key: string;
}

export interface SelfSignedOptions {
  /** Domain names and IP addresses that it is good for; the first one is its common name. */
  readonly names: readonly string[];
  readonly now?: number;
  /** In milliseconds; ten years where absent. */
  readonly validity?: number;
}

const VALIDITY = days(3652);
/** For peers whose clock is behind. */
const BACKDATE = hours(1);
/** RFC 5280, upper bound of a common name. */
const COMMON_NAME_LIMIT = 64;

/** Makes a key and its certificate. Throws a RangeError for a name that is neither a domain name nor an IP address. */
export function selfSignedCertificate(options: SelfSignedOptions): SelfSigned {
  const now = options.now ?? Date.now();
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const toBeSigned = certificateBody(options.names, publicKey, now - BACKDATE, now + (options.validity ?? VALIDITY));
  const signature = sign("sha256", toBeSigned, privateKey);
  const der = sequence(toBeSigned, ecdsaWithSha256, bitString(signature));
  return { certificate: pem("CERTIFICATE", der), key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** TBSCertificate, RFC 5280 4.1. */
function certificateBody(names: readonly string[], publicKey: KeyObject, from: number, until: number): Buffer {
  const subjectKey = publicKey.export({ type: "spki", format: "der" });
  const keyId = createHash("sha1").update(subjectKey.subarray(-65)).digest(); // RFC 5280 4.2.1.2: of the bare point
  const subject = distinguishedName(names.find((name) => name.length <= COMMON_NAME_LIMIT) ?? "Postrider");
  const serial = randomBytes(16);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40; // positive, and of full length
  return sequence(
    tagged(0, integer(2)), // v3
    der(0x02, serial),
    ecdsaWithSha256,
    subject, // issuer
    sequence(time(from), time(until)),
    subject,
    subjectKey,
    tagged(
      3,
      sequence(
        extension("2.5.29.19", true, sequence()), // basicConstraints: no authority
        extension("2.5.29.15", true, der(0x03, Buffer.from([7, 0x80]))), // keyUsage: digitalSignature
        extension("2.5.29.37", false, sequence(objectId("1.3.6.1.5.5.7.3.1"))), // extKeyUsage: serverAuth
        extension("2.5.29.14", false, der(0x04, keyId)),
        extension("2.5.29.35", false, sequence(der(0x80, keyId))),
        extension("2.5.29.17", false, sequence(...names.map(generalName))),
      ),
    ),
  );
}

/** dNSName or iPAddress, RFC 5280 4.2.1.6. */
function generalName(name: string): Buffer {
  if (isIPv4(name)) return der(0x87, Buffer.from(name.split(".").map(Number)));
  if (isIPv6(name)) {
    const address = Buffer.alloc(16);
    for (const [i, group] of (ipv6Groups(name) as readonly number[]).entries()) address.writeUInt16BE(group, i * 2);
    return der(0x87, address);
  }
  const ascii = toAscii(name);
  if (ascii === undefined || !/^[\w*-]+(?:\.[\w-]+)*$/.test(ascii) || canonicalAddress(ascii) !== undefined) {
    throw new RangeError(`neither a domain name nor an IP address: ${JSON.stringify(name)}`);
  }
  return der(0x82, Buffer.from(ascii, "ascii"));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(objectId("2.5.4.3"), der(0x0c, Buffer.from(commonName, "utf8")))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value));
}

/** RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime after it. */
function time(at: number): Buffer {
  const text = new Date(at)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replace(/[-:T]/g, "");
  return Number(text.slice(0, 4)) < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function tagged(number: number, part: Buffer): Buffer {
  return der(0xa0 + number, part);
}

function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]));
}

function bitString(bytes: Buffer): Buffer {
  return der(0x03, Buffer.from([0]), bytes);
}

function objectId(text: string): Buffer {
  const [first, second, ...rest] = text.split(".").map(Number) as [number, number, ...number[]];
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 127];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 127) | 128);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

const ecdsaWithSha256 = sequence(objectId("1.2.840.10045.4.3.2"));

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
