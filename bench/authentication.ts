/**
 * `node bench/authentication.ts [--runs N] [--time MS]`
 *
 * What it costs to check one message on port 25: SPF, DKIM, ARC, DMARC, the verdict and the Authentication-Results field, beside mailauth's
 * `authenticate` with the same DNS, a table; then where the time goes.
 *
 * Rules
 * 1. Contenders take turns in every run, and the medians of the runs are compared: a machine that slows down slows all of them.
 * 2. Every contender's result is checked once before it is timed: what does not come to the same verdict is no figure.
 * 3. mailauth is spared what Postrider does beside it: BIMI and ARC are off there, and nothing is sealed.
 */
import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import { parseArgs } from "node:util";
import { authenticate } from "mailauth";
import { dkimVerify } from "mailauth/lib/dkim/verify.js";
import { spf as mailauthSpf } from "mailauth/lib/spf/index.js";
import { verifySignatures } from "../src/authentication/dkim.ts";
import {
  arcFacts,
  arcFinding,
  arcMethod,
  authenticationResultsField,
  authorOf,
  checkDmarc,
  checkSpf,
  defaultAuthenticationSettings,
  dkimFacts,
  dkimIdentifiers,
  dkimMethods,
  dmarcMethod,
  type MailExchanger,
  type SpfResult,
  spfMethod,
  verdict,
} from "../src/authentication/index.ts";
import { tableDns, type Zone } from "../src/authentication/testing.ts";
import { memoryContent } from "../src/mail/content.ts";
import { DkimKey, DkimSigner, generateDkimKey, type KeyKind, keyRecordText } from "../src/message/dkim/index.ts";
import { concat, utf8 } from "../src/util/bytes.ts";

const { values } = parseArgs({ options: { runs: { type: "string", default: "9" }, time: { type: "string", default: "250" } } });
const runs = Math.max(5, Number(values.runs));
const time = Number(values.time);

interface Contender {
  readonly name: string;
  readonly once: () => unknown;
}

const SIZE = 5 * 1024;
const IP = "192.0.2.77";
const HELO = "mx.example.com";
const SENDER = { localPart: "alice", domain: "example.com" };
const header = `Received: from client.example.com (client.example.com [192.0.2.7])\r
\tby submit.example.com (Postrider) with ESMTPSA id 1M85000000; Tue, 1 Jul 2025 10:52:37 +0200\r
From: Alice Example <alice@example.com>\r
To: Bob Example <bob@example.net>, Carol Example <carol@example.net>\r
Subject: The minutes of our meeting, and what is to be done until the next one\r
Date: Tue, 1 Jul 2025 10:52:37 +0200\r
Message-ID: <0b8d7e0e-5f8a-4a6c-9f64-1f1c6a3c0a11@example.com>\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 7bit\r
\r
`;
const line = "The quick brown fox jumps over the lazy dog, and the dog sleeps on.\r\n";
const message = utf8(header + line.repeat(Math.ceil((SIZE - header.length) / line.length)));

const keys = {
  rsa: new DkimKey({ domain: "example.com", selector: "rsa", privateKey: generateDkimKey("rsa", 2048) }),
  ed25519: new DkimKey({ domain: "example.com", selector: "ed25519", privateKey: generateDkimKey("ed25519") }),
} as const;

/** As larger domains have it: an include of an include, which names the network. */
const zone: Zone = {
  "example.com": [{ TXT: "v=spf1 mx include:_spf.example.com ~all" }, { MX: [10, "mx.example.com"] }, { A: "192.0.2.1" }],
  "mx.example.com": [{ A: "192.0.2.2" }],
  "_spf.example.com": [{ TXT: "v=spf1 ip4:198.51.100.0/24 include:_net.example.com ~all" }],
  "_net.example.com": [{ TXT: "v=spf1 ip4:203.0.113.0/24 ip4:192.0.2.64/26 ip6:2001:db8::/32 ~all" }],
  "_dmarc.example.com": [{ TXT: "v=DMARC1; p=reject; rua=mailto:reports@example.com" }],
  [keys.rsa.recordName]: [{ TXT: keyRecordText(keys.rsa) }],
  [keys.ed25519.recordName]: [{ TXT: keyRecordText(keys.ed25519) }],
};
const asked: string[] = [];
const dns = tableDns(zone, asked);

/** The same table as Node's `dns.resolve` answers. */
async function resolver(name: string, type: string): Promise<string[] | string[][]> {
  asked.length = 0;
  const answer =
    type === "TXT" ? await dns.txt(name) : type === "MX" ? await dns.mx(name) : type === "A" ? await dns.a(name) : await dns.aaaa(name);
  if (answer.kind !== "found") {
    const code = answer.kind === "no-domain" ? "ENOTFOUND" : "ENODATA";
    throw Object.assign(new Error(code), { code });
  }
  // Its types do not know of MX.
  const mx = (record: MailExchanger): string => ({ priority: record.preference, exchange: record.exchange }) as unknown as string;
  if (type === "TXT") return answer.records.map((record) => [record as string]);
  return answer.records.map((record) => (typeof record === "string" ? record : mx(record)));
}

const now = Date.now();
const spfQuestion = { ip: IP, helo: HELO, mailFrom: SENDER };

/** What a server does with a message from port 25. */
async function check(
  signed: Uint8Array,
): Promise<{ readonly field: Uint8Array | string; readonly dmarc: string; readonly action: string }> {
  asked.length = 0;
  const content = memoryContent([signed]);
  const [spf, signatures] = await Promise.all([checkSpf(spfQuestion, dns), verifySignatures(content, { dns, now })]);
  const { message: read, dkim, arc } = signatures;
  const dmarc = await checkDmarc({ author: authorOf(read.section), spf, dkim: dkimIdentifiers(dkim.results) }, dns);
  const found = {
    spf: { kind: "done", value: spf },
    dkim: { kind: "done", value: dkim.results.map((result) => ({ result: result.verdict, domain: result.domain })) },
    arc: { kind: "done", value: arcFinding(arc, read.arc) },
    dmarc: { kind: "done", value: dmarc },
    list: false,
    listed: undefined,
  } as const;
  const { action } = verdict(found, defaultAuthenticationSettings);
  const methods = [spfMethod(spf), ...dkimMethods(dkimFacts(dkim.results)), arcMethod(arcFacts(arc, IP)), dmarcMethod(dmarc)];
  return { field: authenticationResultsField({ authservId: "mx.test", methods }), dmarc: dmarc.result, action };
}

const theirOptions = { ip: IP, helo: HELO, sender: "alice@example.com", mta: "mx.test", resolver, disableArc: true, disableBimi: true };

/** Microseconds for each, over `ms` milliseconds. */
async function measure({ once }: Contender, ms: number): Promise<number> {
  const begun = performance.now();
  let count = 0;
  let took = 0;
  do {
    for (let i = 0; i < 10; i++) await once();
    count += 10;
    took = performance.now() - begun;
  } while (took < ms);
  return (took / count) * 1000;
}

function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

/** The medians of each contender's runs, taken in turns; `print` shows them beside the first. */
async function compare(title: string, contenders: readonly Contender[], relative: boolean): Promise<void> {
  const figures = contenders.map((): number[] => []);
  for (const contender of contenders) await measure(contender, time);
  for (let run = 0; run < runs; run++) {
    for (const [i, contender] of contenders.entries()) figures[i]?.push(await measure(contender, time));
  }
  console.log(`\n${title} (median of ${runs} runs)`);
  const base = median(figures[0] as number[]);
  for (const [i, { name }] of contenders.entries()) {
    const all = figures[i] as number[];
    const middle = median(all);
    const range = `${Math.min(...all).toFixed(0)}-${Math.max(...all).toFixed(0)}`;
    const ratio = relative ? `${(base / middle).toFixed(2)}x` : `${((100 * middle) / base).toFixed(0)}%`;
    console.log(`  ${name.padEnd(48)} ${middle.toFixed(1).padStart(8)} us  ${range.padStart(11)}  ${ratio.padStart(6)}`);
  }
}

async function checkedContenders(signed: Uint8Array, signatures: number): Promise<Contender[]> {
  const asBuffer = Buffer.from(signed);
  const ours = await check(signed);
  assert.deepEqual([ours.dmarc, ours.action], ["pass", "accept"]);
  const theirs = await authenticate(asBuffer, theirOptions);
  assert.equal(theirs.dkim.results.filter(({ status }) => status.result === "pass").length, signatures);
  assert.equal(theirs.spf !== false && theirs.spf.status.result, "pass");
  assert.equal(theirs.dmarc !== false && theirs.dmarc.status.result, "pass");
  return [
    { name: "mailauth 7.1.0 authenticate", once: () => authenticate(asBuffer, theirOptions) },
    { name: "Postrider", once: () => check(signed) },
  ];
}

/** The parts of a check, each by itself: what they add up to, and what of it is cryptography that nobody can leave out. */
async function parts(kind: KeyKind, signed: Uint8Array): Promise<void> {
  const asBuffer = Buffer.from(signed);
  const content = memoryContent([signed]);
  const spf: SpfResult = await checkSpf(spfQuestion, dns);
  const { message: read, dkim, arc } = await verifySignatures(content, { dns, now });
  const question = { author: authorOf(read.section), spf, dkim: dkimIdentifiers(dkim.results) };
  const dmarc = await checkDmarc(question, dns);
  const der = Buffer.from(keys[kind].key.publicKey, "base64");
  const spki = (): ReturnType<typeof createPublicKey> =>
    kind === "rsa"
      ? createPublicKey({ key: der, format: "der", type: "spki" })
      : createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: der.toString("base64url") }, format: "jwk" });
  const publicKey = spki();
  const { signature } = dkim.results[0]?.signature ?? { signature: new Uint8Array() };
  const input = Buffer.alloc(600, 97);
  const fields = (): unknown =>
    authenticationResultsField({
      authservId: "mx.test",
      methods: [spfMethod(spf), ...dkimMethods(dkimFacts(dkim.results)), arcMethod(arcFacts(arc, IP)), dmarcMethod(dmarc)],
    });
  const name = kind === "rsa" ? "RSA-2048" : "Ed25519";
  await compare(
    `where Postrider's time goes, ${name}`,
    [
      { name: "the whole", once: () => check(signed) },
      { name: "DKIM and ARC: parsing, hashing, keys, verifying", once: () => verifySignatures(content, { dns, now }) },
      { name: "  of which: the bare verification", once: () => verify(kind === "rsa" ? "sha256" : null, input, publicKey, signature) },
      { name: "  not in it: a key object of the record (is kept)", once: spki },
      { name: "  of which: SHA-256 over the message", once: () => createHash("sha256").update(asBuffer).digest() },
      { name: "SPF: three records", once: () => checkSpf(spfQuestion, dns) },
      { name: "DMARC", once: () => checkDmarc(question, dns) },
      { name: "Authentication-Results", once: fields },
    ],
    false,
  );
  await compare(
    `where mailauth's time goes, ${name}`,
    [
      { name: "the whole", once: () => authenticate(asBuffer, theirOptions) },
      { name: "dkimVerify", once: () => dkimVerify(asBuffer, { resolver, curTime: new Date(now) }) },
      { name: "spf", once: () => mailauthSpf({ ...theirOptions }) },
    ],
    false,
  );
}

for (const kinds of [["rsa"], ["ed25519"], ["rsa", "ed25519"]] as const) {
  const signed = concat([new DkimSigner({ keys: kinds.map((kind) => keys[kind]) }).sign([message], { now }), message]);
  const title = `checking ${signed.length} octets, ${kinds.map((kind) => (kind === "rsa" ? "RSA-2048" : "Ed25519")).join(" and ")}`;
  await compare(title, await checkedContenders(signed, kinds.length), true);
}
const unsigned = concat([message]);
await compare(`checking ${unsigned.length} octets without a signature`, await checkedContenders(unsigned, 0), true);
for (const kind of ["rsa", "ed25519"] as const)
  await parts(kind, concat([new DkimSigner({ keys: [keys[kind]] }).sign([message], { now }), message]));
