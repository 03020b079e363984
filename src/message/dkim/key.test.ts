import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { decodeBase64, encodeBase64 } from "../../util/base64.ts";
import { KEY_CACHE_LIMIT, keptKeyCount, nodeCrypto, RSA_BITS_LIMIT } from "./crypto.ts";
import { DkimKey, DkimKeyError, type DkimKeyFault } from "./key.ts";
import { KEY_RECORD_LIMIT, keyName, keyRecords, readKeyRecord, type TxtAnswer } from "./key-record.ts";
import {
  compareKeyRecord,
  generateDkimKey,
  keyRecordText,
  revokedRecordText,
  TXT_STRING_LIMIT,
  txtStrings,
  zoneText,
} from "./key-tools.ts";
import { edKey, RFC6376_KEY, RFC6376_RECORD, RFC8463_ED25519_RECORD, RFC8463_SEED, rsaKey } from "./testing.ts";

const key = (privateKey: string | Uint8Array, domain = "example.com", selector = "s"): DkimKey =>
  new DkimKey({ domain, selector, privateKey });
const format = { type: "pkcs8", format: "pem" } as const;
const pem = (pair: { privateKey: { export(f: typeof format): string | Buffer } }): string => pair.privateKey.export(format).toString();

test("keys of the RFCs: their records are what the RFCs have", () => {
  assert.equal(keyRecordText(rsaKey).split("p=")[1], RFC6376_RECORD.split("p=")[1]);
  assert.equal(keyRecordText(edKey), RFC8463_ED25519_RECORD);
  assert.equal(rsaKey.algorithm, "rsa-sha256");
  assert.equal(edKey.algorithm, "ed25519-sha256");
});

test("an RSA key below 2048 bits is used with a warning, others without", () => {
  assert.match(rsaKey.warnings.join(), /1024 bits/);
  assert.deepEqual(edKey.warnings, []);
  assert.deepEqual(key(generateDkimKey("rsa")).warnings, []);
});

test("domain and selector are kept as DNS compares them", () => {
  const made = key(RFC8463_SEED, "BÜCHER.example", "Sel.2025");
  assert.equal(made.domain, "xn--bcher-kva.example");
  assert.equal(made.selector, "sel.2025");
  assert.equal(made.recordName, "sel.2025._domainkey.xn--bcher-kva.example");
});

function damaged(): string {
  const octets = decodeBase64(RFC6376_KEY.replaceAll(/-----[^-]*-----|\n/g, ""))!;
  octets[60]! ^= 255; // inside the modulus
  return `-----BEGIN RSA PRIVATE KEY-----\n${encodeBase64(octets)}\n-----END RSA PRIVATE KEY-----\n`;
}

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pss = generateKeyPairSync("rsa-pss", { modulusLength: 1024 });
const short = generateKeyPairSync("rsa", { modulusLength: 1016 });
const faults: [name: string, make: () => unknown, fault: DkimKeyFault, words: RegExp][] = [
  ["no key at all", () => key("hello"), "unreadable", /cannot be read/],
  ["nothing", () => key(""), "unreadable", /cannot be read/],
  ["DER that is none", () => key(Uint8Array.of(1, 2, 3)), "unreadable", /cannot be read/],
  ["a seed that is too short", () => key(encodeBase64(new Uint8Array(31))), "unreadable", /cannot be read/],
  ["a public key", () => key(ec.publicKey.export({ type: "spki", format: "pem" }).toString()), "unreadable", /public key/],
  [
    "an encrypted key",
    () => key(ec.privateKey.export({ ...format, cipher: "aes-128-cbc", passphrase: "x" }).toString()),
    "unreadable",
    /encrypted/,
  ],
  ["a P-256 key", () => key(pem(ec)), "unreadable", /type ec/],
  ["an RSA-PSS key", () => key(pem(pss)), "unreadable", /type rsa-pss/],
  ["a damaged key", () => key(damaged()), "unreadable", /damaged|cannot be read/],
  ["an RSA key below 1024 bits", () => key(pem(short)), "too-short", /1016 bits/],
  ["a domain that is none", () => key(RFC8463_SEED, "exa mple.com"), "name", /domain name/],
  ["a selector that is none", () => key(RFC8463_SEED, "example.com", "a_-;"), "name", /selector/],
  ["names too long together", () => key(RFC8463_SEED, `${"a.".repeat(100)}example.com`, "s".repeat(50)), "name", /longer/],
];
for (const [name, make, fault, words] of faults) {
  test(`refused: ${name}`, () => {
    assert.throws(make, (error) => error instanceof DkimKeyError && error.fault === fault && words.test(error.message));
  });
}

test("a new key of each kind can be loaded; DER serves as well as PEM, and PEM as octets", () => {
  for (const kind of ["rsa", "ed25519"] as const) {
    const text = generateDkimKey(kind);
    const made = key(text);
    assert.equal(made.key.bits, kind === "rsa" ? 2048 : 256);
    const der = decodeBase64(text.replaceAll(/-----[^-]*-----|\n/g, ""))!;
    assert.equal(keyRecordText(key(der)), keyRecordText(made));
    assert.equal(keyRecordText(key(Buffer.from(text))), keyRecordText(made), "a file as it was read");
  }
});

test("a record is split as zone files want it", () => {
  const text = keyRecordText(key(generateDkimKey("rsa")));
  const strings = txtStrings(text);
  assert.equal(strings.join(""), text);
  assert.equal(strings.length, 2);
  assert.equal(strings[0]!.length, TXT_STRING_LIMIT);
  const name = "s._domainkey.example.com";
  assert.equal(zoneText(name, text), `${name}. IN TXT (\n  "${strings[0]}"\n  "${strings[1]}"\n)\n`);
  assert.equal(zoneText(name, RFC8463_ED25519_RECORD), `${name}. IN TXT "${RFC8463_ED25519_RECORD}"\n`);
  assert.equal(zoneText(name, 'a"b\\c'), `${name}. IN TXT "a\\"b\\\\c"\n`);
  assert.deepEqual(txtStrings(""), [""]);
});

const found = (...records: string[]): TxtAnswer => ({ kind: "found", records });
const compared: [name: string, answer: TxtAnswer, kind: string][] = [
  ["its own", found(keyRecordText(edKey)), "published"],
  ["its own without v= and without padding", found(keyRecordText(edKey).replace("v=DKIM1; ", "").replace(/=$/, "")), "published"],
  ["its own among others", found("v=spf1 -all", keyRecordText(edKey)), "published"],
  ["another key", found(keyRecordText(rsaKey)), "different"],
  ["its own under the wrong k=", found(keyRecordText(edKey).replace("k=ed25519", "k=rsa")), "different"],
  ["its own for sha1 alone", found(`${keyRecordText(edKey)}; h=sha1`), "different"],
  ["its own, not for email", found(`${keyRecordText(edKey)}; s=other`), "different"],
  ["taken back", found(revokedRecordText(edKey)), "revoked"],
  ["no key record", found("v=spf1 -all"), "different"],
  ["none", { kind: "no-data" }, "absent"],
  ["no such name", { kind: "no-domain" }, "absent"],
  ["no answer", { kind: "failed", why: "no answer in time" }, "unknown"],
];
for (const [name, answer, kind] of compared)
  test(`DNS has ${name}: ${kind}`, () => assert.equal(compareKeyRecord(edKey, answer).kind, kind));

test("a key that is published has notes where receivers may stumble", () => {
  const testing = compareKeyRecord(edKey, found(`${keyRecordText(edKey)}; t=y:s`, keyRecordText(rsaKey)));
  assert.ok(testing.kind === "published");
  assert.equal(testing.notes.length, 2);
});

test("key records, RFC 6376 3.6.1", () => {
  const read = readKeyRecord("v=DKIM1; k=RSA; h=sha1 : SHA256; s=email:*; t=y : s; n=note; g=*; x=1; p=AB CD\r\n EF==");
  assert.ok(read.ok);
  assert.deepEqual(
    { ...read.value, text: "" },
    {
      text: "",
      kind: "rsa",
      publicKey: "ABCDEF==",
      hashes: ["sha1", "sha256"],
      services: ["email", "*"],
      testing: true,
      strict: true,
    },
  );
  const plain = readKeyRecord("p=");
  assert.ok(plain.ok);
  assert.deepEqual(plain.value, {
    text: "p=",
    kind: "rsa",
    publicKey: "",
    hashes: undefined,
    services: ["*"],
    testing: false,
    strict: false,
  });
  for (const bad of ["v=DKIM2; p=AA", "v=dkim1; p=AA", "p=AA; v=DKIM1", "v=DKIM1; k=rsa", "hello", ""])
    assert.equal(readKeyRecord(bad).ok, false);
  assert.equal(keyName("Sel", "EXAMPLE.com."), "sel._domainkey.example.com");
});

test("several TXT records: those that are key records, up to a limit", () => {
  const some = keyRecords(["v=spf1 -all", "p=AA", "p=BB"]);
  assert.ok(some.ok);
  assert.deepEqual(
    some.value.map(({ publicKey }) => publicKey),
    ["AA", "BB"],
  );
  const many = keyRecords(new Array(10).fill("p=AA"));
  assert.equal(many.ok && many.value.length, KEY_RECORD_LIMIT);
  const none = keyRecords(["v=spf1 -all", "x"]);
  assert.match(none.ok ? "" : none.why, /none of its 2 TXT records/);
});

test("public keys of strangers: what is no key is said, what is too large is not tried, few are kept", () => {
  const why = (kind: "rsa" | "ed25519", p: string) => {
    const read = nodeCrypto.verifyingKey(kind, p);
    return read.ok ? "" : read.why;
  };
  assert.match(why("rsa", "!!"), /base64/);
  assert.match(why("rsa", "AAAA"), /no RSA key/);
  assert.match(why("ed25519", "AAAA"), /3 octets/);
  assert.match(why("rsa", edKey.key.publicKey), /no RSA key/);
  const large = rsaOf(RSA_BITS_LIMIT + 8);
  assert.match(why("rsa", large), /more than 8192/);
  assert.equal(nodeCrypto.verifyingKey("rsa", rsaOf(RSA_BITS_LIMIT)).ok, true);
  for (let i = 0; i < KEY_CACHE_LIMIT + 5; i++) nodeCrypto.verifyingKey("ed25519", encodeBase64(new Uint8Array(32).fill(i % 256, i >> 8)));
  assert.ok(keptKeyCount() <= KEY_CACHE_LIMIT);
});

/** RSAPublicKey with a modulus of so many bits, which nobody has the private half of; the form of RFC 6376's text. */
function rsaOf(bits: number): string {
  const modulus = new Uint8Array(bits / 8 + 1).fill(0xff, 1);
  const length = (n: number) => (n < 128 ? [n] : [0x82, n >> 8, n & 255]);
  const numbers = [2, ...length(modulus.length), ...modulus, 2, 3, 1, 0, 1];
  return encodeBase64(Uint8Array.from([0x30, ...length(numbers.length), ...numbers]));
}
