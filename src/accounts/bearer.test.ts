import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { exportJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import { type BearerOptions, type BearerVerdict, bearerVerifier, CHECKS_LIMIT, signatureAlgorithms } from "./bearer.ts";
import { ANSWER_LIMIT } from "./introspection.ts";
import { accountOfClaims, CLOCK_TOLERANCE } from "./token-claims.ts";

const issuer = "https://login.example.test";
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rules = { issuer, audience: ["smtp"], claim: "email", algorithms: signatureAlgorithms };
let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "postrider-bearer-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const jwk = async (key = publicKey, kid = "a"): Promise<JWK> => ({ ...(await exportJWK(key)), kid, alg: "ES256" });

function sign(claims: JWTPayload, { key = privateKey, kid = "a" as string | null, expires = "5m" as string | null } = {}): Promise<string> {
  const token = new SignJWT({ iss: issuer, aud: "smtp", email: "ann@example.test", ...claims });
  if (expires !== null) token.setExpirationTime(expires);
  return token.setProtectedHeader({ alg: "ES256", ...(kid === null ? {} : { kid }) }).sign(key);
}

async function serve(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse, body: string) => void): Promise<URL> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => answer(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

const why = (verdict: BearerVerdict): string =>
  verdict.kind === "accepted" ? assert.fail(JSON.stringify(verdict)) : `${verdict.kind}: ${verdict.why}`;

describe("signed tokens", () => {
  const byFile = async (name: string, keys: readonly JWK[]) => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify({ keys }));
    return bearerVerifier({ ...rules, by: { kind: "keys", keys: path } });
  };

  test("of the issuer, for us, with an account; and what is not", async () => {
    const verifier = await byFile("keys.json", [await jwk()]);
    assert.deepEqual(await verifier.verify(await sign({})), { kind: "accepted", account: "ann@example.test" });
    assert.deepEqual(await verifier.verify(await sign({ aud: ["x", "smtp"] })), { kind: "accepted", account: "ann@example.test" });
    for (const [token, reason] of [
      [sign({ iss: "https://other.test" }), /another issuer/],
      [sign({ aud: "imap" }), /another audience/],
      [sign({ email: undefined }), /no claim "email"/],
      [sign({ email: 7 }), /no claim "email"/],
      [sign({ email_verified: false }), /did not verify/],
      [sign({}, { expires: null }), /no time of expiry/],
      [sign({ nbf: Math.floor(Date.now() / 1000) + 3600 }), /ERR_JWT_CLAIM/],
      [sign({}, { key: other.privateKey }), /SIGNATURE/],
      [sign({}, { kid: "b" }), /NO_MATCHING_KEY/],
      ["x.y.z", /^rejected/],
      ["opaque", /^rejected/],
      ["x".repeat(20_000), /too long/],
    ] as const) {
      assert.match(why(await verifier.verify(await token)), reason);
    }
  });

  test("one that has expired is nobody's guess", async () => {
    const verifier = await byFile("expired.json", [await jwk()]);
    const verdict = await verifier.verify(await sign({}, { expires: "1m ago" }));
    assert.deepEqual(verdict, { kind: "rejected", why: "the token has expired", expired: true });
    const forged = await verifier.verify(await sign({}, { expires: "1m ago", key: other.privateKey }));
    assert.ok(forged.kind === "rejected" && forged.expired === undefined);
  });

  test("neither an unsigned one nor one signed with what is published", async () => {
    const verifier = await byFile("none.json", [await jwk()]);
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = part({ iss: issuer, aud: "smtp", email: "ann@example.test", exp: Date.now() / 1000 + 300 });
    assert.equal((await verifier.verify(`${part({ alg: "none" })}.${claims}.`)).kind, "rejected");
    const secret = new TextEncoder().encode(JSON.stringify(await jwk()));
    const hmac = await new SignJWT({ email: "ann@example.test" }).setProtectedHeader({ alg: "HS256", kid: "a" }).sign(secret);
    assert.equal((await verifier.verify(hmac)).kind, "rejected");
  });

  test("without a name of its key any of the issuer's will do", async () => {
    const verifier = await byFile("several.json", [await jwk(other.publicKey, "x"), await jwk()]);
    assert.equal((await verifier.verify(await sign({}, { kid: null }))).kind, "accepted");
    const third = generateKeyPairSync("ec", { namedCurve: "P-256" });
    assert.equal((await verifier.verify(await sign({}, { kid: null, key: third.privateKey }))).kind, "rejected");
  });

  test("keys from a URL; where they cannot be had, nothing is rejected", async (t) => {
    let status = 500;
    const keys = { keys: [await jwk()] };
    const url = await serve(t, (_, response) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(keys)),
    );
    const verifier = bearerVerifier({ ...rules, by: { kind: "keys", keys: url } });
    const token = await sign({});
    assert.match(why(await verifier.verify(token)), /^unavailable/);
    status = 200;
    assert.equal((await verifier.verify(token)).kind, "accepted");
    const missing = bearerVerifier({ ...rules, by: { kind: "keys", keys: join(folder, "missing.json") } });
    assert.match(why(await missing.verify(token)), /^unavailable/);
  });
});

describe("introspection", () => {
  const by = (url: URL): BearerOptions => ({ ...rules, by: { kind: "introspection", url, clientId: "mail server", clientSecret: "s:x" } });

  test("RFC 7662: asks with the token and its own name, and believes what is active and for us", async (t) => {
    let answer: unknown = { active: true, email: "ann@example.test", aud: "smtp" };
    const asked: string[] = [];
    const url = await serve(t, (request, response, body) => {
      asked.push(`${request.method} ${request.headers.authorization} ${body}`);
      response.end(JSON.stringify(answer));
    });
    const verifier = bearerVerifier(by(url));
    assert.deepEqual(await verifier.verify("to+ken"), { kind: "accepted", account: "ann@example.test" });
    const basic = Buffer.from("mail+server:s%3Ax").toString("base64");
    assert.deepEqual(asked, [`POST Basic ${basic} token=to%2Bken&token_type_hint=access_token`]);
    for (const [given, reason] of [
      [{ active: false }, /^rejected: .*not active/],
      [{ active: true, email: "ann@example.test", aud: "imap" }, /^rejected: .*audience/],
      [{ active: true, email: "ann@example.test", aud: "smtp", iss: "https://other.test" }, /^rejected: .*issuer/],
      [{ active: true, email: "ann@example.test", aud: "smtp", exp: 1 }, /^rejected: .*expired/],
      [{ active: true, aud: "smtp" }, /^rejected: .*no claim/],
      [{ active: "true" }, /^unavailable/],
      [[], /^unavailable/],
    ] as const) {
      answer = given;
      assert.match(why(await verifier.verify("t")), reason);
    }
  });

  test("an issuer that fails, sends elsewhere, or does not end, rejects nobody", async (t) => {
    const failing = await serve(t, (_, response) => response.writeHead(401).end("{}"));
    assert.match(why(await bearerVerifier(by(failing)).verify("t")), /^unavailable: .*401/);
    const moved = await serve(t, (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end());
    assert.match(why(await bearerVerifier(by(moved)).verify("t")), /^unavailable/);
    const endless = await serve(t, (_, response) => response.end(" ".repeat(ANSWER_LIMIT + 1)));
    assert.match(why(await bearerVerifier(by(endless)).verify("t")), /^unavailable: .*more than/);
    assert.match(why(await bearerVerifier(by(new URL("http://127.0.0.1:1/"))).verify("t")), /^unavailable/);
  });

  test("only so many are checked at once", async (t) => {
    const held: ServerResponse[] = [];
    let full = (): void => {};
    const whenFull = new Promise<void>((resolve) => {
      full = resolve;
    });
    const url = await serve(t, (_, response) => {
      held.push(response);
      if (held.length === CHECKS_LIMIT) full();
    });
    const verifier = bearerVerifier(by(url));
    const waiting = Array.from({ length: CHECKS_LIMIT }, () => verifier.verify("t"));
    await whenFull;
    assert.match(why(await verifier.verify("t")), /^unavailable: too many/);
    for (const response of held) response.end('{"active":false}');
    await Promise.all(waiting);
  });
});

test("claims: the issuer's clock may differ a little", () => {
  const now = 1_000_000_000;
  const judge = (claims: Record<string, unknown>) =>
    accountOfClaims({ iss: issuer, aud: "smtp", email: "a@b.test", ...claims }, rules, true, now).kind;
  assert.equal(judge({ exp: (now - CLOCK_TOLERANCE) / 1000 }), "rejected");
  assert.equal(judge({ exp: (now - CLOCK_TOLERANCE) / 1000 + 1 }), "accepted");
  assert.equal(judge({ exp: now, nbf: (now + CLOCK_TOLERANCE) / 1000 + 1 }), "rejected");
  assert.equal(judge({ exp: now, nbf: (now + CLOCK_TOLERANCE) / 1000 }), "accepted");
  assert.equal(accountOfClaims({ constructor: 1 }, { ...rules, audience: [], claim: "constructor" }, false, now).kind, "rejected");
  assert.equal(accountOfClaims({}, { ...rules, audience: [], claim: "toString" }, false, now).kind, "rejected");
});
