/** Mechanisms without a derivation: what each side says, and what it does not take. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY, fromUtf8Lossy, latin1, utf8 } from "../../util/bytes.ts";
import { runs } from "../testing.ts";
import { OAuthBearerClient, OAuthBearerServer, XOAuth2Client, XOAuth2Server } from "./bearer.ts";
import { CramMd5Client } from "./cram-md5.ts";
import { ExternalClient, ExternalServer } from "./external.ts";
import { LoginClient, LoginServer } from "./login.ts";
import type { ClientMechanismStep, ServerStep } from "./mechanism.ts";
import { oneLine } from "./one-line.ts";
import { PlainClient, PlainServer } from "./plain.ts";

const plain = (text: string) => new PlainServer().step(utf8(text));
const password = (user: string, word: string, authorization = ""): ServerStep => ({
  kind: "check",
  authorization,
  claim: { kind: "password", user, password: word },
});
const response = (text: string): ClientMechanismStep => ({ kind: "response", bytes: utf8(text) });

/** What the client says, where it says something. */
function bytesOf(step: ClientMechanismStep): Uint8Array | undefined {
  assert.equal(step.kind, "response");
  return step.kind === "response" ? step.bytes : undefined;
}

test("PLAIN: the examples of RFC 4616 4", () => {
  assert.deepEqual(plain("\0tim\0tanstaaftanstaaf"), password("tim", "tanstaaftanstaaf"));
  assert.deepEqual(plain("Ursel\0Kurt\0xipj3plmq"), password("Kurt", "xipj3plmq", "Ursel"));
  assert.deepEqual(new PlainClient("tim", "tanstaaftanstaaf").initial(), response("\0tim\0tanstaaftanstaaf"));
  assert.deepEqual(new PlainClient("Kurt", "xipj3plmq", "Ursel").initial(), response("Ursel\0Kurt\0xipj3plmq"));
});

test("PLAIN: what is none of it", () => {
  for (const text of ["", "tim", "\0tim", "\0tim\0", "\0\0pass", "a\0tim\0pass\0", "tim\0pass"])
    assert.equal(plain(text).kind, "malformed", text);
  assert.equal(new PlainServer().step(latin1("\0tim\0\xff")).kind, "malformed");
  assert.equal(new PlainClient("u\0", "p").initial().kind, "cancel");
});

test("PLAIN without an initial response is asked for with an empty challenge", () => {
  const server = new PlainServer();
  const step = server.step(undefined);
  assert.ok(step.kind === "challenge" && step.bytes.length === 0);
  const client = new PlainClient("u", "p");
  assert.deepEqual(client.respond(step.bytes), client.initial());
  assert.equal(client.respond(utf8("?")).kind, "cancel");
});

test("LOGIN: prompts as every client knows them", () => {
  const server = new LoginServer();
  assert.deepEqual(server.step(undefined), { kind: "challenge", bytes: utf8("Username:") });
  assert.deepEqual(server.step(utf8("user@gmail.com")), { kind: "challenge", bytes: utf8("Password:") });
  assert.deepEqual(server.step(utf8("password")), password("user@gmail.com", "password"));
});

test("LOGIN: what is none of it", () => {
  assert.equal(new LoginServer().step(latin1("\xff")).kind, "malformed");
  assert.equal(new LoginServer().step(utf8("a\0b")).kind, "malformed");
  const empty = new LoginServer();
  empty.step(utf8(""));
  assert.equal(empty.step(utf8("p")).kind, "malformed");
  const noPassword = new LoginServer();
  noPassword.step(utf8("u"));
  assert.equal(noPassword.step(utf8("")).kind, "malformed");
});

test("LOGIN: the client answers twice, whatever it is asked, and no more", () => {
  const client = new LoginClient("u", "p");
  assert.deepEqual(client.initial(), { kind: "response" });
  assert.deepEqual(client.respond(utf8("?")), response("u"));
  assert.deepEqual(client.respond(utf8("!")), response("p"));
  assert.equal(client.respond(utf8("?")).kind, "cancel");
});

test("both sides of both, with any user and password", () => {
  const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(word, word, (user, secret) => {
      assert.deepEqual(new PlainServer().step(bytesOf(new PlainClient(user, secret).initial())), password(user, secret));
      const [server, client] = [new LoginServer(), new LoginClient(user, secret)];
      let step = server.step(bytesOf(client.initial()));
      while (step.kind === "challenge") step = server.step(bytesOf(client.respond(step.bytes)));
      assert.deepEqual(step, password(user, secret));
    }),
    runs(200),
  );
});

test("EXTERNAL: the certificate, and whom to act as", () => {
  assert.deepEqual(new ExternalClient().initial(), { kind: "response", bytes: EMPTY });
  assert.deepEqual(new ExternalServer().step(undefined), { kind: "challenge", bytes: EMPTY });
  for (const name of ["", "ann@example.test"]) {
    const step = new ExternalServer().step(bytesOf(new ExternalClient(name).initial()));
    assert.deepEqual(step, { kind: "check", authorization: name, claim: { kind: "certificate" } });
  }
  assert.equal(new ExternalServer().step(utf8("a\0")).kind, "malformed");
  assert.equal(new ExternalServer().step(latin1("\xff")).kind, "malformed");
  assert.equal(new ExternalClient().respond(utf8("?")).kind, "cancel");
});

test("CRAM-MD5: the example of RFC 2195 2", () => {
  const client = new CramMd5Client("tim", "tanstaaftanstaaf");
  assert.deepEqual(client.initial(), { kind: "response" });
  assert.equal(typeof client.done(), "string");
  const challenge = utf8("<1896.697170952@postoffice.reston.mci.net>");
  assert.deepEqual(client.respond(challenge), response("tim b913a602c7eda7a495b4e6e7334d3890"));
  assert.equal(client.done(), undefined);
  assert.equal(client.respond(challenge).kind, "cancel");
  assert.equal(new CramMd5Client("u", "p").respond(EMPTY).kind, "cancel");
});

const bearerOptions = { user: "user@example.com", host: "server.example.com", port: 143, refused: false };
const TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

test("OAUTHBEARER: the example of RFC 7628 4.1", () => {
  const client = new OAuthBearerClient(bearerOptions);
  assert.deepEqual(client.initial(), { kind: "ask", question: { kind: "token", refused: false } });
  const said = client.answered({ kind: "token", token: TOKEN });
  const message = `n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer ${TOKEN}\x01\x01`;
  assert.deepEqual(said, response(message));
  assert.deepEqual(new OAuthBearerServer().step(utf8(message)), {
    kind: "check",
    authorization: "",
    claim: { kind: "token", user: "user@example.com", token: TOKEN },
  });
});

test("OAUTHBEARER: a refusal is answered by %x01, RFC 7628 4.3; the token stays out of what is told of it", () => {
  const client = new OAuthBearerClient(bearerOptions);
  client.answered({ kind: "token", token: TOKEN });
  const words = `{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/\n${TOKEN}"}`;
  assert.deepEqual(client.respond(utf8(words)), response("\x01"));
  assert.match(client.complaint ?? "", /^\{"status":"invalid_token".*\(token\)"\}$/);
  assert.equal(client.respond(utf8(words)).kind, "cancel");
  assert.match(fromUtf8Lossy(new OAuthBearerServer().complaint()), /"status":"invalid_token"/);
});

test("XOAUTH2: the example of Google's documentation", () => {
  const client = new XOAuth2Client({ ...bearerOptions, user: "someuser@example.com", refused: true });
  assert.deepEqual(client.initial(), { kind: "ask", question: { kind: "token", refused: true } });
  const said = bytesOf(client.answered({ kind: "token", token: "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg" })) as Uint8Array;
  assert.equal(
    Buffer.from(said).toString("base64"),
    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==",
  );
  assert.deepEqual(client.respond(utf8('{"status":"401"}')), { kind: "response", bytes: EMPTY });
  const step = new XOAuth2Server().step(said);
  assert.ok(step.kind === "check" && step.claim.kind === "token" && step.claim.user === "someuser@example.com");
});

test("bearer tokens: nothing can be put in beside them", () => {
  for (const token of ["", "a b", "a\x01b", "a\r\nb", "\u00e9"]) {
    assert.equal(new OAuthBearerClient(bearerOptions).answered({ kind: "token", token }).kind, "cancel", JSON.stringify(token));
  }
  assert.equal(new XOAuth2Client({ ...bearerOptions, user: "a\x01auth=x" }).answered({ kind: "token", token: "t" }).kind, "cancel");
});

test("bearer tokens: what is no message", () => {
  const oauth = (text: string) => new OAuthBearerServer().step(utf8(text)).kind;
  assert.equal(oauth("n,,\x01auth=Bearer t\x01\x01"), "check");
  assert.equal(oauth("y,,\x01auth=bearer  t\x01host=x\x01\x01"), "check");
  for (const text of [
    "",
    "\x01",
    "n,,",
    "n,,\x01\x01",
    "n,,auth=Bearer t\x01\x01",
    "n,,\x01auth=Bearer t\x01",
    "n,,\x01auth=Bearer t\x01\x01x",
    "n,,\x01auth=Basic t\x01\x01",
    "n,,\x01auth=Bearer \x01\x01",
    "n,,\x01auth=Bearer a b\x01\x01",
    "n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
    "p=tls-exporter,,\x01auth=Bearer t\x01\x01",
    "x,,\x01auth=Bearer t\x01\x01",
    "n,a=,\x01auth=Bearer t\x01\x01",
  ]) {
    assert.equal(oauth(text), "malformed", JSON.stringify(text));
  }
  const xoauth = (text: string) => new XOAuth2Server().step(utf8(text)).kind;
  assert.equal(xoauth("user=u\x01auth=Bearer t\x01\x01"), "check");
  for (const text of ["user=\x01auth=Bearer t\x01\x01", "auth=Bearer t\x01\x01", "user=u\x01auth=Bearer t\x01"]) {
    assert.equal(xoauth(text), "malformed", JSON.stringify(text));
  }
});

test("any octets: every server has an answer, none throws", () => {
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .array(fc.constantFrom("n,", ",", "a=", "\x01", "auth=", "Bearer ", "user=", "x", "\0", "="), { maxLength: 12 })
      .map((parts) => utf8(parts.join(""))),
  );
  fc.assert(
    fc.property(octets, (bytes) => {
      for (const server of [new PlainServer(), new LoginServer(), new ExternalServer(), new OAuthBearerServer(), new XOAuth2Server()]) {
        assert.ok(["check", "malformed", "challenge"].includes(server.step(bytes).kind));
      }
    }),
    runs(300),
  );
});

test("what a server says goes into an error as one short line", () => {
  assert.equal(oneLine(" a\r\n\tb\u202e\0c\u2028 "), "a b c");
  assert.equal(oneLine("x".repeat(300)).length, 203);
});
