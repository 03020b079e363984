import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { createServer } from "node:http";
import { type TestContext, test } from "node:test";
import { TestServer } from "../testing/index.ts";
import { createTransport } from "./index.ts";
import { tokenSource } from "./oauth2.ts";
import type { AuthOptions } from "./transport-options.ts";

const none = { provision: () => undefined, got: () => {} };

/** A token endpoint that answers with each of these in turn. */
async function endpoint(t: TestContext, answers: readonly (string | object)[]) {
  const asked: { parameters: Record<string, string>; headers: Record<string, unknown> }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      asked.push({ parameters: Object.fromEntries(new URLSearchParams(body)), headers: request.headers });
      const answer = answers[asked.length - 1] ?? {};
      response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { accessUrl: `http://127.0.0.1:${(server.address() as { port: number }).port}/token`, asked };
}

test("a token is refreshed where it was refused, and told", async (t) => {
  await using server = await TestServer.start({ tokens: { "ann@a.test": "new" } });
  const { accessUrl, asked } = await endpoint(t, [{ access_token: "new", expires_in: 3600 }]);
  const auth = { type: "OAuth2", user: "ann@a.test", accessToken: "old", refreshToken: "r", clientId: "c", clientSecret: "s", accessUrl };
  const transporter = createTransport({
    host: server.host,
    port: server.port,
    tls: { ca: server.certificate },
    auth: { ...auth, customHeaders: { "X-A": "1" }, customParams: { tenant: "t" } },
  });
  const tokens: string[] = [];
  transporter.on("token", ({ accessToken, user, expires }) => {
    assert.ok(expires > Date.now());
    tokens.push(`${user} ${accessToken}`);
  });
  for (let i = 0; i < 2; i++) await transporter.sendMail({ from: "ann@a.test", to: "b@b.test", text: "x" });
  assert.equal(server.messages.length, 2);
  assert.deepEqual(tokens, ["ann@a.test new"]);
  assert.equal(asked.length, 1);
  assert.deepEqual(asked[0]?.parameters, {
    grant_type: "refresh_token",
    client_id: "c",
    client_secret: "s",
    refresh_token: "r",
    tenant: "t",
  });
  assert.equal(asked[0]?.headers["x-a"], "1");
});

test("a token that has expired is not used", async (t) => {
  const { accessUrl } = await endpoint(t, [{ access_token: "new" }]);
  const auth: AuthOptions = { user: "u", accessToken: "old", refreshToken: "r", accessUrl };
  assert.deepEqual(await tokenSource({ ...auth, expires: Date.now() - 1 }, none)({ refused: false }), { token: "new" });
  const fresh = await tokenSource({ ...auth, timeout: 60 }, none)({ refused: false });
  assert.equal(typeof fresh === "string" ? fresh : fresh.token, "old");
});

test("without anything to renew it with the token is all there is", async () => {
  assert.deepEqual(await tokenSource({ user: "u", accessToken: "t" }, none)({ refused: true }), { token: "t" });
  await assert.rejects(async () => tokenSource({ user: "u" }, none)({ refused: false }), {
    code: "EOAUTH2",
    message: /nothing to get one with/,
  });
});

test("a callback gives tokens, or fails", async () => {
  const source = (provision: Parameters<typeof tokenSource>[0]["provisionCallback"]) =>
    tokenSource({ user: "u" }, { provision: () => provision, got: () => {} })({ refused: true });
  assert.deepEqual(await source((user, renew, callback) => callback(null, `${user} ${renew}`, 5)), { token: "u true", expires: 5 });
  await assert.rejects(async () => source((_user, _renew, callback) => callback(new Error("no"))), { code: "EOAUTH2", message: /no$/ });
  await assert.rejects(async () => source((_user, _renew, callback) => callback(null)), { code: "EOAUTH2" });
});

test("a service account signs its assertion", async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { accessUrl, asked } = await endpoint(t, [{ access_token: "t" }]);
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  await tokenSource({ user: "ann@a.test", serviceClient: "1234", privateKey: pem, accessUrl }, none)({ refused: false });
  const [head = "", claims = "", signature = ""] = (asked[0]?.parameters.assertion ?? "").split(".");
  assert.deepEqual(JSON.parse(Buffer.from(head, "base64url").toString()), { alg: "RS256", typ: "JWT" });
  const { iss, sub, aud, iat, exp, scope } = JSON.parse(Buffer.from(claims, "base64url").toString()) as Record<string, unknown>;
  assert.deepEqual([iss, sub, aud, scope], ["1234", "ann@a.test", accessUrl, "https://mail.google.com/"]);
  assert.equal(Number(exp) - Number(iat), 300);
  assert.ok(
    verify(
      "sha256",
      Buffer.from(`${head}.${claims}`),
      createPublicKey(publicKey.export({ type: "spki", format: "pem" })),
      Buffer.from(signature, "base64url"),
    ),
  );
});

test("answers that are none", async (t) => {
  const answers = ["no json", "null", { error: "invalid_grant", error_description: "revoked" }, { access_token: "" }, "x".repeat(70_000)];
  const { accessUrl } = await endpoint(t, answers);
  const source = tokenSource({ user: "u", refreshToken: "secret-r", accessUrl }, none);
  for (const message of [/not in JSON/, /without a token/, /invalid_grant: revoked/, /without a token/, /longer than 65536 octets/]) {
    await assert.rejects(
      async () => source({ refused: true }),
      (error: Error) => message.test(error.message) && !error.message.includes("secret-r"),
    );
  }
  await assert.rejects(
    async () => tokenSource({ user: "u", refreshToken: "r", accessUrl: "http://127.0.0.1:1/" }, none)({ refused: false }),
    { code: "EOAUTH2" },
  );
});
