/** What comes in on 25 is checked: the whole way, from a peer on loopback to the next hop, with DNS on loopback. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { verifySignatures } from "../../src/authentication/dkim.ts";
import { dnsOf } from "../../src/authentication/dns.ts";
import { defaultAuthenticationSettings, defaultCheckSettings, parseNetwork } from "../../src/authentication/index.ts";
import type { CheckSettings } from "../../src/authentication/policy/settings.ts";
import { memoryContent } from "../../src/mail/content.ts";
import { ArcSealer } from "../../src/message/dkim/arc-seal.ts";
import { DkimKey, DkimSigner, generateDkimKey, keyRecordText, readSignedMessage, txtStrings } from "../../src/message/dkim/index.ts";
import { createResolver } from "../../src/net/resolver.ts";
import type { RecipientResult } from "../../src/protocol/client-session.ts";
import type { CheckOptions } from "../../src/relay/relay.ts";
import { type Recipient, send, startRecipient, startRelay, type TestRelay } from "../../src/relay/testing.ts";
import { concat, latin1, utf8 } from "../../src/util/bytes.ts";
import { type DnsServer, startDnsServer, type Zone } from "../support/dns-server.ts";

const pem = generateDkimKey("ed25519");
const author = new DkimKey({ domain: "author.test", selector: "s1", privateKey: pem });
const forwarder = new DkimKey({ domain: "forwarder.test", selector: "s1", privateKey: pem });
const ours = new DkimKey({ domain: "example.test", selector: "arc", privateKey: pem });

const zone = (policy: string): Zone => ({
  "author.test": { TXT: ["v=spf1 ip4:192.0.2.1 -all"] },
  "allowed.test": { TXT: ["v=spf1 ip4:127.0.0.0/8 -all"] },
  "_dmarc.author.test": { TXT: [`v=DMARC1; ${policy}`] },
  ...Object.fromEntries([author, forwarder, ours].map((key) => [key.recordName, { TXT: [txtStrings(keyRecordText(key))] }])),
  "1.0.0.127.in-addr.arpa": { PTR: ["client.test"] },
  "client.test": { A: ["127.0.0.1"] },
  "down.test": { fault: "SERVFAIL" },
  "_dmarc.down.test": { fault: "SERVFAIL" },
});

interface Scene {
  readonly relay: TestRelay;
  readonly recipient: Recipient;
  readonly dns: DnsServer;
}

interface SceneOptions {
  readonly policy?: string;
  readonly settings?: Partial<CheckSettings>;
  readonly checks?: Partial<CheckOptions>;
}

async function scene(t: TestContext, { policy = "p=reject", settings = {}, checks = {} }: SceneOptions = {}): Promise<Scene> {
  const dns = await startDnsServer(zone(policy));
  t.after(() => dns.close());
  const recipient = await startRecipient(t);
  const relay = await startRelay(t, recipient.port, {
    dns: { servers: [dns.endpoint], timeout: 500 },
    checks: {
      settings: { ...defaultAuthenticationSettings, defaults: { ...defaultCheckSettings, ...settings } },
      blockLists: [],
      exempt: [],
      timeout: 5000,
      ...checks,
    },
  });
  return { relay, recipient, dns };
}

const letter = (from: string, more = "") => `${more}From: Alice <${from}>\r\nTo: info@example.test\r\nSubject: Lunch\r\n\r\nAt noon?\r\n`;

const signed = (text: string, key = author): string =>
  Buffer.from(new DkimSigner({ keys: [key] }).sign([utf8(text)], { now: Date.now() })).toString() + text;

const bring = (relay: TestRelay, from: string | null, content: string): Promise<readonly RecipientResult[]> =>
  send(relay, "smtp", { from, to: ["info@example.test"], content });

const status = ([first]: readonly RecipientResult[]): string =>
  first !== undefined && "reply" in first ? `${first.reply.code} ${first.reply.status}` : String(first?.kind);

/** The value of our Authentication-Results, unfolded. */
const resultsIn = (text: string): string =>
  /^Authentication-Results: (mail\.example\.test;(?:.|\r\n[ \t])*)/m.exec(text)?.[1]?.replace(/\r\n[ \t]+/g, " ") ?? "";

describe("mail from other servers", () => {
  test("what passes is taken, with what was found in front of it and in the log", async (t) => {
    const { relay, recipient } = await scene(t);
    assert.equal(status(await bring(relay, "alice@allowed.test", signed(letter("alice@author.test")))), "250 2.0.0");
    const { text } = await recipient.message(0);
    assert.match(text, /^Authentication-Results: mail\.example\.test;[\s\S]*?\r\nReceived: from client\.test /m);
    const found = resultsIn(text);
    for (const words of [
      /dmarc=pass header\.from=author\.test/,
      /spf=pass smtp\.mailfrom=alice@allowed\.test/,
      /dkim=pass header\.d=author\.test/,
      /arc=none/,
      /iprev=pass/,
    ])
      assert.match(found, words);
    const checked = await relay.event("checked");
    assert.equal(checked.action, "accept");
    assert.deepEqual(
      checked.results.map(({ method, result, domain }) => [method, result, domain]),
      [
        ["spf", "pass", "allowed.test"],
        ["dkim", "pass", "author.test"],
        ["arc", "none", undefined],
        ["dmarc", "pass", "author.test"],
        ["iprev", "pass", undefined],
      ],
    );
    const { id } = await relay.event("accepted");
    assert.equal(checked.id, id);
  });

  test("SPF fail alone is recorded, never refused", async (t) => {
    const { relay, recipient } = await scene(t, { policy: "p=none" });
    assert.equal(status(await bring(relay, "alice@author.test", letter("alice@author.test"))), "250 2.0.0");
    const { text } = await recipient.message(0);
    assert.match(resultsIn(text), /dmarc=fail .*spf=fail .*dkim=none/);
    assert.doesNotMatch(text, /X-Postrider-Quarantine/);
  });

  test("p=reject is refused where other knowledge agrees, and the sender is told why in words", async (t) => {
    const { relay } = await scene(t);
    const [result] = await bring(relay, "alice@author.test", letter("alice@author.test"));
    assert.ok(result !== undefined && "reply" in result);
    assert.equal(`${result.reply.code} ${result.reply.status}`, "550 5.7.26");
    assert.match(result.reply.text, /author at author\.test[\s\S]*DMARC[\s\S]*If you are its author/);
    const { why } = await relay.event("refused");
    assert.match(why, /asks for p=reject, and other knowledge agrees \(spf-fail, no-forwarder\)/);
    assert.ok(!relay.events.some(({ type }) => type === "accepted"));
  });

  test("p=reject alone is a quarantine: a list's mail is marked for the next hop; a mark and results of others are not believed", async (t) => {
    const { relay, recipient } = await scene(t);
    const forged =
      "X-Postrider-Quarantine: no\r\nAuthentication-Results: mail.example.test; dmarc=pass\r\nAuthentication-Results: other.test; spf=pass\r\n";
    assert.equal(
      status(await bring(relay, "alice@author.test", letter("alice@author.test", `${forged}List-Id: <a.list.test>\r\n`))),
      "250 2.0.0",
    );
    const { text } = await recipient.message(0);
    assert.match(text, /^X-Postrider-Quarantine: yes \(/m);
    assert.equal(text.match(/X-Postrider-Quarantine/g)?.length, 1);
    assert.equal(text.match(/Authentication-Results: mail\.example\.test/g)?.length, 1);
    assert.match(text, /^Authentication-Results: other\.test; spf=pass\r\n/m);
    assert.match(resultsIn(text), /dmarc=fail/);
  });

  test("report-only: nothing is refused or marked; a domain may have settings of its own", async (t) => {
    const { relay, recipient } = await scene(t, {
      settings: { mode: "report-only" },
      checks: {},
    });
    assert.equal(status(await bring(relay, "alice@author.test", letter("alice@author.test"))), "250 2.0.0");
    assert.doesNotMatch((await recipient.message(0)).text, /X-Postrider-Quarantine/);
    const { action, instead } = await relay.event("checked");
    assert.deepEqual([action, instead], ["accept", "reject"]);
    const strict = await scene(t, {
      checks: { settings: { defaults: defaultCheckSettings, domains: new Map([["author.test", { onReject: "accept" as const }]]) } },
    });
    assert.equal(status(await bring(strict.relay, "alice@author.test", letter("alice@author.test"))), "250 2.0.0");
    assert.doesNotMatch((await strict.recipient.message(0)).text, /X-Postrider-Quarantine/);
  });

  test("a block list that is asked for speaks where it agrees with the domain", async (t) => {
    const { relay, dns } = await scene(t, { checks: { blockLists: ["bl.test"] } });
    dns.zone["1.0.0.127.bl.test"] = { A: ["127.0.0.2"] };
    const list = letter("alice@author.test", "List-Id: <a.list.test>\r\n"); // no longer enough to be let in
    assert.equal(status(await bring(relay, "bounces@allowed.test", list)), "550 5.7.26");
  });

  test("DNS that is down defers, unless something aligned has passed", async (t) => {
    const { relay, recipient } = await scene(t);
    assert.equal(status(await bring(relay, "alice@down.test", letter("alice@down.test"))), "451 4.7.0");
    assert.equal(status(await bring(relay, "alice@down.test", signed(letter("alice@author.test")))), "250 2.0.0");
    assert.match(resultsIn((await recipient.message(0)).text), /dmarc=pass .*spf=temperror/);
  });

  test("a check that does not end defers", async (t) => {
    const { relay, dns } = await scene(t, { checks: { timeout: 100 } });
    dns.zone["_dmarc.author.test"] = { fault: "silent" };
    assert.equal(status(await bring(relay, "alice@author.test", letter("alice@author.test"))), "451 4.7.0");
    assert.equal((await relay.event("checked")).action, "defer");
  });

  test("a forwarder whose seal is trusted vouches for what it broke; ours is added where we are asked to seal", async (t) => {
    const { relay, recipient, dns } = await scene(t, {
      settings: { trustedSealers: new Set(["forwarder.test"]) },
      checks: { sealWith: ours },
    });
    const sealed = utf8(signed(letter("alice@author.test")));
    const seal = new ArcSealer(forwarder).seal(readSignedMessage([sealed], { form: "relaxed" }), {
      validation: "none",
      authenticationResults: "forwarder.test; dmarc=pass header.from=author.test; spf=pass",
      now: Date.now(),
    });
    assert.ok(seal.kind === "sealed");
    const changed = Buffer.from(concat([seal.fields, sealed]))
      .toString()
      .replace("Subject: Lunch", "Subject: [list] Lunch");
    // The seal was made before the change: a forwarder seals what it sends on.
    const [broken] = await bring(relay, "alice@author.test", changed);
    assert.ok(broken !== undefined && "reply" in broken && broken.reply.code === 550);
    const again = utf8(letter("alice@author.test").replace("Lunch", "[list] Lunch"));
    const good = new ArcSealer(forwarder).seal(readSignedMessage([again], { form: "relaxed" }), {
      validation: "none",
      authenticationResults: "forwarder.test; dmarc=pass header.from=author.test; spf=pass",
      now: Date.now(),
    });
    assert.ok(good.kind === "sealed");
    assert.equal(status(await bring(relay, "alice@author.test", Buffer.from(concat([good.fields, again])).toString())), "250 2.0.0");
    const { text } = await recipient.message(0);
    assert.doesNotMatch(text, /X-Postrider-Quarantine/);
    assert.match(text, /^ARC-Seal: [\s\S]*?d=example\.test; i=2;/m);
    const resolver = createResolver({ servers: [dns.endpoint] });
    t.after(() => resolver.close());
    const verified = await verifySignatures(memoryContent([latin1(text)]), { dns: dnsOf(resolver), now: Date.now() });
    assert.equal(verified.arc.verdict, "pass");
    assert.equal(verified.arc.sets.length, 2);
  });

  test("a large message is not changed but for what stands in front of it", async (t) => {
    const { relay, recipient } = await scene(t, { policy: "p=none" });
    const body = `${"a line of the body that is rather long\r\n".repeat(40_000)}`;
    const content = signed(`From: alice@author.test\r\nSubject: large\r\n\r\n${body}`);
    assert.equal(status(await bring(relay, "alice@allowed.test", content)), "250 2.0.0");
    const { text } = await recipient.message(0);
    assert.ok(text.endsWith(content));
    assert.match(resultsIn(text), /dkim=pass/);
    assert.equal((await relay.event("accepted")).size, text.length - text.indexOf("Authentication-Results:"));
  });

  test("a peer that is exempt is not checked", async (t) => {
    const { relay, recipient, dns } = await scene(t, { checks: { exempt: [parseNetwork("127.0.0.0/8") ?? assert.fail()] } });
    assert.equal(status(await bring(relay, "alice@author.test", letter("alice@author.test"))), "250 2.0.0");
    assert.doesNotMatch((await recipient.message(0)).text, /Authentication-Results/);
    assert.equal(dns.questions.length, 0);
  });

  test("From that is missing or names many domains is marked", async (t) => {
    const { relay, recipient } = await scene(t);
    assert.equal(status(await bring(relay, null, "Subject: nobody\r\n\r\nx\r\n")), "250 2.0.0");
    assert.match((await recipient.message(0)).text, /^X-Postrider-Quarantine: yes/m);
  });
});
