import assert from "node:assert/strict";
import { createHmac, pbkdf2Sync } from "node:crypto";
import { beforeEach, describe, test } from "node:test";
import type { Clock } from "../util/clock.ts";
import { makeAccount } from "./account.ts";
import type { StoredAccount } from "./account-store.ts";
import { Authenticator, CERTIFICATE_NAMES_LIMIT, REMEMBERED_MS, WAITING_LIMIT } from "./authenticator.ts";
import type { BearerVerdict } from "./bearer.ts";
import { FAILURE_LIMIT, FIRST_DELAY_MS, FORGOTTEN_MS, GuessLimit, LONGEST_DELAY_MS, REFUSED_MS } from "./guess-limit.ts";
import { deriveScramKey, type ScramKey } from "./scram-key.ts";

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

describe("authenticator, SCRAM", () => {
  const authMessage = Buffer.from("n=ann,r=c,r=cs,s=AAAA,i=4096,c=biws,r=cs");

  /** RFC 5802 3, ClientProof. */
  function proofOf(password: string, { salt, iterations, storedKey }: ScramKey): Uint8Array {
    const clientKey = createHmac("sha256", pbkdf2Sync(password, salt, iterations, 32, "sha256"))
      .update("Client Key")
      .digest();
    const signature = createHmac("sha256", storedKey).update(authMessage).digest();
    return clientKey.map((octet, i) => octet ^ (signature[i] as number));
  }
  const prove = (user: string, proof: Uint8Array, from = peer) => authenticator.verifyProof({ user, authMessage, proof, peer: from });

  test("the right proof is answered with the server's own; what differs in one bit is wrong", async () => {
    const proof = proofOf("secret", key);
    const verdict = await prove("ANN", proof);
    assert.ok(verdict.kind === "accepted");
    assert.deepEqual(Buffer.from(verdict.signature), createHmac("sha256", key.serverKey).update(authMessage).digest());
    const changed = proof.map((octet, i) => (i === 31 ? octet ^ 1 : octet));
    for (const [n, wrong] of [
      changed,
      proof.subarray(0, 31),
      Uint8Array.of(...proof, 0),
      new Uint8Array(0),
      new Uint8Array(32),
    ].entries()) {
      assert.equal((await prove("ann", wrong, `198.51.100.${n}`)).kind, "rejected");
    }
    assert.equal((await prove("bob", proof, "198.51.100.99")).kind, "rejected");
  });

  test("an unknown name has a salt as well: the same each time and after a restart, another for each name and each store", async () => {
    const secret = new Uint8Array(32).fill(7);
    const made = (bytes: Uint8Array) => {
      const store = { find: accounts.find.bind(accounts), onChange: accounts.onChange.bind(accounts), secret: bytes };
      return new Authenticator({ accounts: store, clock, iterations: 4096 });
    };
    const saltOf = async (by: Authenticator, user: string) => {
      const found = await by.keyParameters({ user, peer });
      return found.kind === "parameters" ? `${Buffer.from(found.salt).toString("hex")} ${found.iterations}` : assert.fail(found.why);
    };
    const [first, second, elsewhere] = [made(secret), made(secret), made(new Uint8Array(32))];
    const salt = await saltOf(first, "nobody");
    assert.match(salt, /^[0-9a-f]{32} 4096$/);
    assert.equal(await saltOf(first, "NOBODY"), salt);
    assert.equal(await saltOf(second, "nobody"), salt);
    assert.notEqual(await saltOf(first, "noone"), salt);
    assert.notEqual(await saltOf(elsewhere, "nobody"), salt);
    assert.notEqual(await saltOf(first, "a b"), await saltOf(first, "a c"));
    assert.equal(await saltOf(first, "ann"), `${Buffer.from(key.salt).toString("hex")} 4096`);
  });

  test("wrong proofs count as guesses, however many come at once", async () => {
    const verdicts = await Promise.all(Array.from({ length: 60 }, () => prove("ann", new Uint8Array(32))));
    assert.equal(verdicts.filter(({ kind }) => kind === "rejected").length, FAILURE_LIMIT);
    assert.equal((await prove("ann", proofOf("secret", key))).kind, "unavailable");
    assert.equal((await authenticator.keyParameters({ user: "ann", peer })).kind, "unavailable");
    assert.equal(await kindOf("ann", "secret"), "unavailable");
    assert.equal((await prove("ann", proofOf("secret", key), "192.0.2.2")).kind, "accepted");
  });

  test("a store that does not answer rejects nobody", async () => {
    accounts.failing = true;
    assert.equal((await prove("ann", proofOf("secret", key))).kind, "unavailable");
    assert.equal((await authenticator.keyParameters({ user: "ann", peer })).kind, "unavailable");
    assert.equal((await authenticator.ownerOf({ mailboxes: ["ann"] }, "email")).kind, "unavailable");
  });
});

describe("authenticator, tokens and certificates", () => {
  const withTokens = (verdict: BearerVerdict | Error) =>
    new Authenticator({
      accounts,
      clock,
      iterations: 4096,
      bearer: { verify: async () => (verdict instanceof Error ? Promise.reject(verdict) : verdict) },
    });
  const good: BearerVerdict = { kind: "accepted", account: "Ann" };
  const verify = (by: Authenticator, user = "") => by.verifyToken({ user, token: "t", peer });

  test("a token is its account's, and nobody else's", async () => {
    const verdict = await verify(withTokens(good));
    assert.ok(verdict.kind === "accepted" && verdict.account.name === "ann");
    assert.equal((await verify(withTokens(good), "ANN")).kind, "accepted");
    assert.equal((await verify(withTokens(good), "bob")).kind, "rejected");
    assert.equal((await verify(withTokens({ kind: "accepted", account: "bob" }))).kind, "rejected");
    assert.equal((await verify(withTokens({ kind: "unavailable", why: "" }))).kind, "unavailable");
    assert.equal((await verify(withTokens(new Error("bug")))).kind, "unavailable");
    assert.equal((await verify(authenticator)).kind, "rejected");
  });

  test("a refused token counts as a guess, one that has expired does not", async () => {
    const expired = withTokens({ kind: "rejected", why: "", expired: true });
    for (let i = 0; i < 2 * FAILURE_LIMIT; i++) assert.equal((await verify(expired)).kind, "rejected");
    assert.deepEqual(clock.waits, []);
    const bad = withTokens({ kind: "rejected", why: "" });
    for (let i = 0; i < FAILURE_LIMIT; i++) assert.equal((await verify(bad)).kind, "rejected");
    assert.equal((await verify(bad)).kind, "unavailable");
  });

  test("a certificate is for the first of its names that is an account", async () => {
    const owner = async (mailboxes: string[], by: "email" | "common-name" = "email", commonName?: string) =>
      (await authenticator.ownerOf({ mailboxes, ...(commonName === undefined ? {} : { commonName }) }, by)).kind;
    assert.equal(await owner(["nobody@example.test", "Ann"]), "accepted");
    assert.equal(await owner([]), "rejected");
    assert.equal(await owner([], "email", "ann"), "rejected");
    assert.equal(await owner(["ann"], "common-name", "bob"), "rejected");
    assert.equal(await owner([], "common-name", "ann"), "accepted");
    const many = Array.from({ length: CERTIFICATE_NAMES_LIMIT }, (_, i) => `n${i}`);
    assert.equal(await owner([...many.slice(1), "ann"]), "accepted");
    assert.equal(await owner([...many, "ann"]), "rejected");
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
