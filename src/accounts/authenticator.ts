/**
 * Checks a login, at a price that an attacker pays and a mail program does not.
 *
 * Rules
 * 1. A check that cannot be made is `unavailable`, never `accepted` and never `rejected`.
 * 2. An unknown name costs what a wrong password costs.
 * 3. Derivations run a few at a time, and only so many wait.
 * 4. A checked login is remembered for minutes, as a hash under a key that dies with the process; a change of the account forgets it.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { type Clock, minutes, systemClock } from "../util/clock.ts";
import { type Account, accountName } from "./account.ts";
import type { AccountStore, StoredAccount } from "./account-store.ts";
import { GuessLimit } from "./guess-limit.ts";
import { checkPassword, preparePassword, SCRAM_ITERATIONS, type ScramKey } from "./scram-key.ts";

export interface Login {
  readonly user: string;
  readonly password: string;
  /** The peer's IP address. */
  readonly peer: string;
}

/** `why` is for the operator; the peer learns no more than the kind. */
export type Verdict =
  | { readonly kind: "accepted"; readonly account: Account }
  | { readonly kind: "rejected"; readonly why: string }
  /** Not checked: too much to do, the peer failed too often, or the store does not answer. */
  | { readonly kind: "unavailable"; readonly why: string };

export interface AuthenticatorOptions {
  readonly accounts: Pick<AccountStore, "find" | "onChange">;
  readonly clock?: Clock;
  /** Of the derivation that stands in for an unknown name's. */
  readonly iterations?: number;
}

/** Derivations at a time: half of the thread pool, which files and DNS share. */
export const DERIVATIONS = 2;
/** Logins that wait for a derivation; at 5 ms each the last waits half a second. */
export const WAITING_LIMIT = 200;
export const REMEMBERED_MS = minutes(5);
const REMEMBERED_LIMIT = 10_000;

interface Remembered {
  readonly digest: Buffer;
  readonly account: Account;
  readonly until: number;
}

export class Authenticator {
  #accounts: Pick<AccountStore, "find" | "onChange">;
  #clock: Clock;
  #guesses: GuessLimit;
  #secret = randomBytes(32);
  #remembered = new Map<string, Remembered>();
  /** Checks under way by their digest: a mail program that opens ten connections pays once. */
  #checking = new Map<string, Promise<Verdict>>();
  #changes = 0;
  #running = 0;
  #waiting: (() => void)[] = [];
  #nobody: ScramKey;

  constructor(options: AuthenticatorOptions) {
    this.#accounts = options.accounts;
    this.#clock = options.clock ?? systemClock;
    this.#guesses = new GuessLimit(this.#clock);
    this.#nobody = {
      iterations: options.iterations ?? SCRAM_ITERATIONS,
      salt: randomBytes(16),
      storedKey: randomBytes(32),
      serverKey: randomBytes(32),
    };
    options.accounts.onChange((name) => {
      this.#changes++;
      this.#remembered.delete(name);
    });
  }

  /** The verdict on a login; a rejection is held back longer each time. Never rejects. */
  async verify({ user, password, peer }: Login): Promise<Verdict> {
    if (this.#guesses.isRefused(peer)) return unavailable(`too many failed logins from ${peer}`);
    const name = accountName(user);
    const prepared = preparePassword(password);
    const digest = createHmac("sha256", this.#secret)
      .update(`${name ?? ""}\0${prepared ?? ""}`)
      .digest();
    const known = name === undefined ? undefined : this.#recall(name, digest);
    if (known !== undefined) return { kind: "accepted", account: known };
    const verdict = await this.#checkOnce(name, prepared, digest, peer);
    if (verdict.kind !== "rejected") return verdict;
    const delay = this.#guesses.failed(peer);
    await new Promise<void>((resolve) => void this.#clock.after(delay, resolve));
    return verdict;
  }

  #checkOnce(name: string | undefined, password: string | undefined, digest: Buffer, peer: string): Promise<Verdict> {
    // By peer as well: what one peer is refused says nothing to another.
    const key = `${digest.toString("base64")} ${peer}`;
    const underway = this.#checking.get(key);
    if (underway !== undefined) return underway;
    const check = this.#check(name, password, digest, peer).finally(() => this.#checking.delete(key));
    this.#checking.set(key, check);
    return check;
  }

  async #check(name: string | undefined, password: string | undefined, digest: Buffer, peer: string): Promise<Verdict> {
    if (this.#running >= DERIVATIONS) {
      if (this.#waiting.length >= WAITING_LIMIT) return unavailable("too many logins at once");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      // Others of this peer may have failed while it waited.
      if (this.#guesses.isRefused(peer)) return unavailable(`too many failed logins from ${peer}`);
      const changes = this.#changes;
      const found = name === undefined ? undefined : await this.#accounts.find(name);
      const right = await checkPassword(password ?? "", found?.key ?? this.#nobody);
      if (!right || found === undefined || password === undefined) return { kind: "rejected", why: whyNot(found, password) };
      if (changes === this.#changes) this.#remember(found.account, digest);
      return { kind: "accepted", account: found.account };
    } catch (thrown) {
      return unavailable(`the login could not be checked: ${thrown instanceof Error ? thrown.message : thrown}`);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #recall(name: string, digest: Buffer): Account | undefined {
    const remembered = this.#remembered.get(name);
    if (remembered === undefined) return undefined;
    if (remembered.until <= this.#clock.now()) {
      this.#remembered.delete(name);
      return undefined;
    }
    return timingSafeEqual(remembered.digest, digest) ? remembered.account : undefined;
  }

  #remember(account: Account, digest: Buffer): void {
    this.#remembered.delete(account.name); // to the end of the map: the newest
    this.#remembered.set(account.name, { digest, account, until: this.#clock.now() + REMEMBERED_MS });
    if (this.#remembered.size > REMEMBERED_LIMIT) this.#remembered.delete(this.#remembered.keys().next().value as string);
  }
}

function unavailable(why: string): Verdict {
  return { kind: "unavailable", why };
}

function whyNot(found: StoredAccount | undefined, password: string | undefined): string {
  if (found === undefined) return "no such account";
  return password === undefined ? "no possible password" : "wrong password";
}
