/**
 * DKIM and ARC with others: what is signed here is verified by dkimpy, OpenDKIM and Mail::DKIM, and what they sign is verified here, in all
 * four canonical forms, with RSA and Ed25519.
 *
 * Rules
 * 1. Keys are read from a table, or from a DNS server on loopback: nothing is asked outside.
 * 2. One run of a program serves all messages; a message that it does not accept is named.
 */
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, it } from "node:test";
import { verifySignatures } from "../../src/authentication/dkim.ts";
import { memoryContent } from "../../src/mail/content.ts";
import { txtStrings } from "../../src/message/dkim/key-tools.ts";
import { concat, utf8 } from "../../src/util/bytes.ts";
import { suiteCleanup } from "../support/cleanup.ts";
import { type DnsServer, startDnsServer } from "../support/dns-server.ts";
import { describeUnless, type RunOptions, runWell, skipFor, unpackedFolder } from "../support/programs.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { assertVerifiedHere, contents, dns, pems, records, type Sample, sealedHere, seed, signedHere } from "./dkim-samples.ts";

const root = join(unpackedFolder, "dkim");
const libraries = foldersBelow(join(root, "usr/lib"), (name) => /\.so\.[0-9]+/.test(name));
const environment: RunOptions = {
  env: {
    LD_LIBRARY_PATH: libraries.join(":"),
    PYTHONPATH: join(root, "usr/lib/python3/dist-packages"),
    PERL5LIB: [join(root, "usr/share/perl5"), ...perlFolders(), process.env.PERL5LIB ?? ""].filter((folder) => folder !== "").join(":"),
  },
};

/** Debian's own, which its modules were built for. */
const PYTHON = "/usr/bin/python3";
const PERL = "/usr/bin/perl";

function missing(...paths: readonly string[]): string | false {
  const known = (path: string): boolean => existsSync(join(root, path)) || existsSync(join("/", path));
  const absent = paths.filter((path) => !known(path)).map((path) => `${path} is not installed`);
  return skipFor([...absent, ...[PYTHON, PERL].filter((path) => !existsSync(path)).map((path) => `${path} is not installed`)]);
}

/** Folders of the system's architecture: `x86_64-linux-gnu` and the like. */
function foldersBelow(folder: string, has: (name: string) => boolean): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return [...new Set(entries.filter(({ name }) => has(name)).map(({ parentPath }) => parentPath))];
}

function perlFolders(): string[] {
  const lib = join(root, "usr/lib");
  if (!existsSync(lib)) return [];
  const found = readdirSync(lib).flatMap((triplet) => {
    const folder = join(lib, triplet, "perl5");
    return existsSync(folder) ? readdirSync(folder).map((version) => join(folder, version)) : [];
  });
  return [...found, join(lib, "perl5")];
}

const base64 = (samples: readonly Sample[]): string[] => samples.map(({ message }) => Buffer.from(message).toString("base64"));

/** One line of output for each sample. */
async function answers(program: string, script: string, input: unknown): Promise<string[]> {
  const flags = program === PYTHON ? ["-c", script] : ["-e", script];
  const { stdout } = await runWell(program, flags, { ...environment, input: JSON.stringify(input) });
  return stdout.trim().split("\n");
}

describeUnless(missing("usr/lib/python3/dist-packages/dkim/__init__.py", "usr/lib/python3/dist-packages/nacl/signing.py"), "dkimpy", () => {
  const prelude = `
import base64, json, sys, dkim
asked = json.load(sys.stdin)
def dns(name, timeout=5):
    text = asked["records"].get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
    return None if text is None else text.encode()
messages = [base64.b64decode(m) for m in asked["messages"]]
`;

  it("verifies what is signed here", async () => {
    const samples = signedHere();
    const script = `${prelude}
for m in messages:
    print([dkim.DKIM(m).verify(idx=i, dnsfunc=dns) for i in range(2)])`;
    const said = await answers(PYTHON, script, { records, messages: base64(samples) });
    for (const [i, { name }] of samples.entries()) assert.equal(said[i], "[True, True]", name);
  });

  it("verifies chains that are sealed here", async () => {
    const samples = sealedHere();
    const script = `${prelude}
for m in messages:
    print(dkim.arc_verify(m, dnsfunc=dns)[0].decode())`;
    const said = await answers(PYTHON, script, { records, messages: base64(samples) });
    for (const [i, { name }] of samples.entries()) assert.equal(said[i], "pass", name);
  });

  it("signs what is verified here", async () => {
    const names = Object.keys(contents);
    const script = `${prelude}
for m in messages:
    for h in (b"relaxed", b"simple"):
        for b in (b"relaxed", b"simple"):
            for s, k, a in ((b"rsa", asked["rsa"], b"rsa-sha256"), (b"ed", asked["seed"], b"ed25519-sha256")):
                f = dkim.sign(m, s, b"example.com", k.encode(), canonicalize=(h, b), signature_algorithm=a)
                print(base64.b64encode(f + m).decode())`;
    const input = { records, rsa: pems.rsa, seed, messages: names.map((name) => Buffer.from(contents[name] as string).toString("base64")) };
    const said = await answers(PYTHON, script, input);
    assert.equal(said.length, names.length * 8);
    await assertVerifiedHere(said.map((line, i) => ({ name: names[i >> 3] as string, message: Buffer.from(line, "base64") })));
  });
});

describeUnless(missing("usr/sbin/opendkim"), "OpenDKIM", () => {
  const suite = suiteCleanup();
  let folder: string;
  before(() => {
    folder = tempFolder(suite);
    writeFileSync(
      join(folder, "keys"),
      Object.entries(records)
        .map(([name, text]) => `${name} ${text}\n`)
        .join(""),
    );
    for (const [name, pem] of Object.entries(pems)) writeFileSync(join(folder, `${name}.pem`), pem, { mode: 0o600 });
  });

  /** Has it look at messages without listening anywhere; what it would do to them. */
  async function evaluated(config: string, samples: readonly { readonly name: string; readonly message: Uint8Array }[]): Promise<string[]> {
    writeFileSync(join(folder, "opendkim.conf"), `Syslog no\nRequireSafeKeys no\n${config}`);
    const program = [join(root, "usr/sbin/opendkim"), "/usr/sbin/opendkim"].find((path) => existsSync(path)) as string;
    const said: string[] = [];
    for (const { message } of samples) {
      writeFileSync(join(folder, "message"), message);
      const { stdout } = await runWell(program, ["-x", join(folder, "opendkim.conf"), "-t", join(folder, "message"), "-vvv"], environment);
      said.push(stdout);
    }
    return said;
  }

  it("verifies what is signed here", async () => {
    const samples = signedHere();
    const config = `Mode v\nTestPublicKeys ${join(folder, "keys")}\nAuthservID mx.test\nAlwaysAddARHeader yes\n`;
    const said = await evaluated(config, samples);
    for (const [i, { name }] of samples.entries()) {
      assert.match(said[i] as string, /dkim=pass[^;]*header\.a=rsa-sha256[^;]*;/, name);
      assert.match(said[i] as string, /dkim=pass[^;]*header\.a=ed25519-sha256[^;]*;/, name);
    }
  });

  it("signs what is verified here", async () => {
    const plain = Object.entries(contents).map(([name, text]) => ({ name, message: utf8(text) }));
    for (const canonical of ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"]) {
      const config = `Mode s\nDomain example.com\nSelector rsa\nKeyFile ${join(folder, "rsa.pem")}\nCanonicalization ${canonical}\nSignatureAlgorithm rsa-sha256\nOversignHeaders From\n`;
      const said = await evaluated(config, plain);
      const signed = said.map((text, i) => {
        const value = /hname='DKIM-Signature' hvalue='([^']*)'/.exec(text)?.[1];
        assert.ok(value !== undefined, text);
        const field = utf8(`DKIM-Signature: ${value.trimStart().replaceAll(/\r?\n/g, "\r\n")}\r\n`);
        return { name: `${plain[i]?.name}, ${canonical}`, message: concat([field, (plain[i] as Sample).message]) };
      });
      await assertVerifiedHere(signed);
    }
  });
});

describeUnless(missing("usr/share/perl5/Mail/DKIM/Verifier.pm", "usr/share/perl5/Mail/DKIM/ARC/Signer.pm"), "Mail::DKIM", () => {
  const suite = suiteCleanup();
  let server: DnsServer;
  let folder: string;
  before(async () => {
    folder = tempFolder(suite);
    // It reads PKCS#1 alone.
    const pem = createPrivateKey(pems.rsa).export({ type: "pkcs1", format: "pem" });
    writeFileSync(join(folder, "rsa.pem"), pem, { mode: 0o600 });
    server = await startDnsServer(Object.fromEntries(Object.entries(records).map(([name, text]) => [name, { TXT: [txtStrings(text)] }])));
    suite.after(() => server.close());
  });

  const prelude = `
use strict; use JSON::PP; use MIME::Base64; use Net::DNS::Resolver;
use Mail::DKIM::DNS; use Mail::DKIM::Verifier; use Mail::DKIM::Signer; use Mail::DKIM::ARC::Verifier; use Mail::DKIM::ARC::Signer;
my $asked = decode_json(do { local $/; <STDIN> });
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => $asked->{port}, recurse => 1));
my @messages = map { decode_base64($_) } @{$asked->{messages}};
`;

  it("verifies what is signed here", async () => {
    const samples = signedHere();
    const script = `${prelude}
for my $m (@messages) {
  my $v = Mail::DKIM::Verifier->new; $v->PRINT($m); $v->CLOSE;
  print join(" ", map { $_->algorithm . "=" . $_->result_detail } $v->signatures), "\\n";
}`;
    const said = await answers(PERL, script, { port: server.port, messages: base64(samples) });
    for (const [i, { name }] of samples.entries()) {
      // Debian 12's does not know Ed25519 yet, and says so.
      assert.match(said[i] as string, /^rsa-sha256=pass ed25519-sha256=(?:pass|invalid \(unsupported algorithm ed25519-sha256\))$/, name);
    }
  });

  it("verifies chains that are sealed here", async () => {
    const samples = sealedHere();
    const script = `${prelude}
for my $m (@messages) {
  my $v = Mail::DKIM::ARC::Verifier->new; $v->PRINT($m); $v->CLOSE; print $v->result_detail, "\\n";
}`;
    const said = await answers(PERL, script, { port: server.port, messages: base64(samples) });
    for (const [i, { name }] of samples.entries()) assert.match(said[i] as string, /^pass/, name);
  });

  it("signs what is verified here", async () => {
    const names = Object.keys(contents);
    const script = `${prelude}
for my $m (@messages) {
  for my $method ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple") {
    my $s = Mail::DKIM::Signer->new(Algorithm => "rsa-sha256", Method => $method, Domain => "example.com", Selector => "rsa", KeyFile => $asked->{key});
    $s->PRINT($m); $s->CLOSE;
    my $f = $s->signature->as_string; $f =~ s/\\r?\\n/\\r\\n/g;
    print encode_base64("$f\\r\\n$m", ""), "\\n";
  }
}`;
    const input = {
      port: server.port,
      key: join(folder, "rsa.pem"),
      messages: names.map((name) => Buffer.from(contents[name] as string).toString("base64")),
    };
    const said = await answers(PERL, script, input);
    assert.equal(said.length, names.length * 4);
    await assertVerifiedHere(said.map((line, i) => ({ name: names[i >> 2] as string, message: Buffer.from(line, "base64") })));
  });

  it("seals what is verified here", async () => {
    const results = "Authentication-Results: mx.example.com; dkim=none; arc=none\r\n";
    const messages = Object.values(contents).map((text) => Buffer.from(results + text).toString("base64"));
    const script = `${prelude}
for my $m (@messages) {
  my $s = Mail::DKIM::ARC::Signer->new(Algorithm => "rsa-sha256", Domain => "example.com", SrvId => "mx.example.com", Selector => "rsa", KeyFile => $asked->{key}, Chain => "ar");
  $s->PRINT($m); $s->CLOSE;
  die $s->{details} unless $s->result eq "sealed";
  my $f = join("\\r\\n", $s->as_strings); $f =~ s/\\r?\\n/\\r\\n/g;
  print encode_base64("$f\\r\\n$m", ""), "\\n";
}`;
    const said = await answers(PERL, script, { port: server.port, key: join(folder, "rsa.pem"), messages });
    assert.equal(said.length, messages.length);
    for (const [i, line] of said.entries()) {
      const { arc } = await verifySignatures(memoryContent([Buffer.from(line, "base64")]), { dns, now: Date.now() });
      assert.equal(arc.verdict, "pass", `${Object.keys(contents)[i]}: ${arc.reason}`);
    }
  });
});
