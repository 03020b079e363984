import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect, TLSSocket } from "node:tls";
import { tempFolder } from "../../test/support/temp-folder.ts";
import { selfSignedCertificate } from "./certificate.ts";
import { type CertificatePair, checkCertificate, clientContext, serverContext } from "./tls-context.ts";

const names = ["mail.example.test", "localhost", "127.0.0.1", "::1"];

function has(command: string): string | false {
  try {
    execFileSync(command, [command === "openssl" ? "version" : "--version"], { stdio: "ignore" });
    return false;
  } catch {
    return `${command} is not installed`;
  }
}

function pairOf(made: { certificate: string; key: string }): CertificatePair {
  return { ...made, certificateLabel: "cert.pem", keyLabel: "key.pem" };
}

describe("self-signed certificate", () => {
  it("is what Node takes it for", () => {
    const { certificate } = selfSignedCertificate({ names, now: Date.UTC(2026, 0, 1) });
    const x509 = new X509Certificate(certificate);
    assert.equal(x509.subject, "CN=mail.example.test");
    assert.equal(x509.ca, false);
    assert.equal(x509.checkHost("mail.example.test"), "mail.example.test");
    assert.equal(x509.checkHost("other.test"), undefined);
    assert.equal(x509.checkIP("127.0.0.1"), "127.0.0.1");
    assert.equal(x509.checkIP("::1"), "::1");
    assert.ok(x509.verify(x509.publicKey));
    assert.equal(Date.parse(x509.validFrom), Date.UTC(2026, 0, 1) - 3_600_000);
    assert.ok(Date.parse(x509.validTo) > Date.UTC(2035, 11, 1));
    assert.match(new X509Certificate(selfSignedCertificate({ names, now: Date.UTC(2050, 0, 1) }).certificate).validTo, /205\d|206\d/);
  });

  it("takes U-labels and long names, and refuses what is no name", () => {
    const long = `${"a".repeat(60)}.${"b".repeat(60)}.test`;
    const x509 = new X509Certificate(selfSignedCertificate({ names: [long, "bücher.test"] }).certificate);
    assert.equal(x509.checkHost(long), long);
    assert.ok(x509.checkHost("xn--bcher-kva.test"));
    for (const bad of ["", "a b", "a\0b", "a,DNS:b"]) assert.throws(() => selfSignedCertificate({ names: [bad] }), RangeError);
  });

  it("is read by openssl and verified as its own anchor, strictly", { skip: has("openssl") }, (t) => {
    const folder = tempFolder(t);
    const file = join(folder, "cert.pem");
    const { certificate, key } = selfSignedCertificate({ names });
    writeFileSync(file, certificate);
    writeFileSync(join(folder, "key.pem"), key);
    const text = execFileSync("openssl", ["x509", "-in", file, "-noout", "-text"], { encoding: "utf8" });
    assert.match(text, /Version: 3/);
    assert.match(text, /DNS:mail\.example\.test, DNS:localhost, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1/);
    assert.match(text, /TLS Web Server Authentication/);
    execFileSync("openssl", ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost", "-CAfile", file, file]);
    execFileSync("openssl", ["pkey", "-in", join(folder, "key.pem"), "-check", "-noout"]);
  });

  it("is taken by Python's ssl with its host name checked", { skip: has("python3") }, async (t) => {
    const folder = tempFolder(t);
    const made = selfSignedCertificate({ names });
    writeFileSync(join(folder, "cert.pem"), made.certificate);
    const port = await echoServer(t, pairOf(made));
    const program = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT
for name in ("mail.example.test", "localhost", "127.0.0.1"):
    with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as s, context.wrap_socket(s, server_hostname=name) as t:
        print(t.version())
`;
    const { execFile } = await import("node:child_process");
    const output = await new Promise<string>((resolve, reject) =>
      execFile("python3", ["-c", program, join(folder, "cert.pem"), String(port)], (error, out) => (error ? reject(error) : resolve(out))),
    );
    assert.equal(output.trim().split("\n").length, 3);
  });
});

/** Wraps each connection as a STARTTLS server would. Returns the port. */
async function echoServer(t: { after(f: () => void): void }, pair: CertificatePair): Promise<number> {
  const context = serverContext(pair);
  const server = createTcpServer((socket) => {
    const secure = new TLSSocket(socket, { isServer: true, secureContext: context.current });
    secure.on("error", () => {});
    secure.on("end", () => secure.end());
    secure.pipe(secure);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe("TLS contexts", () => {
  it("joins server and clients of both policies, and refuses a stranger where verification is wanted", async (t) => {
    const made = selfSignedCertificate({ names });
    const port = await echoServer(t, pairOf(made));
    const greet = async (policy: Parameters<typeof clientContext>[0]): Promise<string> => {
      const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ...clientContext(policy) });
      t.after(() => socket.destroy());
      await once(socket, "secureConnect");
      return socket.getProtocol() ?? "";
    };
    assert.equal(await greet({ kind: "opportunistic" }), "TLSv1.3");
    assert.equal(await greet({ kind: "verified", authorities: made.certificate }), "TLSv1.3");
    await assert.rejects(greet({ kind: "verified" }), /self-signed/);
  });

  it("resumes a session across contexts that share their ticket keys", async (t) => {
    const first = serverContext(pairOf(selfSignedCertificate({ names })), Buffer.alloc(48, 3));
    const second = serverContext(pairOf(selfSignedCertificate({ names })), Buffer.alloc(48, 3));
    let current = first;
    const server = createTcpServer((socket) => {
      const secure = new TLSSocket(socket, { isServer: true, secureContext: current.current });
      secure.on("error", () => {});
      secure.once("data", () => secure.end("bye"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const visit = async (session?: Buffer) => {
      const socket = connect({ host: "127.0.0.1", port, ...clientContext({ kind: "opportunistic" }), ...(session ? { session } : {}) });
      let ticket: Buffer | undefined;
      socket.on("session", (s: Buffer) => {
        ticket = s;
      });
      let reused = false;
      socket.on("secureConnect", () => {
        reused = socket.isSessionReused();
      });
      socket.write("hello");
      socket.resume();
      await once(socket, "close");
      return { reused, ticket };
    };
    const { ticket, reused } = await visit();
    assert.ok(ticket !== undefined && !reused);
    current = second;
    assert.ok((await visit(ticket)).reused);
  });

  it("says in words what is wrong with a certificate or its key, and keeps the old one", () => {
    const good = selfSignedCertificate({ names });
    const other = selfSignedCertificate({ names });
    const pair = pairOf(good);
    const context = serverContext(pair);
    assert.deepEqual(context.facts.names, ["mail.example.test", "localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"]);
    assert.ok(context.facts.selfSigned);
    const before = context.current;
    const bad: [Partial<CertificatePair>, RegExp][] = [
      [{ key: other.key }, /the key key\.pem does not belong to the certificate cert\.pem/],
      [{ certificate: "hello" }, /cert\.pem is not PEM/],
      [{ key: "" }, /key\.pem is not PEM/],
      [{ certificate: good.key }, /cert\.pem holds a private key, not a certificate: are the two files exchanged/],
      [{ key: good.certificate }, /key\.pem holds a certificate, not a private key/],
      [{ certificate: good.certificate.replace("MII", "AAA") }, /cert\.pem: the certificate in it is damaged/],
      [{ key: good.key.replace("MIG", "AAA") }, /key\.pem: the private key in it is damaged/],
      [{ key: "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" }, /protected by a passphrase/],
    ];
    for (const [change, words] of bad) {
      assert.throws(() => context.reload({ ...pair, ...change }), words);
      assert.throws(() => checkCertificate({ ...pair, ...change }), { name: "CertificateError" });
    }
    assert.equal(context.current, before);
    context.reload(pairOf(other));
    assert.notEqual(context.current, before);
  });
});
