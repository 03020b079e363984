/** What the programs of others are given to verify, and how what they signed is verified here: one set of keys and contents for all of them. */
import assert from "node:assert/strict";
import { verifySignatures } from "../../src/authentication/dkim.ts";
import { memoryContent } from "../../src/mail/content.ts";
import { ArcSealer } from "../../src/message/dkim/arc-seal.ts";
import { DkimKey } from "../../src/message/dkim/key.ts";
import { generateDkimKey, keyRecordText } from "../../src/message/dkim/key-tools.ts";
import { readSignedMessage } from "../../src/message/dkim/signed-message.ts";
import { DkimSigner } from "../../src/message/dkim/signer.ts";
import { concat, utf8 } from "../../src/util/bytes.ts";

export const pems = { rsa: generateDkimKey("rsa"), ed: generateDkimKey("ed25519") };
export const rsa = new DkimKey({ domain: "example.com", selector: "rsa", privateKey: pems.rsa });
export const ed = new DkimKey({ domain: "example.com", selector: "ed", privateKey: pems.ed });
/** Ed25519 as dkimpy takes it: the seed, which ends the PKCS#8 form. */
export const seed = Buffer.from(pems.ed.replaceAll(/-----[^-]*-----|\n/g, ""), "base64")
  .subarray(-32)
  .toString("base64");
export const records: Record<string, string> = { [rsa.recordName]: keyRecordText(rsa), [ed.recordName]: keyRecordText(ed) };
export const dns = {
  txt: async (name: string) => {
    const record = records[name];
    return record === undefined ? ({ kind: "no-domain" } as const) : ({ kind: "found", records: [record] } as const);
  },
};
export const now = Date.now();

const header =
  "From: Alice <alice@example.com>\r\nTo: bob@example.net,\r\n\t carol@example.net\r\nSubject: Lunch  at \t noon \r\nDate: Tue, 1 Jul 2025 10:52:37 +0200\r\nMessage-ID: <1@example.com>\r\n";
export const contents: Readonly<Record<string, string>> = {
  "plain text": `${header}\r\nHello,\r\nsee you.\r\n`,
  "white space everywhere": `${header}\r\n  a  \t b\t\r\n\t\r\n \r\nc \r\n\r\n \r\n\r\n`,
  "an empty body": `${header}\r\n`,
  "8-bit content": `${header}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße,  é\r\n.\r\n..\r\n`,
  "many parts": `${header}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none \r\n--x\r\nContent-Type: text/html\r\n\r\n<p>two</p>\r\n--x--\r\n\r\n\r\n`,
  "long lines": `${header}\r\n${"word ".repeat(190)}\r\n${"x".repeat(990)}\r\n`,
};
const forms = ["relaxed", "simple"] as const;

export interface Sample {
  readonly name: string;
  readonly message: Uint8Array;
}

/** Every content in every form, signed with both keys. */
export function signedHere(): Sample[] {
  return Object.entries(contents).flatMap(([name, text]) =>
    forms.flatMap((headerForm) =>
      forms.map((bodyForm) => {
        const content = utf8(text);
        const fields = new DkimSigner({ keys: [rsa, ed], headerForm, bodyForm }).sign([content], { now });
        return { name: `${name}, ${headerForm}/${bodyForm}`, message: concat([fields, content]) };
      }),
    ),
  );
}

export function sealedHere(): Sample[] {
  return Object.entries(contents).map(([name, text]) => {
    let message = utf8(text);
    for (const validation of ["none", "pass", "pass"] as const) {
      const read = readSignedMessage([message], { form: "relaxed" });
      const sealed = new ArcSealer(rsa).seal(read, {
        validation,
        authenticationResults: "mx.example.com; arc=pass; spf=pass smtp.mailfrom=alice@example.com",
        now,
      });
      assert.ok(sealed.kind === "sealed");
      message = concat([sealed.fields, message]);
    }
    return { name, message };
  });
}

/** Each has one good signature, or one of each of these algorithms. */
export async function assertVerifiedHere(samples: readonly Sample[], algorithms: readonly string[] = []): Promise<void> {
  for (const { name, message } of samples) {
    const { dkim } = await verifySignatures(memoryContent([message]), { dns, now: Date.now() });
    const found = dkim.results.map(({ verdict, reason }) => `${verdict} ${reason}`);
    assert.deepEqual([...new Set(found)], ["pass the signature of example.com is good"], name);
    if (algorithms.length === 0) assert.equal(found.length, 1, name);
    else assert.deepEqual(dkim.results.map(({ algorithm }) => algorithm).sort(), [...algorithms].sort(), name);
  }
}
