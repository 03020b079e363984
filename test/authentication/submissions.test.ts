/** What accounts submit: whose From it bears, and the signatures it gets, the whole way to the next hop. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { verifySignatures } from "../../src/authentication/dkim.ts";
import { tableDns } from "../../src/authentication/testing.ts";
import { memoryContent } from "../../src/mail/content.ts";
import { reply } from "../../src/mail/reply.ts";
import { DkimKey, generateDkimKey, keyRecordText } from "../../src/message/dkim/index.ts";
import type { RecipientResult } from "../../src/protocol/client-session.ts";
import type { RelayOptions } from "../../src/relay/relay.ts";
import { type Recipient, send, startRecipient, startRelay, type TestRelay } from "../../src/relay/testing.ts";
import { accept } from "../../src/server/policy.ts";
import { latin1 } from "../../src/util/bytes.ts";
import { run } from "../e2e/processes.ts";
import { tempFolder } from "../support/temp-folder.ts";

const pems = { rsa: generateDkimKey("rsa"), ed: generateDkimKey("ed25519") };
const keys = [
  new DkimKey({ domain: "example.test", selector: "r1", privateKey: pems.rsa }),
  new DkimKey({ domain: "example.test", selector: "e1", privateKey: pems.ed }),
];
const domainKeys = keys.map((key) => ({ key }));
const dns = tableDns(Object.fromEntries(keys.map((key) => [key.recordName, [{ TXT: keyRecordText(key) }]])));

async function scene(t: TestContext, options: Partial<RelayOptions> = {}): Promise<{ relay: TestRelay; recipient: Recipient }> {
  const recipient = await startRecipient(t);
  return { recipient, relay: await startRelay(t, recipient.port, { keys: domainKeys, ...options }) };
}

const status = ([first]: readonly RecipientResult[]): string =>
  first !== undefined && "reply" in first ? `${first.reply.code} ${first.reply.status}` : String(first?.kind);

const submit = (relay: TestRelay, content: string): Promise<readonly RecipientResult[]> =>
  send(relay, "submission", { to: ["bob@elsewhere.test"], content });

async function verdicts(text: string): Promise<string[]> {
  const { dkim } = await verifySignatures(memoryContent([latin1(text)]), { dns, now: Date.now() });
  return dkim.results.map(({ verdict, selector }) => `${selector} ${verdict}`);
}

describe("signing", () => {
  test("both keys of the domain sign, and what the server mended is signed with it", async (t) => {
    const { relay, recipient } = await scene(t);
    assert.equal(
      status(await submit(relay, "From: Alice <alice@example.test>\r\nSubject: x\r\nBcc: c@d.test\r\n\r\nHello.\r\n")),
      "250 2.0.0",
    );
    const { text } = await recipient.message(0);
    assert.deepEqual(await verdicts(text), ["r1 pass", "e1 pass"]);
    assert.match(text, /^Date: /m);
    assert.match(text, /DKIM-Signature: [\s\S]*\bdate:[\s\S]*?\r\nReceived: from client\.test/);
  });

  test("in whatever form is asked for", async (t) => {
    for (const headerForm of ["simple", "relaxed"] as const) {
      for (const bodyForm of ["simple", "relaxed"] as const) {
        const { relay, recipient } = await scene(t, { keys: keys.map((key) => ({ key, headerForm, bodyForm })) });
        await submit(relay, "From:   alice@example.test\r\nSubject: x  y\r\n\r\nHello.  \r\n\r\n");
        const { text } = await recipient.message(0);
        assert.match(text, new RegExp(`c=${headerForm}/${bodyForm};`));
        assert.deepEqual(await verdicts(text), ["r1 pass", "e1 pass"]);
      }
    }
  });

  test("8-bit content and lines that are too long are encoded anew, and then signed", async (t) => {
    const { relay, recipient } = await scene(t);
    const head =
      "From: alice@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    for (const [i, body] of ["Gr\u00c3\u00bc\u00c3\u009fe\r\n", `${"long ".repeat(400)}\r\n`].entries()) {
      assert.equal(status(await submit(relay, head + body)), "250 2.0.0");
      const { text } = await recipient.message(i);
      assert.match(text, /Content-Transfer-Encoding: (quoted-printable|base64)/);
      assert.doesNotMatch(text, /[\x80-\xff]/);
      assert.deepEqual(await verdicts(text), ["r1 pass", "e1 pass"]);
    }
  });

  test("large content is signed while it arrives", async (t) => {
    const { relay, recipient } = await scene(t);
    const content = `From: alice@example.test\r\nDate: Tue, 1 Jul 2025 10:52:37 +0200\r\nMessage-ID: <a@b>\r\n\r\n${"a line of the body\r\n".repeat(80_000)}`;
    assert.equal(status(await submit(relay, content)), "250 2.0.0");
    const { text } = await recipient.message(0);
    assert.ok(text.endsWith(content));
    assert.deepEqual(await verdicts(text), ["r1 pass", "e1 pass"]);
  });

  test("what an author has encrypted or signed is not encoded anew, and is signed as it came", async (t) => {
    const { relay, recipient } = await scene(t);
    const content = `From: alice@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b; protocol="application/pgp-signature"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00c3\u00bc\u00c3\u009fe\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n`;
    assert.equal(status(await submit(relay, content)), "250 2.0.0");
    const accepted = await relay.event("accepted");
    assert.ok(accepted.size > content.length);
    await recipient.message(0).then(async ({ text }) => assert.deepEqual(await verdicts(text), ["r1 pass", "e1 pass"]));
  });

  test("a domain without a key, and a message without From, are not signed", async (t) => {
    const { relay, recipient } = await scene(t, { submissionFrom: "allow" });
    for (const [i, from] of ["From: eve@other.test\r\n", ""].entries()) {
      assert.equal(status(await submit(relay, `${from}Subject: x\r\n\r\nHello.\r\n`)), "250 2.0.0");
      assert.doesNotMatch((await recipient.message(i)).text, /DKIM-Signature/);
    }
  });
});

test("a report made here is signed as well", async (t) => {
  const recipient = await startRecipient(t, (address) =>
    address.startsWith("nobody@") ? { kind: "refuse", reply: reply(550, "5.1.1", "No such user"), why: "" } : accept,
  );
  const relay = await startRelay(t, recipient.port, { keys: domainKeys });
  await send(relay, "submission", { to: ["nobody@elsewhere.test"], content: "From: alice@example.test\r\nSubject: x\r\n\r\nx\r\n" });
  const { text, message } = await recipient.message(0);
  assert.equal(message.envelope.reversePath, null);
  assert.match(text, /multipart\/report/);
  assert.deepEqual(await verdicts(text), ["r1 pass", "e1 pass"]);
});

describe("From", () => {
  const spoofed = 'From: "The Boss" <boss@other.test>\r\nSubject: x\r\n\r\nPay this.\r\n';

  test("an address of another is refused, in words", async (t) => {
    const { relay } = await scene(t);
    const several = "From: alice@example.test\r\nFrom: boss@other.test\r\n\r\nx\r\n";
    const [result] = await submit(relay, spoofed);
    assert.ok(result !== undefined && "reply" in result);
    assert.equal(`${result.reply.code} ${result.reply.status}`, "550 5.7.1");
    assert.match(result.reply.text, /may not write as <boss@other\.test>/);
    assert.deepEqual(
      relay.events.flatMap((event) => (event.type === "refused" ? [event.why] : [])),
      ["alice@example.test does not own <boss@other.test> in From: add it with `postrider user add --address`"],
    );
    assert.equal(status(await submit(relay, "From: alice@example.test, boss@other.test\r\nSubject: x\r\n\r\nx\r\n")), "550 5.7.1");
    assert.equal(status(await submit(relay, several)), "550 5.6.0");
    assert.equal(status(await submit(relay, "From: <<>\r\n\r\nx\r\n")), "550 5.6.0");
    assert.equal(status(await submit(relay, "From: alice@example.test\r\n\r\nx\r\n")), "250 2.0.0");
  });

  test("rewrite: the sender's own address takes its place, answers still go to who stood there, and that is signed", async (t) => {
    const { relay, recipient } = await scene(t, { submissionFrom: "rewrite" });
    assert.equal(status(await submit(relay, spoofed)), "250 2.0.0");
    const { text } = await recipient.message(0);
    assert.match(text, /^From: "?The Boss"? <alice@example\.test>\r\n/m);
    assert.match(text, /^Reply-To: "?The Boss"? <boss@other\.test>\r\n/m);
    assert.equal(text.match(/^From:/gm)?.length, 1);
    assert.match(text, /\r\n\r\nPay this\.\r\n$/);
    assert.deepEqual(await verdicts(text), ["r1 pass", "e1 pass"]);
  });

  test("allow: it passes as it is, signed by whom it names", async (t) => {
    const { relay, recipient } = await scene(t, { submissionFrom: "allow" });
    assert.equal(status(await submit(relay, spoofed)), "250 2.0.0");
    assert.match((await recipient.message(0)).text, /^From: "The Boss" <boss@other\.test>\r\n/m);
  });
});

test("a key that cannot be signed with keeps the server from starting, and says so", async (t) => {
  const folder = tempFolder(t);
  const config = join(folder, "postrider.toml");
  writeFileSync(join(folder, "bad.pem"), "no key\n");
  writeFileSync(
    config,
    `hostname = "mail.example.test"
[submission]
from = "mine"
[authentication]
agreement = ["spf-fail", "gut feeling"]
seal_domain = "example.test"
[[dkim]]
domain = "example.test"
selector = "s1"
key = "bad.pem"
[[dkim]]
domain = "example.test"
selector = "s1"
key = "missing.pem"
`,
  );
  const first = await run(["config", "check", "--config", config]);
  assert.equal(first.code, 78);
  for (const words of [
    /submission\.from: expected/,
    /authentication\.agreement\[1\]: expected/,
    /sealing needs all/,
    /dkim\[1\]: the same domain/,
  ])
    assert.match(first.err + first.out, words);
  writeFileSync(
    config,
    `hostname = "mail.example.test"\n[[dkim]]\ndomain = "example.test"\nselector = "s1"\nkey = "bad.pem"\n[[dkim]]\ndomain = "example.test"\nselector = "s2"\nkey = "missing.pem"\n`,
  );
  const { code, err } = await run(["serve", "--config", config]);
  assert.equal(code, 78);
  assert.match(err, /dkim\[0\]\.key: DKIM key s1 of example\.test/);
  assert.match(err, /dkim\[1\]\.key: .*missing\.pem/);
});
