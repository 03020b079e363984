import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LoginClaim } from "../protocol/sasl/mechanism.ts";
import type { ServerStream, StreamHandler, TlsFacts } from "../util/byte-stream.ts";
import { fromLatin1, latin1, utf8 } from "../util/bytes.ts";
import { systemClock } from "../util/clock.ts";
import { ServerConnection } from "./connection.ts";
import { LoginDesk } from "./login-desk.ts";
import { defaultServerOptions } from "./options.ts";
import { accept, type Credentials, type LoginResult } from "./policy.ts";

const peer = "192.0.2.1";
const rejected: LoginResult = { kind: "rejected", why: "no" };
const ann: LoginResult = { kind: "accepted", account: "ann" };
const plain: TlsFacts = { protocol: "TLSv1.3", cipher: "x", verified: false };
const bound: TlsFacts = { ...plain, channelBindings: () => ({ "tls-exporter": utf8("b") }) };
const shown: TlsFacts = { ...bound, clientCertificate: { mailboxes: ["ann@example.test"] } };
const claims = {
  password: { kind: "password", user: "ann", password: "p" },
  token: { kind: "token", user: "ann", token: "t" },
  certificate: { kind: "certificate" },
  scram: { kind: "scram", hash: "SHA-256", user: "ann", authMessage: utf8("m"), proof: utf8("p") },
} as const satisfies Record<string, LoginClaim>;

const everything: Credentials = {
  verify: async () => ann,
  scram: {
    parametersOf: async () => ({ kind: "parameters", salt: utf8("s"), iterations: 4096 }),
    verify: async () => ({ kind: "accepted", account: "ann", signature: utf8("sig") }),
  },
  bearer: { verify: async () => ann },
  certificates: { ownerOf: async () => ann },
};

describe("logins at the server", () => {
  test("only what can be checked is offered", async () => {
    const offered = async (credentials: Credentials, tls: TlsFacts) =>
      (await new LoginDesk(credentials, peer).offer(tls)).mechanisms.join(" ");
    assert.equal(await offered({ verify: async () => ann }, shown), "PLAIN LOGIN");
    assert.equal(await offered(everything, bound), "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN OAUTHBEARER XOAUTH2");
    assert.equal(await offered(everything, shown), "SCRAM-SHA-256-PLUS SCRAM-SHA-256 EXTERNAL PLAIN LOGIN OAUTHBEARER XOAUTH2");
    for (const ownerOf of [async () => rejected, async () => Promise.reject(new Error("disk"))]) {
      assert.doesNotMatch(await offered({ ...everything, certificates: { ownerOf } }, shown), /EXTERNAL/);
    }
  });

  test("what was not offered is not checked, and nobody acts as another", async () => {
    const bare = new LoginDesk({ verify: async () => ann }, peer);
    for (const claim of [claims.token, claims.certificate, claims.scram]) {
      assert.equal((await bare.verify({ authorization: "", claim })).result.kind, "rejected", claim.kind);
    }
    assert.equal((await bare.parametersOf("ann")).kind, "rejected");
    const desk = new LoginDesk(everything, peer);
    assert.equal((await desk.verify({ authorization: "", claim: claims.certificate })).result.kind, "rejected", "none was shown");
    await desk.offer(shown);
    for (const claim of Object.values(claims)) {
      assert.equal((await desk.verify({ authorization: "", claim })).result.kind, "accepted", claim.kind);
      assert.equal((await desk.verify({ authorization: "ANN", claim })).result.kind, "accepted", claim.kind);
      assert.equal((await desk.verify({ authorization: "bob", claim })).result.kind, "rejected", claim.kind);
    }
    assert.equal((await desk.verify({ authorization: "", claim: { ...claims.scram, hash: "SHA-1" } })).result.kind, "rejected");
  });
});

/** Both ends of a stream whose handshakes succeed at once. */
class FakeStream implements ServerStream {
  readonly remoteAddress = peer;
  readonly remotePort = 1;
  readonly localAddress = peer;
  readonly localPort = 587;
  tls: TlsFacts | undefined;
  handler: StreamHandler | undefined;
  said = "";
  #said: (() => void) | undefined;

  handle(handler: StreamHandler): void {
    this.handler = handler;
  }
  write(bytes: Uint8Array): boolean {
    this.said += fromLatin1(bytes);
    this.#said?.();
    return true;
  }
  writeAll(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) this.write(chunk);
    return true;
  }
  async secure(): Promise<TlsFacts> {
    this.tls = shown;
    return shown;
  }
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.said)) {
      await new Promise<void>((resolve) => {
        this.#said = resolve;
      });
    }
  }
  type(text: string): void {
    this.handler?.data(latin1(text));
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {
    this.handler?.closed(undefined);
  }
}

for (const kind of ["submission", "submissions"] as const) {
  test(`${kind}: what the client says while its certificate is looked up is kept, and that it leaves is seen`, async () => {
    const lookups: ((result: LoginResult) => void)[] = [];
    let asked = (): void => {};
    const connect = () => {
      const whenAsked = new Promise<void>((resolve) => {
        asked = resolve;
      });
      const ownerOf = () =>
        new Promise<LoginResult>((resolve) => {
          lookups.push(resolve);
          asked();
        });
      const stream = new FakeStream();
      let closed = false;
      const connection = new ServerConnection(
        stream,
        kind,
        "1",
        {
          options: { ...defaultServerOptions, hostname: "mail.test" },
          policy: { mail: () => accept, rcpt: () => accept },
          credentials: { ...everything, certificates: { ownerOf } },
          intake: {
            receive: () => assert.fail("nothing is sent"),
            accept: async () => {},
            refusal: () => assert.fail("nothing is sent"),
          },
          events: () => {},
          clock: systemClock,
          hasCertificate: true,
        },
        () => {
          closed = true;
        },
      );
      connection.start();
      if (kind === "submission") stream.type("EHLO a.test\r\nSTARTTLS\r\n");
      return { stream, whenAsked, closed: () => closed };
    };
    const { stream, whenAsked } = connect();
    await whenAsked;
    if (kind === "submission") stream.type("EHLO client.test\r\n");
    lookups.shift()?.(ann);
    await stream.until(kind === "submission" ? /AUTH .*EXTERNAL/ : /^220 /);
    const left = connect();
    await left.whenAsked;
    left.stream.destroy();
    assert.equal(left.closed(), true);
  });
}
