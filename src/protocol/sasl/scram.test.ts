/** SCRAM: the exchanges of the RFCs octet by octet, both sides joined, and what neither takes. */
import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeBase64 } from "../../util/base64.ts";
import { fromUtf8Lossy, sameBytes, utf8 } from "../../util/bytes.ts";
import { runs } from "../testing.ts";
import type { ChannelBinding, ChannelBindings } from "./channel-binding.ts";
import { decodeSaslName, encodeSaslName, gs2Header, parseGs2Header } from "./gs2.ts";
import type { ClientMechanismStep, LoginClaim, ServerStep } from "./mechanism.ts";
import type { ClientAnswer, ClientQuestion, SaslHash } from "./question.ts";
import { LEAST_ITERATIONS, MOST_ITERATIONS, ScramClient } from "./scram-client.ts";
import { NONCE_LIMIT, parseClientFinal, parseClientFirst, parseServerFinal, parseServerFirst, SALT_LIMIT } from "./scram-messages.ts";
import { ScramServer } from "./scram-server.ts";

const base64 = (text: string): Uint8Array => decodeBase64(text) ?? assert.fail(text);
const name = (hash: SaslHash): string => hash.replace("-", "").toLowerCase();

/** RFC 5802 3, as it is written there. */
function keysOf(hash: SaslHash, password: string, salt: Uint8Array, iterations: number) {
  const hmac = (key: Uint8Array, text: Uint8Array | string) => createHmac(name(hash), key).update(text).digest();
  const salted = pbkdf2Sync(password, salt, iterations, hash === "SHA-1" ? 20 : 32, name(hash));
  const clientKey = hmac(salted, "Client Key");
  const storedKey = createHash(name(hash)).update(clientKey).digest();
  return { clientKey, storedKey, serverKey: hmac(salted, "Server Key"), hmac };
}

function answer(question: ClientQuestion): ClientAnswer {
  assert.ok(question.kind === "scram");
  const { hash, password, salt, iterations, authMessage } = question;
  const { clientKey, storedKey, serverKey, hmac } = keysOf(hash, password, salt, iterations);
  const signature = hmac(storedKey, authMessage);
  return {
    kind: "scram",
    proof: clientKey.map((octet, i) => octet ^ (signature[i] as number)),
    serverSignature: hmac(serverKey, authMessage),
  };
}

/** What the client says next; its questions are answered. */
function said(client: ScramClient, step: ClientMechanismStep): string {
  if (step.kind === "ask") return said(client, client.answered(answer(step.question)));
  assert.ok(step.kind === "response" && step.bytes !== undefined, JSON.stringify(step));
  return fromUtf8Lossy(step.bytes);
}

const respond = (client: ScramClient, text: string): string => said(client, client.respond(utf8(text)));
const why = (step: ClientMechanismStep): string => (step.kind === "cancel" ? step.why : assert.fail(JSON.stringify(step)));

interface Vector {
  readonly rfc: string;
  readonly hash: SaslHash;
  readonly client: string;
  readonly server: string;
  readonly salt: string;
  readonly proof: string;
  readonly signature: string;
}

const vectors: readonly Vector[] = [
  {
    rfc: "RFC 5802 5",
    hash: "SHA-1",
    client: "fyko+d2lbbFgONRv9qkxdawL",
    server: "3rfcNHYJY1ZVvWVs7j",
    salt: "QSXCR+Q6sek8bf92",
    proof: "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    signature: "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
  },
  {
    rfc: "RFC 7677 3",
    hash: "SHA-256",
    client: "rOprNGfwEbeRWgbNEkqO",
    server: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
    proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    signature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  },
];

describe("SCRAM", () => {
  for (const { rfc, hash, client: c, server: s, salt, proof, signature } of vectors) {
    test(`${hash}: the exchange of ${rfc}, both sides`, () => {
      const client = new ScramClient({ hash, user: "user", password: "pencil", binding: "n", nonce: c });
      const server = new ScramServer({ hash, bound: false, offersBinding: false, bindings: {}, nonce: s });
      const messages = [`n,,n=user,r=${c}`, `r=${c}${s},s=${salt},i=4096`, `c=biws,r=${c}${s},p=${proof}`, `v=${signature}`] as const;
      assert.equal(said(client, client.initial()), messages[0]);
      assert.deepEqual(server.step(utf8(messages[0])), { kind: "salt", hash, user: "user" });
      assert.deepEqual(server.salted({ salt: base64(salt), iterations: 4096 }), { kind: "challenge", bytes: utf8(messages[1]) });
      assert.equal(respond(client, messages[1]), messages[2]);
      const check = server.step(utf8(messages[2]));
      assert.ok(check.kind === "check" && check.claim.kind === "scram");
      assert.equal(fromUtf8Lossy(check.claim.authMessage), `n=user,r=${c},${messages[1]},c=biws,r=${c}${s}`);
      assert.deepEqual(check.claim.proof, base64(proof));
      assert.equal(typeof client.done(), "string", "not before the server's signature");
      assert.deepEqual(server.accepted(base64(signature)), { kind: "challenge", bytes: utf8(messages[3]) });
      assert.equal(respond(client, messages[3]), "");
      assert.equal(client.done(), undefined);
      assert.deepEqual(server.step(utf8("")), { kind: "done" });
    });
  }

  test("joined: every binding and hash, any user and password; the owner's check is what RFC 5802 3 says", () => {
    const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((text) => !text.includes("\0"));
    const binding = fc.constantFrom<"n" | "y" | ChannelBinding["type"]>("n", "y", "tls-exporter", "tls-server-end-point");
    fc.assert(
      fc.property(word, word, word, binding, fc.constantFrom<SaslHash>("SHA-1", "SHA-256"), (user, password, authorization, how, hash) => {
        const data: ChannelBindings = { "tls-exporter": utf8("x".repeat(32)), "tls-server-end-point": utf8("y".repeat(32)) };
        const bound = how !== "n" && how !== "y";
        const chosen = bound ? { type: how, data: data[how] as Uint8Array } : how;
        const client = new ScramClient({ hash, user, password, authorization, binding: chosen });
        const server = new ScramServer({ hash, bound, offersBinding: bound, bindings: data });
        assert.equal(client.name, server.name);
        const salt = utf8("salt");
        let step: ServerStep = server.step(utf8(said(client, client.initial())));
        assert.ok(step.kind === "salt");
        step = server.salted({ salt, iterations: LEAST_ITERATIONS });
        assert.ok(step.kind === "challenge");
        step = server.step(utf8(said(client, client.respond(step.bytes))));
        assert.ok(step.kind === "check" && step.authorization === authorization);
        const signature = checked(step.claim, password, salt);
        assert.ok(signature !== undefined);
        step = server.accepted(signature);
        assert.ok(step.kind === "challenge");
        assert.equal(said(client, client.respond(step.bytes)), "");
        assert.equal(client.done(), undefined);
      }),
      runs(30),
    );
  });

  test("the client: a wrong signature, none, or a nonce that is not made from ours, is a forger's", () => {
    const begun = () => {
      const client = new ScramClient({ hash: "SHA-1", user: "u", password: "p", binding: "n", nonce: "abc" });
      client.initial();
      return client;
    };
    for (const nonce of ["abc", "abd", "ab", "xabc"]) {
      assert.deepEqual(begun().respond(utf8(`r=${nonce},s=QSXCR+Q6sek8bf92,i=4096`)), {
        kind: "cancel",
        why: "the server's nonce is not made from ours",
        forged: true,
      });
    }
    const client = begun();
    respond(client, "r=abcd,s=QSXCR+Q6sek8bf92,i=4096");
    const step = client.respond(utf8("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
    assert.ok(step.kind === "cancel" && step.forged);
    assert.equal(typeof client.done(), "string");
    assert.equal(typeof begun().done(), "string");
  });

  test("the client: an error of the server is told, and the exchange comes to its end", () => {
    const client = new ScramClient({ hash: "SHA-1", user: "u", password: "p", binding: "n", nonce: "abc" });
    client.initial();
    respond(client, "r=abcd,s=QSXCR+Q6sek8bf92,i=4096");
    assert.equal(respond(client, "e=invalid-proof"), "");
    assert.equal(client.complaint, "invalid-proof");
    assert.equal(typeof client.done(), "string");
  });

  test("the client: the number of iterations has limits", () => {
    for (const [count, taken] of [
      [LEAST_ITERATIONS - 1, false],
      [LEAST_ITERATIONS, true],
      [MOST_ITERATIONS, true],
      [MOST_ITERATIONS + 1, false],
      ["9".repeat(400), false],
    ] as const) {
      const client = new ScramClient({ hash: "SHA-1", user: "u", password: "p", binding: "n", nonce: "abc" });
      client.initial();
      const step = client.respond(utf8(`r=abcd,s=QSXCR+Q6sek8bf92,i=${count}`));
      assert.equal(step.kind, taken ? "ask" : "cancel", String(count));
      if (!taken) assert.match(why(step), /iterations/);
    }
  });

  test("the client: names have SASLprep's form and their own signs for , and =; NUL cannot be said", () => {
    const client = new ScramClient({ hash: "SHA-1", user: "a,b=\u2168", password: "p", authorization: "x,y", binding: "y", nonce: "abc" });
    assert.equal(said(client, client.initial()), "y,a=x=2Cy,n=a=2Cb=3DIX,r=abc");
    assert.equal(new ScramClient({ hash: "SHA-1", user: "a\0", password: "p", binding: "n" }).initial().kind, "cancel");
    assert.equal(new ScramClient({ hash: "SHA-1", user: "", password: "p", binding: "n" }).initial().kind, "cancel");
  });

  test("the server: another nonce, another TLS session, and an offer that someone changed are rejected", () => {
    const bindings = { "tls-exporter": utf8("here") };
    const serve = (bound: boolean, offersBinding = bound) =>
      new ScramServer({ hash: "SHA-256", bound, offersBinding, bindings, nonce: "s" });
    const final = (server: ScramServer, first: string, last: string) => {
      assert.equal(server.step(utf8(first)).kind, "salt");
      server.salted({ salt: utf8("salt"), iterations: 4096 });
      return server.step(utf8(last));
    };
    const c = (text: string) => Buffer.from(text).toString("base64");
    const good = final(serve(true), "p=tls-exporter,,n=u,r=c", `c=${c("p=tls-exporter,,here")},r=cs,p=AAAA`);
    assert.equal(good.kind, "check");
    assert.equal(final(serve(true), "p=tls-exporter,,n=u,r=c", `c=${c("p=tls-exporter,,elsewhere")},r=cs,p=AAAA`).kind, "rejected");
    assert.equal(final(serve(false), "n,,n=u,r=c", "c=biws,r=cx,p=AAAA").kind, "rejected");
    assert.equal(final(serve(false), "n,,n=u,r=c", `c=${c("y,,")},r=cs,p=AAAA`).kind, "rejected");
    assert.equal(serve(false, true).step(utf8("y,,n=u,r=c")).kind, "rejected");
    assert.equal(serve(false, false).step(utf8("y,,n=u,r=c")).kind, "salt");
    assert.equal(serve(true).step(utf8("p=tls-unique,,n=u,r=c")).kind, "rejected");
    assert.equal(serve(true).step(utf8("n,,n=u,r=c")).kind, "malformed");
    assert.equal(serve(false).step(utf8("p=tls-exporter,,n=u,r=c")).kind, "malformed");
  });

  test("the server: begins without an initial response, ends with an empty one", () => {
    const server = new ScramServer({ hash: "SHA-1", bound: false, offersBinding: false, bindings: {}, nonce: "s" });
    assert.deepEqual(server.step(undefined), { kind: "challenge", bytes: utf8("") });
    server.step(utf8("n,,n=u,r=c"));
    server.salted({ salt: utf8("salt"), iterations: 4096 });
    server.step(utf8("c=biws,r=cs,p=AAAA"));
    server.accepted(utf8("sig"));
    assert.equal(server.step(utf8("x")).kind, "malformed");
  });
});

/** The owner's check: the proof undoes to a key whose hash is the stored one. */
function checked(claim: LoginClaim, password: string, salt: Uint8Array): Uint8Array | undefined {
  assert.ok(claim.kind === "scram");
  const { storedKey, serverKey, hmac } = keysOf(claim.hash, password, salt, LEAST_ITERATIONS);
  const signature = hmac(storedKey, claim.authMessage);
  const key = claim.proof.map((octet, i) => octet ^ (signature[i] as number));
  return sameBytes(createHash(name(claim.hash)).update(key).digest(), storedKey) ? hmac(serverKey, claim.authMessage) : undefined;
}

describe("SCRAM messages", () => {
  const longNonce = (n: number) => "x".repeat(n);

  test("client-first", () => {
    const read = (text: string) => parseClientFirst(utf8(text));
    const good = read("p=tls-exporter,a=x=2Cy,n=us=3Der,r=abc,x=1,y=a=b");
    assert.ok(typeof good !== "string");
    assert.deepEqual(
      [good.user, good.nonce, good.header.authorization, good.header.flag],
      ["us=er", "abc", "x,y", { kind: "bound", type: "tls-exporter" }],
    );
    assert.equal(good.bare, "n=us=3Der,r=abc,x=1,y=a=b");
    assert.ok(typeof read(`n,,n=u,r=${longNonce(NONCE_LIMIT)}`) !== "string");
    for (const text of [
      "",
      "n=u,r=c",
      "n,n=u,r=c",
      "n,,r=c,n=u",
      "n,,n=,r=c",
      "n,,n=u,r=",
      "n,,n=u",
      "n,,n=u=2c,r=c",
      "n,,n=u,r=a b",
      "n,,n=u,r=c,",
      "n,,n=u,r=c,x",
      "n,,n=u,r=c,1=x",
      "n,,n=u,r=c,m=x",
      "n,,m=ext,n=u,r=c",
      "n,b=x,n=u,r=c",
      "n,a=,n=u,r=c",
      "p=,,n=u,r=c",
      "p=a b,,n=u,r=c",
      "x,,n=u,r=c",
      "n,,n=u\0,r=c",
      `n,,n=u,r=${longNonce(NONCE_LIMIT + 1)}`,
    ]) {
      assert.equal(typeof read(text), "string", JSON.stringify(text));
    }
    assert.equal(typeof parseClientFirst(Uint8Array.of(0x6e, 0x2c, 0x2c, 0x6e, 0x3d, 0xff)), "string");
  });

  test("server-first", () => {
    const read = (text: string) => parseServerFirst(utf8(text));
    assert.deepEqual(read("r=abc,s=AAAA,i=4096,x=y"), { nonce: "abc", salt: Uint8Array.of(0, 0, 0), iterations: 4096 });
    const salt = (octets: number) => Buffer.alloc(octets).toString("base64");
    assert.ok(typeof read(`r=a,s=${salt(SALT_LIMIT)},i=1`) !== "string");
    for (const text of [
      "",
      "r=a,s=AAAA",
      "r=a,s=AAAA,i=",
      "r=a,s=AAAA,i=0",
      "r=a,s=AAAA,i=04096",
      "r=a,s=AAAA,i=-1",
      "r=a,s=AAAA,i=1e9",
      "r=a,s=AAA,i=4096",
      "r=a,s=,i=4096",
      "s=AAAA,r=a,i=4096",
      "m=x,r=a,s=AAAA,i=4096",
      "r=a,s=AAAA,i=4096,",
      "r=a,s=AAAA,i=4096 ",
      "r=a,s=AAAA,i=4096\n",
      `r=a,s=${salt(SALT_LIMIT + 1)},i=4096`,
    ]) {
      assert.equal(typeof read(text), "string", JSON.stringify(text));
    }
  });

  test("client-final and server-final", () => {
    const final = parseClientFinal(utf8("c=biws,r=abc,x=y,p=AAAA"));
    assert.ok(typeof final !== "string");
    assert.deepEqual([final.withoutProof, final.nonce, fromUtf8Lossy(final.binding)], ["c=biws,r=abc,x=y", "abc", "n,,"]);
    for (const text of [
      "",
      "c=biws,r=abc",
      "c=biws,p=AAAA",
      "c=biws!,r=a,p=AAAA",
      "c=biws,r=a,p=AAA",
      "r=a,c=biws,p=AAAA",
      "c=biws,r=a,p=AAAA,x=y",
    ]) {
      assert.equal(typeof parseClientFinal(utf8(text)), "string", text);
    }
    assert.deepEqual(parseServerFinal(utf8("v=AAAA,x=y")), { kind: "signature", signature: Uint8Array.of(0, 0, 0) });
    assert.deepEqual(parseServerFinal(utf8("e=other-error")), { kind: "error", error: "other-error" });
    for (const text of ["", "v=", "v=AAA", "e=", "v=AAAA,", "x=y", "v=AAAA,e=x,"]) {
      assert.equal(typeof parseServerFinal(utf8(text)), "string", text);
    }
  });

  test("names and headers: written and read back; any octets are read without a throw", () => {
    const unit = fc.oneof(fc.constantFrom(",", "=", "=2C", "=3D", "a"), fc.string({ unit: "grapheme", maxLength: 1 }));
    const text = fc
      .array(unit, { minLength: 1, maxLength: 12 })
      .map((parts) => parts.join(""))
      .filter((one) => one !== "" && !one.includes("\0"));
    fc.assert(
      fc.property(text, (one) => {
        assert.equal(decodeSaslName(encodeSaslName(one)), one);
        const header = gs2Header({ kind: "y" }, one);
        assert.deepEqual(parseGs2Header(`${header}n=x`), { flag: { kind: "y" }, authorization: one, text: header });
      }),
      runs(300),
    );
    const piece = fc.constantFrom(
      "n,",
      "y,",
      "p=x,",
      ",",
      "a=",
      "n=",
      "r=",
      "s=",
      "i=",
      "c=",
      "p=",
      "v=",
      "e=",
      "AAAA",
      "1",
      "=2C",
      "\0",
      "\u00e9",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          fc.array(piece, { maxLength: 14 }).map((parts) => utf8(parts.join(""))),
        ),
        (bytes) => {
          for (const parse of [parseClientFirst, parseServerFirst, parseClientFinal, parseServerFinal]) parse(bytes);
        },
      ),
      runs(500),
    );
  });
});
