/** Both sessions joined in memory, before any socket: what the one says the other understands, wherever the bytes are cut or lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Envelope, Recipient } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import { reply } from "../mail/reply.ts";
import { type ClientEvent, ClientSession, type RecipientResult } from "./client-session.ts";
import { type MailCommand, type ServerEvent, ServerSession } from "./server-session.ts";
import { cutAt, framingText, latin1, places, runs, textOf } from "./testing.ts";

interface Scenario {
  /** By name what the server says to each: "ok", "no" or "later", and a number. */
  readonly recipients: readonly string[];
  readonly from: "ok" | "no" | "empty";
  readonly content: string;
  readonly via: "DATA" | "BDAT";
  readonly pipelining: boolean;
  readonly submission: boolean;
  /** What the server does at DATA and behind the content. */
  readonly data: "ok" | "no";
  readonly end: "ok" | "no";
  /** Where the pieces of either direction are cut. */
  readonly cuts: readonly number[];
  /** Octets, of both directions, that get through before the connection is lost. */
  readonly budget: number;
}

interface Taken {
  readonly mail: MailCommand;
  readonly recipients: readonly Recipient[];
  readonly content: string;
}

const refusal = reply(550, "5.7.1", "no");

class Joined {
  readonly #scenario: Scenario;
  readonly server: ServerSession;
  readonly client: ClientSession;
  readonly taken: Taken[] = [];
  readonly results: RecipientResult[][] = [];
  readonly failures: string[] = [];
  ready = false;
  closed = false;
  moved = 0;
  #toServer: Uint8Array[] = [];
  #toClient: Uint8Array[] = [];
  #handshakes = 0;
  #mail: MailCommand | undefined;
  #recipients: Recipient[] = [];
  #content: Uint8Array[] = [];

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.server = new ServerSession({
      hostname: "mx.there.test",
      ...(scenario.submission ? { tls: "required", authentication: "required" } : {}),
    });
    this.client = new ClientSession({
      name: "client.test",
      ...(scenario.submission ? { tls: "required", credentials: { user: "u", password: "p" } } : {}),
    });
  }

  run(): void {
    this.server.greet();
    this.#serve();
    while (this.#move(this.#toServer, (piece) => this.#atServer(piece)) || this.#move(this.#toClient, (piece) => this.#atClient(piece))) {}
    if (!this.closed) this.client.lost("the connection was lost");
    this.#attend();
  }

  /** Moves one piece, or what the budget leaves of it. */
  #move(pieces: Uint8Array[], receive: (piece: Uint8Array) => void): boolean {
    const piece = pieces.shift();
    const left = this.#scenario.budget - this.moved;
    if (piece === undefined || left <= 0) return false;
    const through = piece.subarray(0, left);
    this.moved += through.length;
    receive(through);
    return true;
  }

  #atServer(piece: Uint8Array): void {
    this.server.receive(piece);
    this.#serve();
  }

  #atClient(piece: Uint8Array): void {
    this.client.receive(piece);
    this.#attend();
  }

  #serve(): void {
    for (let event = this.server.next(); event !== undefined; event = this.server.next()) this.#decide(event);
    const output = this.server.takeOutput();
    if (output === undefined) return;
    const text = textOf([output]);
    this.#toClient.push(...this.#cut(this.#scenario.pipelining ? text : text.replace("250-PIPELINING", "250-XPIPELINING")));
  }

  #attend(): void {
    for (let event = this.client.next(); event !== undefined; event = this.client.next()) this.#react(event);
    this.#toServer.push(...this.#cut(textOf(this.client.takeOutput())));
  }

  #cut(text: string): Uint8Array[] {
    return cutAt(latin1(text), this.#scenario.cuts);
  }

  #decide(event: ServerEvent): void {
    switch (event.type) {
      case "starttls":
        return this.#shakeHands();
      case "auth":
        assert.deepEqual(event.claim, { kind: "password", user: "u", password: "p" });
        return this.server.authenticated("u");
      case "salt":
        return assert.fail("SCRAM is not offered");
      case "mail":
        this.#mail = event.mail;
        return event.mail.reversePath?.localPart === "no" ? this.server.refuse(refusal) : this.server.accept();
      case "rcpt":
        return this.#recipient(event.recipient);
      case "data":
        return this.#scenario.data === "ok" ? this.server.accept() : this.server.refuse(refusal);
      case "content":
        this.#content.push(event.chunk);
        return;
      case "content-end":
        return this.#contentEnd();
      case "reset":
        this.#recipients = [];
        this.#content = [];
        return;
      case "refused":
        return;
    }
  }

  #recipient(recipient: Recipient): void {
    const name = recipient.mailbox.localPart;
    if (name.startsWith("no")) return this.server.refuse(reply(550, "5.1.1", name));
    if (name.startsWith("later")) return this.server.refuse(reply(450, "4.2.1", name));
    this.#recipients.push(recipient);
    this.server.accept();
  }

  #contentEnd(): void {
    const { end } = this.#scenario;
    if (end === "ok") this.taken.push({ mail: this.#mail as MailCommand, recipients: this.#recipients, content: textOf(this.#content) });
    this.#recipients = [];
    this.#content = [];
    if (end === "ok") this.server.accept();
    else this.server.refuse(refusal);
  }

  #react(event: ClientEvent): void {
    switch (event.type) {
      case "starttls":
        return this.#shakeHands();
      case "ready":
        this.ready = true;
        return this.client.begin(this.envelope(), { via: this.#scenario.via, size: this.#scenario.content.length });
      case "send-content":
        for (const piece of this.#cut(this.#scenario.content)) this.client.content(piece);
        return this.client.endContent();
      case "done":
        this.results.push([...event.results]);
        return this.client.quit();
      case "failed":
        this.failures.push(event.failure.why);
        return;
      case "closed":
        this.closed = true;
        return;
      case "reply":
        assert.fail("no command was sent");
    }
  }

  #shakeHands(): void {
    if (++this.#handshakes < 2) return;
    assert.equal(this.#toServer.length + this.#toClient.length, 0, "something is under way in clear");
    this.server.upgraded();
    this.client.upgraded();
  }

  envelope(): Envelope {
    const { from, recipients, content } = this.#scenario;
    return {
      reversePath: from === "empty" ? null : { localPart: from, domain: "client.test" },
      recipients: recipients.map((localPart, index) => ({
        mailbox: { localPart, domain: "there.test" },
        ...(index % 2 === 0 ? {} : { notify: ["failure"], originalRecipient: { type: "rfc822", address: `${localPart}+x=y@client.test` } }),
      })),
      body: this.#scenario.via === "BDAT" ? "BINARYMIME" : "8BITMIME",
      smtpUtf8: content.length % 2 === 0,
      ret: "HDRS",
      envelopeId: "id+=",
    };
  }
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  recipients: fc
    .array(fc.constantFrom("ok", "ok", "no", "later"), { minLength: 1, maxLength: 5 })
    .map((kinds) => kinds.map((kind, index) => `${kind}${index}`)),
  from: fc.constantFrom("ok" as const, "ok" as const, "empty" as const, "no" as const),
  content: framingText(20),
  via: fc.constantFrom("DATA" as const, "BDAT" as const),
  pipelining: fc.boolean(),
  submission: fc.boolean(),
  data: fc.constantFrom("ok" as const, "ok" as const, "ok" as const, "no" as const),
  end: fc.constantFrom("ok" as const, "ok" as const, "no" as const),
  cuts: fc.oneof(places(), fc.constant([]), fc.constant(Array.from({ length: 600 }, (_, i) => i))),
  budget: fc.constant(Number.POSITIVE_INFINITY),
});

function converse(given: Scenario): Joined {
  const joined = new Joined(given);
  joined.run();
  return joined;
}

/** RFC 5321 has lines that end in CRLF, and DATA cannot carry anything else. */
function carried({ via, content }: Scenario): string {
  if (via === "BDAT") return content;
  const lines = content.replace(/\r\n|\r|\n/g, "\r\n");
  return lines === "" || lines.endsWith("\r\n") ? lines : `${lines}\r\n`;
}

function checkWhole(given: Scenario): void {
  const joined = converse(given);
  const { recipients, from, data, end } = given;
  const [results = []] = joined.results;
  assert.deepEqual(joined.failures, []);
  assert.ok(joined.closed && joined.server.closing);
  assert.equal(joined.results.length, 1);
  assert.equal(results.length, recipients.length);
  const wanted = recipients.filter((name) => name.startsWith("ok"));
  const goes = from !== "no" && data === "ok" && end === "ok" && wanted.length > 0;
  const [taken] = joined.taken;
  assert.equal(joined.taken.length, goes ? 1 : 0);
  for (const [index, result] of results.entries()) {
    assert.equal(result.kind, goes && recipients[index]?.startsWith("ok") ? "accepted" : "refused");
    if (result.kind !== "refused") continue;
    const name = recipients[index] as string;
    const state = from === "no" ? "mail" : !name.startsWith("ok") ? "rcpt" : given.via === "DATA" && data === "no" ? "data" : "sent-dot";
    assert.equal(result.state, state);
    if (state === "rcpt") assert.equal(result.reply.text, name);
  }
  if (taken === undefined) return;
  const envelope = joined.envelope();
  assert.equal(taken.content, carried(given));
  assert.deepEqual(
    taken.recipients,
    envelope.recipients.filter(({ mailbox }) => mailbox.localPart.startsWith("ok")),
  );
  assert.deepEqual(taken.mail, {
    reversePath: envelope.reversePath,
    size: given.content.length,
    body: envelope.body,
    smtpUtf8: envelope.smtpUtf8,
    ret: "HDRS",
    envelopeId: "id+=",
  });
}

test("what the server takes is what the client sent, and each recipient's result is what the server said", () => {
  fc.assert(fc.property(scenario, checkWhole), runs(400));
});

/** What is known when the connection was lost must be true, and what may have happened must not be denied. */
function checkLost(given: Scenario): void {
  const joined = converse(given);
  assert.ok(joined.results.length <= 1);
  assert.equal(joined.results.length, joined.ready ? 1 : 0);
  if (!joined.ready) assert.equal(joined.failures.length, 1);
  for (const [index, result] of joined.results[0]?.entries() ?? []) {
    const name = given.recipients[index] as string;
    const has = joined.taken.some(({ recipients }) => recipients.some(({ mailbox }) => mailbox.localPart === name));
    if (result.kind === "accepted") assert.ok(has, `${name} was not taken`);
    if (has)
      assert.ok(
        result.kind === "accepted" || result.kind === "unknown",
        `${formatMailbox({ localPart: name, domain: "" })}: ${result.kind}`,
      );
  }
}

test("the connection is lost anywhere: one result each, never accepted without the server, never lost with it", () => {
  fc.assert(
    fc.property(scenario, fc.nat(1500), (given, budget) => checkLost({ ...given, budget })),
    runs(400),
  );
});

for (const via of ["DATA", "BDAT"] as const) {
  for (const pipelining of [true, false]) {
    test(`the connection is lost at every octet: ${via}, ${pipelining ? "with" : "without"} PIPELINING`, () => {
      for (const cuts of [[], [1, 50, 51, 100, 200]]) {
        const given: Scenario = {
          recipients: ["ok0", "no1", "ok2", "later3"],
          from: "ok",
          content: "Subject: x\r\n\r\n.dot\r\n",
          via,
          pipelining,
          submission: true,
          data: "ok",
          end: "ok",
          cuts,
          budget: Number.POSITIVE_INFINITY,
        };
        const { moved } = converse(given);
        assert.ok(moved > 600);
        for (let budget = 0; budget <= moved; budget++) checkLost({ ...given, budget });
      }
    });
  }
}
