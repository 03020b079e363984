/** How long a connection waits for a server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientStream, StreamHandler } from "../util/byte-stream.ts";
import { latin1 } from "../util/bytes.ts";
import { FakeClock } from "../util/testing.ts";
import { SmtpConnection } from "./smtp-connection.ts";

/** A server that a test speaks for. */
class FakeStream implements ClientStream {
  readonly remoteAddress = "192.0.2.1";
  readonly remotePort = 25;
  readonly localAddress = "192.0.2.2";
  readonly localPort = 40_000;
  readonly tls = undefined;
  #handler: StreamHandler | undefined;
  destroyed = false;

  handle(handler: StreamHandler): void {
    this.#handler = handler;
  }

  says(text: string): void {
    this.#handler?.data(latin1(text));
  }

  write(): boolean {
    return true;
  }

  writeAll(): boolean {
    return true;
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#handler?.closed(undefined);
  }

  secure(): Promise<never> {
    return Promise.reject(new Error("no TLS here"));
  }
}

test("a server that sends its reply octet by octet has no longer for it", async () => {
  const clock = new FakeClock();
  const stream = new FakeStream();
  const options = { host: "mx.test", port: 25, name: "client.test", tls: "none", verify: false, dial: async () => stream, clock } as const;
  const opened = SmtpConnection.open({ ...options, timeouts: { greeting: 10_000, ehlo: 10_000 } }).then(
    () => "opened",
    (error: Error) => error.message,
  );
  await clock.pass(9000);
  stream.says("220 mx.test\r\n");
  await clock.pass(9000);
  assert.equal(stream.destroyed, false, "each reply has its own time");
  for (let i = 0; i < 10 && !stream.destroyed; i++) {
    stream.says(i % 2 === 0 ? "250-" : "more\r\n");
    await clock.pass(500);
  }
  assert.equal(stream.destroyed, true);
  assert.match(await opened, /no answer within 10 s/);
});
