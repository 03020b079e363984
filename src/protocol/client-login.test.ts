/** The client's way through AUTH: which mechanism, what after a refusal, and when success is believed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Reply, reply } from "../mail/reply.ts";
import { decodeBase64, encodeBase64 } from "../util/base64.ts";
import { fromUtf8Lossy, utf8 } from "../util/bytes.ts";
import { ClientLogin, type ClientLoginStep, type LoginPlace, RESPONSE_LINE_LIMIT } from "./client-login.ts";
import type { Credentials } from "./sasl/credentials.ts";
import { PlainClient } from "./sasl/plain.ts";

const everything = [
  "PLAIN",
  "LOGIN",
  "CRAM-MD5",
  "XOAUTH2",
  "OAUTHBEARER",
  "EXTERNAL",
  "SCRAM-SHA-1",
  "SCRAM-SHA-256",
  "SCRAM-SHA-1-PLUS",
  "SCRAM-SHA-256-PLUS",
];
const binding = { "tls-exporter": utf8("b") };
const withPassword: Credentials = { user: "u", password: "secret" };
const wrong = reply(535, "5.7.8", "no");
const unknown = reply(504, "5.5.4", "not this one");
const challenge = (text: string): Reply => reply(334, encodeBase64(utf8(text)));

function place(mechanisms: readonly string[], rest: Partial<LoginPlace> = {}): LoginPlace {
  return { mechanisms, secured: true, passwordInClear: false, host: "mx.test", port: 587, ...rest };
}

function begin(credentials: Credentials, where: LoginPlace): { login: ClientLogin; step: ClientLoginStep } {
  const login = new ClientLogin(credentials);
  return { login, step: login.begin(where) };
}

const lineOf = (step: ClientLoginStep): string => (step.kind === "line" ? step.line : assert.fail(JSON.stringify(step)));
const failureOf = (step: ClientLoginStep) => (step.kind === "failed" ? step.failure : assert.fail(JSON.stringify(step)));
const saidIn = (step: ClientLoginStep): string => fromUtf8Lossy(decodeBase64(lineOf(step).split(" ").at(-1) as string) ?? utf8("?"));

/** The names that are tried, each refused for good. */
function tried(credentials: Credentials, where: LoginPlace, refusal = unknown): string[] {
  const names: string[] = [];
  let { login, step } = begin(credentials, where);
  while (step.kind !== "failed") {
    if (step.kind === "ask") step = login.answered({ kind: "token", token: "t" });
    else {
      names.push(lineOf(step).split(" ")[1] as string);
      step = login.replied(refusal);
    }
  }
  return names;
}

describe("choosing", () => {
  test("the strongest first; after a refusal for good the next one, then the last failure is told", () => {
    const scram = ["SCRAM-SHA-256", "SCRAM-SHA-1"];
    assert.deepEqual(tried(withPassword, place(everything)), [...scram, "PLAIN", "LOGIN"]);
    assert.deepEqual(tried(withPassword, place(everything, { channelBinding: binding })), [
      "SCRAM-SHA-256-PLUS",
      "SCRAM-SHA-1-PLUS",
      ...scram,
      "PLAIN",
      "LOGIN",
    ]);
    assert.deepEqual(tried(withPassword, place(everything, { secured: false })), scram);
    assert.deepEqual(tried(withPassword, place(everything, { secured: false, passwordInClear: true })), [...scram, "PLAIN", "LOGIN"]);
    assert.deepEqual(tried({ user: "u", external: true }, place(everything)), ["EXTERNAL"]);
    assert.deepEqual(tried({ ...withPassword, bearer: true }, place(["PLAIN", "XOAUTH2"])), ["XOAUTH2", "PLAIN"]);
  });

  test("a wrong password is tried once by a proof and once as itself, and no more", () => {
    assert.deepEqual(tried(withPassword, place(everything), wrong), ["SCRAM-SHA-256", "PLAIN"]);
    assert.deepEqual(tried(withPassword, place(["LOGIN", "PLAIN"]), wrong), ["PLAIN"]);
    assert.deepEqual(tried({ ...withPassword, bearer: true }, place(["PLAIN", "XOAUTH2"]), wrong), ["XOAUTH2", "XOAUTH2", "PLAIN"]);
  });

  test("what is named, in its order; CRAM-MD5 only so", () => {
    const named = (...mechanisms: string[]) => tried({ ...withPassword, mechanisms }, place(everything));
    assert.deepEqual(named("login", "cram-md5", "plain", "LOGIN"), ["LOGIN", "CRAM-MD5", "PLAIN"]);
    assert.deepEqual(named("constructor", "__proto__", "GSSAPI"), []);
    assert.deepEqual(tried(withPassword, place(["CRAM-MD5"])), []);
  });

  test("nothing to use is said in words, and nothing is sent", () => {
    const why = (credentials: Credentials, where: LoginPlace) => failureOf(begin(credentials, where).step).why;
    assert.match(why(withPassword, place([])), /does not offer AUTH$/);
    assert.match(why(withPassword, place([], { secured: false })), /does not offer AUTH outside TLS/);
    assert.match(why(withPassword, place(["GSSAPI"])), /offers only GSSAPI/);
    assert.match(why({ user: "u" }, place(["PLAIN"])), /neither a password nor a token/);
    assert.match(why(withPassword, place(["PLAIN"], { secured: false })), /not inside TLS: the password was not sent/);
    const token = { user: "u", bearer: true } as const;
    assert.match(why(token, place(["XOAUTH2"], { secured: false, passwordInClear: true })), /not inside TLS: the token/);
    const external = { user: "u", external: true } as const;
    assert.match(why(external, place(["EXTERNAL"], { secured: false, passwordInClear: true })), /no certificate/);
  });

  test("the GS2 flag: bound; could be, but is not offered; cannot be, or was left (RFC 5802 6)", () => {
    const header = (mechanisms: string[], rest: Partial<LoginPlace> = {}) =>
      saidIn(begin(withPassword, place(mechanisms, rest)).step).slice(0, 3);
    assert.equal(header(["SCRAM-SHA-256"]), "n,,");
    assert.equal(header(["SCRAM-SHA-256"], { channelBinding: {} }), "n,,");
    assert.equal(header(["SCRAM-SHA-256"], { channelBinding: binding }), "y,,");
    assert.equal(header(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], { channelBinding: binding }), "p=t");
    const { login, step } = begin(withPassword, place(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], { channelBinding: binding }));
    assert.match(saidIn(step), /^p=tls-exporter,,/);
    assert.match(saidIn(login.replied(unknown)), /^n,,/);
  });

  test("a mechanism of the caller's own is used instead, and keeps its privacy", () => {
    const own: Credentials = { user: "", mechanism: () => new PlainClient("x", "y") };
    assert.equal(lineOf(begin(own, place([])).step), "AUTH PLAIN AHgAeQ==");
    assert.equal(begin(own, place([], { secured: false })).step.kind, "failed");
  });
});

describe("refusals", () => {
  test("for now, or 421: no other mechanism", () => {
    for (const answer of [reply(454, "4.7.0", "later"), reply(421, "4.7.0", "bye")]) {
      const { login } = begin(withPassword, place(["PLAIN", "LOGIN"]));
      const failure = failureOf(login.replied(answer));
      assert.deepEqual([failure.reply, failure.lasting], [answer, "temporary"]);
    }
  });

  test("a token that was refused is asked for once more; then the next mechanism has the new one", () => {
    const { login, step } = begin({ user: "u", bearer: true }, place(["OAUTHBEARER", "XOAUTH2"]));
    assert.deepEqual(step, { kind: "ask", question: { kind: "token", refused: false } });
    const first = login.answered({ kind: "token", token: "old" });
    assert.match(saidIn(first), /^n,a=u,\x01host=mx\.test\x01port=587\x01auth=Bearer old\x01\x01$/);
    assert.equal(lineOf(login.replied(challenge('{"status":"invalid_token"}'))), "AQ==");
    assert.deepEqual(login.replied(wrong), { kind: "ask", question: { kind: "token", refused: true } });
    login.answered({ kind: "token", token: "new" });
    assert.deepEqual(login.replied(wrong), { kind: "ask", question: { kind: "token", refused: false } });
    assert.equal(login.mechanism, "XOAUTH2");
    assert.match(saidIn(login.answered({ kind: "token", token: "new" })), /^user=u\x01auth=Bearer new\x01\x01$/);
    assert.equal(lineOf(login.replied(challenge('{"status":"401","echo":"new"}'))), "");
    const { why } = failureOf(login.replied(wrong));
    assert.match(why, /\{"status":"401","echo":"\(token\)"\}$/);
  });

  test("a mechanism that the server does not take after all says nothing of the token", () => {
    const { login } = begin({ user: "u", bearer: true }, place(["OAUTHBEARER", "XOAUTH2"]));
    login.answered({ kind: "token", token: "t" });
    assert.deepEqual(login.replied(reply(504, "5.5.4", "?")), { kind: "ask", question: { kind: "token", refused: false } });
    assert.equal(login.mechanism, "XOAUTH2");
  });

  test("a token that cannot be one is not sent", () => {
    const { login } = begin({ user: "u", bearer: true }, place(["OAUTHBEARER"]));
    assert.match(failureOf(login.answered({ kind: "token", token: "a b" })).why, /given up: the token/);
  });

  test("no part of a password or a token is in any failure", () => {
    const steps: ClientLoginStep[] = [];
    for (const name of everything) {
      const { login, step } = begin(
        { user: "u", password: "sEcrEt", bearer: true, external: true, mechanisms: [name] },
        place(everything, { channelBinding: binding }),
      );
      steps.push(step, step.kind === "ask" ? login.answered({ kind: "token", token: "sEcrEt" }) : step);
      steps.push(login.replied(challenge("sEcrEt")), login.replied(wrong));
    }
    for (const step of steps) if (step.kind === "failed") assert.doesNotMatch(step.failure.why, /sEcrEt/);
  });
});

describe("exchanges", () => {
  const begun = () => {
    const login = new ClientLogin({ ...withPassword, mechanisms: ["SCRAM-SHA-256", "PLAIN"] });
    const nonce = /r=(.*)$/.exec(saidIn(login.begin(place(everything))))?.[1] as string;
    const step = login.replied(challenge(`r=${nonce}x,s=AAAA,i=4096`));
    assert.equal(step.kind, "ask");
    return { login, step: login.answered({ kind: "scram", proof: utf8("proof"), serverSignature: utf8("signature") }) };
  };

  test("SCRAM: 235 is believed after the server's signature", () => {
    const { login, step } = begun();
    assert.match(saidIn(step), /^c=biws,r=.*,p=cHJvb2Y=$/);
    assert.equal(lineOf(login.replied(challenge(`v=${encodeBase64(utf8("signature"))}`))), "");
    assert.deepEqual(login.replied(reply(235, "2.7.0", "ok")), { kind: "done" });
    const hasty = begun().login;
    assert.match(failureOf(hasty.replied(reply(235, "2.7.0", "ok"))).why, /did not prove/);
  });

  test("SCRAM: after a wrong signature there is no other mechanism, whatever the server says", () => {
    for (const answer of [reply(501, "5.7.0", "cancelled"), reply(235, "2.7.0", "ok")]) {
      const { login } = begun();
      assert.equal(lineOf(login.replied(challenge(`v=${encodeBase64(utf8("forged"))}`))), "*");
      assert.match(failureOf(login.replied(answer)).why, /signature is wrong/);
    }
  });

  test("SCRAM: what the server calls wrong is told, and the next mechanism has its turn", () => {
    const { login } = begun();
    assert.equal(lineOf(login.replied(challenge("e=invalid-proof"))), "");
    assert.match(lineOf(login.replied(wrong)), /^AUTH PLAIN /);
    const last = new ClientLogin({ ...withPassword, mechanisms: ["SCRAM-SHA-256"] });
    const nonce = /r=(.*)$/.exec(saidIn(last.begin(place(everything))))?.[1] as string;
    last.replied(challenge(`r=${nonce}x,s=AAAA,i=4096`));
    last.answered({ kind: "scram", proof: utf8("p"), serverSignature: utf8("s") });
    last.replied(challenge("e=unknown-user"));
    assert.match(failureOf(last.replied(wrong)).why, /: unknown-user$/);
  });

  test("an initial response that does not fit waits for the challenge, which must be empty", () => {
    const password = "x".repeat(400);
    const { login, step } = begin({ user: "u", password }, place(["PLAIN"]));
    assert.equal(lineOf(step), "AUTH PLAIN");
    assert.equal(saidIn(login.replied(reply(334, ""))), `\0u\0${password}`);
    const odd = begin({ user: "u", password }, place(["PLAIN"])).login;
    assert.equal(lineOf(odd.replied(challenge("what?"))), "*");
  });

  test("a response longer than a server takes is not sent", () => {
    const octets = ((RESPONSE_LINE_LIMIT - 2) >> 2) * 3;
    for (const [length, sent] of [
      [octets - 3, true],
      [octets + 1, false],
    ] as const) {
      const { login } = begin({ user: "u", password: "x".repeat(length) }, place(["PLAIN"]));
      assert.equal(lineOf(login.replied(reply(334, ""))) !== "*", sent);
    }
  });

  test("a challenge that is not base64 is cancelled; LOGIN's is answered", () => {
    const { login } = begin(withPassword, place(["SCRAM-SHA-256"]));
    assert.equal(lineOf(login.replied(reply(334, "go on"))), "*");
    const other = begin(withPassword, place(["LOGIN"])).login;
    assert.equal(saidIn(other.replied(reply(334, "User name?"))), "u");
  });
});
