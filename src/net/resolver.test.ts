import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { type DnsServer, startDnsServer, type Zone } from "../../test/support/dns-server.ts";
import { tempFolder } from "../../test/support/temp-folder.ts";
import type { Clock } from "../util/clock.ts";
import { createResolver, OUTSTANDING_LIMIT, type Resolver, type ResolverOptions } from "./resolver.ts";

async function serve(t: TestContext, zone: Zone): Promise<DnsServer> {
  const server = await startDnsServer(zone);
  t.after(() => server.close());
  return server;
}

function resolverOf(t: TestContext, servers: readonly DnsServer[], options: ResolverOptions = {}): Resolver {
  const resolver = createResolver({ servers: servers.map((s) => s.endpoint), ...options });
  t.after(() => resolver.close());
  return resolver;
}

async function setUp(t: TestContext, zone: Zone, options: ResolverOptions = {}) {
  const server = await serve(t, zone);
  return { server, resolver: resolverOf(t, [server], options) };
}

/** A clock that a test moves; its timers never ring. */
function handClock(): Clock & { time: number } {
  const clock = { time: 1_000_000, now: () => clock.time, after: () => () => {} };
  return clock;
}

const SHORT = { timeout: 60, limit: 400 };

describe("resolver: answers", () => {
  it("finds MX records and keeps them as long as their TTL", async (t) => {
    const clock = handClock();
    const zone: Zone = {
      "x.test": {
        MX: [
          { preference: 10, exchange: "MX1.x.test" },
          { preference: 20, exchange: "mx2.x.test." },
        ],
        ttl: 30,
      },
    };
    const { server, resolver } = await setUp(t, zone, { clock });
    const records = [
      { preference: 10, exchange: "mx1.x.test" },
      { preference: 20, exchange: "mx2.x.test" },
    ];
    assert.deepEqual(await resolver.mx("X.test."), { kind: "found", records, authenticated: false, ttl: 30 });
    clock.time += 10_000;
    assert.deepEqual(await resolver.mx("x.test"), { kind: "found", records, authenticated: false, ttl: 20 });
    assert.equal(server.count(), 1);
    clock.time += 20_000;
    await resolver.mx("x.test");
    assert.equal(server.count(), 2);
  });

  it("hands on a null MX as the record it is", async (t) => {
    const { resolver } = await setUp(t, { "x.test": { MX: [{ preference: 0, exchange: "." }] } });
    const answer = await resolver.mx("x.test");
    assert.deepEqual(answer.kind === "found" && answer.records, [{ preference: 0, exchange: "" }]);
  });

  it("asks for U-labels as A-labels", async (t) => {
    const { server, resolver } = await setUp(t, { "xn--bcher-kva.test": { A: ["192.0.2.1"] } });
    const answer = await resolver.addresses("Bücher.test", "ipv4");
    assert.equal(answer.kind, "found");
    assert.equal(server.questions[0]?.name, "xn--bcher-kva.test");
  });

  it("tells an absence from a missing domain, and keeps both for the SOA's minimum", async (t) => {
    const clock = handClock();
    const { server, resolver } = await setUp(t, { "x.test": { A: ["192.0.2.1"] } }, { clock });
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await resolver.mx("x.test"), { kind: "no-data" });
      assert.deepEqual(await resolver.mx("gone.test"), { kind: "no-domain" });
    }
    assert.equal(server.count(), 2);
    clock.time += 60_000;
    await resolver.mx("gone.test");
    assert.equal(server.count(), 3);
  });

  it("keeps an absence for five minutes at most, and without SOA not at all", async (t) => {
    const clock = handClock();
    const server = await startDnsServer({ "bare.test": { fault: "no-soa" } }, { negativeTtl: 86_400 });
    t.after(() => server.close());
    const resolver = resolverOf(t, [server], { clock });
    await resolver.mx("gone.test");
    clock.time += 300_000;
    await resolver.mx("gone.test");
    assert.equal(server.count("MX", "gone.test"), 2);
    await resolver.mx("bare.test");
    await resolver.mx("bare.test");
    assert.equal(server.count("MX", "bare.test"), 2);
  });

  it("tells of the AD bit", async (t) => {
    const { resolver } = await setUp(t, { "x.test": { A: ["192.0.2.1"], authenticated: true } });
    const answer = await resolver.addresses("x.test", "ipv4");
    assert.ok(answer.kind === "found" && answer.authenticated);
  });

  it("joins the strings of a TXT record and reads PTR and TLSA", async (t) => {
    const certificate = Buffer.alloc(32, 7);
    const { resolver } = await setUp(t, {
      "x.test": { TXT: [["v=spf1 ", "-all"], "é"] },
      "1.2.0.192.in-addr.arpa": { PTR: ["Mail.X.test"] },
      "_25._tcp.x.test": { TLSA: [{ usage: 3, selector: 1, matchingType: 1, certificate }] },
    });
    const txt = await resolver.txt("x.test");
    assert.deepEqual(txt.kind === "found" && txt.records, ["v=spf1 -all", "é"]);
    const ptr = await resolver.ptr("::ffff:192.0.2.1");
    assert.deepEqual(ptr.kind === "found" && ptr.records, ["mail.x.test"]);
    const tlsa = await resolver.tlsa("_25._tcp.x.test");
    assert.deepEqual(tlsa.kind === "found" && tlsa.records[0]?.data, certificate);
  });

  it("never asks for names that DNS cannot carry", async (t) => {
    const { server, resolver } = await setUp(t, {});
    for (const name of ["", "a..b", `${"a".repeat(64)}.test`, `${"a.".repeat(127)}test`, "a b.test"]) {
      assert.deepEqual(await resolver.mx(name), { kind: "no-domain" }, name);
    }
    assert.equal(server.count(), 0);
  });
});

describe("resolver: addresses", () => {
  it("finds both families, IPv6 first, or the one asked for", async (t) => {
    const { resolver } = await setUp(t, { "x.test": { A: ["192.0.2.1"], AAAA: ["2001:DB8:0::1"] } });
    const records = async (families: "both" | "ipv4" | "ipv6") => {
      const answer = await resolver.addresses("x.test", families);
      return answer.kind === "found" ? answer.records : answer.kind;
    };
    assert.deepEqual(await records("both"), ["2001:db8::1", "192.0.2.1"]);
    assert.deepEqual(await records("ipv4"), ["192.0.2.1"]);
    assert.deepEqual(await records("ipv6"), ["2001:db8::1"]);
  });

  it("is found though the other family failed; otherwise a failure is no absence", async (t) => {
    const { resolver } = await setUp(t, {
      "half.test": { A: ["192.0.2.1"], fault: { AAAA: "SERVFAIL" } },
      "worse.test": { fault: { AAAA: "SERVFAIL" } },
      "odd.test": { fault: { A: "NXDOMAIN" } },
    });
    assert.equal((await resolver.addresses("half.test", "both")).kind, "found");
    assert.equal((await resolver.addresses("worse.test", "both")).kind, "failed");
    assert.equal((await resolver.addresses("odd.test", "both")).kind, "no-data");
    assert.equal((await resolver.addresses("gone.test", "both")).kind, "no-domain");
  });

  it("knows localhost and IP addresses by itself", async (t) => {
    const { server, resolver } = await setUp(t, {});
    const records = async (host: string) => {
      const answer = await resolver.addresses(host, "both");
      return answer.kind === "found" && answer.records;
    };
    assert.deepEqual(await records("LocalHost"), ["::1", "127.0.0.1"]);
    assert.deepEqual(await records("a.localhost"), ["::1", "127.0.0.1"]);
    assert.deepEqual(await records("::ffff:192.0.2.1"), ["192.0.2.1"]);
    assert.equal((await resolver.addresses("192.0.2.1", "ipv6")).kind, "no-data");
    assert.equal((await resolver.mx("localhost")).kind, "no-data");
    assert.equal(server.count(), 0);
  });

  it("takes the hosts file before DNS where it is honoured, and sees it change", async (t) => {
    const clock = handClock();
    const hostsFile = join(tempFolder(t), "hosts");
    writeFileSync(hostsFile, "# comment\n192.0.2.7 Box box2 # more\n::ffff:192.0.2.8\tbox\nnonsense line\n");
    const { server, resolver } = await setUp(t, { box: { AAAA: ["2001:db8::1"] } }, { hostsFile, clock });
    const both = await resolver.addresses("BOX", "both");
    assert.deepEqual(both.kind === "found" && both.records, ["192.0.2.7", "192.0.2.8"]);
    assert.equal(server.count(), 0);
    assert.equal((await resolver.addresses("box", "ipv6")).kind, "found"); // the file has none of that family
    assert.equal(server.count(), 1);
    writeFileSync(hostsFile, "192.0.2.99 box\n");
    clock.time += 10_000;
    const later = await resolver.addresses("box", "ipv4");
    assert.deepEqual(later.kind === "found" && later.records, ["192.0.2.99"]);
  });
});

describe("resolver: aliases", () => {
  it("follows them inside an answer and out of it", async (t) => {
    const { server, resolver } = await setUp(t, {
      "a.test": { CNAME: "B.test", ttl: 5 },
      "b.test": { MX: [{ preference: 1, exchange: "mx.test" }] },
      "out.test": { CNAME: "b.test", ttl: 7, fault: "alias-only" },
      "lost.test": { CNAME: "gone.test" },
      "empty.test": { CNAME: "there.test" },
      "there.test": { A: ["192.0.2.1"] },
    });
    const inside = await resolver.mx("a.test");
    assert.ok(inside.kind === "found" && inside.ttl === 5);
    assert.equal(server.count(), 1);
    const outside = await resolver.mx("out.test");
    assert.ok(outside.kind === "found" && outside.ttl === 7);
    assert.equal(server.count(), 3);
    assert.equal((await resolver.mx("lost.test")).kind, "no-domain");
    assert.equal((await resolver.mx("empty.test")).kind, "no-data");
  });

  it("fails on a circle and on a chain that is too long, inside and outside", async (t) => {
    const zone: Zone = { "c0.test": { CNAME: "c1.test" }, "c1.test": { CNAME: "c0.test" } };
    for (let i = 0; i < 12; i++) zone[`d${i}.test`] = { CNAME: `d${i + 1}.test`, fault: "alias-only" };
    zone["d12.test"] = { A: ["192.0.2.1"] };
    const { server, resolver } = await setUp(t, zone);
    assert.equal((await resolver.mx("c0.test")).kind, "failed");
    const before = server.count();
    assert.equal((await resolver.addresses("d0.test", "ipv4")).kind, "failed");
    assert.equal(server.count() - before, 9);
    assert.equal((await resolver.addresses("d4.test", "ipv4")).kind, "found");
  });
});

describe("resolver: servers in trouble", () => {
  it("calls SERVFAIL, REFUSED and silence a failure", async (t) => {
    const { server, resolver } = await setUp(
      t,
      { "s.test": { fault: "SERVFAIL" }, "r.test": { fault: "REFUSED" }, "q.test": { fault: "silent" }, "g.test": { fault: "garbage" } },
      SHORT,
    );
    for (const name of ["s.test", "r.test", "q.test", "g.test"]) {
      const answer = await resolver.mx(name);
      assert.equal(answer.kind, "failed", name);
    }
    assert.equal(server.count("MX", "s.test"), 1, "who answered is not asked again");
    assert.equal(server.count("MX", "q.test"), 2, "who was silent is, once");
    const answer = await resolver.mx("s.test");
    assert.match(answer.kind === "failed" ? answer.why : "", /MX s\.test: 127\.0\.0\.1 answered SERVFAIL/);
    assert.equal(server.count("MX", "s.test"), 1, "kept for a few seconds");
  });

  it("forgets a failure after five seconds", async (t) => {
    const clock = handClock();
    const { server, resolver } = await setUp(t, { "s.test": { fault: "SERVFAIL" } }, { clock });
    await resolver.mx("s.test");
    clock.time += 4_999;
    await resolver.mx("s.test");
    assert.equal(server.count(), 1);
    clock.time += 1;
    server.zone["s.test"] = { MX: [{ preference: 1, exchange: "mx.test" }] };
    assert.equal((await resolver.mx("s.test")).kind, "found");
  });

  it("goes on to the next server, and starts there the next time", async (t) => {
    const dead = await serve(t, {});
    await dead.close();
    const refusing = await serve(t, { "x.test": { fault: "REFUSED" } });
    const good = await serve(t, { "x.test": { A: ["192.0.2.1"] }, "y.test": { A: ["192.0.2.1"] } });
    const resolver = createResolver({ servers: [dead.endpoint, refusing.endpoint, good.endpoint], timeout: 500 });
    t.after(() => resolver.close());
    assert.equal((await resolver.addresses("x.test", "ipv4")).kind, "found");
    assert.equal((await resolver.addresses("y.test", "ipv4")).kind, "found");
    assert.equal(refusing.count("A", "y.test"), 0);
  });

  it("asks by TCP where the answer was cut, or is too long for UDP", async (t) => {
    const { server, resolver } = await setUp(t, {
      "cut.test": { A: ["192.0.2.1"], fault: "truncated" },
      "long.test": { TXT: Array.from({ length: 40 }, (_, i) => `${i}${"x".repeat(200)}`) },
    });
    assert.equal((await resolver.addresses("cut.test", "ipv4")).kind, "found");
    const long = await resolver.txt("long.test");
    assert.equal(long.kind === "found" && long.records.length, 40);
    assert.deepEqual(
      server.questions.map((q) => q.over),
      ["udp", "tcp", "udp", "tcp"],
    );
  });

  it("ignores answers with another id or another question", async (t) => {
    const { resolver } = await setUp(t, { "x.test": { A: ["192.0.2.1"], fault: "foreign" } });
    assert.equal((await resolver.addresses("x.test", "ipv4")).kind, "found");
  });

  it("asks a server that knows no EDNS without it", async (t) => {
    const { server, resolver } = await setUp(t, { "x.test": { A: ["192.0.2.1"], fault: "no-edns" } });
    assert.equal((await resolver.addresses("x.test", "ipv4")).kind, "found");
    assert.equal(server.count(), 2);
  });
});

describe("resolver: load", () => {
  it("asks the same question once at a time", async (t) => {
    const { server, resolver } = await setUp(t, { "x.test": { A: ["192.0.2.1"], ttl: 0 } });
    const answers = await Promise.all(Array.from({ length: 50 }, () => resolver.addresses("x.test", "ipv4")));
    assert.ok(answers.every((answer) => answer.kind === "found"));
    assert.equal(server.count(), 1);
    await resolver.addresses("x.test", "ipv4");
    assert.equal(server.count(), 2, "a TTL of 0 is not kept");
  });

  it("has only so many questions under way, and answers all", async (t) => {
    let open = 0;
    let most = 0;
    const held: (() => void)[] = [];
    const release = () => {
      for (const go of held.splice(0)) go();
    };
    const resolver = createResolver({
      servers: ["127.0.0.1"],
      ask: async (_server, question) => {
        most = Math.max(most, ++open);
        await new Promise<void>((go) => held.push(go));
        open--;
        throw new Error(`no network for ${question.name}`);
      },
    });
    t.after(() => resolver.close());
    const count = OUTSTANDING_LIMIT * 3 + 5;
    let answered = 0;
    const all = Array.from({ length: count }, async (_, i) => {
      const answer = await resolver.mx(`x${i}.test`);
      assert.equal(answer.kind, "failed");
      answered++;
    });
    while (answered < count) {
      await new Promise((go) => setImmediate(go));
      release();
    }
    await Promise.all(all);
    assert.equal(most, OUTSTANDING_LIMIT);
  });

  it("ends what is under way when it is closed", async (t) => {
    const { resolver } = await setUp(t, { "q.test": { fault: "silent" } });
    const asked = resolver.mx("q.test");
    setImmediate(() => resolver.close());
    assert.equal((await asked).kind, "failed");
    assert.equal((await resolver.mx("z.test")).kind, "failed");
  });

  it("refuses servers that are no addresses", () => {
    for (const server of ["ns.test", "127.0.0.1:99999", "[::1", "1.2.3"])
      assert.throws(() => createResolver({ servers: [server] }), RangeError);
  });
});
