/** Mail that goes in a circle, and mail that only looks like it: Delivered-To where mail ends here (RFC 3463: 5.4.6). */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Route } from "../../src/delivery/route.ts";
import { formatMailbox } from "../../src/mail/mailbox.ts";
import type { Forwards } from "../../src/relay/forwarding.ts";
import type { LocalDomains } from "../../src/relay/policy.ts";
import { ALICE, mailbox, send, startRecipient, startRelay, type TestRelay } from "../../src/relay/testing.ts";
import { type LmtpTransaction, startLmtp } from "../support/lmtp-server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { freePort } from "./processes.ts";

const any = { kind: "any" } as const;
const host = (port: number) => ({ kind: "host", host: "127.0.0.1", port }) as const;
const only = (domain: string) => ({ kind: "exact", domain }) as const;
const domainsOf = (domain: string, ...recipients: string[]): LocalDomains => ({
  ...{ local: new Set([domain]), recipients: new Set(recipients), anyRecipient: new Set(), postmaster: undefined },
});
const forward = (address: string, to: readonly string[], keep = false): Forwards => new Map([[address, { to: to.map(mailbox), keep }]]);
const delivered = ({ events }: TestRelay): string[] =>
  events.flatMap((event) => (event.type === "attempted" && event.outcome.action !== "failed" ? [formatMailbox(event.recipient)] : []));
const headers = (text: string, name: string): string[] =>
  [...text.matchAll(new RegExp(`^${name}: *(.*?)\\r?$`, "gim"))].map(([, value]) => value ?? "");

/** A server that forwards, and sends what is for the other domain to the other server. */
async function forwarding(t: TestContext, domain: string, port: number, others: readonly Route[], forwards: Forwards): Promise<TestRelay> {
  const listeners = [{ kind: "smtp", endpoint: { host: "127.0.0.1", port } }] as const;
  const domains = domainsOf(domain, ...forwards.keys(), ...[...forwards.keys()].map((key) => `x${key}`));
  return startRelay(t, 1, { hostname: `mail.${domain}`, listeners, domains, routes: others, forwards });
}

test("two servers that forward to one another: after one round it fails, and its sender is told", async (t) => {
  const sender = await startRecipient(t);
  const [portA, portB] = [await freePort(), await freePort()];
  const back: Route = { domain: any, to: host(sender.port) };
  const toA: Route = { domain: only("a.test"), to: host(portA) };
  const toB: Route = { domain: only("b.test"), to: host(portB) };
  const a = await forwarding(t, "a.test", portA, [toB, back], forward("ann@a.test", ["bob@b.test"]));
  const b = await forwarding(t, "b.test", portB, [toA, back], forward("bob@b.test", ["Ann@A.test"]));
  const relay = { ...a, ports: { ...a.ports, smtp: portA } };
  for (const [n, body] of ["small\r\n", "of a file of its own\r\n".repeat(20_000)].entries()) {
    await send(relay, "smtp", { from: "dave@author.test", to: ["ann@a.test"], content: `Subject: round ${n}\r\n\r\n${body}` });
    const { message, text } = await sender.message(n);
    assert.equal(message.envelope.reversePath, null);
    assert.deepEqual(
      message.envelope.recipients.map((one) => formatMailbox(one.mailbox)),
      ["dave@author.test"],
    );
    assert.match(text, /^Status: 5\.4\.6\r$/m);
    assert.match(text, /has been here for Ann@A\.test before/);
    const returned = text.slice(text.indexOf("Content-Type: text/rfc822-headers"));
    assert.deepEqual(headers(returned, "Delivered-To"), ["bob@b.test", "ann@a.test"]);
    assert.equal(headers(returned, "Received").length, 3);
  }
  assert.equal(delivered(b).filter((address) => address === "Ann@A.test").length, 2, "each message once");
});

test("an address that is forwarded to itself, or in a ring, keeps its mail", async (t) => {
  const recipient = await startRecipient(t);
  const forwards: Forwards = new Map([
    ...forward("self@example.test", ["self@example.test"]),
    ...forward("to@example.test", ["self@example.test"]),
    ...forward("one@example.test", ["two@example.test"]),
    ...forward("two@example.test", ["one@example.test"]),
    ...forward("three@example.test", ["two@example.test", "dora@far.test"]),
  ]);
  const relay = await startRelay(t, recipient.port, { forwards, domains: domainsOf("example.test", ...forwards.keys()) });
  const got = async (to: readonly string[], messages: number): Promise<string[]> => {
    const from = recipient.arrived.length;
    await send(relay, "smtp", { from: "dave@author.test", to });
    await recipient.message(from + messages - 1);
    const arrived = recipient.arrived.slice(from);
    return arrived.flatMap(({ message }) => message.envelope.recipients.map((one) => formatMailbox(one.mailbox))).sort();
  };
  assert.deepEqual(await got(["self@example.test"], 1), ["self@example.test"]);
  assert.deepEqual(await got(["to@example.test"], 1), ["self@example.test"]);
  assert.deepEqual(await got(["one@example.test", "two@example.test"], 1), ["one@example.test", "two@example.test"]);
  assert.deepEqual(await got(["three@example.test"], 1), ["dora@far.test"]);
});

test("of several recipients only the one in a circle fails; the others are forwarded, kept and delivered", async (t) => {
  const recipient = await startRecipient(t);
  const forwards: Forwards = new Map([
    ...forward("ann@example.test", ["ann@far.test"], true),
    ...forward("bob@example.test", ["bob@far.test"]),
  ]);
  const domains = domainsOf("example.test", "ann@example.test", "bob@example.test", "carol@example.test");
  const relay = await startRelay(t, recipient.port, { forwards, domains });
  const content = "Delivered-To: ann@example.test\r\nDelivered-To: not an address\r\nSubject: x\r\n\r\nx\r\n";
  await send(relay, "smtp", { from: "dave@author.test", to: ["ann@example.test", "bob@example.test", "carol@example.test"], content });
  const failed = await relay.event("bounced");
  assert.deepEqual(failed.failed.map(formatMailbox), ["ann@example.test"]);
  await recipient.message(2);
  const got = recipient.arrived.map(({ message, text }) => [
    message.envelope.recipients.map((one) => formatMailbox(one.mailbox)).join(),
    message.envelope.reversePath === null ? [] : headers(text, "Delivered-To"),
  ]);
  assert.deepEqual(got.sort(), [
    ["bob@far.test", ["bob@example.test", "ann@example.test", "not an address"]],
    ["carol@example.test", ["ann@example.test", "not an address"]],
    ["dave@author.test", []],
  ]);
});

test("forwarded once under a key: the second submission says so", async (t) => {
  const recipient = await startRecipient(t);
  const domains = domainsOf("example.test", "team@example.test", "keep@example.test");
  const forwards: Forwards = new Map([
    ...forward("team@example.test", ["a@far.test", "b@far.test"]),
    ...forward("keep@example.test", ["c@far.test"], true),
  ]);
  const relay = await startRelay(t, recipient.port, { forwards, domains });
  const text = "Idempotency-Key: k\r\nSubject: x\r\n\r\n";
  for (const [to, content] of [
    [["team@example.test"], `${text}small\r\n`],
    [["team@example.test", "keep@example.test", "d@far.test"], `${text}${"of a file of its own\r\n".repeat(20_000)}`],
  ] as const) {
    const replies = async () =>
      (await send(relay, "submission", { to, content })).map((result) => ("reply" in result ? result.reply.text : ""));
    assert.doesNotMatch((await replies()).join(), /before/);
    assert.match((await replies()).join(), /before, under the same/);
  }
  const count = () => recipient.arrived.reduce((sum, { message }) => sum + message.envelope.recipients.length, 0);
  for (let n = 0; count() < 5; n++) await recipient.message(n);
  await relay.stop(5000);
  const got = recipient.arrived.flatMap(({ message }) => message.envelope.recipients.map((one) => formatMailbox(one.mailbox)));
  assert.deepEqual(got.sort(), ["a@far.test", "b@far.test", "c@far.test", "d@far.test", "keep@example.test"]);
  assert.deepEqual(readdirSync(join(relay.folder, "bodies")), [], "nothing is left of what copies were made of");
});

interface Mailboxes {
  readonly to: Route["to"];
  /** What has come for this address. */
  read(address: string, count: number, relay: TestRelay): Promise<readonly string[]>;
}

const kinds: Readonly<Record<string, (t: TestContext) => Promise<Mailboxes>>> = {
  async Maildir(t) {
    const folder = tempFolder(t);
    return {
      to: { kind: "maildir", folder: join(folder, "{domain}/{local}") },
      read: async (address, count, relay) => {
        await relay.event("attempted", () => delivered(relay).filter((one) => one.toLowerCase() === address).length >= count);
        const [local = "", domain = ""] = address.split("@");
        const inbox = join(folder, domain, local, "new");
        return readdirSync(inbox).map((name) => readFileSync(join(inbox, name), "latin1"));
      },
    };
  },
  async LMTP(t) {
    const arrived: LmtpTransaction[] = [];
    const server = await startLmtp(t, (transaction) => arrived.push(transaction));
    return {
      to: { ...host(server), protocol: "lmtp", tls: "none" },
      read: async (address, count, relay) => {
        await relay.event("attempted", () => delivered(relay).filter((one) => one.toLowerCase() === address).length >= count);
        for (const { to, text, size } of arrived) assert.deepEqual([to.length, size], [1, text.length]);
        return arrived.filter(({ to: [one = ""] }) => one.toLowerCase() === address).map(({ text }) => text);
      },
    };
  },
};

for (const [name, start] of Object.entries(kinds)) {
  test(`${name}: a user's own post that a list sends back is delivered, also where the list keeps Delivered-To; a second time it is a circle`, async (t) => {
    const mailboxes = await start(t);
    const list = await startRecipient(t);
    const routes: readonly Route[] = [
      { domain: only("example.test"), to: mailboxes.to },
      { domain: any, to: host(list.port) },
    ];
    const domains = domainsOf("example.test", ALICE, "bob@example.test");
    const relay = await startRelay(t, list.port, { routes, domains });
    // Alice is on the list herself, and sends a copy to Bob, who is too.
    await send(relay, "submission", { to: ["list@lists.test", "bob@example.test"], content: "Subject: my post\r\n\r\nHello all.\r\n" });
    const { text: post } = await list.message(0);
    assert.deepEqual(headers(post, "Delivered-To"), [], "no such field on what was submitted, or goes on to other servers");
    const [copy = ""] = await mailboxes.read("bob@example.test", 1, relay);
    assert.deepEqual(headers(copy, "Delivered-To"), ["bob@example.test"]);
    const back = `Delivered-To: list@lists.test\r\nList-Id: <list.lists.test>\r\n${post}`;
    await send(relay, "smtp", { from: "list-bounces@lists.test", to: [ALICE, "Bob@example.test"], content: back });
    const [own = ""] = await mailboxes.read(ALICE, 1, relay);
    assert.match(own, /Hello all\./);
    assert.deepEqual(headers(own, "Delivered-To"), [ALICE, "list@lists.test"]);
    const both = await mailboxes.read("bob@example.test", 2, relay);
    assert.deepEqual(both.map((text) => headers(text, "Delivered-To").join()).sort(), [
      "Bob@example.test,list@lists.test",
      "bob@example.test",
    ]);
    // What has been in Alice's mailbox, and comes again for her.
    const again = own.replace(/^Return-Path:.*\n/, "").replace(/\r?\n/g, "\r\n");
    await send(relay, "smtp", { from: "dave@author.test", to: [ALICE.toUpperCase(), "bob@example.test"], content: again });
    const circle = await relay.event("attempted", ({ outcome }) => outcome.action === "failed");
    assert.equal(formatMailbox(circle.recipient).toLowerCase(), ALICE);
    assert.ok(circle.outcome.action === "failed" && circle.outcome.status === "5.4.6");
    assert.equal((await mailboxes.read("bob@example.test", 3, relay)).length, 3, "for Bob it is the first time");
  });
}
