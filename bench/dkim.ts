/**
 * `node bench/dkim.ts [--runs N] [--time MS]`
 *
 * What DKIM costs for a message of 5 KB: signing beside the bare signature over the same octets, verifying beside mailauth's `dkimVerify` with
 * the same keys from the same table instead of DNS.
 *
 * Rules
 * 1. Contenders take turns in every run, and the medians of the runs are compared: a machine that slows down slows all of them.
 * 2. Every contender's result is checked once before it is timed: what does not sign or verify is no figure.
 */
import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { parseArgs } from "node:util";
import { dkimVerify } from "mailauth/lib/dkim/verify.js";
import { verifySignatures } from "../src/authentication/dkim.ts";
import { memoryContent } from "../src/mail/content.ts";
import { nodeCrypto } from "../src/message/dkim/crypto.ts";
import { DkimKey } from "../src/message/dkim/key.ts";
import { generateDkimKey, keyRecordText } from "../src/message/dkim/key-tools.ts";
import type { DkimCrypto, KeyKind } from "../src/message/dkim/primitives.ts";
import { DkimSigner } from "../src/message/dkim/signer.ts";
import { concat, utf8 } from "../src/util/bytes.ts";

const { values } = parseArgs({ options: { runs: { type: "string", default: "7" }, time: { type: "string", default: "250" } } });
const runs = Math.max(5, Number(values.runs));
const time = Number(values.time);

interface Contender {
  readonly name: string;
  /** Does it once. */
  readonly once: () => unknown;
}

interface Comparison {
  readonly title: string;
  /** The first is what the others are measured by. */
  readonly contenders: readonly Contender[];
}

const SIZE = 5 * 1024;
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

const pems = { rsa: generateDkimKey("rsa", 2048), ed25519: generateDkimKey("ed25519") } as const;
const keyOf = (kind: KeyKind, crypto?: DkimCrypto): DkimKey =>
  new DkimKey({ domain: "example.com", selector: kind, privateKey: pems[kind], ...(crypto === undefined ? {} : { crypto }) });

const table = new Map((["rsa", "ed25519"] as const).map((kind) => [keyOf(kind).recordName, keyRecordText(keyOf(kind))]));
const now = Date.now();

/** The octets that the signer has signed for this message. */
function inputOf(kind: KeyKind): Uint8Array {
  let input: Uint8Array | undefined;
  const crypto: DkimCrypto = {
    ...nodeCrypto,
    signingKey(text) {
      const read = nodeCrypto.signingKey(text);
      if (!read.ok) return read;
      const key = read.value;
      const record = (octets: Uint8Array): Uint8Array => {
        input = octets.slice();
        return key.sign(octets);
      };
      return { ok: true, value: { ...key, sign: record } };
    },
  };
  new DkimSigner({ keys: [keyOf(kind, crypto)] }).sign([message], { now });
  assert.ok(input !== undefined);
  return input;
}

function signing(): Comparison[] {
  const comparisons: Comparison[] = (["rsa", "ed25519"] as const).map((kind) => {
    const key = createPrivateKey(pems[kind]);
    const input = inputOf(kind);
    const signer = new DkimSigner({ keys: [keyOf(kind)] });
    return {
      title: `signing ${message.length} octets, ${kind === "rsa" ? "RSA-2048" : "Ed25519"}`,
      contenders: [
        { name: "the bare signature (crypto.sign)", once: () => sign(kind === "rsa" ? "sha256" : null, input, key) },
        { name: "Postrider", once: () => signer.sign([message], { now }) },
      ],
    };
  });
  const both = new DkimSigner({ keys: [keyOf("rsa"), keyOf("ed25519")] });
  const rsa = new DkimSigner({ keys: [keyOf("rsa")] });
  comparisons.push({
    title: `signing ${message.length} octets, with both keys`,
    contenders: [
      { name: "Postrider, RSA-2048 alone", once: () => rsa.sign([message], { now }) },
      { name: "Postrider, RSA-2048 and Ed25519", once: () => both.sign([message], { now }) },
    ],
  });
  return comparisons;
}

async function verifying(): Promise<Comparison[]> {
  const dns = {
    txt: async (name: string) => {
      const record = table.get(name);
      return record === undefined ? ({ kind: "no-domain" } as const) : ({ kind: "found", records: [record] } as const);
    },
  };
  const resolver = async (name: string): Promise<string[][]> => {
    const record = table.get(name);
    if (record === undefined) throw Object.assign(new Error("ENOTFOUND"), { code: "ENOTFOUND" });
    return [[record]];
  };
  const comparisons: Comparison[] = [];
  for (const kinds of [["rsa"], ["ed25519"], ["rsa", "ed25519"]] as const) {
    const signed = concat([new DkimSigner({ keys: kinds.map((kind) => keyOf(kind)) }).sign([message], { now }), message]);
    const asBuffer = Buffer.from(signed);
    const content = memoryContent([signed]);
    const ours = async () =>
      (await verifySignatures(content, { dns, now })).dkim.results.filter(({ verdict }) => verdict === "pass").length;
    const theirs = async () => {
      const { results } = await dkimVerify(asBuffer, { resolver, curTime: new Date(now) });
      return results.filter(({ status }) => status.result === "pass").length;
    };
    assert.equal(await ours(), kinds.length);
    assert.equal(await theirs(), kinds.length);
    comparisons.push({
      title: `verifying ${signed.length} octets, ${kinds.map((kind) => (kind === "rsa" ? "RSA-2048" : "Ed25519")).join(" and ")}`,
      contenders: [
        { name: "mailauth 7.1.0 dkimVerify", once: theirs },
        { name: "Postrider (DKIM and ARC)", once: ours },
      ],
    });
  }
  return comparisons;
}

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

for (const { title, contenders } of [...signing(), ...(await verifying())]) {
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
    console.log(`  ${name.padEnd(36)} ${middle.toFixed(1).padStart(8)} us  ${range.padStart(11)}  ${(middle / base).toFixed(2)}x`);
  }
}
