/**
 * What a store remembers of keys: that a recipient was queued under one.
 *
 * Rules
 * 1. The same account, key and recipient is queued once within IDEMPOTENCY_WINDOW; what is remembered is part of the commit that queues.
 * 2. A hash of the three is kept, not the key: it is short, tells nothing, and one unique index answers. Content is not compared: the key
 *    names the message, and who gives it to another message has that one left out.
 * 3. Who uses keys pays for them: each message with a key also removes some of what is older than the window; others touch none of it.
 */
import { createHash } from "node:crypto";
import { mailboxKey } from "../mail/mailbox.ts";
import type { MessageId, NewMessage } from "../mail/message.ts";
import { hours } from "../util/clock.ts";

/** How long a key is remembered, in milliseconds. */
export const IDEMPOTENCY_WINDOW = hours(24);
/** Octets of a hash: two of one account meet by chance after 2^64. */
export const SUBMITTED_KEY_OCTETS = 16;
/** Old rows that a message with a key removes; more than it adds unless it has more recipients, and then twice as many. */
export const SWEPT_AT_ONCE = 32;

/** One remembered recipient, as it moves from store to store. */
export interface SubmittedKey {
  /** In hex. */
  readonly key: string;
  readonly message: MessageId;
  /** Milliseconds since 1970. */
  readonly noted: number;
}

/** One hash for each recipient, in order; `undefined` where there is no key, or no account that it could be of. */
export function submittedKeys({ idempotencyKey, origin, envelope }: NewMessage): readonly Uint8Array[] | undefined {
  if (idempotencyKey === undefined || origin.kind !== "submission") return undefined;
  return envelope.recipients.map(({ mailbox }) =>
    createHash("sha256")
      .update(JSON.stringify([origin.account, idempotencyKey, mailboxKey(mailbox)]))
      .digest()
      .subarray(0, SUBMITTED_KEY_OCTETS),
  );
}

/** How many old rows are removed along with so many new ones. */
export function sweptWith(added: number): number {
  return Math.max(SWEPT_AT_ONCE, 2 * added);
}
