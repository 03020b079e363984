import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Unfinished } from "../mail/outcome.ts";
import { LocalQuota } from "../queue/quota.ts";
import { FakeClock } from "../util/testing.ts";
import { type Closed, Destination, type DestinationOptions, type Link, type Sent } from "./destination.ts";
import { delayedHere, failedHere } from "./outcomes.ts";
import { Pace, type PaceOptions } from "./pace.ts";

/** A server in memory: each job is under way until it is answered. */
class FakeServer {
  readonly clock = new FakeClock();
  readonly done: string[] = [];
  readonly outcomes = new Map<string, Unfinished>();
  readonly closings: (Closed | undefined)[] = [];
  readonly links: FakeLink[] = [];
  opened = 0;
  emptied = 0;
  /** What `open` comes to; a link where absent. */
  refuse: Unfinished | undefined;
  /** Answers at once. */
  prompt: Sent | undefined = "done";
  readonly pace: Pace;

  constructor(options: Partial<PaceOptions> = {}) {
    this.pace = new Pace({
      name: "p",
      maxConnections: 4,
      initialConnections: 2,
      quota: new LocalQuota(this.clock),
      clock: this.clock,
      ...options,
    });
  }

  destination(options: Partial<DestinationOptions<string>> = {}): Destination<string> {
    return new Destination<string>({
      clock: this.clock,
      pace: this.pace,
      maxMessagesPerConnection: 1000,
      keepIdle: 5000,
      backOff: { first: 10_000, longest: 900_000 },
      random: () => 0.5,
      open: async () => {
        this.opened++;
        if (this.refuse !== undefined) return this.refuse;
        const link = new FakeLink(this);
        this.links.push(link);
        return link;
      },
      settle: (job, outcome) => this.outcomes.set(job, outcome),
      onClosed: (closed) => this.closings.push(closed),
      onEmpty: () => this.emptied++,
      ...options,
    });
  }

  untried(): string[] {
    return [...this.outcomes].filter(([, outcome]) => outcome.untried !== undefined).map(([job]) => job);
  }
}

class FakeLink implements Link<string> {
  readonly at = { name: "mx.test", port: 25 };
  readonly #server: FakeServer;
  usable = true;
  answer: ((sent: Sent) => void) | undefined;
  used = 0;

  constructor(server: FakeServer) {
    this.#server = server;
  }

  async send(job: string): Promise<Sent> {
    this.used++;
    const sent =
      this.#server.prompt ??
      (await new Promise<Sent>((resolve) => {
        this.answer = resolve;
      }));
    if (sent !== "dead") this.#server.done.push(job);
    if (sent !== "done") this.usable = false;
    return sent;
  }

  async quit(): Promise<void> {
    this.usable = false;
  }
}

const jobs = (count: number): string[] => Array.from({ length: count }, (_, i) => `m${i}`);
const refused = delayedHere("4.4.1", "connection refused");

describe("a destination", () => {
  it("sends all through few connections, and keeps one for a moment", async () => {
    const server = new FakeServer();
    const destination = server.destination();
    for (const job of jobs(20)) destination.add(job);
    await server.clock.pass(10);
    assert.equal(server.done.length, 20);
    assert.equal(destination.state.connections, server.opened);
    await server.clock.pass(5000);
    assert.deepEqual([destination.state.connections, server.pace.taken, server.emptied > 0], [0, 0, true]);
  });

  it("that cannot be reached tells all that wait, is left alone, longer each time, and is looked at by one connection", async () => {
    const server = new FakeServer();
    server.refuse = refused;
    const destination = server.destination();
    for (const job of jobs(50)) destination.add(job);
    await server.clock.pass(0);
    assert.equal(server.outcomes.size, 50);
    assert.deepEqual(server.untried(), []);
    assert.equal(server.closings.length, 1);
    const opened = server.opened;
    destination.add("later");
    assert.deepEqual(server.untried(), ["later"]);
    const due = server.outcomes.get("later")?.untried?.due ?? 0;
    assert.ok(due >= server.clock.now() + 10_000, "not before it is looked at again");
    await server.clock.pass(10_000);
    for (const job of ["a", "b", "c"]) destination.add(job);
    await server.clock.pass(0);
    assert.equal(server.opened, opened + 1, "one connection");
    const again = server.closings.at(-1)?.until ?? 0;
    assert.equal(again - server.clock.now(), 20_000);
    await server.clock.pass(20_000);
    server.refuse = undefined;
    for (const job of ["d", "e"]) destination.add(job);
    await server.clock.pass(0);
    assert.deepEqual(server.done, ["d", "e"]);
    assert.equal(server.closings.at(-1), undefined);
  });

  it("is looked at again at once when an operator says so", async () => {
    const server = new FakeServer();
    server.refuse = refused;
    const destination = server.destination();
    destination.add("a");
    await server.clock.pass(0);
    server.refuse = undefined;
    destination.reopen();
    destination.add("b");
    await server.clock.pass(0);
    assert.deepEqual(server.done, ["b"]);
  });

  it("that takes no mail for good is not left alone: each message fails by itself", async () => {
    const server = new FakeServer();
    server.refuse = failedHere("5.1.2", "no such domain");
    const destination = server.destination();
    destination.add("a");
    await server.clock.pass(0);
    destination.add("b");
    await server.clock.pass(0);
    assert.deepEqual(
      [...server.outcomes.values()].map(({ action }) => action),
      ["failed", "failed"],
    );
    assert.equal(server.closings.length, 0);
  });

  it("that turns further connections away is served by those it has", async () => {
    const server = new FakeServer();
    server.prompt = undefined;
    const destination = server.destination();
    for (const job of jobs(6)) destination.add(job);
    await server.clock.pass(0);
    server.refuse = delayedHere("4.7.0", "421 too many connections");
    for (let i = 0; i < 20 && server.done.length < 6; i++) {
      for (const link of server.links) link.answer?.("done");
      await server.clock.pass(0);
    }
    assert.equal(server.done.length, 6);
    assert.equal(server.outcomes.size, 0);
    assert.equal(server.closings.length, 0);
  });

  it("that says 421 in each session is left alone, and what waits is put off", async () => {
    const server = new FakeServer({ initialConnections: 1 });
    server.prompt = "trouble";
    const destination = server.destination();
    for (const job of jobs(10)) destination.add(job);
    await server.clock.pass(0);
    assert.deepEqual(server.done, ["m0"]);
    assert.equal(server.untried().length, 9);
  });

  it("keeps to a rate: what can go soon waits here, what cannot goes back to the queue", async () => {
    const server = new FakeServer({ rate: { messages: 2, per: 1000 } });
    const destination = server.destination();
    for (const job of jobs(6)) destination.add(job);
    await server.clock.pass(2500);
    assert.deepEqual([server.done.length, server.outcomes.size], [6, 0]);
    const slow = new FakeServer({ rate: { messages: 1, per: 60_000 } });
    const rare = slow.destination();
    for (const job of jobs(3)) rare.add(job);
    await slow.clock.pass(0);
    assert.equal(slow.done.length, 1);
    assert.deepEqual(slow.untried(), ["m1", "m2"]);
  });

  it("with a low rate puts off as that can take them, not all of them to the next window", async () => {
    const server = new FakeServer({ rate: { messages: 1, per: 60_000 } });
    const destination = server.destination();
    for (const job of jobs(102)) destination.add(job);
    await server.clock.pass(0);
    const dues = server.untried().map((job) => (server.outcomes.get(job)?.untried?.due ?? 0) - server.clock.now());
    assert.equal(dues.length, 101);
    for (const due of dues.slice(1, 15)) assert.ok(dues.filter((other) => Math.abs(other - due) < 1000).length <= 2, `many at ${due}`);
    assert.ok(
      dues.slice(15).every((due) => due > 7.5 * 60_000),
      "what cannot go for long stays away for long",
    );
    assert.ok(dues.every((due) => due <= 17 * 60_000));
  });

  it("that is slow gives back what it cannot take soon, due when it likely can", async () => {
    const server = new FakeServer({ maxConnections: 1, initialConnections: 1 });
    server.prompt = undefined;
    const destination = server.destination();
    for (const job of jobs(100)) destination.add(job);
    for (let i = 0; i < 10; i++) {
      await server.clock.pass(500);
      server.links[0]?.answer?.("done");
    }
    await server.clock.pass(0);
    destination.relieve();
    assert.equal(server.done.length, 10);
    const given = server.untried();
    assert.ok(given.length > 70 && given.length < 90, `${given.length} of 90`);
    const dues = given.map((job) => (server.outcomes.get(job)?.untried?.due ?? 0) - server.clock.now());
    assert.ok(dues.every((due, i) => due >= 5000 && (i === 0 || due >= (dues[i - 1] as number))));
    assert.ok((dues.at(-1) ?? 0) > 30_000, "two a second take 45 s for 90");
  });

  it("gives its turn to another destination of the same pace", async () => {
    const server = new FakeServer({ maxConnections: 1, initialConnections: 1 });
    const [busy, other] = [server.destination(), server.destination()];
    for (const job of jobs(1000)) busy.add(job);
    other.add("other");
    await server.clock.pass(0);
    assert.equal(server.done.length, 1001);
    assert.ok(server.done.indexOf("other") < 50, `after ${server.done.indexOf("other")}`);
  });

  it("stops: what has not begun is taken back", async () => {
    const server = new FakeServer({ maxConnections: 1, initialConnections: 1 });
    server.prompt = undefined;
    const destination = server.destination();
    for (const job of jobs(3)) destination.add(job);
    await server.clock.pass(0);
    assert.deepEqual(destination.stop(), ["m1", "m2"]);
    server.links[0]?.answer?.("dead");
    await server.clock.pass(0);
    assert.deepEqual(server.untried(), ["m0"], "it is not lost from the hand");
  });

  it("that takes no mail for good is not asked again and again by lanes that hope for one another", async () => {
    const server = new FakeServer();
    const destination = server.destination({
      open: async () => {
        // Without the end this would never come back: all of it is one turn.
        if (++server.opened > 100) return new FakeLink(server);
        return failedHere("5.1.2", "no such domain");
      },
    });
    for (const job of jobs(3)) destination.add(job);
    await server.clock.pass(0);
    assert.ok(server.opened < 10, `opened ${server.opened} times`);
    assert.equal(server.outcomes.size, 3);
    assert.deepEqual(server.done, []);
  });

  it("that was forgotten does not take its successor along", async () => {
    const server = new FakeServer({ initialConnections: 1 });
    server.refuse = refused;
    const destination = server.destination();
    destination.add("a");
    await server.clock.pass(0);
    server.refuse = undefined;
    await server.clock.pass(10_000); // looked at again: nobody waits
    destination.add("b");
    await server.clock.pass(5000);
    assert.deepEqual([server.done, server.emptied], [["b"], 1]);
    await server.clock.pass(3_600_000);
    assert.equal(server.emptied, 1);
  });

  it("is forgotten when it gives its idle connection away", async () => {
    const server = new FakeServer({ maxConnections: 1, initialConnections: 1 });
    const [first, second] = [server.destination(), server.destination()];
    first.add("a");
    await server.clock.pass(0);
    second.add("b");
    await server.clock.pass(0);
    assert.deepEqual([server.done, first.state.connections], [["a", "b"], 0]);
    assert.equal(server.emptied, 1);
  });

  it("that failed for good after it was left alone is forgotten, too", async () => {
    const server = new FakeServer();
    server.refuse = refused;
    const destination = server.destination({ backOff: { first: 4000, longest: 900_000 } });
    destination.add("a");
    await server.clock.pass(0);
    destination.add("b"); // waits
    server.refuse = failedHere("5.3.2", "521 no mail here");
    await server.clock.pass(3_600_000);
    assert.equal(server.outcomes.get("b")?.action, "failed");
    assert.equal(server.emptied, 1);
  });

  it("settles a job whose sending breaks down, and goes on with the others", async () => {
    const server = new FakeServer({ initialConnections: 1 });
    const destination = server.destination({
      open: async () => {
        const link = new FakeLink(server);
        const send = link.send.bind(link);
        link.send = (job) => (job === "m1" ? Promise.reject(new Error("body file is missing")) : send(job));
        return link;
      },
    });
    for (const job of jobs(3)) destination.add(job);
    await server.clock.pass(10_000);
    assert.deepEqual(server.done, ["m0", "m2"]);
    assert.deepEqual(server.outcomes.get("m1")?.action, "delayed");
    assert.equal(server.pace.taken, 0);
  });
});
