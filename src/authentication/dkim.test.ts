import assert from "node:assert/strict";
import { test } from "node:test";
import { type Content, memoryContent } from "../mail/content.ts";
import { ArcSealer } from "../message/dkim/arc-seal.ts";
import { readSignedMessage } from "../message/dkim/signed-message.ts";
import { DkimContentError, DkimSigner } from "../message/dkim/signer.ts";
import { answerFrom, crlf, edKey, KEYS, MESSAGE, NOW, rsaKey, type Table } from "../message/dkim/testing.ts";
import { concat, latin1 } from "../util/bytes.ts";
import { SignatureCheck, verifySignatures } from "./dkim.ts";
import { signContent } from "./dkim-sign.ts";
import { arcSteps, dkimSteps } from "./dkim-steps.ts";
import type { CheckDns } from "./dns.ts";

function dnsOf(table: Table, asked: string[] = []): Pick<CheckDns, "txt"> {
  return {
    txt: (name) => {
      asked.push(name);
      const [selector = "", domain = ""] = name.split("._domainkey.");
      return Promise.resolve(answerFrom(table, selector, domain));
    },
  };
}

const signer = new DkimSigner({ keys: [rsaKey, edKey] });
const signed = concat([signer.sign([MESSAGE], { now: NOW }), MESSAGE]);
const options = (table: Table = KEYS, asked: string[] = []) => ({ dns: dnsOf(table, asked), now: NOW });

function stored(chunks: readonly Uint8Array[]): Content {
  const { size } = memoryContent(chunks);
  return {
    kind: "stored",
    size,
    open: async function* () {
      yield* chunks;
    },
  };
}

test("content in memory and stored content are signed and verified alike", async () => {
  const fields = await signContent(signer, memoryContent([MESSAGE]), { now: NOW });
  assert.deepEqual(await signContent(signer, stored([MESSAGE.subarray(0, 33), MESSAGE.subarray(33)]), { now: NOW }), fields);
  for (const content of [memoryContent([fields, MESSAGE]), stored([fields, MESSAGE])]) {
    const { dkim, arc } = await verifySignatures(content, options());
    assert.deepEqual(
      dkim.results.map(({ verdict, domain, selector, algorithm }) => `${verdict} ${domain} ${selector} ${algorithm}`),
      ["pass example.com rsa rsa-sha256", "pass example.com ed ed25519-sha256"],
    );
    assert.equal(arc.verdict, "none");
  }
  await assert.rejects(signContent(signer, stored([crlf("From: a@example.com\n\nx"), latin1("\ny")]), { now: NOW }), DkimContentError);
});

test("a message without signatures has no results, and asks nothing", async () => {
  const asked: string[] = [];
  const { dkim, arc } = await verifySignatures(memoryContent([MESSAGE]), options(KEYS, asked));
  assert.deepEqual(dkim, { results: [], skipped: 0 });
  assert.equal(arc.verdict, "none");
  assert.deepEqual(asked, []);
});

test("keys are asked for while the body still comes, each once", async () => {
  const asked: string[] = [];
  const check = new SignatureCheck(options(KEYS, asked));
  const message = concat([signer.sign([MESSAGE], { now: NOW }), signed]);
  const body = message.length - 10;
  check.push(message.subarray(0, 10));
  assert.deepEqual(asked, []);
  check.push(message.subarray(10, body));
  assert.deepEqual(asked, [rsaKey.recordName, edKey.recordName]);
  check.push(message.subarray(body));
  const { dkim } = await check.finish();
  assert.equal(dkim.results.length, 4);
  assert.ok(dkim.results.every(({ verdict }) => verdict === "pass"));
  assert.equal(asked.length, 2);
});

test("a signature that is lost without a key asks for none", async () => {
  const asked: string[] = [];
  const lost = latin1("DKIM-Signature: v=1; a=rsa-sha1; d=example.com; s=rsa; h=from; bh=AAAA; b=AAAA\r\nDKIM-Signature: nothing\r\n");
  const { dkim } = await verifySignatures(memoryContent([lost, MESSAGE]), options(KEYS, asked));
  assert.deepEqual(
    dkim.results.map(({ verdict }) => verdict),
    ["policy", "neutral"],
  );
  assert.deepEqual(asked, []);
});

test("a look-up that throws is temperror, never a pass", async () => {
  const dns = { txt: () => Promise.reject(new Error("the resolver is closed")) };
  const { dkim } = await verifySignatures(memoryContent([signed]), { dns, now: NOW });
  assert.deepEqual(
    dkim.results.map(({ verdict, reason }) => `${verdict} ${/the resolver is closed/.test(reason)}`),
    ["temperror true", "temperror true"],
  );
});

test("what else a result says: testing, l=, fields that were added", async () => {
  const table = { ...KEYS, [rsaKey.recordName]: `${KEYS[rsaKey.recordName]}; t=y` };
  const once = new DkimSigner({ keys: [rsaKey], names: [{ name: "from", oversign: "never" }] });
  const content = memoryContent([latin1("From: mallory@example.net\r\n"), once.sign([MESSAGE], { now: NOW }), MESSAGE]);
  const { dkim } = await verifySignatures(content, options(table));
  const result = dkim.results[0]!;
  assert.equal(result.verdict, "pass");
  assert.equal(result.testing, true);
  assert.deepEqual(result.unsignedFields, ["from"]);
  assert.equal(result.bodyLength, undefined);
  assert.equal(result.signature?.identity, "@example.com");
});

test("steps say what was found, in the order of the check", async () => {
  const words = async (content: Uint8Array, table: Table = KEYS): Promise<string> => {
    const { dkim } = await verifySignatures(memoryContent([content]), options(table));
    return dkimSteps(dkim)
      .map(({ depth, text }) => "  ".repeat(depth) + text)
      .join("\n");
  };
  assert.equal(await words(MESSAGE), "there is no DKIM-Signature field: dkim=none");
  const good = await words(signed);
  assert.match(
    good,
    /^DKIM signature 1 of example\.com \(s=rsa, a=rsa-sha256\)\n {2}it covers from, reply-to, .*canonical forms relaxed\/relaxed/,
  );
  assert.match(good, /key found at rsa\._domainkey\.example\.com \(rsa, 1024 bits\): v=DKIM1/);
  assert.match(good, /header fields: as they were signed\n {2}dkim=pass: the signature of example\.com is good/);
  const changed = await words(concat([signed, latin1("footer\r\n")]));
  assert.match(changed, /body hash: \S{44}, signed was \S{44}\n {2}dkim=fail: the body was changed after signing/);
  const header = await words(latin1(Buffer.from(signed).toString("latin1").replace("Lunch", "Dinner")));
  assert.match(header, /header fields: the signature does not match them\n {2}dkim=fail/);
  assert.match(await words(signed, {}), /dkim=permerror: there is no key: rsa\._domainkey\.example\.com does not exist/);
  const hostile = `DKIM-Signature: v=1; d=\x1b[31m${"x".repeat(500)}; s=a\r\n`;
  for (const line of (await words(concat([latin1(hostile), MESSAGE]))).split("\n")) {
    assert.ok(line.length < 400);
    assert.doesNotMatch(line, /\x1b/);
  }
});

test("steps of an ARC chain", async () => {
  const message = readSignedMessage([signed], { form: "relaxed" });
  const sealed = new ArcSealer(edKey).seal(message, { validation: "none", authenticationResults: "mx.example.com; none", now: NOW });
  assert.ok(sealed.kind === "sealed");
  const { arc, dkim } = await verifySignatures(memoryContent([sealed.fields, signed]), options());
  assert.equal(dkim.results.length, 2);
  assert.deepEqual(
    arcSteps(arc).map(({ text }) => text),
    [
      "ARC set 1 by example.com, which found cv=none",
      "seal: pass, the seal of example.com is good",
      "message signature: pass, the signature of example.com is good",
      "the message was not changed since the first set",
      "arc=pass: all 1 seals and the newest message signature, by example.com, are good",
    ],
  );
});
