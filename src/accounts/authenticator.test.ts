import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { Clock } from "../util/clock.ts";
import { makeAccount } from "./account.ts";
import type { StoredAccount } from "./account-store.ts";
import { Authenticator, REMEMBERED_MS, WAITING_LIMIT } from "./authenticator.ts";
import { FAILURE_LIMIT, FIRST_DELAY_MS, FORGOTTEN_MS, GuessLimit, LONGEST_DELAY_MS, REFUSED_MS } from "./guess-limit.ts";
import { deriveScramKey } from "./scram-key.ts";

/** Time moves only when it is told to; waiting is noted and over at once. */
class NotingClock implements Clock {
  time = 1_000_000;
  waits: number[] = [];

  now(): number {
    return this.time;
  }

  after(ms: number, callback: () => void): () => void {
    this.waits.push(ms);
    queueMicrotask(callback);
    return () => {};
  }
}

class FakeAccounts {
  stored = new Map<string, StoredAccount>();
  finds = 0;
  failing = false;
  changed: (name: string) => void = () => {};

  async find(name: string): Promise<StoredAccount | undefined> {
    this.finds++;
    if (this.failing) throw new Error("disk");
    return this.stored.get(name);
  }

  onChange(listener: (name: string) => void): void {
    this.changed = listener;
  }
}

const peer = "192.0.2.1";
const key = await deriveScramKey("secret", 4096);
const otherKey = await deriveScramKey("better", 4096);
let clock: NotingClock;
let accounts: FakeAccounts;
let authenticator: Authenticator;
const kindOf = async (user: string, password: string, from = peer) => (await authenticator.verify({ user, password, peer: from })).kind;

beforeEach(() => {
  clock = new NotingClock();
  accounts = new FakeAccounts();
  accounts.stored.set("ann", { account: makeAccount("ann", ["ann@example.test"]), key });
  authenticator = new Authenticator({ accounts, clock, iterations: 4096 });
});

describe("authenticator", () => {
  test("the right password, and what is not", async () => {
    const verdict = await authenticator.verify({ user: "ANN", password: "secret", peer });
    assert.ok(verdict.kind === "accepted");
    assert.deepEqual(verdict.account.addresses, ["ann@example.test"]);
    for (const [user, password] of [
      ["ann", "Secret"],
      ["ann", ""],
      ["ann", "secret\0"],
      ["bob", "secret"],
      ["", "secret"],
      ["a b", "secret"],
    ] as const) {
      assert.equal(await kindOf(user, password, `198.51.100.${user.length}`), "rejected", `${user} ${password}`);
    }
  });

  test("a checked login is remembered for minutes, and only that", async () => {
    assert.equal(await kindOf("ann", "secret"), "accepted");
    assert.equal(await kindOf("ann", "secret", "2001:db8::1"), "accepted");
    assert.equal(accounts.finds, 1);
    assert.equal(await kindOf("ann", "guess"), "rejected");
    assert.equal(accounts.finds, 2);
    clock.time += REMEMBERED_MS;
    assert.equal(await kindOf("ann", "secret"), "accepted");
    assert.equal(accounts.finds, 3);
  });

  test("a changed account is forgotten at once, one that changes during the check as well", async () => {
    assert.equal(await kindOf("ann", "secret"), "accepted");
    accounts.stored.set("ann", { account: makeAccount("ann", []), key: otherKey });
    accounts.changed("ann");
    assert.equal(await kindOf("ann", "secret"), "rejected");
    const checking = kindOf("ann", "better");
    accounts.changed("ann");
    await checking;
    accounts.stored.delete("ann");
    assert.equal(await kindOf("ann", "better"), "rejected");
  });

  test("ten connections that log in at once pay for one", async () => {
    const verdicts = await Promise.all(Array.from({ length: 10 }, () => kindOf("ann", "secret")));
    assert.deepEqual(new Set(verdicts), new Set(["accepted"]));
    assert.equal(accounts.finds, 1);
  });

  test("failures are answered later each time, then not at all for a while", async () => {
    for (let i = 0; i < FAILURE_LIMIT; i++) assert.equal(await kindOf(i % 2 === 0 ? "ann" : "nobody", "guess"), "rejected");
    assert.equal(clock.waits[0], FIRST_DELAY_MS);
    assert.equal(clock.waits[1], 2 * FIRST_DELAY_MS);
    assert.equal(clock.waits.at(-1), LONGEST_DELAY_MS);
    assert.equal(await kindOf("ann", "secret"), "unavailable");
    assert.equal(await kindOf("ann", "secret", "::ffff:192.0.2.1"), "unavailable");
    assert.equal(await kindOf("ann", "secret", "192.0.2.2"), "accepted");
    assert.equal(await kindOf("ann", "secret"), "unavailable", "what is remembered is no way around it");
    clock.time += REFUSED_MS;
    assert.equal(await kindOf("ann", "secret"), "accepted");
  });

  test("many guesses at once get no more answers than one after the other", async () => {
    const verdicts = await Promise.all(Array.from({ length: 60 }, (_, i) => kindOf("ann", `guess ${i}`)));
    const heard = verdicts.filter((kind) => kind === "rejected").length;
    assert.ok(heard >= FAILURE_LIMIT && heard <= FAILURE_LIMIT + 2, `${heard}`);
  });

  test("too many logins at once, or a store that does not answer, reject nobody", async () => {
    const verdicts = await Promise.all(
      Array.from({ length: WAITING_LIMIT + 10 }, (_, i) => kindOf("ann", `guess ${i}`, `10.0.${i >> 8}.${i & 255}`)),
    );
    assert.equal(verdicts.filter((kind) => kind === "unavailable").length, 8);
    accounts.failing = true;
    assert.equal(await kindOf("ann", "secret"), "unavailable");
    accounts.failing = false;
    assert.equal(await kindOf("ann", "secret"), "accepted");
  });
});

test("guesses are counted by /64, and forgotten when none come", () => {
  const guesses = new GuessLimit(clock);
  for (let i = 0; i < FAILURE_LIMIT; i++) guesses.failed(`2001:db8:0:1::${i}`);
  assert.ok(guesses.isRefused("2001:db8:0:1:ffff::"));
  assert.ok(!guesses.isRefused("2001:db8:0:2::1"));
  clock.time += FORGOTTEN_MS;
  assert.ok(!guesses.isRefused("2001:db8:0:1::1"));
  assert.equal(guesses.failed("2001:db8:0:1::1"), FIRST_DELAY_MS);
});
