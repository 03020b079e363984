/**
 * A message in the queue.
 *
 * Rules
 * 1. A message lives as long as one of its recipients is pending; when the last is settled it is gone.
 * 2. Its id is also the one in our Received line and in our 250, so that a peer's log leads to ours.
 */
import type { Content, ContentFacts } from "./content.ts";
import type { Envelope, Recipient } from "./envelope.ts";

/** 16 characters of Crockford's base 32: 9 of time in milliseconds, so that ids sort by arrival, and 7 of chance. */
export type MessageId = string;

/** How it came in. Only what a log, a bounce or a later conversion needs. */
export type Origin =
  | { readonly kind: "submission"; readonly account: string; readonly peer: string }
  | { readonly kind: "smtp"; readonly peer: string; readonly helo: string }
  /** Made here: a report. `about` is the message it reports on; `double`: that one was a report itself. */
  | { readonly kind: "bounce"; readonly about: MessageId; readonly double?: boolean }
  | { readonly kind: "local" };

/** What the queue takes in: complete, its trace header written. */
export interface NewMessage {
  readonly id: MessageId;
  readonly envelope: Envelope;
  readonly content: Content;
  readonly facts: ContentFacts;
  readonly origin: Origin;
  /** Milliseconds since 1970: retries and expiry count from here. */
  readonly arrived: number;
  /** Names the message for the account that submits it: each recipient is queued once under it (`queue/idempotency.ts`). */
  readonly idempotencyKey?: string;
}

/** Recipients of a new message that are queued already, under the same key of the same account. */
export interface QueuedBefore {
  /** The message with which the first of them was queued; it may be delivered and gone by now. */
  readonly id: MessageId;
  /** Their indexes: they are left out. Where these are all, nothing is queued. */
  readonly recipients: readonly number[];
}

/** One recipient of a queued message, with what was tried for it. */
export interface QueuedRecipient extends Recipient {
  /** Its place in the envelope, from 0: with the message's id it names the recipient for good. */
  readonly index: number;
  /** Attempts that have ended. */
  readonly attempts: number;
  /** Its delay has been reported to the sender: once is enough. */
  readonly delayTold: boolean;
}

/** What a lease hands out: one message and those of its recipients that are due and go the same way. */
export interface QueuedMessage {
  readonly id: MessageId;
  readonly envelope: Omit<Envelope, "recipients">;
  readonly recipients: readonly QueuedRecipient[];
  readonly content: Content;
  readonly facts: ContentFacts;
  readonly origin: Origin;
  readonly arrived: number;
}

/** A step of MT-PRIORITY counts as this much of waiting in the queue. */
const PRIORITY_STEP_MS = 60_000;

/**
 * When a new message that is not taken in hand at once falls due: the urgent ahead of those that wait already, the others behind those that
 * come soon after. What is held falls due when its sender asked for and never earlier (RFC 4865), however urgent it is.
 */
export function firstDue({ arrived, envelope }: Pick<NewMessage, "arrived" | "envelope">): number {
  const { holdUntil = 0, priority = 0 } = envelope;
  return isHeld({ arrived, envelope }) ? holdUntil : arrived - priority * PRIORITY_STEP_MS;
}

/** Its sender asked for it to be held. */
export function isHeld({ arrived, envelope }: Pick<NewMessage, "arrived" | "envelope">): boolean {
  return envelope.holdUntil !== undefined && envelope.holdUntil > arrived;
}

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A new id; `random` gives numbers in [0, 1). Needs no secrecy: two in one millisecond differ in 35 bits. */
export function newMessageId(now: number, random: () => number = Math.random): MessageId {
  let id = "";
  let time = now;
  for (let i = 0; i < 9; i++) {
    id = alphabet[time % 32] + id;
    time = Math.floor(time / 32);
  }
  for (let i = 0; i < 7; i++) id += alphabet[Math.floor(random() * 32)];
  return id;
}

export function isMessageId(text: string): text is MessageId {
  return /^[0-9A-HJKMNP-TV-Z]{16}$/.test(text);
}
