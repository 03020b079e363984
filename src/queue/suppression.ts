/**
 * Addresses that an account does not send to any more, until a day.
 *
 * Rules
 * 1. Of an account, and its alone: what one account finds out is nothing to another.
 * 2. What an attempt finds out is part of the commit that settles it. It never shortens what is there, such as an operator's entry without an end.
 * 3. What is over is as if it were not there; a settlement that adds an entry removes some of it.
 */

/** Names an entry. */
export interface SuppressionKey {
  readonly account: string;
  /** A mailbox key. */
  readonly mailbox: string;
}

export interface Suppression extends SuppressionKey {
  /** One line: what the recipient's server said, or what an operator did. */
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly made: number;
  /** Absent: until it is removed. */
  readonly until?: number;
}

export interface SuppressionPage {
  /** Those that are over by then are left out. */
  readonly now: number;
  readonly limit: number;
  /** Of this account alone. */
  readonly account?: string;
  /** The last one seen. */
  readonly after?: SuppressionKey;
}

/** Each rejects with a StoreError. */
export interface SuppressionList {
  /** Those of the account's mailboxes that are suppressed. */
  find(account: string, mailboxes: readonly string[], now: number): Promise<readonly Suppression[]>;
  /** By account and mailbox. */
  page(options: SuppressionPage): Promise<readonly Suppression[]>;
  /** In place of what is there. */
  put(suppression: Suppression): Promise<void>;
  /** False where there was none. */
  remove(key: SuppressionKey): Promise<boolean>;
  /** Takes what another store has; what is here already stays. */
  restore(suppressions: readonly Suppression[]): Promise<void>;
}

/** Entries in one page at most. */
export const SUPPRESSION_PAGE_LIMIT = 10_000;
/** The reason, in characters. */
export const SUPPRESSION_REASON_LIMIT = 1000;
/** Entries that are over and are removed along with each that is added. */
export const EXPIRED_AT_ONCE = 32;
