/**
 * Every mechanism that the real server offers, over sockets and TLS: by our own client's login, and by msmtp, whose SCRAM is GNU SASL's.
 */
import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync, pbkdf2Sync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { exportJWK, SignJWT } from "jose";
import type { Reply } from "../../src/mail/reply.ts";
import { dial } from "../../src/net/dial.ts";
import { parseCapabilities } from "../../src/protocol/capabilities.ts";
import { ClientLogin, type ClientLoginStep, type LoginPlace } from "../../src/protocol/client-login.ts";
import { ReplyParser } from "../../src/protocol/reply-parser.ts";
import type { Credentials } from "../../src/protocol/sasl/credentials.ts";
import type { ClientAnswer, ClientQuestion } from "../../src/protocol/sasl/question.ts";
import type { ClientStream, ClientTls, TlsBindings } from "../../src/util/byte-stream.ts";
import { latin1 } from "../../src/util/bytes.ts";
import { suiteCleanup } from "../support/cleanup.ts";
import { type Postrider, startPostrider } from "../support/postrider.ts";
import { describeUnless, runWell, skipWithout } from "../support/programs.ts";
import { type RecipientServer, startRecipient } from "../support/recipient.ts";
import { tempFolder } from "../support/temp-folder.ts";

const user = "user@example.test";
const password = "correct horse battery";
const issuer = "https://login.example.test";

/** What a program types into a socket, and what it reads. */
class RawClient {
  readonly stream: ClientStream;
  readonly #parser = new ReplyParser();
  readonly #replies: Reply[] = [];
  #waiting: (() => void) | undefined;

  constructor(stream: ClientStream) {
    this.stream = stream;
    stream.handle({
      data: (chunk) => {
        this.#replies.push(...this.#parser.push(chunk));
        this.#waiting?.();
      },
      drained: () => {},
      ended: () => this.#waiting?.(),
      closed: () => this.#waiting?.(),
    });
  }

  /** From an address of its own, so that the failures of one test do not slow down the next. */
  static async open(port: number, tls: ClientTls, localAddress: string): Promise<RawClient> {
    const stream = await dial({ host: "127.0.0.1", port, timeout: 5000, localAddress });
    await stream.secure(tls);
    const client = new RawClient(stream);
    assert.equal((await client.reply()).code, 220);
    return client;
  }

  async reply(): Promise<Reply> {
    if (this.#replies.length === 0) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.#replies.shift() ?? assert.fail("the server closed the connection");
  }

  say(line: string): Promise<Reply> {
    this.stream.write(latin1(`${line}\r\n`));
    return this.reply();
  }
}

function answer(question: ClientQuestion, token: string): ClientAnswer {
  if (question.kind === "token") return { kind: "token", token };
  const salted = pbkdf2Sync(question.password, question.salt, question.iterations, 32, "sha256");
  const hmac = (key: Uint8Array, text: Uint8Array | string) => createHmac("sha256", key).update(text).digest();
  const clientKey = hmac(salted, "Client Key");
  const signature = hmac(createHash("sha256").update(clientKey).digest(), question.authMessage);
  const proof = clientKey.map((octet, i) => octet ^ (signature[i] as number));
  return { kind: "scram", proof, serverSignature: hmac(hmac(salted, "Server Key"), question.authMessage) };
}

describe("logins", () => {
  let server: Postrider;
  let recipient: RecipientServer;
  let folder: string;
  let authorities: string;
  const signing = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const suite = suiteCleanup();
  const inFolder = (name: string): string => join(folder, name);
  const text = (name: string): string => readFileSync(inFolder(name), "utf8");
  const openssl = skipWithout("openssl");

  before(async () => {
    folder = tempFolder(suite);
    const key = { ...(await exportJWK(signing.publicKey)), kid: "a", alg: "ES256" };
    writeFileSync(inFolder("jwks.json"), JSON.stringify({ keys: [key] }));
    if (openssl === false) {
      await authority("ca", "Mail logins");
      await authority("stranger", "Someone else");
      await certificate("ca", "client", `email:${user}`);
      await certificate("stranger", "forged", `email:${user}`);
      await certificate("ca", "nobody", "email:nobody@example.test");
    }
    recipient = await startRecipient(suite);
    server = await startPostrider(suite, {
      accounts: [{ name: user, password }],
      config: `
[accounts.oauth]
issuer = "${issuer}"
audience = ["smtp"]
keys = "${inFolder("jwks.json")}"
${openssl === false ? `[accounts.certificates]\nauthorities = "${inFolder("ca.pem")}"` : ""}
[[route]]
domain = "*"
to = "smtp://127.0.0.1:${recipient.port}"`,
    });
    authorities = readFileSync(server.certificate, "utf8");
  });

  async function authority(name: string, commonName: string): Promise<void> {
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const out = ["-keyout", inFolder(`${name}.key`), "-out", inFolder(`${name}.pem`)];
    await runWell("openssl", ["req", "-x509", ...ec, "-subj", `/CN=${commonName}`, "-addext", "basicConstraints=critical,CA:TRUE", ...out]);
  }

  async function certificate(by: string, name: string, alternative: string): Promise<void> {
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const signed = ["-CA", inFolder(`${by}.pem`), "-CAkey", inFolder(`${by}.key`), "-keyout", inFolder(`${name}.key`)];
    const what = ["-subj", "/CN=user", "-addext", `subjectAltName=${alternative}`, "-addext", "basicConstraints=CA:FALSE"];
    await runWell("openssl", ["req", "-x509", ...ec, ...signed, ...what, "-out", inFolder(`${name}.pem`)]);
  }

  const token = (claims: Record<string, string> = {}): Promise<string> =>
    new SignJWT({ iss: issuer, aud: "smtp", email: user, ...claims })
      .setExpirationTime("5m")
      .setProtectedHeader({ alg: "ES256", kid: "a" })
      .sign(signing.privateKey);

  let opened = 1;
  const open = (client?: string): Promise<RawClient> => {
    const certificate = client === undefined ? {} : { certificate: { chain: text(`${client}.pem`), key: text(`${client}.key`) } };
    const tls = { host: "localhost", verify: true, authorities, ...certificate };
    return RawClient.open(server.ports.submissions, tls, `127.0.0.${++opened}`);
  };

  async function login(client: RawClient, credentials: Credentials, bindings?: TlsBindings, given = "") {
    const hello = await client.say("EHLO client.test");
    const { mechanisms } = parseCapabilities(hello);
    const place: LoginPlace = { mechanisms, secured: true, passwordInClear: false, host: "localhost", port: 465 };
    const made = new ClientLogin(credentials);
    let step: ClientLoginStep = made.begin(bindings === undefined ? place : { ...place, channelBinding: bindings });
    for (;;) {
      if (step.kind === "line") step = made.replied(await client.say(step.line));
      else if (step.kind === "ask") step = made.answered(answer(step.question, given));
      else break;
    }
    client.stream.end();
    return { mechanisms, step, mechanism: made.mechanism };
  }

  it("by password: the strongest is chosen, bound to the TLS session; each of the others by its name", async () => {
    const client = await open();
    const bindings = client.stream.tls?.channelBindings?.() ?? assert.fail("no channel bindings");
    assert.deepEqual([bindings["tls-exporter"]?.length, bindings["tls-server-end-point"]?.length], [32, 32]);
    const first = await login(client, { user, password }, bindings);
    assert.deepEqual(first.mechanisms.slice(0, 4), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    assert.deepEqual([first.step.kind, first.mechanism], ["done", "SCRAM-SHA-256-PLUS"]);
    for (const name of ["SCRAM-SHA-256", "PLAIN", "LOGIN"]) {
      const { step, mechanism } = await login(await open(), { user: user.toUpperCase(), password, mechanisms: [name] });
      assert.deepEqual([step.kind, mechanism], ["done", name]);
      await server.event("authenticated", (record) => record.mechanism === name);
    }
  });

  it("bound by the server's certificate as well; never to another TLS session", async () => {
    const [one, two] = [await open(), await open()];
    const own = one.stream.tls?.channelBindings?.() ?? {};
    const others = two.stream.tls?.channelBindings?.() ?? {};
    const plus: Credentials = { user, password, mechanisms: ["SCRAM-SHA-256-PLUS"] };
    const endPoint = own["tls-server-end-point"] as Uint8Array;
    assert.equal((await login(one, plus, { "tls-server-end-point": endPoint })).step.kind, "done");
    assert.notDeepEqual(own["tls-exporter"], others["tls-exporter"]);
    const { step } = await login(two, plus, { "tls-exporter": own["tls-exporter"] as Uint8Array });
    assert.ok(step.kind === "failed" && step.failure.reply?.code === 535);
    await server.event("refused", (record) => /another TLS session/.test(String(record.why)));
  });

  it("a wrong password, or an unknown user, fails at the same step", async () => {
    for (const credentials of [
      { user, password: "wrong" },
      { user: "nobody@example.test", password },
    ]) {
      const { step } = await login(await open(), { ...credentials, mechanisms: ["SCRAM-SHA-256"] });
      assert.ok(step.kind === "failed");
      assert.deepEqual([step.failure.reply?.code, step.failure.reply?.status], [535, "5.7.8"]);
    }
  });

  it("by token, and what is wrong with it is said", async () => {
    for (const name of ["OAUTHBEARER", "XOAUTH2"]) {
      const { step, mechanism } = await login(await open(), { user, bearer: true, mechanisms: [name] }, undefined, await token());
      assert.deepEqual([step.kind, mechanism], ["done", name]);
    }
    const { step } = await login(await open(), { user, bearer: true, mechanisms: ["XOAUTH2"] }, undefined, await token({ aud: "imap" }));
    assert.ok(step.kind === "failed");
    assert.match(step.failure.why, /"status":"invalid_token"/);
  });

  describeUnless(openssl, "by certificate", () => {
    it("of an account and a trusted authority; others are not offered it", async () => {
      const external: Credentials = { user: "", external: true };
      const { step, mechanism } = await login(await open("client"), external);
      assert.deepEqual([step.kind, mechanism], ["done", "EXTERNAL"]);
      assert.equal((await login(await open("client"), { ...external, authorization: user })).step.kind, "done");
      const other = await login(await open("client"), { ...external, authorization: "ann@example.test" });
      assert.equal(other.step.kind, "failed");
      for (const name of ["forged", "nobody", undefined]) {
        const { mechanisms, step } = await login(await open(name), { user, password, mechanisms: ["PLAIN"] });
        assert.ok(!mechanisms.includes("EXTERNAL"), name);
        assert.equal(step.kind, "done", "a password still does");
      }
    });
  });

  describeUnless(openssl === false ? skipWithout("msmtp") : openssl, "msmtp", () => {
    for (const [mechanism, more] of [
      ["plain", ""],
      ["scram-sha-256", ""],
      ["oauthbearer", "token"],
      ["xoauth2", "token"],
      ["external", "certificate"],
    ] as const) {
      it(mechanism, async () => {
        const config = inFolder(`msmtprc-${mechanism}`);
        const secret = more === "token" ? await token() : password;
        const lines = [
          "account default",
          "host localhost",
          `port ${server.ports.submission}`,
          `from ${user}`,
          "tls on",
          `tls_trust_file ${server.certificate}`,
          `auth ${mechanism}`,
          // Without a name msmtp sends no initial response, and takes our 334 for success.
          `user ${user}`,
          ...(more === "certificate"
            ? [`tls_cert_file ${inFolder("client.pem")}`, `tls_key_file ${inFolder("client.key")}`]
            : [`password ${secret}`]),
        ];
        writeFileSync(config, `${lines.join("\n")}\n`, { mode: 0o600 });
        const to = `${mechanism}@far.test`;
        await runWell("msmtp", ["-C", config, to], { input: `Subject: ${mechanism}\n\nHello.\n` });
        await recipient.messageFor(to);
        await server.event("authenticated", (record) => String(record.mechanism).toLowerCase() === mechanism);
      });
    }
  });
});
