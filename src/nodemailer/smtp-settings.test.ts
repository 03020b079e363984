import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ScriptedServer } from "../testing/index.ts";
import { parseConnectionUrl } from "./connection-url.ts";
import { createTransport, NodemailerError, type SmtpOptions } from "./index.ts";
import { findService } from "./services.ts";
import { isThisMachine, mergedOptions, smtpSettings } from "./smtp-settings.ts";

const hooks = { provision: () => undefined, got: () => {} };
const settings = (options: SmtpOptions) => smtpSettings(mergedOptions(options), hooks);
const transportOf = (options: SmtpOptions) => settings(options).transport;

test("TLS as in Nodemailer", () => {
  const cases: [SmtpOptions, string, number][] = [
    [{}, "opportunistic", 587],
    [{ port: 25 }, "opportunistic", 25],
    [{ secure: true }, "implicit", 465],
    [{ port: 465 }, "implicit", 465],
    [{ port: "465" }, "implicit", 465],
    [{ port: 465, secure: false }, "opportunistic", 465],
    [{ requireTLS: true }, "required", 587],
    [{ requireTLS: true, ignoreTLS: true }, "required", 587],
    [{ ignoreTLS: true }, "none", 587],
    [{ opportunisticTLS: true }, "opportunistic", 587],
    [{ secure: true, requireTLS: true }, "implicit", 465],
  ];
  for (const [options, tlsMode, port] of cases) {
    const made = transportOf({ host: "h.test", ...options });
    assert.deepEqual([made.tlsMode, made.port, made.tls?.verify], [tlsMode, port, true], JSON.stringify(options));
  }
  assert.equal(transportOf({ tls: { rejectUnauthorized: false } }).tls?.verify, false);
});

test("a password goes in clear to this machine alone", () => {
  for (const host of ["localhost", "127.0.0.1", "127.9.9.9", "::1", "/run/socket"]) assert.ok(isThisMachine(host), host);
  for (const host of ["example.test", "10.0.0.1", "127.0.0.1.example.test", "localhost.example.test"])
    assert.ok(!isThisMachine(host), host);
  const clear = (options: SmtpOptions) => transportOf({ auth: { user: "u", pass: "p" }, ...options }).passwordInClear;
  assert.equal(clear({}), true);
  assert.equal(clear({ host: "h.test" }), false);
  assert.equal(clear({ host: "h.test", allowPasswordInClear: true }), true);
});

test("a password that is kept back is told, with the option that lets it go", async () => {
  const script = "<- 220 mx\n-> EHLO *\n<- 250-mx\n<- 250 AUTH PLAIN";
  await using server = await ScriptedServer.start([
    `${script}\nsilence`,
    `${script}\n-> AUTH PLAIN AHUAcA==\n<- 235 2.7.0 ok\n-> NOOP\n<- 250 ok\n-> QUIT\n<- 221 bye`,
  ]);
  // An address of this machine that is not known as one.
  const options = { host: "127.1", port: server.port, auth: { user: "u", pass: "p" } };
  await assert.rejects(createTransport(options).verify(), { code: "EAUTH", message: /allowPasswordInClear/ });
  assert.equal(await createTransport({ ...options, host: "127.0.0.1" }).verify(), true);
  await server.done();
});

test("a login that is asked for is never left out", async () => {
  await using server = await ScriptedServer.start("<- 220 mx\n-> EHLO *\n<- 250 mx");
  const transporter = createTransport({ host: server.host, port: server.port, auth: { user: "u", pass: "p" } });
  await assert.rejects(transporter.verify(), { code: "EAUTH", message: /does not offer AUTH/ });
});

test("times, pool and rate as in Nodemailer", () => {
  const plain = settings({ host: "h" });
  assert.deepEqual(
    [plain.transport.timeouts?.connect, plain.transport.timeouts?.greeting, plain.transport.timeouts?.["sent-dot"]],
    [120_000, 30_000, 600_000],
  );
  assert.deepEqual(plain.transport.pool, { maxConnections: Number.MAX_SAFE_INTEGER, maxMessages: 1 });
  assert.equal(plain.transport.rate, undefined);
  assert.equal(plain.transport.retry, false);
  const set = settings({
    pool: true,
    connectionTimeout: 1,
    greetingTimeout: 2,
    socketTimeout: 3,
    rateLimit: 4,
    name: "me.test",
    lmtp: true,
  });
  assert.deepEqual([set.transport.timeouts?.connect, set.transport.timeouts?.greeting, set.transport.timeouts?.mail], [1, 2, 3]);
  assert.deepEqual(set.transport.pool, { maxConnections: 5, maxMessages: 100 });
  assert.deepEqual(set.transport.rate, { messages: 4, interval: 1000 });
  assert.deepEqual([set.transport.name, set.transport.protocol], ["me.test", "lmtp"]);
});

test("certificates, keys and names of TLS", () => {
  const key = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
  const locked = key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "pw" });
  const { tls } = transportOf({
    tls: { ca: [Buffer.from("one"), "two"], cert: "chain", key: locked, passphrase: "pw", servername: "mx.test", minVersion: "TLSv1.2" },
  });
  assert.deepEqual([tls?.authorities, tls?.name, tls?.certificate?.chain], ["one\ntwo", "mx.test", "chain"]);
  assert.match(tls?.certificate?.key ?? "", /^-----BEGIN PRIVATE KEY-----/);
});

test("who logs in, and how", () => {
  const auth = (given: SmtpOptions["auth"], rest: SmtpOptions = {}) => transportOf({ auth: given, ...rest }).auth;
  assert.deepEqual(auth({ user: "u", pass: "p" }), { user: "u", password: "p" });
  assert.deepEqual(auth({ credentials: { user: "u", pass: "p" }, type: "login", method: "cram-md5" }), {
    user: "u",
    password: "p",
    mechanisms: ["CRAM-MD5"],
  });
  assert.deepEqual(auth({ user: "u", pass: "p" }, { authMethod: "LOGIN" })?.mechanisms, ["LOGIN"]);
  assert.equal(auth({}), undefined);
  assert.equal(typeof auth({ type: "oauth2", user: "u", accessToken: "t" })?.token, "function");
});

test("what is not supported says so", () => {
  const cases: [SmtpOptions, RegExp][] = [
    [{ proxy: "http://p.test" }, /proxy is not supported/],
    [{ getSocket: () => {} }, /getSocket is not supported/],
    [{ customAuth: {} }, /customAuth is not supported/],
    [{ direct: true }, /direct is not supported/],
    [{ sendmail: true }, /sendmail is not supported: send by SMTP/],
    [{ SES: {} }, /SES is not supported: use its SMTP endpoint/],
    [{ auth: { type: "custom", user: "u" } }, /custom.* is not supported/],
    [{ auth: { type: "OAuth2" } }, /OAuth2 needs user/],
    [{ auth: { user: "u" } }, /auth needs user and pass/],
    [{ service: "no such service" }, /"no such service" is not known: set host/],
    [{ port: "smtp" }, /"smtp" is no port/],
    [{ tls: { checkServerIdentity: () => undefined } }, /tls.checkServerIdentity is not supported/],
    [{ tls: { minVersion: "TLSv1.3" } }, /TLSv1.3 is not supported/],
    [{ dkim: { domainName: "a.test" } }, /dkim needs/],
    [{ dkim: { domainName: "a.test", keySelector: "s", privateKey: "nonsense" } }, /dkim: DKIM key s of a.test/],
    [{ dkim: { domainName: "a.test", keySelector: "s", privateKey: "x", hashAlgo: "sha1" } }, /hashAlgo sha1/],
  ];
  for (const [options, message] of cases) {
    assert.throws(
      () => createTransport(options),
      (error) => error instanceof NodemailerError && message.test(error.message),
      String(message),
    );
  }
  assert.throws(() => createTransport("http://h.test"), { code: "ECONFIG" });
});

test("URLs", () => {
  assert.deepEqual(parseConnectionUrl("smtp://h.test"), { secure: false, host: "h.test" });
  assert.deepEqual(parseConnectionUrl("smtps:u:p%40ss@[::1]:4650?pool=true&maxConnections=3&tls.rejectUnauthorized=false&name=me.test"), {
    secure: true,
    host: "::1",
    port: 4650,
    auth: { user: "u", pass: "p@ss" },
    pool: true,
    maxConnections: 3,
    name: "me.test",
    tls: { rejectUnauthorized: false },
  });
  const odd = parseConnectionUrl("smtp://u:100%@h.test?host=evil.test&secure=true&__proto__=1&a.b=c&tls.__proto__=2");
  assert.deepEqual(odd, { secure: false, host: "h.test", auth: { user: "u", pass: "100%" } });
  const merged = mergedOptions({
    url: "smtp://u:p@h.test:26?tls.servername=x",
    port: 1,
    auth: { method: "LOGIN" },
    tls: { rejectUnauthorized: false },
  });
  assert.deepEqual(
    [merged.host, merged.port, merged.auth, merged.tls],
    ["h.test", 26, { method: "LOGIN", user: "u", pass: "p" }, { rejectUnauthorized: false, servername: "x" }],
  );
});

test("services: each of Nodemailer's names leads where it leads there", () => {
  const file = new URL("../../node_modules/nodemailer/dist/well-known/services.json", import.meta.url);
  const theirs = JSON.parse(readFileSync(file, "utf8")) as Record<string, Record<string, unknown>>;
  assert.ok(Object.keys(theirs).length > 80);
  for (const [name, { host = "localhost", port = 587, secure, requireTLS, ignoreTLS, aliases = [], domains = [] }] of Object.entries(
    theirs,
  )) {
    const expected = {
      host,
      port: Number(port),
      secure: secure ?? Number(port) === 465,
      ...(requireTLS === true ? { requireTLS } : {}),
      ...(ignoreTLS === true ? { ignoreTLS } : {}),
    };
    for (const each of [name, ...(aliases as string[]), ...(domains as string[])]) assert.deepEqual(findService(each), expected, each);
  }
  assert.equal(findService("Google Mail")?.host, "smtp.gmail.com");
  assert.equal(findService("ann@gmx.de")?.host, "mail.gmx.com");
  assert.equal(findService("constructor"), undefined);
  assert.equal(transportOf({ service: "gmail", host: "other.test", port: 1, secure: false }).host, "smtp.gmail.com");
  assert.equal(transportOf({ service: "unknown", host: "other.test" }).host, "other.test");
});
