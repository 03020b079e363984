/**
 * The tables of the accounts and their procedures, run in the database thread.
 *
 * Rules
 * 1. `false` says that there was nothing to do: a name taken, or unknown.
 */
import type { ProcedureHost, ProcedureSet } from "../database/index.ts";

export const name = "accounts";

export const migrations: readonly string[] = [
  `
  CREATE TABLE account (
    name TEXT NOT NULL PRIMARY KEY,        -- NFC, lower case
    scram_key TEXT NOT NULL,
    created INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE account_address (
    account TEXT NOT NULL,
    idx INTEGER NOT NULL,
    address TEXT NOT NULL,                 -- a mailbox or *@domain, as given
    PRIMARY KEY (account, idx)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE account_secret (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    secret TEXT NOT NULL                   -- base64
  ) STRICT;
  `,
];

export type AccountRow = readonly [name: string, addresses: readonly string[], key: string];

export interface AccountProcedures {
  add(args: readonly [name: string, key: string, addresses: readonly string[], now: number]): boolean;
  list(): readonly AccountRow[];
  find(name: string): AccountRow | undefined;
  setKey(args: readonly [name: string, key: string]): boolean;
  remove(name: string): boolean;
  /** The one there is; the given one where there was none. */
  secret(fresh: string): string;
}

export function procedures({ db }: ProcedureHost): ProcedureSet {
  const insert = db.prepare("INSERT INTO account VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
  const insertAddress = db.prepare("INSERT INTO account_address VALUES (?, ?, ?)");
  const all = db.prepare("SELECT name, scram_key FROM account ORDER BY name");
  const one = db.prepare("SELECT scram_key FROM account WHERE name = ?");
  const addressesOf = db.prepare("SELECT address FROM account_address WHERE account = ? ORDER BY idx");
  const update = db.prepare("UPDATE account SET scram_key = ? WHERE name = ?");
  const drop = db.prepare("DELETE FROM account WHERE name = ?");
  const dropAddresses = db.prepare("DELETE FROM account_address WHERE account = ?");
  const insertSecret = db.prepare("INSERT INTO account_secret VALUES (1, ?) ON CONFLICT DO NOTHING");
  const theSecret = db.prepare("SELECT secret FROM account_secret");
  const addresses = (account: string) => addressesOf.all(account).map((row) => row.address as string);

  const reads: Pick<AccountProcedures, "list" | "find"> = {
    list: () => all.all().map((row) => [row.name as string, addresses(row.name as string), row.scram_key as string]),
    find(account) {
      const row = one.get(account);
      return row === undefined ? undefined : [account, addresses(account), row.scram_key as string];
    },
  };
  const writes: Omit<AccountProcedures, keyof typeof reads> = {
    add([account, key, list, now]) {
      if (insert.run(account, key, now).changes === 0) return false;
      for (const [index, address] of list.entries()) insertAddress.run(account, index, address);
      return true;
    },
    setKey: ([account, key]) => update.run(key, account).changes !== 0,
    remove(account) {
      dropAddresses.run(account);
      return drop.run(account).changes !== 0;
    },
    secret(fresh) {
      insertSecret.run(fresh);
      return theSecret.get()?.secret as string;
    },
  };
  return { reads: { ...reads }, writes: { ...writes } };
}
