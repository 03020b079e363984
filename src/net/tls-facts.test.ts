import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TlsBindings, TlsFacts } from "../util/byte-stream.ts";
import { selfSignedCertificate } from "./certificate.ts";
import { dial } from "./dial.ts";
import { listen } from "./listener.ts";
import { CertificateError, checkAuthorities, serverContext } from "./tls-context.ts";
import { mailboxesOf } from "./tls-facts.ts";

describe("TLS facts", () => {
  test("what binds a login is the same at both ends, and another in each session", async (t) => {
    const { certificate, key } = selfSignedCertificate({ names: ["localhost"] });
    const context = serverContext({ certificate, key, certificateLabel: "certificate", keyLabel: "key" });
    const atServer: Promise<TlsFacts>[] = [];
    const streams: { destroy(): void }[] = [];
    const listener = await listen({
      endpoint: { host: "127.0.0.1", port: 0 },
      name: "test",
      context,
      asksForCertificate: true,
      accept: (stream) => {
        atServer.push(stream.secure());
        streams.push(stream);
      },
      trouble: () => {},
    });
    t.after(() => {
      for (const stream of streams) stream.destroy();
      return listener.close();
    });
    const connect = async (): Promise<[TlsBindings, TlsBindings, TlsFacts]> => {
      const stream = await dial({ host: "127.0.0.1", port: listener.port, timeout: 5000 });
      streams.push(stream);
      const facts = await stream.secure({ host: "localhost", verify: true, authorities: certificate });
      const server = await (atServer.pop() as Promise<TlsFacts>);
      assert.equal(facts.verified, true);
      return [facts.channelBindings?.() ?? {}, server.channelBindings?.() ?? {}, server];
    };
    const [client, server, facts] = await connect();
    assert.deepEqual(client, server);
    assert.equal(client["tls-exporter"]?.length, 32);
    assert.equal(client["tls-server-end-point"]?.length, 32);
    assert.equal(facts.clientCertificate, undefined);
    const [other] = await connect();
    assert.notDeepEqual(other["tls-exporter"], client["tls-exporter"]);
    assert.deepEqual(other["tls-server-end-point"], client["tls-server-end-point"]);
  });

  test("addresses of a certificate: what could be read in two ways is none", () => {
    assert.deepEqual(mailboxesOf("email:ann@example.test, DNS:example.test, email:b@c.d"), ["ann@example.test", "b@c.d"]);
    assert.deepEqual(mailboxesOf(""), []);
    assert.deepEqual(mailboxesOf("DNS:email:x@y.z"), []);
    assert.deepEqual(mailboxesOf('DNS:"a, email:eve@example.test", email:ann@example.test'), ["ann@example.test"]);
    assert.deepEqual(mailboxesOf('email:"ann@example.test, email:eve@example.test"'), []);
    assert.deepEqual(mailboxesOf('URI:"a\\", email:eve@example.test"'), []);
    assert.deepEqual(mailboxesOf("email:ann@example.test; email"), ["ann@example.test; email"]);
    assert.deepEqual(mailboxesOf('DNS:"unclosed, email:eve@example.test'), []);
  });

  test("authorities are certificates of authorities", () => {
    const { certificate, key } = selfSignedCertificate({ names: ["localhost"] });
    assert.throws(
      () => checkAuthorities(certificate, "ca.pem"),
      (error) => error instanceof CertificateError && /no authority's/.test(error.message),
    );
    assert.throws(() => checkAuthorities(key, "ca.pem"), /private key/);
    assert.throws(() => checkAuthorities("", "ca.pem"), /not PEM/);
  });
});
