import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClientStream, Dial, DialTarget } from "../util/byte-stream.ts";
import { FakeClock } from "../util/testing.ts";
import { ATTEMPT_DELAY_MS, raceTo } from "./race.ts";

interface Dialled {
  readonly host: string;
  readonly at: number;
  readonly source: string | undefined;
  connect(): void;
  fail(why: string): void;
  calledOff: boolean;
  destroyed: boolean;
}

function setUp(addresses: readonly string[]) {
  const clock = new FakeClock();
  const begun = clock.now();
  const dialled: Dialled[] = [];
  const dial: Dial = ({ host, localAddress, signal }) =>
    new Promise((resolve, reject) => {
      const one: Dialled = {
        host,
        at: clock.now() - begun,
        source: localAddress,
        connect: () => resolve({ destroy: () => (one.destroyed = true) } as unknown as ClientStream),
        fail: (why) => reject(new Error(why)),
        calledOff: false,
        destroyed: false,
      };
      signal?.addEventListener("abort", () => {
        one.calledOff = true;
      });
      dialled.push(one);
    });
  const race = raceTo(addresses, { dial, clock, sourceFor: (address) => (address.includes(":") ? "::9" : undefined) });
  const target: DialTarget = { host: "mx.test", port: 25, timeout: 30_000 };
  return { clock, dialled, race, target };
}

const hosts = (dialled: readonly Dialled[]): string[] => dialled.map(({ host, at }) => `${host} at ${at}`);

describe("a race", () => {
  it("begins with one address, and with the next after a moment; the first that connects wins", async () => {
    const { clock, dialled, race, target } = setUp(["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    const stream = race.dial(target);
    await clock.pass(ATTEMPT_DELAY_MS - 1);
    assert.deepEqual(hosts(dialled), ["2001:db8::1 at 0"]);
    await clock.pass(1);
    assert.deepEqual(hosts(dialled), ["2001:db8::1 at 0", `192.0.2.1 at ${ATTEMPT_DELAY_MS}`]);
    assert.deepEqual([dialled[0]?.source, dialled[1]?.source], ["::9", undefined]);
    dialled[1]?.connect();
    await stream;
    assert.equal(race.winner, "192.0.2.1");
    assert.equal(dialled[0]?.calledOff, true);
    dialled[0]?.connect();
    await clock.pass(1000);
    assert.equal(dialled[0]?.destroyed, true, "it connected all the same");
    assert.equal(dialled.length, 2);
  });

  it("goes on at once where one fails, and names them all where none connects", async () => {
    const { clock, dialled, race, target } = setUp(["2001:db8::1", "192.0.2.1"]);
    const stream = race.dial(target);
    dialled[0]?.fail("no route to its network");
    await clock.pass(0);
    assert.deepEqual(hosts(dialled), ["2001:db8::1 at 0", "192.0.2.1 at 0"]);
    dialled[1]?.fail("connection refused");
    await assert.rejects(stream, /^Error: 2001:db8::1: no route to its network; 192\.0\.2\.1: connection refused$/);
    assert.equal(race.winner, undefined);
  });

  it("is over when it is called off", async () => {
    const { clock, dialled, race, target } = setUp(["192.0.2.1", "192.0.2.2"]);
    const stop = new AbortController();
    const stream = race.dial({ ...target, signal: stop.signal });
    stop.abort();
    assert.equal(dialled[0]?.calledOff, true);
    dialled[0]?.fail("called off");
    await assert.rejects(stream, /called off/);
    await clock.pass(1000);
    assert.equal(dialled.length, 1);
  });
});
