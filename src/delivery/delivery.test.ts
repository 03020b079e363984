import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { memoryContent } from "../mail/content.ts";
import type { BodyType } from "../mail/envelope.ts";
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import type { Outcome } from "../mail/outcome.ts";
import { contentFacts } from "../message/facts.ts";
import { dial } from "../net/dial.ts";
import { createResolver, type Answer as DnsAnswer, type MxRecord } from "../net/resolver.ts";
import { utf8 } from "../util/bytes.ts";
import { FakeClock } from "../util/testing.ts";
import { Delivery, type DeliveryParts } from "./delivery.ts";
import type { DeliveryOptions } from "./options.ts";
import { OPENING_PATIENCE_MS } from "./sessions.ts";

type Answer = (line: string, socket: Socket) => string | undefined;

/** A server that answers each line as it is told; content is swallowed up to its final dot. */
async function scripted(
  t: TestContext,
  answer: Answer,
  greeting = "220 mx.test ESMTP",
): Promise<{ port: number; lines: string[]; connections: () => number; content: () => string; dots: () => number }> {
  const lines: string[] = [];
  let connections = 0;
  let content = "";
  let dots = 0;
  const server = createServer((socket) => {
    connections++;
    let unread = "";
    let inContent = false;
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      unread += chunk.toString("latin1");
      for (let end = unread.indexOf("\r\n"); end >= 0; end = unread.indexOf("\r\n")) {
        const line = unread.slice(0, end);
        unread = unread.slice(end + 2);
        if (inContent && line !== ".") {
          content += `${line}\r\n`;
          continue;
        }
        if (!inContent) lines.push(line);
        if (inContent) dots++;
        const said = answer(inContent ? "." : line, socket);
        inContent = said?.startsWith("354") ?? false;
        if (said !== undefined) socket.write(`${said}\r\n`);
      }
    });
    socket.write(`${greeting}\r\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return {
    port: (server.address() as { port: number }).port,
    lines,
    connections: () => connections,
    content: () => content,
    dots: () => dots,
  };
}

const polite: Answer = (line) => {
  if (line.startsWith("EHLO")) return "250-mx.test\r\n250-PIPELINING\r\n250 SIZE 100000";
  if (line === "DATA") return "354 go";
  if (line === "QUIT") return "221 bye";
  return "250 2.0.0 ok";
};

const except =
  (special: Readonly<Record<string, string>>): Answer =>
  (line, socket) =>
    Object.entries(special).find(([prefix]) => line.startsWith(prefix))?.[1] ?? polite(line, socket);

function message(to: readonly string[], text = "Subject: x\r\n\r\nbody\r\n", body: BodyType = "7BIT"): QueuedMessage {
  const chunks = [utf8(text)];
  return {
    id: "1M00000000000000",
    envelope: { reversePath: { localPart: "a", domain: "from.test" }, body, smtpUtf8: false },
    recipients: to.map((localPart, index) => ({ mailbox: { localPart, domain: "d.test" }, index, attempts: 0, delayTold: false })),
    content: memoryContent(chunks),
    facts: contentFacts(chunks),
    origin: { kind: "local" },
    arrived: 0,
  };
}

function deliverer(
  t: TestContext,
  port: number,
  options: Partial<DeliveryOptions> = {},
  parts: Partial<DeliveryParts> = {},
): { delivery: Delivery; fallbacks: string[] } {
  const fallbacks: string[] = [];
  const resolver = createResolver({ servers: ["127.0.0.1:9"] });
  const delivery = new Delivery(
    {
      routes: [{ domain: { kind: "any" }, to: { kind: "host", host: "127.0.0.1", port } }],
      resolver,
      dial,
      isOwnName: () => false,
      isOwnEndpoint: () => false,
      onFallback: (host, why) => fallbacks.push(`${host} ${why}`),
      ...parts,
    },
    { hostname: "me.test", keepIdle: 50, ...options },
  );
  t.after(() => {
    delivery.stop();
    resolver.close();
  });
  return { delivery, fallbacks };
}

/** The outcomes of one message, by the recipients' local parts. */
function attempt(delivery: Delivery, queued: QueuedMessage): Promise<Record<string, Outcome>> {
  const outcomes: Record<string, Outcome> = {};
  return new Promise((resolve) => {
    delivery.deliver(queued, (attempted) => {
      for (const { recipient, outcome } of attempted) outcomes[recipient.mailbox.localPart] = outcome;
      if (Object.keys(outcomes).length === queued.recipients.length) resolve(outcomes);
    });
  });
}

const brief = (outcome: Outcome | undefined): string =>
  outcome === undefined
    ? "none"
    : "status" in outcome
      ? `${outcome.action} ${outcome.scope} ${outcome.status} ${outcome.why.kind}`
      : outcome.action;

describe("an attempt", () => {
  it("keeps recipients apart, and takes 552 at RCPT for too many recipients", async (t) => {
    const server = await scripted(
      t,
      except({
        "RCPT TO:<no@": "550 5.1.1 unknown",
        "RCPT TO:<busy@": "450 4.2.1 later",
        "RCPT TO:<many@": "552 too many",
        "RCPT TO:<full@": "552 5.2.2 full",
      }),
    );
    const outcomes = await attempt(deliverer(t, server.port).delivery, message(["yes", "no", "busy", "many", "full"]));
    assert.deepEqual(Object.values(outcomes).map(brief), [
      "relayed",
      "failed recipient 5.1.1 reply",
      "delayed recipient 4.2.1 reply",
      "delayed recipient 4.5.3 reply",
      "failed recipient 5.2.2 reply",
    ]);
  });

  const lost =
    (verb: string): Answer =>
    (line, socket) => {
      if (line !== verb) return polite(line, socket);
      socket.destroy();
      return undefined;
    };

  it("lost before the final dot is delayed; lost after it is delayed as unknown", async (t) => {
    const before = await scripted(t, lost("DATA"));
    const after = await scripted(t, lost("."));
    assert.equal(brief((await attempt(deliverer(t, before.port).delivery, message(["x"]))).x), "delayed session 4.4.2 connection");
    assert.equal(brief((await attempt(deliverer(t, after.port).delivery, message(["x"]))).x), "delayed session 4.4.2 unknown");
  });

  it("that meets a 421 or 554 greeting concerns the host and is delayed; 521 says it takes no mail", async (t) => {
    const greet = async (greeting: string): Promise<string> => {
      const server = await scripted(t, polite, greeting);
      return brief((await attempt(deliverer(t, server.port).delivery, message(["x"]))).x);
    };
    assert.equal(await greet("421 4.3.2 busy"), "delayed host 4.3.2 reply");
    assert.equal(await greet("554 no"), "delayed host 4.3.2 reply");
    assert.equal(await greet("521 no mail here"), "failed host 5.3.2 reply");
  });

  it("that meets a 421 anywhere concerns the host; 450 at RCPT concerns that recipient alone", async (t) => {
    for (const [verb, scope] of [
      ["MAIL", "host"],
      ["DATA", "host"],
      [".", "host"],
    ] as const) {
      const server = await scripted(t, except({ [verb]: "421 4.7.0 slow down" }));
      const { delivery } = deliverer(t, server.port, { initialConnections: 1, backOff: { first: 60_000, longest: 60_000 } });
      const [first, second] = await Promise.all([attempt(delivery, message(["a"])), attempt(delivery, message(["b"]))]);
      assert.equal(brief(first.a), `delayed ${scope} 4.7.0 reply`, verb);
      assert.equal(server.connections(), 1, "it is left alone");
      assert.ok(second.b?.action === "delayed" && second.b.untried !== undefined);
    }
    const wary = await scripted(t, except({ MAIL: "451 4.7.1 who are you" }));
    const other = deliverer(t, wary.port, { initialConnections: 1 }).delivery;
    assert.equal(brief((await attempt(other, message(["x"]))).x), "delayed message 4.7.1 reply");
    assert.equal(other.destinations()[0]?.closed, undefined, "others may come");
    const grey = await scripted(t, except({ "RCPT TO:<new@": "450 4.7.1 greylisted" }));
    const { delivery } = deliverer(t, grey.port, { initialConnections: 1 });
    const [first, second] = await Promise.all([attempt(delivery, message(["new"])), attempt(delivery, message(["old"]))]);
    assert.deepEqual([brief(first.new), brief(second.old)], ["delayed recipient 4.7.1 reply", "relayed"]);
    const [state] = delivery.destinations();
    assert.ok(state?.closed === undefined && (state?.limit ?? 0) > 1, "it is well");
  });

  it("ends no message whose lease is another's by now, small or large", async (t) => {
    for (const size of [10, 300_000]) {
      const server = await scripted(t, (line, socket) => (line.startsWith("EHLO") ? "250 mx.test" : polite(line, socket)));
      const { delivery } = deliverer(t, server.port, {}, { holds: () => false });
      const { x } = await attempt(delivery, message(["x"], `Subject: x\r\n\r\n${"y".repeat(70)}\r\n`.repeat(size / 10)));
      assert.equal(brief(x), "delayed session 4.4.2 connection");
      assert.ok(server.lines.includes("DATA") && !server.dots(), "no final dot");
    }
  });

  it("falls back to clear text when the handshake fails, and says so", async (t) => {
    const server = await scripted(t, (line, socket) => {
      if (line.startsWith("EHLO")) return "250-mx.test\r\n250 STARTTLS";
      if (line !== "STARTTLS") return polite(line, socket);
      socket.write("220 go\r\n");
      socket.once("data", () => socket.end("this is no TLS\r\n"));
      return undefined;
    });
    const { delivery, fallbacks } = deliverer(t, server.port);
    assert.equal(brief((await attempt(delivery, message(["x"]))).x), "relayed");
    assert.equal(fallbacks.length, 1);
    assert.equal(server.connections(), 2);
  });

  it("uses a connection again, and a dead one only costs a new one", async (t) => {
    let messages = 0;
    const server = await scripted(t, (line, socket) => {
      if (line === ".") messages++;
      if (line.startsWith("MAIL") && messages === 2 && server.connections() === 1) {
        socket.destroy();
        return undefined;
      }
      return polite(line, socket);
    });
    const { delivery } = deliverer(t, server.port, { keepIdle: 5000 });
    for (let i = 0; i < 3; i++) assert.equal(brief((await attempt(delivery, message(["x"]))).x), "relayed");
    assert.equal(server.connections(), 2);
    assert.equal(messages, 3);
  });

  it("keeps to LIMITS of the server (RFC 9422): recipients of a message, and messages of a session", async (t) => {
    const server = await scripted(t, (line, socket) =>
      line.startsWith("EHLO") ? "250-mx.test\r\n250 LIMITS RCPTMAX=2 MAILMAX=2" : polite(line, socket),
    );
    const { delivery } = deliverer(t, server.port, { initialConnections: 1, maxConnections: 1 });
    const three = await attempt(delivery, message(["a", "b", "c"]));
    assert.deepEqual(Object.values(three).map(brief), ["relayed", "relayed", "relayed"]);
    assert.deepEqual([server.connections(), server.dots()], [1, 2]);
    assert.equal(brief((await attempt(delivery, message(["d"]))).d), "relayed");
    assert.equal(server.connections(), 2);
    // The second session has one message left: two of these, and the others are due in another session.
    const five = await attempt(delivery, message(["e", "f", "g", "h", "i"]));
    assert.deepEqual(
      Object.values(five).map((one) => (one.action === "delayed" && one.untried !== undefined ? "untried" : one.action)),
      ["relayed", "relayed", "untried", "untried", "untried"],
    );
  });

  it("converts declared 8-bit content for a next hop without 8BITMIME, and leaves undeclared as it came", async (t) => {
    const text =
      "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n";
    const declared = await scripted(t, polite);
    assert.equal(brief((await attempt(deliverer(t, declared.port).delivery, message(["x"], text, "8BITMIME"))).x), "relayed");
    assert.match(declared.content(), /Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n/);
    const undeclared = await scripted(t, polite);
    await attempt(deliverer(t, undeclared.port).delivery, message(["x"], text));
    assert.equal(undeclared.content(), Buffer.from(text).toString("latin1"));
  });

  it("fails with 5.6.3 what may not be converted", async (t) => {
    const server = await scripted(t, polite);
    const text =
      'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b; protocol="a/b"; micalg=c\r\n\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u00fc\r\n--b--\r\n';
    assert.equal(
      brief((await attempt(deliverer(t, server.port).delivery, message(["x"], text, "8BITMIME"))).x),
      "failed message 5.6.3 local",
    );
  });

  it("fails a message that is larger than the next hop takes, without sending it", async (t) => {
    const server = await scripted(t, polite);
    const large = message(["x"], `Subject: x\r\n\r\n${"y".repeat(900)}\r\n`.repeat(120));
    assert.equal(brief((await attempt(deliverer(t, server.port).delivery, large)).x), "failed message 5.3.4 local");
    assert.ok(!server.lines.some((line) => line.startsWith("MAIL")));
  });

  it("hears at once for all that wait when there is no connection to be had", async (t) => {
    const { delivery } = deliverer(t, 1);
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => attempt(delivery, message(["x"]))));
    assert.ok(outcomes.every(({ x }) => brief(x) === "delayed host 4.4.1 connection"));
  });

  it("hands back what was not begun when it stops", async (t) => {
    const server = await scripted(t, () => undefined);
    const { delivery } = deliverer(t, server.port, { initialConnections: 1, maxConnections: 1 });
    void attempt(delivery, message(["first"]));
    void attempt(delivery, message(["second", "third"]));
    assert.deepEqual(
      delivery.stop().map(({ recipients }) => recipients.map(({ mailbox }) => mailbox.localPart)),
      [["second", "third"]],
    );
  });

  it("gives back what waits for a destination that does not move, and cuts what is under way when told to", async (t) => {
    const server = await scripted(t, () => undefined);
    const { delivery } = deliverer(t, server.port, { initialConnections: 1, maxConnections: 1, stallAfter: 30 });
    const first = attempt(delivery, message(["first"]));
    const { second } = await attempt(delivery, message(["second"]));
    assert.equal(brief(second), "delayed host 4.4.1 local");
    assert.ok(second?.action === "delayed" && second.untried !== undefined);
    delivery.abort();
    assert.equal(brief((await first).first), "delayed host 4.4.1 connection");
  });

  it("lets an idle connection go where another destination wants its place", async (t) => {
    const server = await scripted(t, polite);
    const resolver = createResolver({ servers: ["127.0.0.1:9"] });
    const to = (host: string) =>
      ({ domain: { kind: "exact", domain: `${host}.test` }, to: { kind: "host", host, port: server.port } }) as const;
    const delivery = new Delivery(
      {
        routes: [to("127.0.0.1"), { domain: { kind: "any" }, to: { kind: "host", host: "localhost", port: server.port } }],
        resolver,
        dial,
        isOwnName: () => false,
        isOwnEndpoint: () => false,
        onFallback: () => {},
      },
      { hostname: "me.test", maxTotalConnections: 1, keepIdle: 60_000, families: "ipv4" },
    );
    t.after(() => {
      delivery.stop();
      resolver.close();
    });
    const one = message(["x"]);
    await attempt(delivery, {
      ...one,
      recipients: one.recipients.map((each) => ({ ...each, mailbox: { localPart: "x", domain: "127.0.0.1.test" } })),
    });
    assert.equal(brief((await attempt(delivery, one)).x), "relayed");
    assert.equal(server.connections(), 2);
  });

  it("goes by what DNS says now, not by what it could not say before", async (t) => {
    const server = await scripted(t, polite);
    const clock = new FakeClock();
    let mx: DnsAnswer<MxRecord> = { kind: "failed", why: "SERVFAIL" };
    const found = { authenticated: false, ttl: 60 } as const;
    const { delivery } = deliverer(
      t,
      0,
      { port: server.port },
      {
        routes: [],
        clock,
        resolver: {
          ...createResolver({ servers: ["127.0.0.1:9"] }),
          mx: async () => mx,
          addresses: async () => ({ kind: "found", records: ["127.0.0.1"], ...found }),
        },
      },
    );
    assert.equal(brief((await attempt(delivery, message(["a"]))).a), "delayed host 4.4.3 dns");
    mx = { kind: "no-data" }; // the domain is its own exchanger
    await clock.pass(6000);
    assert.equal(brief((await attempt(delivery, message(["b"]))).b), "relayed");
    mx = { kind: "no-domain" };
    await clock.pass(31_000);
    assert.equal(brief((await attempt(delivery, message(["c"]))).c), "failed host 5.1.2 dns");
  });

  it("keeps to a domain's rule, whichever domain of its exchangers comes first", async (t) => {
    const server = await scripted(t, polite);
    const rule = { name: "one by one", domains: [{ kind: "exact", domain: "d.test" }], maxRecipients: 1 } as const;
    const { delivery } = deliverer(t, server.port, { pacing: [rule] });
    const other = (each: QueuedRecipient): QueuedRecipient => ({ ...each, mailbox: { ...each.mailbox, domain: "e.test" } });
    const first = message(["a", "b", "c", "d"]);
    await attempt(delivery, { ...first, recipients: first.recipients.map((each) => (each.index < 2 ? other(each) : each)) });
    assert.equal(server.dots(), 3, "a and b in one transaction, c and d in one each");
    assert.deepEqual(
      delivery.destinations().map(({ pace }) => pace === rule.name),
      [false, true],
    );
  });

  it("opens another session for a domain that the one it has does not take (RFC 9422)", async (t) => {
    const limited = except({ EHLO: "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTDOMAINMAX=1" });
    const server = await scripted(t, limited);
    const { delivery } = deliverer(t, server.port, { keepIdle: 60_000, maxConnections: 1 });
    const at = (domain: string, whole: QueuedMessage): QueuedMessage => ({
      ...whole,
      recipients: whole.recipients.map((each) => ({ ...each, mailbox: { ...each.mailbox, domain } })),
    });
    for (const domain of ["d.test", "e.test", "e.test", "f.test"])
      assert.equal(brief((await attempt(delivery, at(domain, message(["a"])))).a), "relayed", domain);
    assert.equal(server.connections(), 3);
  });

  it("gives each destination its turn where all connections are in use", async (t) => {
    const server = await scripted(t, polite);
    const to = (user: string) => ({ kind: "host", host: "127.0.0.1", port: server.port, tls: user }) as const;
    const routes = [
      { domain: { kind: "exact", domain: "d.test" }, to: to("none") },
      { domain: { kind: "any" }, to: to("opportunistic") },
    ] as DeliveryParts["routes"];
    const { delivery } = deliverer(t, 0, { maxTotalConnections: 1, keepIdle: 60_000 }, { routes });
    const many = Array.from({ length: 200 }, (_, i) => attempt(delivery, message([`m${i}`])));
    const other = message(["other"]);
    await attempt(delivery, {
      ...other,
      recipients: other.recipients.map((one) => ({ ...one, mailbox: { ...one.mailbox, domain: "e.test" } })),
    });
    const before = server.lines.findIndex((line) => line.startsWith("RCPT TO:<other@"));
    const turns = server.lines.slice(0, before).filter((line) => line.startsWith("RCPT")).length;
    assert.ok(turns < 150, `after ${turns} of 200`);
    await Promise.all(many);
  });

  it("takes the place of a server that says nothing where another waits for it", async (t) => {
    const good = await scripted(t, polite);
    const sockets: Socket[] = [];
    const reached = Promise.withResolvers<void>();
    const silent = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      reached.resolve();
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const clock = new FakeClock();
    const to = (port: number) => ({ kind: "host", host: "127.0.0.1", port }) as const;
    const { delivery } = deliverer(
      t,
      0,
      { maxTotalConnections: 1 },
      {
        clock,
        routes: [
          { domain: { kind: "exact", domain: "d.test" }, to: to((silent.address() as { port: number }).port) },
          { domain: { kind: "any" }, to: to(good.port) },
        ],
      },
    );
    const stuck = attempt(delivery, message(["a"]));
    await reached.promise;
    const other = message(["b"]);
    const goes = attempt(delivery, {
      ...other,
      recipients: other.recipients.map((each) => ({ ...each, mailbox: { ...each.mailbox, domain: "e.test" } })),
    });
    await clock.pass(OPENING_PATIENCE_MS - 1);
    assert.equal(good.connections(), 0);
    await clock.pass(1);
    assert.equal(brief((await stuck).a), "delayed host 4.4.1 connection");
    assert.equal(brief((await goes).b), "relayed");
  });

  it("does not send what wants a checked certificate through a session whose certificate was not checked", async (t) => {
    const server = await scripted(t, polite);
    const to = (verify: boolean) => ({ kind: "host", host: "127.0.0.1", port: server.port, verify }) as const;
    const { delivery } = deliverer(
      t,
      0,
      { keepIdle: 60_000, maxConnections: 1 },
      {
        routes: [
          { domain: { kind: "exact", domain: "d.test" }, to: to(false) },
          { domain: { kind: "any" }, to: to(true) },
        ],
      },
    );
    await attempt(delivery, message(["a"]));
    const other = message(["b"]);
    await attempt(delivery, {
      ...other,
      recipients: other.recipients.map((each) => ({ ...each, mailbox: { ...each.mailbox, domain: "e.test" } })),
    });
    assert.equal(server.connections(), 2);
  });
});
