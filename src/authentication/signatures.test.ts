/** All checks together, as a relay runs them: a signed message, and the same after a list has changed it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryContent } from "../mail/content.ts";
import { ArcSealer } from "../message/dkim/arc-seal.ts";
import { DkimSigner } from "../message/dkim/signer.ts";
import { answerFrom, crlf, edKey, KEYS, NOW, rsaKey } from "../message/dkim/testing.ts";
import { concat, fromLatin1, latin1 } from "../util/bytes.ts";
import { verifySignatures } from "./dkim.ts";
import type { CheckDns } from "./dns.ts";
import {
  arcFacts,
  arcFinding,
  authenticationResultsField,
  authorOf,
  type CheckSettings,
  checkDmarc,
  checkIprev,
  checkSpf,
  defaultCheckSettings,
  dkimFacts,
  dkimIdentifiers,
  dkimMethods,
  dmarcMethod,
  spfMethod,
  unfoldedResults,
  verdict,
} from "./index.ts";
import { arcMethod } from "./results/methods.ts";
import { tableDns } from "./testing.ts";

const table = tableDns({
  "example.com": [{ TXT: "v=spf1 ip4:192.0.2.1 -all" }],
  "_dmarc.example.com": [{ TXT: "v=DMARC1; p=reject" }],
});
const dns: CheckDns = {
  ...table,
  txt: (name) => {
    const [selector = "", domain] = name.split("._domainkey.");
    return domain === undefined ? table.txt(name) : Promise.resolve(answerFrom(KEYS, selector, domain));
  },
};

async function check(content: Uint8Array, ip: string, settings: Partial<CheckSettings> = {}) {
  const question = { ip, helo: "mx.example.com", mailFrom: { localPart: "ann", domain: "example.com" } };
  const signatures = await verifySignatures(memoryContent([content]), { dns, now: NOW, form: "relaxed" });
  const { message, dkim, arc } = signatures;
  const spf = await checkSpf(question, dns);
  const dmarc = await checkDmarc({ author: authorOf(message.section), spf, dkim: dkimIdentifiers(dkim.results) }, dns);
  const done = <T>(value: T) => ({ kind: "done", value }) as const;
  const found = verdict(
    {
      spf: done(spf),
      dkim: done(dkimIdentifiers(dkim.results)),
      dmarc: done(dmarc),
      arc: done(arcFinding(arc, message.arc)),
      iprev: done(await checkIprev(ip, dns)),
      list: false,
      listed: undefined,
    },
    { defaults: { ...defaultCheckSettings, ...settings }, domains: new Map() },
  );
  const methods = [spfMethod(spf), ...dkimMethods(dkimFacts(dkim.results)), arcMethod(arcFacts(arc, ip)), dmarcMethod(dmarc)];
  return { message, arc, dmarc, found, results: { authservId: "mx.here.test", methods } };
}

const plain = crlf("From: Ann <ann@example.com>\nTo: list@here.test\nSubject: hi\nDate: Thu, 1 Jan 1970 00:00:00 +0000\n\nhello\n");
const signed = concat([new DkimSigner({ keys: [rsaKey] }).sign([plain], { now: NOW }), plain]);

test("a signed message passes from anywhere", async () => {
  const { dmarc, found, results } = await check(signed, "198.51.100.1");
  assert.equal(dmarc.result, "pass", dmarc.why);
  assert.equal(found.action, "accept");
  const field = fromLatin1(authenticationResultsField(results)).replaceAll("\r\n\t", " ");
  assert.match(
    field,
    /; spf=fail reason="[^"\\]*(?:\\.[^"\\]*)*" smtp\.mailfrom=ann@example\.com; dkim=pass header\.d=example\.com header\.s=rsa header\.a=rsa-sha256 header\.b=/,
  );
  assert.match(field, /; arc=none; dmarc=pass header\.from=example\.com policy\.dmarc=reject\r\n$/);
});

test("an unsigned one from elsewhere is rejected: DMARC and SPF agree, and nobody answers for it", async () => {
  const { found } = await check(plain, "198.51.100.1");
  assert.ok(found.action === "reject", found.reason);
  assert.equal(found.reply.status, "5.7.26");
});

test("a list changes the body: quarantined, unless its seal is trusted", async () => {
  const { results } = await check(signed, "192.0.2.1");
  // What the list sends on: sealed over the body that it changed.
  const changed = concat([signed, latin1("-- a footer\r\n")]);
  const again = await check(changed, "192.0.2.1");
  const forwarded = new ArcSealer(edKey).seal(again.message, {
    validation: "none",
    authenticationResults: unfoldedResults(results),
    now: NOW,
  });
  assert.ok(forwarded.kind === "sealed");
  const content = concat([forwarded.fields, changed]);
  const strange = await check(content, "198.51.100.1");
  assert.equal(strange.arc.verdict, "pass", strange.arc.reason);
  assert.deepEqual(arcFinding(strange.arc, strange.message.arc), { result: "pass", sets: [{ sealer: "example.com", dmarc: "pass" }] });
  assert.equal(strange.dmarc.result, "fail");
  assert.equal(strange.found.action, "quarantine");
  const trusted = await check(content, "198.51.100.1", { trustedSealers: new Set(["example.com"]) });
  assert.equal(trusted.found.action, "accept");
  assert.equal(trusted.found.override?.type, "trusted_forwarder");
});
