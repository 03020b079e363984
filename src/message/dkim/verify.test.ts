import assert from "node:assert/strict";
import { createHash, createPrivateKey, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../../util/bytes.ts";
import { cut, octets } from "../contents.test.ts";
import { HEADER_SECTION_LIMIT, readHeaderSection } from "../header-section.ts";
import { DkimKey } from "./key.ts";
import { keyRecordText } from "./key-tools.ts";
import { readMessageSignature } from "./signature-field.ts";
import { readSignedMessage, SIGNATURE_LIMIT } from "./signed-message.ts";
import { DkimSigner } from "./signer.ts";
import {
  crlf,
  edKey,
  judgeAll,
  KEYS,
  MESSAGE,
  NOW,
  RFC6376_KEY,
  RFC6376_MESSAGE,
  RFC6376_RECORD,
  RFC8463_ED25519_RECORD,
  RFC8463_MESSAGE,
  RFC8463_RSA_RECORD,
  rsaKey,
  type Table,
  verdicts,
} from "./testing.ts";

const brisbane: Table = { "brisbane._domainkey.example.com": RFC6376_RECORD };
const football: Table = {
  "brisbane._domainkey.football.example.com": RFC8463_ED25519_RECORD,
  "test._domainkey.football.example.com": RFC8463_RSA_RECORD,
};

test("the example of RFC 6376 appendix A, with the key of appendix C, at every cut", () => {
  assert.deepEqual(verdicts([RFC6376_MESSAGE], brisbane), ["pass verified"]);
  assert.deepEqual(verdicts(octets(RFC6376_MESSAGE), brisbane), ["pass verified"]);
  for (let at = 0; at < RFC6376_MESSAGE.length; at += 3)
    assert.deepEqual(verdicts(cut(RFC6376_MESSAGE, [at]), brisbane), ["pass verified"]);
});

test("the example of RFC 8463 appendix A: both signatures", () => {
  assert.deepEqual(verdicts([RFC8463_MESSAGE], football), ["pass verified", "pass verified"]);
});

test("an octet changed anywhere in the examples is noticed", () => {
  for (let at = fromLatin1(RFC6376_MESSAGE).indexOf("Received:"); at < RFC6376_MESSAGE.length; at++) {
    const changed = RFC6376_MESSAGE.slice();
    changed[at] = changed[at] === 120 ? 121 : 120; // an x; where it breaks the header section, the body begins earlier
    assert.notEqual(verdicts([changed], brisbane)[0], "pass verified", `octet ${at}`);
  }
});

/** A signature made by hand: anything may stand in its tags. `b` is where it belongs already, empty. */
function handmade(tags: string, message: Uint8Array = MESSAGE, privateKey = RFC6376_KEY): Uint8Array {
  const { section, body } = readHeaderSection(message);
  const relaxed = (text: string) => text.replaceAll("\r\n", "").replaceAll(/[ \t]+/g, " ");
  const canonical = fromLatin1(body)
    .replaceAll(/[ \t]+/g, " ")
    .replaceAll(" \r\n", "\r\n")
    .replace(/(\r\n)*$/, "\r\n");
  const hash = (text: string) => createHash("sha256").update(latin1(text)).digest("base64");
  const length = /\bl=([0-9]+)/.exec(tags)?.[1];
  const field = `DKIM-Signature: ${tags.replace("bh=;", `bh=${hash(canonical.slice(0, length === undefined ? undefined : Number(length)))};`)}`;
  const from = relaxed(`from:${section.value("From")}`);
  const input = `${from}\r\n${relaxed(`dkim-signature:${field.slice("DKIM-Signature: ".length)}`).trimEnd()}`;
  const signature = sign("sha256", latin1(input), createPrivateKey(privateKey)).toString("base64");
  return latin1(`${field.replace(/\bb=(?=;|$)/, `b=${signature}`)}\r\n`);
}

const usual = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; h=from; bh=; b=";
const judged = (tags: string, table: Table = KEYS, now = NOW) => judgeAll(readSignedMessage([handmade(tags), MESSAGE]), table, now)[0]!;

const fields: [what: string, tags: string, expected: string][] = [
  ["as it should be", usual, "pass verified"],
  [
    "tags in another order, with white space",
    "b=; a = rsa-sha256;\r\n\tv= 1 ;s=rsa; d=example.com;c=relaxed/relaxed;bh=;h= From ; z=x|y; ",
    "pass verified",
  ],
  ["no version", usual.replace("v=1; ", ""), "neutral unusable-field"],
  ["version 2", usual.replace("v=1", "v=2"), "neutral unusable-field"],
  ["an algorithm not known", usual.replace("rsa-sha256", "rsa-sha512"), "neutral unusable-field"],
  ["rsa-sha1", usual.replace("rsa-sha256", "rsa-sha1"), "policy algorithm"],
  ["no domain", usual.replace("d=example.com; ", ""), "neutral unusable-field"],
  ["a domain that is none", usual.replace("d=example.com", "d=exa mple.com"), "neutral unusable-field"],
  ["a selector that is none", usual.replace("s=rsa", "s=.rsa"), "neutral unusable-field"],
  ["a canonicalization not known", usual.replace("relaxed/relaxed", "nowsp"), "neutral unusable-field"],
  ["a tag twice", `${usual}; s=rsa`, "neutral unusable-field"],
  ["no tag-list", `${usual}; hello`, "neutral unusable-field"],
  ["From not signed", usual.replace("h=from", "h=to"), "permerror unusable-field"],
  ["h= with an empty name", usual.replace("h=from", "h=from::to"), "neutral unusable-field"],
  ["no h=", usual.replace("h=from; ", ""), "neutral unusable-field"],
  ["bh= that is no base64", usual.replace("bh=", "bh=#"), "neutral unusable-field"],
  ["another hash of the body", usual.replace("bh=", "bh=AAAA"), "fail body-changed"],
  ["a query not known", `q=dns/xyz; ${usual}`, "neutral unusable-field"],
  ["a query known among others", `q=dns/xyz : DNS/TXT; ${usual}`, "pass verified"],
  ["i= at the domain", `i=a=20b@example.com; ${usual}`, "pass verified"],
  ["i= below it", `i=@x.EXAMPLE.com; ${usual}`, "pass verified"],
  ["i= elsewhere", `i=@badexample.com; ${usual}`, "permerror unusable-field"],
  ["i= above it", `i=@com; ${usual}`, "permerror unusable-field"],
  ["i= without @", `i=example.com; ${usual}`, "neutral unusable-field"],
  ["not expired", `t=${NOW / 1000 - 5}; x=${NOW / 1000}; ${usual}`, "pass verified"],
  ["expired", `t=${NOW / 1000 - 5}; x=${NOW / 1000 - 1}; ${usual}`, "fail expired"],
  ["expires before it was made", `t=${NOW / 1000}; x=${NOW / 1000}; ${usual}`, "neutral unusable-field"],
  ["a time that is none", `t=now; ${usual}`, "neutral unusable-field"],
  ["a time too long", `x=1234567890123; ${usual}`, "neutral unusable-field"],
  ["all of the body by l=", `l=23; ${usual}`, "pass verified"],
  ["a part of the body by l=", `l=5; ${usual}`, "pass verified"],
  ["nothing of the body by l=", `l=0; ${usual}`, "pass verified"],
  ["more than the body by l=", `l=999; ${usual}`, "fail body-changed"],
  ["far more than any body", `l=${"9".repeat(76)}; ${usual}`, "fail body-changed"],
  ["l= that is none", `l=-1; ${usual}`, "neutral unusable-field"],
  ["a tag of the future", `zz=1; ${usual}`, "pass verified"],
];
for (const [what, tags, expected] of fields) {
  test(`a signature: ${what}`, () => {
    const { verdict, cause, reason } = judged(tags);
    assert.equal(`${verdict} ${cause}`, expected, reason);
  });
}

const record = keyRecordText(rsaKey);
const at = rsaKey.recordName;
const p = rsaKey.key.publicKey;
const keys: [what: string, answer: Table[string], expected: string][] = [
  ["as it should be", record, "pass verified"],
  ["without v= and k=", `p=${p}`, "pass verified"],
  ["folded base64", `p=${p.slice(0, 50)} \r\n ${p.slice(50)}`, "pass verified"],
  ["as RSAPublicKey, not SubjectPublicKeyInfo", `p=${Buffer.from(p, "base64").subarray(22).toString("base64")}`, "pass verified"],
  ["two records, the wrong one first", { kind: "found", records: ["v=spf1 -all", `v=DKIM1; p=${otherKey()}`, record] }, "pass verified"],
  ["another key", `v=DKIM1; p=${otherKey()}`, "fail header-changed"],
  ["taken back", "v=DKIM1; p=", "permerror unusable-key"],
  ["no key record", "v=spf1 -all", "permerror unusable-key"],
  ["another version", `v=DKIM2; p=${p}`, "permerror unusable-key"],
  ["no base64", "p=#", "permerror unusable-key"],
  ["no key in it", "p=AAAA", "permerror unusable-key"],
  ["for another algorithm", `k=ed25519; p=${p}`, "permerror unusable-key"],
  ["for sha1 alone", `h=sha1; p=${p}`, "permerror unusable-key"],
  ["for sha256 too", `h=sha1:sha256; p=${p}`, "pass verified"],
  ["not for email", `s=tlsrpt; p=${p}`, "permerror unusable-key"],
  ["for email", `s=tlsrpt : email; p=${p}`, "pass verified"],
  ["t=s, i= at the domain itself", `t=s; p=${p}`, "pass verified"],
  ["of 512 bits", `p=${shortKey()}`, "fail short-key"],
  ["no such name", { kind: "no-domain" }, "permerror no-key"],
  ["no TXT record", { kind: "no-data" }, "permerror no-key"],
  ["no answer", { kind: "failed", why: "SERVFAIL" }, "temperror dns"],
];
for (const [what, answer, expected] of keys) {
  test(`a key: ${what}`, () => {
    const { verdict, cause, reason } = judged(usual, { [at]: answer! });
    assert.equal(`${verdict} ${cause}`, expected, reason);
  });
}

test("t=s wants i= to be at the domain itself", () => {
  assert.equal(judged(`i=@x.example.com; ${usual}`, { [at]: `t=y : s; p=${p}` }).cause, "unusable-key");
});

test("rsa-sha1 and what is expired need no key", () => {
  for (const tags of [usual.replace("rsa-sha256", "rsa-sha1"), `x=1; ${usual}`]) {
    assert.notEqual(judged(tags, { [at]: { kind: "failed", why: "" } }).cause, "dns");
  }
});

test("a reason tells the body from the header", () => {
  const fields = new DkimSigner({ keys: [rsaKey] }).sign([MESSAGE], { now: NOW });
  const reason = (content: string) => judgeAll(readSignedMessage([fields, latin1(content)]))[0]!.reason;
  const text = fromLatin1(MESSAGE);
  assert.match(reason(`${text}-- \r\nfooter\r\n`), /body was changed after signing/);
  assert.match(reason(text.replace("Lunch", "Dinner")), /body is as it was signed, but a signed header field was changed/);
});

test("fields beyond the limit are counted, not tried", () => {
  const one = new DkimSigner({ keys: [edKey] }).sign([MESSAGE], { now: NOW });
  const message = readSignedMessage([...new Array(SIGNATURE_LIMIT + 3).fill(one), MESSAGE]);
  assert.equal(message.dkim.length, SIGNATURE_LIMIT);
  assert.equal(message.skipped, 3);
  assert.ok(judgeAll(message).every(({ verdict }) => verdict === "pass"));
});

test("a header section that passes its limit is not verified", () => {
  const fields = new DkimSigner({ keys: [edKey] }).sign([MESSAGE], { now: NOW });
  const padding = `X: ${"x".repeat(HEADER_SECTION_LIMIT - fields.length - 10)}\r\nY: y\r\n`;
  assert.deepEqual(verdicts([fields, latin1(padding), MESSAGE]), ["permerror header-section"]);
});

test("h= that names a field many times is linear, and an own field is never covered", () => {
  const names = `from${":dkim-signature".repeat(900)}`;
  const signature = handmade(usual.replace("h=from", `h=${names}`));
  assert.deepEqual(verdicts([signature, MESSAGE]), ["pass verified"]);
});

test("a signature over other signatures verifies while they are there", () => {
  const inner = new DkimSigner({ keys: [edKey] }).sign([MESSAGE], { now: NOW });
  const covered = readHeaderSection(inner).section.fields[0]!;
  assert.equal(readMessageSignature(covered, "dkim").ok, true);
  const message = concat([inner, MESSAGE]);
  assert.deepEqual(verdicts([new DkimSigner({ keys: [rsaKey] }).sign([message], { now: NOW }), message]), [
    "pass verified",
    "pass verified",
  ]);
});

test("any octets are judged, never thrown at", () => {
  const piece = fc.constantFrom(
    "v=1;",
    "a=rsa-sha256;",
    "d=example.com;",
    "s=rsa;",
    "h=from:to;",
    "bh=AAAA;",
    "b=AAAA;",
    "c=relaxed;",
    "l=1;",
    "i=@;",
    "x=0;",
    " ",
    "\r\n ",
    "\xff",
    ";",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), fc.array(fc.nat(30)), (pieces, cuts) => {
      const content = latin1(`DKIM-Signature: ${pieces.join("")}\r\nFrom: a@example.com\r\n\r\nx`);
      const whole = verdicts([content]);
      assert.deepEqual(verdicts(cut(content, cuts)), whole);
      assert.ok(!whole.includes("pass verified"));
    }),
  );
});

function otherKey(): string {
  return RFC8463_RSA_RECORD.split("p=")[1]!;
}

function shortKey(): string {
  return "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL1lFMuRCyQn1Dd7bq8XGSMj1wbcX2u9rcTDeqP1AyEWVvPFvzXJmQKQOiiRzmbsqdnzVpdhCzBAYQZvfBqj0bcCAwEAAQ==";
}

test("a DkimKey of another domain signs for that domain alone", () => {
  const other = new DkimKey({ domain: "example.org", selector: "rsa", privateKey: RFC6376_KEY });
  const fields = new DkimSigner({ keys: [other] }).sign([crlf("From: a@example.com\n\nx\n")], { now: NOW });
  assert.deepEqual(verdicts([fields, crlf("From: a@example.com\n\nx\n")]), ["permerror no-key"]);
});
