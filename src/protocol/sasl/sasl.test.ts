import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { latin1, utf8 } from "../../util/bytes.ts";
import { runs } from "../testing.ts";
import { chooseMechanism } from "./choose.ts";
import { LoginClient, LoginServer } from "./login.ts";
import { PlainClient, PlainServer } from "./plain.ts";

const plain = (text: string) => new PlainServer().step(utf8(text));

test("PLAIN: the examples of RFC 4616 4", () => {
  assert.deepEqual(plain("\0tim\0tanstaaftanstaaf"), { kind: "password", authorization: "", user: "tim", password: "tanstaaftanstaaf" });
  assert.deepEqual(plain("Ursel\0Kurt\0xipj3plmq"), { kind: "password", authorization: "Ursel", user: "Kurt", password: "xipj3plmq" });
  assert.deepEqual(new PlainClient("tim", "tanstaaftanstaaf").initial(), utf8("\0tim\0tanstaaftanstaaf"));
  assert.deepEqual(new PlainClient("Kurt", "xipj3plmq", "Ursel").initial(), utf8("Ursel\0Kurt\0xipj3plmq"));
});

test("PLAIN: what is none of it", () => {
  for (const text of ["", "tim", "\0tim", "\0tim\0", "\0\0pass", "a\0tim\0pass\0", "tim\0pass"])
    assert.equal(plain(text).kind, "malformed", text);
  assert.equal(new PlainServer().step(latin1("\0tim\0\xff")).kind, "malformed");
});

test("PLAIN without an initial response is asked for with an empty challenge", () => {
  const server = new PlainServer();
  const step = server.step(undefined);
  assert.ok(step.kind === "challenge" && step.bytes.length === 0);
  const client = new PlainClient("u", "p");
  assert.deepEqual(client.respond(step.bytes), client.initial());
  assert.equal(client.respond(utf8("?")), undefined);
});

test("LOGIN: prompts as every client knows them", () => {
  const server = new LoginServer();
  assert.deepEqual(server.step(undefined), { kind: "challenge", bytes: utf8("Username:") });
  assert.deepEqual(server.step(utf8("user@gmail.com")), { kind: "challenge", bytes: utf8("Password:") });
  assert.deepEqual(server.step(utf8("password")), { kind: "password", authorization: "", user: "user@gmail.com", password: "password" });
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
  assert.equal(client.initial(), undefined);
  assert.deepEqual([client.respond(utf8("?")), client.respond(utf8("!")), client.respond(utf8("?"))], [utf8("u"), utf8("p"), undefined]);
});

test("both sides of both, with any user and password", () => {
  const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(word, word, (user, password) => {
      const expected = { kind: "password", authorization: "", user, password };
      assert.deepEqual(new PlainServer().step(new PlainClient(user, password).initial()), expected);
      const [server, client] = [new LoginServer(), new LoginClient(user, password)];
      let step = server.step(client.initial());
      while (step.kind === "challenge") step = server.step(client.respond(step.bytes));
      assert.deepEqual(step, expected);
    }),
    runs(200),
  );
});

test("the mechanism: the first of ours that is offered and allowed", () => {
  const name = (offered: string[], mechanisms?: string[]) =>
    chooseMechanism(offered, { user: "u", password: "p", ...(mechanisms === undefined ? {} : { mechanisms }) })?.name;
  assert.equal(name(["LOGIN", "PLAIN"]), "PLAIN");
  assert.equal(name(["GSSAPI", "LOGIN"]), "LOGIN");
  assert.equal(name(["LOGIN", "PLAIN"], ["login", "plain"]), "LOGIN");
  assert.equal(name(["PLAIN"], ["LOGIN"]), undefined);
  assert.equal(name(["constructor", "__proto__"], ["constructor", "__proto__"]), undefined);
  assert.equal(name([]), undefined);
});

test("no mechanism that bears a password may be spoken outside TLS", () => {
  for (const offered of ["PLAIN", "LOGIN"]) assert.equal(chooseMechanism([offered], { user: "u", password: "p" })?.needsPrivacy, true);
});
