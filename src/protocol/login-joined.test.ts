/** Both sides of AUTH joined in memory, for each mechanism: lines of the one go to the other, and each question is answered by its owner. */
import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { test } from "node:test";
import { type Reply, reply } from "../mail/reply.ts";
import { encodeBase64 } from "../util/base64.ts";
import { latin1, sameBytes, utf8 } from "../util/bytes.ts";
import { ClientLogin, type ClientLoginStep } from "./client-login.ts";
import type { ChannelBindings } from "./sasl/channel-binding.ts";
import type { Credentials } from "./sasl/credentials.ts";
import type { LoginClaim } from "./sasl/mechanism.ts";
import type { ClientAnswer, ClientQuestion, SaslHash } from "./sasl/question.ts";
import { ServerLogin, type ServerLoginStep } from "./server-login.ts";

const invalid = reply(535, "5.7.8", "no");
const salt = utf8("some salt");

interface Case {
  readonly mechanisms: readonly string[];
  readonly credentials: Credentials;
  readonly client?: ChannelBindings;
  readonly server?: ChannelBindings;
  /** What the owner says to any claim that it finds right. */
  readonly refusal?: Reply;
}

function keys(hash: SaslHash, password: string) {
  const name = hash.replace("-", "").toLowerCase();
  const hmac = (key: Uint8Array, text: Uint8Array | string) => createHmac(name, key).update(text).digest();
  const salted = pbkdf2Sync(password, salt, 4096, hash === "SHA-1" ? 20 : 32, name);
  const clientKey = hmac(salted, "Client Key");
  return { hmac, clientKey, storedKey: createHash(name).update(clientKey).digest(), serverKey: hmac(salted, "Server Key") };
}

function proofOf(hash: SaslHash, password: string, authMessage: Uint8Array) {
  const { hmac, clientKey, storedKey, serverKey } = keys(hash, password);
  const signature = hmac(storedKey, authMessage);
  const proof = clientKey.map((octet, i) => octet ^ (signature[i] as number));
  return { proof, serverSignature: hmac(serverKey, authMessage) };
}

/** The account of a claim, which is "ann" by "secret", the token "good", or her certificate. */
function owner(claim: LoginClaim): { account: string; signature?: Uint8Array } | undefined {
  switch (claim.kind) {
    case "password":
      return claim.user === "ann" && claim.password === "secret" ? { account: "ann" } : undefined;
    case "token":
      return claim.user === "ann" && claim.token === "good" ? { account: "ann" } : undefined;
    case "certificate":
      return { account: "ann" };
    case "scram": {
      const { proof, serverSignature } = proofOf(claim.hash, "secret", claim.authMessage);
      return claim.user === "ann" && sameBytes(proof, claim.proof) ? { account: "ann", signature: serverSignature } : undefined;
    }
  }
}

/** The server's reply to one line of the client. */
class Server {
  readonly login = new ServerLogin();
  readonly #refusal: Reply | undefined;
  #asked = false;

  constructor({ mechanisms, server, refusal }: Case) {
    this.login.offer({ mechanisms, ...(server === undefined ? {} : { channelBindings: server }) });
    this.#refusal = refusal;
  }

  hear(line: string): Reply {
    const step = this.#asked ? this.login.respond(latin1(line)) : this.login.begin(line.replace(/^AUTH /, ""));
    this.#asked = false;
    return this.#answer(step);
  }

  #answer(step: ServerLoginStep): Reply {
    switch (step.kind) {
      case "challenge":
        this.#asked = true;
        return reply(334, encodeBase64(step.bytes));
      case "ask": {
        if (step.event.type === "salt") return this.#answer(this.login.salted({ salt, iterations: 4096 }));
        const found = this.#refusal === undefined ? owner(step.event.claim) : undefined;
        return this.#answer(
          found === undefined ? this.login.refused(this.#refusal ?? invalid) : this.login.accepted(found.account, found.signature),
        );
      }
      case "done":
        return reply(235, "2.7.0", step.account);
      case "refused":
      case "failed":
        return step.reply;
    }
  }
}

function answer(question: ClientQuestion, credentials: Credentials): ClientAnswer {
  if (question.kind === "token")
    return { kind: "token", token: credentials.user === "ann" && credentials.password !== "old" ? "good" : "bad" };
  return { kind: "scram", ...proofOf(question.hash, question.password, question.authMessage) };
}

function converse(given: Case): { step: ClientLoginStep; login: ClientLogin; server: Server; last: Reply | undefined } {
  const server = new Server(given);
  const login = new ClientLogin(given.credentials);
  const { mechanisms } = server.login;
  const place = { mechanisms, secured: true, passwordInClear: false, host: "mx.test", port: 465 };
  let last: Reply | undefined;
  let step = login.begin(given.client === undefined ? place : { ...place, channelBinding: given.client });
  for (;;) {
    if (step.kind === "line") {
      last = server.hear(step.line);
      step = login.replied(last);
    } else if (step.kind === "ask") step = login.answered(answer(step.question, given.credentials));
    else return { step, login, server, last };
  }
}

const ann: Credentials = { user: "ann", password: "secret" };
const here: ChannelBindings = { "tls-exporter": utf8("here"), "tls-server-end-point": utf8("certificate") };

const cases: Readonly<Record<string, Credentials>> = {
  PLAIN: ann,
  LOGIN: ann,
  "SCRAM-SHA-1": ann,
  "SCRAM-SHA-256": ann,
  "SCRAM-SHA-1-PLUS": ann,
  "SCRAM-SHA-256-PLUS": ann,
  EXTERNAL: { user: "", external: true },
  OAUTHBEARER: { user: "ann", bearer: true },
  XOAUTH2: { user: "ann", bearer: true },
};

for (const [name, credentials] of Object.entries(cases)) {
  const all = { mechanisms: [name], client: here, server: here };
  test(`${name}: the right credentials are taken, others refused, and what cannot be checked is temporary`, () => {
    const { step, login, last } = converse({ ...all, credentials });
    assert.deepEqual([step, login.mechanism, last?.text], [{ kind: "done" }, name, "ann"]);
    const later = converse({ ...all, credentials, refusal: reply(454, "4.7.0", "later") });
    assert.ok(later.step.kind === "failed" && later.step.failure.lasting === "temporary");
    const bad = converse({ ...all, credentials: { ...credentials, user: "eve", password: "old" }, refusal: invalid });
    assert.ok(bad.step.kind === "failed" && bad.step.failure.reply === invalid);
    assert.equal(bad.server.login.failures, credentials.bearer ? 2 : 1);
    if (credentials.bearer) assert.match(bad.step.failure.why, /invalid_token/);
    if (credentials.password === undefined) return;
    for (const wrong of [
      { ...credentials, password: "Secret" },
      { ...credentials, user: "eve" },
    ]) {
      assert.equal(converse({ ...all, credentials: wrong }).step.kind, "failed");
    }
  });
}

test("channel binding: by certificate where that is all there is; another session or a changed offer fails", () => {
  const endPoint = { "tls-server-end-point": utf8("certificate") };
  const plus = { mechanisms: ["SCRAM-SHA-256-PLUS"], credentials: ann };
  assert.equal(converse({ ...plus, client: endPoint, server: here }).step.kind, "done");
  assert.equal(converse({ ...plus, client: { "tls-exporter": utf8("elsewhere") }, server: here }).step.kind, "failed");
  // Someone between them took -PLUS out of what the client reads: it says that it could have bound, and the server knows that it offered.
  const server = new Server({ mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], server: here, credentials: ann });
  const login = new ClientLogin(ann);
  const place = { mechanisms: ["SCRAM-SHA-256"], secured: true, passwordInClear: false, host: "", port: 0, channelBinding: here };
  const step = login.begin(place);
  assert.equal(step.kind === "line" ? server.hear(step.line).code : 0, 535);
  assert.equal(server.login.failures, 1);
});

test("only what is offered is understood, and -PLUS only where there is something to bind to", () => {
  const login = new ServerLogin();
  assert.deepEqual(login.begin("PLAIN AGEAYg=="), { kind: "refused", reply: reply(504, "5.5.4", "Unrecognized authentication mechanism") });
  login.offer({ mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "GSSAPI", "constructor"] });
  assert.deepEqual(login.mechanisms, ["SCRAM-SHA-256"]);
  login.offer({ mechanisms: ["SCRAM-SHA-256-PLUS"], channelBindings: here });
  assert.deepEqual(login.mechanisms, ["SCRAM-SHA-256-PLUS"]);
  assert.equal(login.begin("SCRAM-SHA-256").kind, "refused");
});
