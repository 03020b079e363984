/**
 * The queue's storage, as an interface: what is in it survives any crash.
 *
 * Rules
 * 1. A promise of `enqueue` or `settle` resolves after the sync of the commit that holds it, never before.
 * 2. A recipient is pending until it is settled; a message whose last recipient is settled is gone, its body too.
 * 3. A leased recipient is handed to nobody else until the lease is settled, released, or its holder is dead. Where several nodes share the
 *    store a holder counts as dead once its lease has run out: it then settles nothing any more, and ends no attempt (`holdsLease`).
 * 4. Outcomes and the bounces they cause are one commit.
 * 5. What cannot be read is kept and said, never deleted.
 *
 *   on disk                          the client heard     after a restart
 *   ------------------------------   ------------------   -----------------------------------------------------------
 *   nothing                          nothing              nothing; the client sends again
 *   body file, no row                nothing              the file is an orphan and is removed; the client sends again
 *   row, unsynced                    nothing              either; the client sends again, may arrive twice if synced (RFC 5321 6.1)
 *   row, synced                      250 or nothing       queued
 *   row + keys of its recipients     250 or nothing       queued, and the keys known: sent again under the same key it is not queued again
 *   row, leased, attempt begun       250                  queued and due (at once, or when the lease has run out); sent again only if the next hop's 250 was not recorded
 *   row + outcome (+ bounce row)     250                  settled; outcome and the bounce it causes are one commit
 *   last outcome, body file left     250                  settled; the file is an orphan and is removed
 *
 * Each line is tested by killing the server there (test/crash/points.ts), and by power losses; docs/durability.md has what was measured.
 */
import type { Content } from "../mail/content.ts";
import type { EnvelopeExtras, ReversePath } from "../mail/envelope.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { MessageId, NewMessage, Origin, QueuedBefore, QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import type { SubmittedKey } from "./idempotency.ts";
import type { Suppression, SuppressionList } from "./suppression.ts";

/** Names one recipient of one message. */
export interface RecipientRef {
  readonly id: MessageId;
  readonly index: number;
}

/** What an attempt leaves behind for one recipient. */
export type Settlement =
  /** Delivered, bounced or dropped: the recipient leaves the queue. */
  | (RecipientRef & {
      readonly kind: "finished";
      /** What its account is kept from sending to from now on, in this commit. */
      readonly suppress?: Suppression;
    })
  /** To be tried again at `due`; `last` is the reason as one line, `attempts` counts the one that just ended. */
  | (RecipientRef & {
      readonly kind: "deferred";
      readonly due: number;
      readonly attempts: number;
      readonly last: string;
      /** A report of the delay goes out in this commit; it is not forgotten again. */
      readonly delayTold?: boolean;
    })
  /** Handed back untried (a stop, a paused destination): due again at `due`, nothing counted. */
  | (RecipientRef & { readonly kind: "released"; readonly due: number });

export interface EnqueueOptions {
  /** Lease the message's recipients to the caller in the same commit: it has the message in hand and delivers it now. */
  readonly lease: boolean;
}

/** Content on its way in. Small content stays in memory, large content goes to a file of its own. */
export interface ContentWriter {
  /**
   * The caller's chunk is kept, not copied. A promise asks the caller to wait before the next chunk; it rejects with a StoreError: full,
   * where content grows beyond what there is room for.
   */
  write(chunk: Uint8Array): void | Promise<void>;
  /**
   * Ends writing; `front` goes before all that was written: what is known only once the content was read, such as its signature. What is on
   * disk by then is synced. The content stays readable until it is discarded, or enqueued and gone again.
   */
  finish(front?: readonly Uint8Array[]): Content | Promise<Content>;
  /** Gives up, before or after `finish`: nothing is left. Enqueued content is not touched. Never throws. */
  discard(): void;
}

export interface QueuedRecipientSummary {
  readonly index: number;
  readonly mailbox: Mailbox;
  /** held: not tried until it is released, or its time has come (`QueuedSummary.hold`). */
  readonly state: "active" | "deferred" | "held";
  readonly attempts: number;
  /** When it is tried next; for active ones, when they fell due. */
  readonly due: number;
  /** The last reason, as one line; "" before the first attempt. */
  readonly last: string;
}

/** What its sender asked for beside (`EnvelopeExtras`) stands in it too. */
export interface QueuedSummary extends EnvelopeExtras {
  readonly id: MessageId;
  readonly arrived: number;
  readonly from: ReversePath;
  readonly size: number;
  readonly origin: Origin;
  readonly hold?: Hold;
  readonly recipients: readonly QueuedRecipientSummary[];
}

/** Kept from being tried, by an operator. */
export interface Hold {
  /** One line. */
  readonly reason: string;
  /** Milliseconds since 1970; absent: until it is released. */
  readonly until?: number;
}

/** Mail that is not tried, whatever comes: all to a domain, from a sender, of an account. */
export interface Suspension extends Hold {
  readonly kind: "domain" | "sender" | "account";
  /** A domain key; a mailbox key, or a domain key; an account's name. */
  readonly value: string;
  readonly made: number;
}

/** How the last reason of a recipient begins that was put off by a suspension. */
export const SUSPENDED = "suspended:";

/** `due` of what falls due by itself no more. */
export const NEVER_DUE = 8_640_000_000_000_000;

export interface QueueStats {
  readonly messages: number;
  readonly recipients: number;
  /** Recipients under lease. */
  readonly active: number;
}

/** A recipient as it stands in the queue. */
export interface StandingRecipient extends QueuedRecipient {
  readonly due: number;
  readonly last: string;
}

/** A message as it stands in the queue, with all of its recipients that are pending. */
export interface StandingMessage extends Omit<QueuedMessage, "recipients"> {
  /** In order of their indexes. */
  readonly recipients: readonly StandingRecipient[];
  readonly hold?: Hold;
}

export interface QueueStore {
  readonly suppressionList: SuppressionList;
  /**
   * A writer for content that is arriving; `sizeHint` is the size that the client declared. Nothing is queued by it.
   * Throws a StoreError: full, where the size would leave less free space than is kept for settling.
   */
  receive(sizeHint?: number): ContentWriter;
  /**
   * Queues a complete message. Rejects with a StoreError; nothing of the message is then kept. Of a message with an idempotency key those
   * recipients are left out that were queued under it within IDEMPOTENCY_WINDOW, and told of; it is never leased by this, whatever `options` say.
   */
  enqueue(message: NewMessage, options: EnqueueOptions): Promise<QueuedBefore | undefined>;
  /**
   * Up to `limit` recipients that are due at `now`, as messages; they are the caller's until settled. Oldest due first.
   * May bring fewer than are due, to bound what is in memory; brings none only where nothing is due that can be read.
   */
  lease(now: number, limit: number): Promise<QueuedMessage[]>;
  /**
   * Whether this process still holds a recipient that was leased to it. Asked right before the final dot: where it is false, somebody else may
   * be sending the message by now. Answered from memory; always true where one process has the store to itself.
   */
  holdsLease(recipient: RecipientRef): boolean;
  /** When the next recipient that is not leased falls due; `undefined` where there is none. */
  nextDue(): Promise<number | undefined>;
  /**
   * Records what attempts came to and queues what they caused (bounces; unleased, due at once), in one commit.
   * Settling what is gone already is no error, nor is what others hold by now: it is left out, and the bounces about it with it. Safe to be
   * repeated where it failed. Returns the ids of messages that are gone with this commit. Where a caused message has an idempotency key, it is
   * heeded as by `enqueue`.
   */
  settle(settlements: readonly Settlement[], caused: readonly NewMessage[]): Promise<readonly MessageId[]>;

  /** For operators: oldest first, `after` is the id of the last one seen. */
  list(options: { readonly limit: number; readonly after?: MessageId }): Promise<QueuedSummary[]>;
  show(id: MessageId): Promise<QueuedSummary | undefined>;
  /** The content of a queued message. */
  content(id: MessageId): Promise<Content | undefined>;
  stats(): Promise<QueueStats>;
  /**
   * Makes recipients that are not under lease due now. Where no ids are given: all of the queue, but for what its senders want held until
   * later (`holdUntil`). Returns how many.
   */
  retry(now: number, ids?: readonly MessageId[]): Promise<number>;
  /**
   * Keeps messages from being tried. An attempt under way goes on; what it defers is held then. What its sender wants held for longer falls
   * due then only. Returns how many were found.
   */
  hold(ids: readonly MessageId[], hold: Hold): Promise<number>;
  /** Makes held messages due now, or when their senders wanted it (`holdUntil`). Returns how many were held. */
  unhold(now: number, ids: readonly MessageId[]): Promise<number>;
  /** By kind and value. Those that are over are left out. */
  suspensions(now: number): Promise<readonly Suspension[]>;
  /** In place of one of the same kind and value. */
  suspend(suspension: Suspension): Promise<void>;
  /** False where there was none. */
  resume(kind: Suspension["kind"], value: string): Promise<boolean>;
  /** Called after `suspend` and `resume` here. One listener. */
  onSuspension(listener: () => void): void;
  /** Removes messages without a bounce, leased ones too (an attempt under way goes on, its outcome is ignored). Returns the ids found. */
  remove(ids: readonly MessageId[]): Promise<readonly MessageId[]>;

  /** The whole message as it stands, leases left aside: what `restore` of another store takes. */
  read(id: MessageId): Promise<StandingMessage | undefined>;
  /** Queues a message as it stood elsewhere; false, and nothing changed, where its id is here already. Rejects as `enqueue` does. */
  restore(message: StandingMessage): Promise<boolean>;

  /** What is remembered of idempotency keys, in order, for moving it to another store; `after` is the key of the last one seen. */
  submittedKeys(options: { readonly limit: number; readonly after?: string }): Promise<readonly SubmittedKey[]>;
  /** Remembers what another store did; what is here already stays. */
  restoreSubmittedKeys(keys: readonly SubmittedKey[]): Promise<void>;

  /** Called when something may fall due earlier than `nextDue` last said: unleased messages, deferred recipients, `retry`. One listener. */
  onDue(listener: () => void): void;
  /** Called once when the store can go on no longer, such as after a failed sync: the process must end. */
  onFatal(listener: (error: StoreError) => void): void;
  close(): Promise<void>;
}

/**
 * full: no space left; temporary, nothing of the call was kept.
 * busy: another process holds the data folder.
 * newer: the store was written by a newer version.
 * corrupt: what is there cannot be read.
 * fatal: a sync failed; what is on disk is not known any more (never retried).
 * unsafe: the database's settings would lose mail, such as `fsync = off`; it is not used.
 * closed: called after `close`.
 * io: could not be read, written or reached; temporary. Where a reply was lost on the way, what the call did is not known: row 3 of the table.
 */
export type StoreErrorCode = "full" | "busy" | "newer" | "corrupt" | "fatal" | "unsafe" | "closed" | "io";

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
