/**
 * What a program asks of the way of a message: when it goes out, by when it is there, how urgent it is.
 *
 * Rules
 * 1. It is checked before a connection is asked for; what makes no sense throws a TypeError.
 * 2. A time is a Date or milliseconds since 1970, a span is milliseconds; on the wire both are whole seconds.
 */
import type { DeliverBy, EnvelopeExtras } from "../mail/envelope.ts";
import type { HoldRequest } from "../protocol/parameters.ts";

export interface TransferInput {
  /** FUTURERELEASE (RFC 4865): the server keeps it for so many milliseconds before it goes out. */
  readonly holdFor?: number;
  /** Likewise, until then. */
  readonly holdUntil?: Date | number;
  readonly deliverBy?: DeliverByInput;
  /** MT-PRIORITY (RFC 6710), -9 to 9: its place among other mail on the way. `priority` of a draft is a header, for readers. */
  readonly transferPriority?: number;
}

/** DELIVERBY (RFC 2852). */
export interface DeliverByInput {
  /** Milliseconds; with `holdFor` or `holdUntil` from when it goes out. */
  readonly within: number;
  /** return: it comes back where that is not possible. notify: its sender is told, and it goes on. */
  readonly otherwise: "return" | "notify";
  /** Each server on the way reports that it has passed it on. */
  readonly trace?: boolean;
}

export interface Transfer {
  readonly hold?: HoldRequest;
  readonly extras: EnvelopeExtras;
}

/** RFC 4865 3, RFC 2852 4: nine digits. */
const SECONDS_MOST = 999_999_999;

/** What of these options is such a request. */
export function transferInputOf({ holdFor, holdUntil, deliverBy, transferPriority }: TransferInput): TransferInput {
  return {
    ...(holdFor === undefined ? {} : { holdFor }),
    ...(holdUntil === undefined ? {} : { holdUntil }),
    ...(deliverBy === undefined ? {} : { deliverBy }),
    ...(transferPriority === undefined ? {} : { transferPriority }),
  };
}

/** Throws a TypeError. */
export function readTransfer(input: TransferInput, now: number): Transfer {
  const { holdFor, holdUntil, deliverBy, transferPriority: priority } = input;
  if (holdFor !== undefined && holdUntil !== undefined) throw new TypeError("holdFor or holdUntil, not both");
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= 9))
    throw new TypeError(`transferPriority is a whole number from -9 to 9, not ${priority}`);
  const hold = holdFor !== undefined ? { seconds: secondsOf("holdFor", holdFor), kind: "for" as const } : untilOf(holdUntil);
  return {
    ...(hold === undefined ? {} : { hold }),
    extras: {
      ...(deliverBy === undefined ? {} : { deliverBy: deliverByOf(deliverBy, now) }),
      ...(priority === undefined ? {} : { priority }),
    },
  };
}

function untilOf(time: Date | number | undefined): HoldRequest | undefined {
  if (time === undefined) return undefined;
  const at = Math.ceil(Number(time) / 1000) * 1000; // never earlier than asked for
  if (!(Number(time) >= 0 && at <= Date.UTC(9999, 11, 31)))
    throw new TypeError(`holdUntil is a time until the year 9999, not ${String(time)}`);
  return { kind: "until", at };
}

function deliverByOf({ within, otherwise, trace = false }: DeliverByInput, now: number): DeliverBy {
  if (otherwise !== "return" && otherwise !== "notify")
    throw new TypeError(`deliverBy.otherwise is "return" or "notify", not ${JSON.stringify(otherwise)}`);
  // Into the last second: what is left is rounded down when it is written, and what little time that takes must not cost one.
  return { at: now + secondsOf("deliverBy.within", within) * 1000 + 999, mode: otherwise, trace };
}

function secondsOf(name: string, ms: number): number {
  const seconds = Math.ceil(ms / 1000);
  if (seconds >= 1 && seconds <= SECONDS_MOST) return seconds;
  throw new TypeError(`${name} is milliseconds, from 1 to ${SECONDS_MOST}000, not ${ms}`);
}
