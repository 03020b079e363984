/**
 * Where accounts are kept, as an interface.
 *
 * Rules
 * 1. A change resolves when it is synced; listeners are told after it.
 * 2. Which addresses are ours is answered from memory: RCPT asks for each recipient.
 */
import type { Mailbox } from "../mail/mailbox.ts";
import type { Account } from "./account.ts";
import type { ScramKey } from "./scram-key.ts";

export interface StoredAccount {
  readonly account: Account;
  readonly key: ScramKey;
}

export interface NewAccount {
  readonly name: string;
  readonly password: string;
  /** Mailboxes and `*@domain`. Left out: the name itself, which must then be a mailbox. */
  readonly addresses?: readonly string[];
}

export interface AccountStore {
  /** Made by chance with the store and kept in it: what must be the same after a restart, and cannot be foretold. 32 octets. */
  readonly secret: Uint8Array;
  /** Rejects with an AccountError: exists, bad-name, bad-address, bad-password. */
  add(account: NewAccount): Promise<Account>;
  /** Takes over an account from another store, password and all; false, and nothing changed, where its name is here already. */
  restore(stored: StoredAccount): Promise<boolean>;
  /** By name. */
  list(): Promise<Account[]>;
  find(name: string): Promise<StoredAccount | undefined>;
  /** Rejects with an AccountError: unknown, bad-password. */
  setPassword(name: string, password: string): Promise<void>;
  /** Rejects with an AccountError: unknown. Mail already queued is not touched. */
  remove(name: string): Promise<void>;
  /** Whether the mailbox belongs to some account. */
  isLocalRecipient(mailbox: Mailbox): boolean;
  /** Called with the name of an account that was added, changed or removed. Any number of listeners. */
  onChange(listener: (name: string) => void): void;
}

export type AccountErrorCode = "exists" | "unknown" | "bad-name" | "bad-address" | "bad-password";

/** A change that cannot be made; the message is for the operator who asked for it. */
export class AccountError extends Error {
  override readonly name = "AccountError";
  readonly code: AccountErrorCode;

  constructor(code: AccountErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
