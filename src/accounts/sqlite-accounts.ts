/**
 * Accounts in the database that also holds the queue.
 *
 * Rules
 * 1. One process holds the data folder, so what is read at the start and changed here is all there is.
 */
import { randomBytes } from "node:crypto";
import type { Caller, Database } from "../database/index.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { type Account, ADDRESS_LIMIT, accountName, addressKey, covers, makeAccount, NAME_LIMIT } from "./account.ts";
import { AccountError, type AccountStore, type NewAccount, type StoredAccount } from "./account-store.ts";
import { deriveScramKey, formatScramKey, PASSWORD_LIMIT, parseScramKey, preparePassword, SCRAM_ITERATIONS } from "./scram-key.ts";
import type { AccountProcedures, AccountRow } from "./sqlite-procedures.ts";

/** To be given to `openDatabase` with the file the accounts live in. */
export const accountProcedures = new URL(
  import.meta.url.endsWith(".ts") ? "./sqlite-procedures.ts" : "./sqlite-procedures.js",
  import.meta.url,
);

const SECRET_LENGTH = 32;

export interface SqliteAccountsOptions {
  /** Opened with `accountProcedures`; it stays the caller's. */
  readonly database: Database;
  readonly clock?: Clock;
  /** Of new passwords. */
  readonly iterations?: number;
}

/** The accounts of a database. What fails in the database rejects with a DatabaseError, here and in every method. */
export async function openSqliteAccounts(options: SqliteAccountsOptions): Promise<AccountStore> {
  const call = options.database.caller<AccountProcedures>("accounts");
  const accounts = (await call("list", undefined)).map(toAccount);
  const secret = await call("secret", randomBytes(SECRET_LENGTH).toString("base64"));
  return new SqliteAccounts(options, call, accounts, Buffer.from(secret, "base64"));
}

class SqliteAccounts implements AccountStore {
  readonly secret: Uint8Array;
  #call: Caller<AccountProcedures>;
  #clock: Clock;
  #iterations: number;
  #listeners: ((name: string) => void)[] = [];
  #accounts = new Map<string, Account>();
  /** How many accounts have each address. */
  #addresses = new Map<string, number>();

  constructor(options: SqliteAccountsOptions, call: Caller<AccountProcedures>, accounts: readonly Account[], secret: Uint8Array) {
    this.secret = secret;
    this.#call = call;
    this.#clock = options.clock ?? systemClock;
    this.#iterations = options.iterations ?? SCRAM_ITERATIONS;
    for (const account of accounts) this.#remember(account);
  }

  async add({ name: given, password, addresses }: NewAccount): Promise<Account> {
    const name = nameOf(given);
    const account = makeAccount(name, checkAddresses(name, addresses));
    if (this.#accounts.has(name)) throw new AccountError("exists", `there is an account "${name}" already`);
    const key = await this.#keyOf(password);
    if (!(await this.#insert(account, key))) throw new AccountError("exists", `there is an account "${name}" already`);
    return account;
  }

  restore({ account, key }: StoredAccount): Promise<boolean> {
    return this.#insert(account, formatScramKey(key));
  }

  async #insert(account: Account, key: string): Promise<boolean> {
    const { name, addresses } = account;
    if (!(await this.#call("add", [name, key, addresses, this.#clock.now()]))) return false;
    this.#remember(account);
    this.#changed(name);
    return true;
  }

  async list(): Promise<Account[]> {
    return (await this.#call("list", undefined)).map(toAccount);
  }

  async find(given: string): Promise<StoredAccount | undefined> {
    const name = accountName(given);
    if (name === undefined) return undefined;
    const row = await this.#call("find", name);
    const key = row === undefined ? undefined : parseScramKey(row[2]);
    return row === undefined || key === undefined ? undefined : { account: toAccount(row), key };
  }

  async setPassword(given: string, password: string): Promise<void> {
    const name = nameOf(given);
    const key = await this.#keyOf(password);
    if (!(await this.#call("setKey", [name, key]))) throw unknown(name);
    this.#changed(name);
  }

  async remove(given: string): Promise<void> {
    const name = nameOf(given);
    if (!(await this.#call("remove", name))) throw unknown(name);
    this.#forget(name);
    this.#changed(name);
  }

  isLocalRecipient(mailbox: Mailbox): boolean {
    return covers(this.#addresses, mailbox);
  }

  onChange(listener: (name: string) => void): void {
    this.#listeners.push(listener);
  }

  async #keyOf(password: string): Promise<string> {
    const prepared = preparePassword(password);
    if (prepared === undefined) {
      throw new AccountError("bad-password", `a password has 1 to ${PASSWORD_LIMIT} octets and no control characters`);
    }
    return formatScramKey(await deriveScramKey(prepared, this.#iterations));
  }

  #remember(account: Account): void {
    this.#accounts.set(account.name, account);
    for (const key of account.keys) this.#addresses.set(key, (this.#addresses.get(key) ?? 0) + 1);
  }

  #forget(name: string): void {
    for (const key of this.#accounts.get(name)?.keys ?? []) {
      const left = (this.#addresses.get(key) ?? 1) - 1;
      if (left === 0) this.#addresses.delete(key);
      else this.#addresses.set(key, left);
    }
    this.#accounts.delete(name);
  }

  #changed(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }
}

function toAccount([name, addresses]: AccountRow): Account {
  return makeAccount(name, addresses);
}

export function nameOf(given: string): string {
  const name = accountName(given);
  if (name === undefined) throw new AccountError("bad-name", `a login name has 1 to ${NAME_LIMIT} characters, no spaces and no controls`);
  return name;
}

export function checkAddresses(name: string, given: readonly string[] | undefined): readonly string[] {
  const addresses = given === undefined || given.length === 0 ? [name] : given;
  if (addresses.length > ADDRESS_LIMIT) throw new AccountError("bad-address", `an account has at most ${ADDRESS_LIMIT} addresses`);
  for (const address of addresses) {
    if (addressKey(address) !== undefined) continue;
    const hint = addresses === given ? "" : ": give at least one address, as the login name is none";
    throw new AccountError("bad-address", `"${address}" is neither a mailbox nor *@domain${hint}`);
  }
  return addresses;
}

export function unknown(name: string): AccountError {
  return new AccountError("unknown", `there is no account "${name}"`);
}
