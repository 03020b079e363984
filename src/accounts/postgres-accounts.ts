/**
 * Accounts in PostgreSQL, shared by all nodes.
 *
 * Rules
 * 1. Every change raises the one revision in the commit that makes it. A node that sees another revision than its own reads the list again and
 *    tells its listeners which accounts have changed: at once where the doorbell reaches it, else within POLL_MS.
 * 2. While the database is away, which addresses are ours is answered as it was last known; all else rejects with a DatabaseError (io).
 */
import { randomBytes } from "node:crypto";
import { openPostgres, type Postgres, type PostgresOptions } from "../database/postgres.ts";
import { Doorbell } from "../database/postgres-doorbell.ts";
import { migrate, type PostgresModule } from "../database/postgres-migrations.ts";
import { int8Array, textArray } from "../database/postgres-values.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { type Clock, seconds, systemClock } from "../util/clock.ts";
import { type Account, accountName, covers, makeAccount } from "./account.ts";
import { AccountError, type AccountStore, type NewAccount, type StoredAccount } from "./account-store.ts";
import { deriveScramKey, formatScramKey, PASSWORD_LIMIT, parseScramKey, preparePassword, SCRAM_ITERATIONS } from "./scram-key.ts";
import { checkAddresses, nameOf, unknown } from "./sqlite-accounts.ts";

export interface PostgresAccountsOptions extends PostgresOptions {
  readonly clock?: Clock;
  /** Of new passwords. */
  readonly iterations?: number;
  /** Milliseconds between two looks at what other nodes may have changed. */
  readonly poll?: number;
}

export interface PostgresAccountStore extends AccountStore {
  close(): Promise<void>;
}

const CONNECTIONS = 2;
const POLL_MS = seconds(5);
const SECRET_LENGTH = 32;

const accountModule: PostgresModule = {
  name: "accounts",
  migrations: [
    `
    CREATE TABLE $.account (
      name text COLLATE "C" NOT NULL PRIMARY KEY, -- NFC, lower case
      scram_key text NOT NULL,
      created bigint NOT NULL,
      revision bigint NOT NULL               -- of its last change
    );
    CREATE TABLE $.account_address (
      account text COLLATE "C" NOT NULL,
      idx int NOT NULL,
      address text NOT NULL,                 -- a mailbox or *@domain, as given
      PRIMARY KEY (account, idx)
    );
    CREATE TABLE $.account_state (
      one int NOT NULL PRIMARY KEY CHECK (one = 1),
      revision bigint NOT NULL,
      secret text NOT NULL                   -- base64
    );
    `,
  ],
};

type Statements = ReturnType<typeof accountStatements>;

function accountStatements(p: string) {
  return {
    /** $1 a fresh secret. */
    begin: `INSERT INTO ${p}account_state VALUES (1, 1, $1) ON CONFLICT (one) DO NOTHING`,
    state: `SELECT revision, secret FROM ${p}account_state`,
    /** First in each change: it also keeps changes apart. */
    raise: `UPDATE ${p}account_state SET revision = revision + 1 RETURNING revision`,
    insert: `INSERT INTO ${p}account VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING RETURNING name`,
    /** $1 name, $2 places, $3 addresses. */
    insertAddresses: `INSERT INTO ${p}account_address SELECT $1::text, a.* FROM unnest($2::int8[], $3::text[]) AS a`,
    setKey: `UPDATE ${p}account SET scram_key = $2, revision = $3 WHERE name = $1 RETURNING name`,
    drop: `DELETE FROM ${p}account WHERE name = $1 RETURNING name`,
    dropAddresses: `DELETE FROM ${p}account_address WHERE account = $1`,
    all: `SELECT name, revision FROM ${p}account ORDER BY name`,
    addresses: `SELECT account, address FROM ${p}account_address ORDER BY account, idx`,
    key: `SELECT scram_key FROM ${p}account WHERE name = $1`,
    addressesOf: `SELECT address FROM ${p}account_address WHERE account = $1 ORDER BY idx`,
  };
}

/** The accounts of a database; tables are made where they are missing. What fails there rejects with a DatabaseError, here and in every method. */
export async function openPostgresAccounts(options: PostgresAccountsOptions): Promise<PostgresAccountStore> {
  const postgres = await openPostgres({ connections: CONNECTIONS, ...options });
  try {
    await migrate(postgres, accountModule);
    const statements = accountStatements(postgres.prefix);
    await postgres.run(statements.begin, [randomBytes(SECRET_LENGTH).toString("base64")]);
    const [state] = await postgres.run<{ secret: string }>(statements.state);
    const accounts = new PostgresAccounts(postgres, statements, Buffer.from(state?.secret ?? "", "base64"), options);
    await accounts.refresh();
    return accounts;
  } catch (thrown) {
    await postgres.close();
    throw thrown;
  }
}

interface Known {
  readonly account: Account;
  readonly revision: number;
}

class PostgresAccounts implements PostgresAccountStore {
  readonly secret: Uint8Array;
  readonly #postgres: Postgres;
  readonly #sql: Statements;
  readonly #clock: Clock;
  readonly #iterations: number;
  readonly #bell: Doorbell;
  readonly #poll: NodeJS.Timeout;
  #listeners: ((name: string) => void)[] = [];
  #revision = 0;
  #known: ReadonlyMap<string, Known> = new Map();
  /** What of all accounts `covers` asks for. */
  #addresses: ReadonlySet<string> = new Set();
  #refreshing: Promise<void> | undefined;

  constructor(postgres: Postgres, statements: Statements, secret: Uint8Array, options: PostgresAccountsOptions) {
    this.secret = secret;
    this.#postgres = postgres;
    this.#sql = statements;
    this.#clock = options.clock ?? systemClock;
    this.#iterations = options.iterations ?? SCRAM_ITERATIONS;
    const look = () => void this.refresh().catch(() => {}); // the next look will do
    this.#bell = new Doorbell(postgres, "accounts", look);
    this.#poll = setInterval(look, options.poll ?? POLL_MS);
    this.#poll.unref();
  }

  async add({ name: given, password, addresses }: NewAccount): Promise<Account> {
    const name = nameOf(given);
    const account = makeAccount(name, checkAddresses(name, addresses));
    const key = await this.#keyOf(password);
    if (!(await this.#insert(account, key))) throw new AccountError("exists", `there is an account "${name}" already`);
    return account;
  }

  restore({ account, key }: StoredAccount): Promise<boolean> {
    return this.#insert(account, formatScramKey(key));
  }

  #insert({ name, addresses }: Account, key: string): Promise<boolean> {
    return this.#change(async (run, revision) => {
      const inserted = await run(this.#sql.insert, [name, key, this.#clock.now(), revision]);
      if (inserted.length === 0) return false;
      await run(this.#sql.insertAddresses, [name, int8Array([...addresses.keys()]), textArray(addresses)]);
      return true;
    });
  }

  async list(): Promise<Account[]> {
    await this.refresh();
    return [...this.#known.values()].map(({ account }) => account);
  }

  async find(given: string): Promise<StoredAccount | undefined> {
    const name = accountName(given);
    if (name === undefined) return undefined;
    const [row] = await this.#postgres.run<{ scram_key: string }>(this.#sql.key, [name]);
    const key = row === undefined ? undefined : parseScramKey(row.scram_key);
    if (key === undefined) return undefined;
    const addresses = await this.#postgres.run<{ address: string }>(this.#sql.addressesOf, [name]);
    const account = makeAccount(
      name,
      addresses.map(({ address }) => address),
    );
    return { account, key };
  }

  async setPassword(given: string, password: string): Promise<void> {
    const name = nameOf(given);
    const key = await this.#keyOf(password);
    if (!(await this.#change(async (run, revision) => (await run(this.#sql.setKey, [name, key, revision])).length > 0)))
      throw unknown(name);
  }

  async remove(given: string): Promise<void> {
    const name = nameOf(given);
    const removed = await this.#change(async (run) => {
      await run(this.#sql.dropAddresses, [name]);
      return (await run(this.#sql.drop, [name])).length > 0;
    });
    if (!removed) throw unknown(name);
  }

  isLocalRecipient(mailbox: Mailbox): boolean {
    return covers(this.#addresses, mailbox);
  }

  onChange(listener: (name: string) => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    clearInterval(this.#poll);
    await this.#bell.close();
    await this.#postgres.close();
  }

  /** Reads what has changed since the last look, here or elsewhere, and tells the listeners. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const [state] = await this.#postgres.run<{ revision: number }>(this.#sql.state);
    if (state === undefined || state.revision === this.#revision) return;
    // Changes in between are read twice rather than missed: the revision is the one from before.
    const rows = await this.#postgres.run<{ name: string; revision: number }>(this.#sql.all);
    const addresses = Map.groupBy(
      await this.#postgres.run<{ account: string; address: string }>(this.#sql.addresses),
      (row) => row.account,
    );
    const before = this.#known;
    const known = new Map<string, Known>();
    const keys = new Set<string>();
    for (const { name, revision } of rows) {
      const account = makeAccount(
        name,
        (addresses.get(name) ?? []).map(({ address }) => address),
      );
      known.set(name, { account, revision });
      for (const key of account.keys) keys.add(key);
    }
    const isFirst = this.#revision === 0;
    this.#revision = state.revision;
    this.#known = known;
    this.#addresses = keys;
    if (isFirst) return;
    for (const [name, { revision }] of known) if (before.get(name)?.revision !== revision) this.#changed(name);
    for (const name of before.keys()) if (!known.has(name)) this.#changed(name);
  }

  /** One change in one commit, with the revision it makes; false where there was nothing to do. */
  async #change(make: (run: Postgres["run"], revision: number) => Promise<boolean>): Promise<boolean> {
    const made = await this.#postgres.transaction(async (run) => {
      const [row] = await run<{ revision: number }>(this.#sql.raise);
      return make(run, row?.revision ?? 0);
    });
    // A look that is under way may have begun before the commit; the one after it has not.
    await this.#refreshing?.catch(() => {});
    await this.refresh().catch(() => {}); // it is done, whether we can see it yet or not
    if (made) this.#bell.ring();
    return made;
  }

  async #keyOf(password: string): Promise<string> {
    const prepared = preparePassword(password);
    if (prepared === undefined) {
      throw new AccountError("bad-password", `a password has 1 to ${PASSWORD_LIMIT} octets and no control characters`);
    }
    return formatScramKey(await deriveScramKey(prepared, this.#iterations));
  }

  #changed(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }
}
