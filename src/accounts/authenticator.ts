/**
 * Checks a login, at a price that an attacker pays and a mail program does not.
 *
 * Rules
 * 1. A check that cannot be made is `unavailable`, never `accepted` and never `rejected`.
 * 2. An unknown name costs what a wrong password costs, and has a salt as a known one has.
 * 3. Derivations run a few at a time, and only so many wait.
 * 4. A proof by SCRAM costs no derivation: it is counted as a guess, but waits for nobody.
 * 5. A checked login is remembered for minutes, as a hash under a key that dies with the process; a change of the account forgets it.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { ClientCertificate } from "../util/byte-stream.ts";
import { type Clock, minutes, systemClock } from "../util/clock.ts";
import { type Account, accountName } from "./account.ts";
import type { AccountStore, StoredAccount } from "./account-store.ts";
import type { BearerVerifier } from "./bearer.ts";
import { GuessLimit } from "./guess-limit.ts";
import { checkPassword, checkProof, preparePassword, SCRAM_ITERATIONS, type ScramKey } from "./scram-key.ts";

export interface Login {
  readonly user: string;
  readonly password: string;
  /** The peer's IP address. */
  readonly peer: string;
}

/** A proof of SCRAM-SHA-256 (RFC 5802 3). */
export interface ProofLogin {
  readonly user: string;
  readonly authMessage: Uint8Array;
  readonly proof: Uint8Array;
  readonly peer: string;
}

export interface TokenLogin {
  /** "" where the token alone says who it is. */
  readonly user: string;
  readonly token: string;
  readonly peer: string;
}

type Accepted = { readonly kind: "accepted"; readonly account: Account };
type Rejected = { readonly kind: "rejected"; readonly why: string };
/** Not checked: too much to do, the peer failed too often, or the store does not answer. */
type Unavailable = { readonly kind: "unavailable"; readonly why: string };

/** `why` is for the operator; the peer learns no more than the kind. */
export type Verdict = Accepted | Rejected | Unavailable;
/** `signature`: what the server proves itself with. */
export type ProofVerdict = (Accepted & { readonly signature: Uint8Array }) | Rejected | Unavailable;
/** What a user's key was derived with. */
export type KeyParameters = { readonly kind: "parameters"; readonly salt: Uint8Array; readonly iterations: number } | Unavailable;

export interface AuthenticatorOptions {
  readonly accounts: Pick<AccountStore, "find" | "onChange"> & Partial<Pick<AccountStore, "secret">>;
  readonly clock?: Clock;
  /** Of the derivation that stands in for an unknown name's. */
  readonly iterations?: number;
  /** Absent: tokens are rejected. */
  readonly bearer?: BearerVerifier;
}

/** Derivations at a time: half of the thread pool, which files and DNS share. */
export const DERIVATIONS = 2;
/** Logins that wait for a derivation; at 5 ms each the last waits half a second. */
export const WAITING_LIMIT = 200;
export const REMEMBERED_MS = minutes(5);
const REMEMBERED_LIMIT = 10_000;
/** Names of a certificate that are looked at. */
export const CERTIFICATE_NAMES_LIMIT = 10;

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
  /** The same after a restart, or an unknown name would show itself by another salt. */
  #saltSecret: Uint8Array;
  #bearer: BearerVerifier | undefined;
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
    this.#saltSecret = options.accounts.secret ?? randomBytes(32);
    this.#bearer = options.bearer;
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
    return verdict.kind === "rejected" ? this.#holdBack(verdict, peer) : verdict;
  }

  /** Salt and iterations of the user's key; an unknown user has some as well, always the same. Never rejects. */
  async keyParameters({ user, peer }: { readonly user: string; readonly peer: string }): Promise<KeyParameters> {
    if (this.#guesses.isRefused(peer)) return unavailable(`too many failed logins from ${peer}`);
    const name = accountName(user);
    const found = await this.#find(name);
    if (found !== undefined && "kind" in found) return found;
    const salt = createHmac("sha256", this.#saltSecret)
      .update(`salt\0${name ?? user}`)
      .digest()
      .subarray(0, this.#nobody.salt.length);
    return { kind: "parameters", salt: found?.key.salt ?? salt, iterations: found?.key.iterations ?? this.#nobody.iterations };
  }

  /** The verdict on a proof; a rejection is held back longer each time. Never rejects. */
  async verifyProof({ user, authMessage, proof, peer }: ProofLogin): Promise<ProofVerdict> {
    const found = await this.#find(accountName(user));
    // Others of this peer may have failed meanwhile; between here and the count nothing is waited for.
    if (this.#guesses.isRefused(peer)) return unavailable(`too many failed logins from ${peer}`);
    if (found !== undefined && "kind" in found) return found;
    const signature = checkProof(found?.key ?? this.#nobody, authMessage, proof);
    if (found !== undefined && signature !== undefined) return { kind: "accepted", account: found.account, signature };
    return this.#holdBack({ kind: "rejected", why: found === undefined ? "no such account" : "wrong password" }, peer);
  }

  /** The verdict on a bearer token. Never rejects. */
  async verifyToken({ user, token, peer }: TokenLogin): Promise<Verdict> {
    if (this.#guesses.isRefused(peer)) return unavailable(`too many failed logins from ${peer}`);
    if (this.#bearer === undefined) return { kind: "rejected", why: "no tokens are taken here" };
    const verdict = await this.#bearer.verify(token).catch(unchecked);
    if (verdict.kind === "unavailable") return verdict;
    if (verdict.kind === "rejected") return verdict.expired ? verdict : this.#holdBack(verdict, peer);
    const name = accountName(verdict.account);
    const found = await this.#find(name);
    if (found !== undefined && "kind" in found) return found;
    const why = found === undefined ? `the token names ${JSON.stringify(verdict.account)}, and there is no such account` : undefined;
    if (found === undefined || (user !== "" && accountName(user) !== name)) {
      return this.#holdBack({ kind: "rejected", why: why ?? "the token is another account's" }, peer);
    }
    return { kind: "accepted", account: found.account };
  }

  /** The account that a certificate of a trusted authority is for: the first of its names that is one. Never rejects. */
  async ownerOf(certificate: ClientCertificate, by: "email" | "common-name"): Promise<Verdict> {
    const names = by === "email" ? certificate.mailboxes : certificate.commonName === undefined ? [] : [certificate.commonName];
    for (const given of names.slice(0, CERTIFICATE_NAMES_LIMIT)) {
      const found = await this.#find(accountName(given));
      if (found === undefined) continue;
      return "kind" in found ? found : { kind: "accepted", account: found.account };
    }
    return { kind: "rejected", why: "the certificate names no account" };
  }

  async #find(name: string | undefined): Promise<StoredAccount | undefined | Unavailable> {
    try {
      return name === undefined ? undefined : await this.#accounts.find(name);
    } catch (thrown) {
      return unchecked(thrown);
    }
  }

  async #holdBack(verdict: Rejected, peer: string): Promise<Rejected> {
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
      return unchecked(thrown);
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

function unavailable(why: string): Unavailable {
  return { kind: "unavailable", why };
}

function unchecked(thrown: unknown): Unavailable {
  return unavailable(`the login could not be checked: ${thrown instanceof Error ? thrown.message : thrown}`);
}

function whyNot(found: StoredAccount | undefined, password: string | undefined): string {
  if (found === undefined) return "no such account";
  return password === undefined ? "no possible password" : "wrong password";
}
