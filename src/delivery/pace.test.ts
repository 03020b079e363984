import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LocalQuota, type Quota } from "../queue/quota.ts";
import { FakeClock } from "../util/testing.ts";
import { Pace, type PaceMember, type PaceOptions } from "./pace.ts";

const clock = new FakeClock();

function pace(options: Partial<PaceOptions> = {}): Pace {
  return new Pace({ name: "p", maxConnections: 8, initialConnections: 2, quota: new LocalQuota(clock), clock, ...options });
}

class Member implements PaceMember {
  readonly #pace: Pace;
  idle = 0;
  worked = 0;

  constructor(of: Pace) {
    this.#pace = of;
    of.join(this);
  }

  work(): void {
    this.worked++;
  }

  dropIdle(): boolean {
    if (this.idle === 0) return false;
    this.idle--;
    this.#pace.leave();
    return true;
  }
}

describe("connections", () => {
  it("begin with a few, one more with each success, up to the limit", () => {
    const one = pace();
    assert.equal(one.limit, 2);
    for (let i = 0; i < 100; i++) one.succeeded();
    assert.equal(one.limit, 8);
  });

  it("are halved by trouble, and come back slowly", () => {
    const one = pace();
    for (let i = 0; i < 10; i++) one.succeeded();
    one.slowDown();
    assert.equal(one.limit, 4);
    for (let i = 0; i < 10; i++) one.succeeded();
    assert.equal(one.limit, 4);
    for (let i = 0; i < 35; i++) one.succeeded();
    assert.equal(one.limit, 5);
    for (let i = 0; i < 20; i++) one.slowDown();
    assert.equal(one.limit, 1, "never none at all");
  });

  it("are given in turn to those who share them; an idle one gives way", () => {
    const one = pace();
    const [a, b, c] = [new Member(one), new Member(one), new Member(one)];
    assert.ok(one.enter(a) && one.enter(a));
    assert.ok(!one.enter(b) && !one.enter(c));
    assert.ok(one.isWantedByOthers(a) && one.isWantedByOthers(b));
    one.leave();
    assert.deepEqual([b.worked, c.worked], [1, 1], "b is asked first, and did not want it any more");
    a.idle = 1;
    assert.ok(one.enter(b) && one.enter(c), "the free one, and the idle one's");
    assert.equal(a.idle, 0);
  });

  it("are divided among the nodes that share the queue", async () => {
    const quota: Quota = { take: async () => 0, nodes: async () => 4 };
    const one = pace({ quota, initialConnections: 8 });
    assert.ok(one.enter(new Member(one)));
    await Promise.resolve();
    await Promise.resolve();
    assert.equal(one.limit, 2);
  });
});

describe("a rate", () => {
  it("lets so many go in a window, and says how long to wait", async () => {
    const one = pace({ rate: { messages: 4, per: 2000 } }); // 2 a second
    assert.deepEqual([await one.permit(), await one.permit()], [0, 0]);
    const wait = await one.permit();
    assert.equal(wait, 1000 - (clock.now() % 1000));
    await clock.pass(wait);
    assert.equal(await one.permit(), 0);
  });

  it("that cannot be asked for is waited for", async () => {
    const quota: Quota = { take: () => Promise.reject(new Error("away")), nodes: async () => 1 };
    assert.equal(await pace({ quota, rate: { messages: 4, per: 2000 } }).permit(), 1000);
  });

  it("is not exceeded by what was granted late", async () => {
    const own = new FakeClock();
    const local = new LocalQuota(own);
    const slow = Promise.withResolvers<void>();
    const quota: Quota = {
      nodes: () => local.nodes(),
      take: async (request) => {
        const granted = await local.take(request);
        await slow.promise;
        return granted;
      },
    };
    const one = pace({ rate: { messages: 20, per: 1000 }, quota, clock: own });
    const first = one.permit();
    await own.pass(1000);
    slow.resolve();
    assert.equal(await first, 0);
    let more = 0;
    while ((await one.permit()) === 0) more++;
    assert.equal(more, 20);
  });
});
