import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { referencePath } from "../../scripts/config-reference.ts";
import { tempFolder } from "../../test/support/temp-folder.ts";
import { selfSignedCertificate } from "../net/certificate.ts";
import { createResolver } from "../net/resolver.ts";
import { defaultServerOptions } from "../server/options.ts";
import { parseConfig } from "./config.ts";
import { readEnvironment } from "./environment.ts";
import { formatProblems } from "./format.ts";
import { readConfig } from "./read-config.ts";
import { configReference } from "./reference.ts";
import type { Config } from "./settings.ts";
import { parseSize } from "./units.ts";

const issue = `
hostname = "mail.example.test"
data = "./data"
[listen]                                # several addresses each
submission  = ["127.0.0.1:2587"]
submissions = ["127.0.0.1:2465"]
smtp        = ["127.0.0.1:2525"]
[tls]
certificate = "cert.pem"
key = "key.pem"
[domains]
local = ["Example.test"]
recipients = ["info@example.test"]
postmaster = "alice@example.test"
[dns]
servers = ["127.0.0.1:5353"]
[delivery]
port = 25
[[route]]
domain = "*"
to = "smtp://127.0.0.1:2526"
`;

function good(text: string, machineName?: string): Config {
  const result = parseConfig(text, { folder: "/etc/postrider", ...(machineName === undefined ? {} : { machineName }) });
  if (result.kind === "invalid") assert.fail(formatProblems("t.toml", result.problems));
  return result.config;
}

function bad(text: string, machineName = "mail.example.test"): string[] {
  const result = parseConfig(text, { folder: "/", machineName });
  return result.kind === "ok" ? [] : formatProblems("t.toml", result.problems).trimEnd().split("\n");
}

describe("configuration: what is right", () => {
  it("takes the names of the issue", () => {
    const config = good(issue);
    assert.equal(config.hostname, "mail.example.test");
    assert.equal(config.data, "/etc/postrider/data");
    assert.deepEqual(
      config.listen.map(({ kind, endpoint }) => [kind, endpoint.host, endpoint.port]),
      [
        ["submission", "127.0.0.1", 2587],
        ["submissions", "127.0.0.1", 2465],
        ["smtp", "127.0.0.1", 2525],
      ],
    );
    assert.deepEqual(config.tls, { kind: "files", certificate: "/etc/postrider/cert.pem", key: "/etc/postrider/key.pem" });
    assert.deepEqual([...config.domains.local], ["example.test"]);
    assert.deepEqual([...config.domains.recipients], ["info@example.test"]);
    assert.deepEqual(config.domains.postmaster, { localPart: "alice", domain: "example.test" });
    assert.deepEqual(config.dns, { servers: ["127.0.0.1:5353"], timeout: 2000 });
    assert.deepEqual(config.routes, [{ domain: { kind: "any" }, to: { kind: "host", host: "127.0.0.1", port: 2526 } }]);
    createResolver(config.dns).close();
  });

  it("has a default for everything but the name, which the machine may give", () => {
    const config = good("", "Mail.example.test");
    assert.equal(config.hostname, "mail.example.test");
    assert.deepEqual(config.server, { hostname: "mail.example.test", ...defaultServerOptions });
    assert.deepEqual(config.tls, { kind: "self-signed" });
    assert.deepEqual(
      config.listen.map(({ kind, endpoint }) => `${kind} ${endpoint.host} ${endpoint.port} ${endpoint.optional}`),
      [
        "submission 0.0.0.0 587 false",
        "submission :: 587 true",
        "submissions 0.0.0.0 465 false",
        "submissions :: 465 true",
        "smtp 0.0.0.0 25 false",
        "smtp :: 25 true",
      ],
    );
    assert.deepEqual(
      config.delivery.retry,
      [5, 10, 20, 40, 60, 120, 240].map((n) => n * 60_000),
    );
    assert.equal(config.delivery.maxAge, 5 * 86_400_000);
    assert.equal(config.delivery.hostname, "mail.example.test");
    assert.equal(config.drain, 8000);
    assert.equal(config.dns.servers, undefined);
  });

  it("turns a listener that is left out off", () => {
    assert.deepEqual(
      good('hostname = "a.test"\n[listen]\nsmtp = ["[::1]:25", "*:26"]').listen.map(
        ({ kind, endpoint }) => `${kind} ${endpoint.host}:${endpoint.port}`,
      ),
      ["smtp ::1:25", "smtp 0.0.0.0:26", "smtp :::26"],
    );
  });

  it("takes the other forms of its values", () => {
    const config = good(`
hostname = "a.test"
[domains]
local = ["bücher.test", "here.test"]
recipients = ["*@here.test"]
[delivery]
hostname = "out.a.test"
source_addresses = ["192.0.2.1", "2001:DB8::1"]
max_age = "1h30m"
retry = ["1m"]
[limits]
message_size = "50MB"
deliver_by = "1m30s"
[submission]
hide_client = true
max_hold = "2d"
max_priority = 9
[leniency]
loose_dots = true
[[route]]
domain = "xn--bcher-kva.test"
to = "mx"
[[route]]
domain = "*.sub.test"
to = "smtp://[2001:db8::2]:26"
[[route]]
domain = "*"
to = "smtp://MX.next.test"
`);
    assert.deepEqual([...config.domains.local], ["xn--bcher-kva.test", "here.test"]);
    assert.deepEqual([...config.domains.anyRecipient], ["here.test"]);
    assert.deepEqual(config.delivery.sources, ["192.0.2.1", "2001:db8::1"]);
    assert.equal(config.delivery.maxAge, 5_400_000);
    assert.equal(config.server.maxSize, 50_000_000);
    assert.equal(config.server.hideSubmitter, true);
    assert.deepEqual([config.server.maxHold, config.server.maxPriority, config.server.minDeliverBy], [172_800_000, 9, 90]);
    assert.equal(config.server.leniencies.looseDots, true);
    assert.deepEqual(config.routes, [
      { domain: { kind: "exact", domain: "xn--bcher-kva.test" }, to: { kind: "mx" } },
      { domain: { kind: "below", domain: "sub.test" }, to: { kind: "host", host: "2001:db8::2", port: 26 } },
      { domain: { kind: "any" }, to: { kind: "host", host: "mx.next.test", port: 25 } },
    ]);
  });
});

describe("configuration: what is wrong", () => {
  it("tells all problems at once, each with key, line and what was expected", () => {
    const problems = bad(`hostname = "exa mple"
dta = "./data"
[listen]
submision = ["127.0.0.1:2587"]
smtp = ["127.0.0.1", "127.0.0.1:99999", 25]
[domains]
local = [
  "example.test", # comment ]
  "exa mple",
]
postmaster = "alice"
[delivery]
port = "25"
max_age = 5
families = "ipv5"
[limits]
message_size = "lots"
[unheard]
x = 1
[[route]]
domain = "*"
to = "http://x"
[[route]]
to = "mx"
next = 1
`);
    const domain = 'a domain name such as "example.test"';
    const listen = '"address:port" such as "127.0.0.1:587", "[::]:587", or "*:587" for all interfaces';
    assert.deepEqual(problems, [
      `t.toml:1: hostname: expected ${domain}, got "exa mple"`,
      't.toml:2: dta: unknown key, did you mean "data"?',
      't.toml:4: listen.submision: unknown key, did you mean "listen.submission"?',
      `t.toml:5: listen.smtp[0]: expected ${listen}, got "127.0.0.1"`,
      `t.toml:5: listen.smtp[1]: expected ${listen}, got "127.0.0.1:99999"`,
      `t.toml:5: listen.smtp[2]: expected ${listen}, got 25`,
      `t.toml:7: domains.local[1]: expected ${domain}, got "exa mple"`,
      't.toml:11: domains.postmaster: expected an address such as "alice@example.test", got "alice"',
      't.toml:13: delivery.port: expected a whole number from 1 to 65535, got "25"',
      't.toml:14: delivery.max_age: expected a duration above zero such as "30s", "5m", "4h" or "5d", got 5',
      't.toml:15: delivery.families: expected "both", "ipv4" or "ipv6", got "ipv5"',
      't.toml:17: limits.message_size: expected a number of octets, or a size such as "50MB", got "lots"',
      "t.toml:18: unheard: unknown key",
      't.toml:22: route[0].to: expected "mx", "smtp://host:port", "smtps://host:port", "lmtp://host:port", "lmtp:///socket", "maildir:/folder", "discard" or "hold", got "http://x"',
      't.toml:23: route[1].domain: expected a domain name, "*.example.test" for all below it, or "*" for any, got nothing',
      "t.toml:25: route[1].next: unknown key",
    ]);
  });

  it("tells a key that stands in the wrong table", () => {
    assert.deepEqual(bad('certificate = "x"'), ['t.toml:1: certificate: unknown key, did you mean "tls.certificate"?']);
    assert.deepEqual(bad("[limits]\nmessage-size = 1"), [
      't.toml:2: limits.message-size: unknown key, did you mean "limits.message_size"?',
    ]);
  });

  it("tells tables that are none, and lists that are none", () => {
    assert.deepEqual(bad("listen = 1\nroute = 2\n[domains]\nlocal = 'a.test'"), [
      "t.toml:1: listen: expected a table, got 1",
      "t.toml:2: route: expected tables that begin with [[route]], got 2",
      't.toml:4: domains.local: expected a list of domain names, got "a.test"',
    ]);
  });

  it("tells the line and column of a syntax error", () => {
    assert.deepEqual(bad('hostname = "a.test"\nport = = 1'), ["t.toml:2:8: syntax error: invalid value"]);
    assert.match(bad("[tls]\nkey = 'a'\nkey = 'b'")[0] ?? "", /^t\.toml:3:\d+: syntax error: trying to redefine an already defined/);
  });

  it("wants a local domain to have a route", () => {
    const local = '[domains]\nlocal = ["a.test", "b.c.test"]\n';
    assert.deepEqual(bad(local), [
      "t.toml:2: domains.local[0]: expected a [[route]] for a.test that says where its mail goes: the default, its MX, would lead back to this server",
      "t.toml:2: domains.local[1]: expected a [[route]] for b.c.test that says where its mail goes: the default, its MX, would lead back to this server",
    ]);
    assert.equal(bad(`${local}[[route]]\ndomain = "a.test"\nto = "mx"\n`).length, 1);
    assert.equal(bad(`${local}[[route]]\ndomain = "*.test"\nto = "mx"\n`).length, 0);
    assert.equal(bad(`${local}[[route]]\ndomain = "*.c.test"\nto = "mx"\n[[route]]\ndomain = "*.a.test"\nto = "mx"\n`).length, 1);
  });

  it("finds what does not go together", () => {
    const problems = bad(`[listen]
submission = ["127.0.0.1:2587", "0.0.0.0:2525"]
smtp = ["127.0.0.1:2525", "[::]:2525", "127.0.0.1:0", "127.0.0.1:0"]
[tls]
certificate = "x"
[domains]
recipients = ["a@b.test"]
[delivery]
families = "ipv4"
source_addresses = ["192.0.2.1", "192.0.2.1", "::1"]
retry = []
[[route]]
domain = "*"
to = "smtp://127.0.0.1:2525"
[[route]]
domain = "x.test"
to = "smtp://[::1]:2525"
`);
    assert.deepEqual(problems, [
      "t.toml:3: listen.smtp[0]: the same address and port as listen.submission[1]",
      "t.toml:4: tls.key: expected the file of the certificate's private key, got nothing",
      "t.toml:7: domains.recipients[0]: b.test is not in domains.local",
      "t.toml:10: delivery.source_addresses[1]: is named twice",
      't.toml:10: delivery.source_addresses[2]: is never used: delivery.families is "ipv4"',
      "t.toml:11: delivery.retry: expected at least one duration",
      "t.toml:14: route[0].to: leads to this server itself (listen.submission[1]): mail would go in a circle",
      "t.toml:17: route[1].to: leads to this server itself (listen.smtp[1]): mail would go in a circle",
    ]);
    assert.match(bad("[listen]")[0] ?? "", /nothing would be listened on/);
    assert.match(bad("[tls]")[0] ?? "", /expected certificate and key, got neither/);
    assert.match(bad('[[route]]\ndomain = "*"\nto = "smtp://localhost:25"')[0] ?? "", /leads to this server itself/);
  });

  it("wants a full name where the machine has none", () => {
    const words = 'hostname: expected this server\'s full domain name, such as "mail.example.test", got nothing';
    assert.deepEqual(bad("", "box"), [`t.toml: ${words} (this machine calls itself "box")`]);
    assert.deepEqual(bad("", "localhost.localdomain").length, 1);
  });

  it("never throws, whatever the text", () => {
    const piece = fc.constantFrom(
      "[",
      "]",
      "=",
      '"',
      "'",
      "\n",
      "route",
      "domain",
      "[[route]]\n",
      "listen",
      "smtp = ",
      "1",
      "\\",
      "#",
      "é",
      ".",
      "{}",
      "[]",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 6 })), { maxLength: 30 }), (parts) => {
        const result = parseConfig(parts.join(""), { folder: "/" });
        if (result.kind === "invalid") formatProblems("t", result.problems);
      }),
      { numRuns: 2000 },
    );
  });

  it("is not led astray by names that every object has", () => {
    for (const key of ["constructor", "toString", "__proto__"]) {
      assert.equal(bad(`${key} = 1`).length, 1, key);
      assert.equal(bad(`[${key}]\nx = 1`).length, 1, key);
      assert.equal(bad(`[listen]\nsmtp = ["*:25"]\n${key} = 1`).length, 1, key);
    }
  });
});

describe("configuration: files", () => {
  it("is read with its certificate", (t) => {
    const folder = tempFolder(t);
    const path = join(folder, "postrider.toml");
    const made = selfSignedCertificate({ names: ["mail.example.test"] });
    writeFileSync(path, issue);
    writeFileSync(join(folder, "cert.pem"), made.certificate);
    writeFileSync(join(folder, "key.pem"), made.key);
    const result = readConfig(path);
    assert.ok(result.kind === "ok");
    assert.equal(result.certificate?.keyLabel, join(folder, "key.pem"));
    writeFileSync(join(folder, "key.pem"), selfSignedCertificate({ names: ["x.test"] }).key);
    const other = readConfig(path);
    assert.match(
      other.kind === "invalid" ? formatProblems(path, other.problems) : "",
      /tls: the key .*key\.pem does not belong to the certificate .*cert\.pem/,
    );
  });

  it("says which file is not there or cannot be read", (t) => {
    const folder = tempFolder(t);
    const path = join(folder, "postrider.toml");
    const words = () => {
      const result = readConfig(path);
      return result.kind === "invalid" ? formatProblems("p", result.problems) : "";
    };
    assert.equal(words(), `p: there is no file ${path}\n`);
    writeFileSync(path, issue);
    assert.equal(
      words(),
      `p: tls.certificate: there is no file ${join(folder, "cert.pem")}\np: tls.key: there is no file ${join(folder, "key.pem")}\n`,
    );
    writeFileSync(path, Buffer.from([0xff, 0xfe]));
    assert.match(words(), /is not UTF-8 text/);
    assert.match(readConfig(folder).kind === "invalid" ? "folder" : "", /folder/);
    if (process.getuid?.() !== 0) {
      chmodSync(path, 0);
      assert.match(words(), /permission denied/);
    }
  });

  it("has a reference that is up to date (node scripts/config-reference.ts)", () => {
    assert.equal(readFileSync(referencePath, "utf8"), configReference());
  });
});

describe("units", () => {
  it("reads sizes", () => {
    const sizes: [unknown, number | undefined][] = [
      [35_882_577, 35_882_577],
      ["50MB", 50_000_000],
      ["50 MiB", 52_428_800],
      ["1.5KB", 1500],
      ["10B", 10],
      [-1, undefined],
      [1.5, undefined],
      ["50", undefined],
      ["50mb", undefined],
    ];
    for (const [value, octets] of sizes) assert.equal(parseSize(value), octets, String(value));
  });
});

describe("environment", () => {
  it("is read once, empty being absent", () => {
    assert.deepEqual(readEnvironment({}), { noColor: false });
    assert.deepEqual(readEnvironment({ POSTRIDER_CONFIG: "a", POSTRIDER_PASSWORD: "", NO_COLOR: "1" }), {
      config: "a",
      password: "",
      noColor: true,
    });
    assert.deepEqual(readEnvironment({ POSTRIDER_CONFIG: "", NO_COLOR: "" }), { noColor: false });
  });
});
