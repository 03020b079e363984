/**
 * What happened, as values: one for each thing an operator would want to know. Written to the log, counted as metrics,
 * shown by the try-out; nothing decides by them.
 *
 * Rules
 * 1. No event bears a password, a key or content.
 * 2. Events are told after the fact: an `accepted` is already synced.
 */
import type { ReversePath } from "./envelope.ts";
import type { Mailbox } from "./mailbox.ts";
import type { MessageId } from "./message.ts";
import type { Outcome } from "./outcome.ts";
import type { Reply } from "./reply.ts";

export interface CheckResult {
  readonly method: "spf" | "dkim" | "dmarc" | "arc" | "iprev";
  /** As RFC 8601 has it; `crashed` where the check itself failed. */
  readonly result: string;
  /** Whose name was checked. */
  readonly domain?: string;
}

export type ListenerKind = "submission" | "submissions" | "smtp";

export type MailEvent =
  | { readonly type: "listening"; readonly listener: ListenerKind; readonly address: string; readonly port: number }
  | { readonly type: "connected"; readonly listener: ListenerKind; readonly session: string; readonly peer: string }
  | { readonly type: "secured"; readonly session: string; readonly peer: string; readonly tls: string }
  | { readonly type: "tls-failed"; readonly session: string; readonly peer: string; readonly why: string }
  | {
      readonly type: "authenticated";
      readonly session: string;
      readonly peer: string;
      readonly account: string;
      readonly mechanism: string;
    }
  | { readonly type: "authentication-failed"; readonly session: string; readonly peer: string; readonly user: string; readonly why: string }
  /** A command was refused; `why` is for the operator, `reply` is what the peer read. */
  | {
      readonly type: "refused";
      readonly session: string;
      readonly peer: string;
      readonly at: string;
      readonly reply: Reply;
      readonly why: string;
    }
  | { readonly type: "disconnected"; readonly session: string; readonly peer: string; readonly why: string; readonly accepted: number }
  | {
      readonly type: "accepted";
      readonly id: MessageId;
      readonly session?: string;
      readonly peer?: string;
      readonly from: ReversePath;
      readonly recipients: readonly Mailbox[];
      readonly size: number;
    }
  /** A submission whose recipients were all queued before, as `id`, under the same key: nothing was queued. */
  | {
      readonly type: "repeated";
      readonly id: MessageId;
      readonly session: string;
      readonly peer: string;
      readonly from: ReversePath;
      readonly recipients: readonly Mailbox[];
    }
  /** What was found about who sent it; told before it is accepted, or refused for it. */
  | {
      readonly type: "checked";
      readonly id: MessageId;
      readonly session: string;
      readonly peer: string;
      readonly from: ReversePath;
      readonly results: readonly CheckResult[];
      readonly action: "accept" | "quarantine" | "reject" | "defer";
      readonly reason: string;
      /** In report-only mode: what would have been done. */
      readonly instead?: "accept" | "quarantine" | "reject" | "defer";
    }
  | {
      readonly type: "attempted";
      readonly id: MessageId;
      readonly recipient: Mailbox;
      readonly outcome: Outcome;
      /** Attempts so far, this one included. */
      readonly attempts: number;
      /** When it is tried again, where it is. */
      readonly next?: number;
      /** Milliseconds from arrival to this outcome. */
      readonly age: number;
    }
  | { readonly type: "tls-fallback"; readonly host: string; readonly why: string }
  /** A destination cannot be reached, or has enough: what goes there is put off until then. */
  | { readonly type: "left-alone"; readonly destination: string; readonly until: number; readonly why: string }
  | { readonly type: "reopened"; readonly destination: string }
  | {
      readonly type: "bounced";
      readonly id: MessageId;
      readonly bounce: MessageId;
      readonly to: Mailbox;
      readonly failed: readonly Mailbox[];
    }
  /** The sender was told of a delay, or of a success that it asked for. */
  | {
      readonly type: "reported";
      readonly id: MessageId;
      readonly report: MessageId;
      readonly to: Mailbox;
      readonly about: readonly { readonly recipient: Mailbox; readonly action: Outcome["action"] }[];
    }
  /** An account may not send to an address for some time; `mailbox` is its key. */
  | {
      readonly type: "suppressed";
      readonly id: MessageId;
      readonly account: string;
      readonly mailbox: string;
      readonly reason: string;
      readonly until?: number;
    }
  | { readonly type: "dropped"; readonly id: MessageId; readonly why: string; readonly failed: readonly Mailbox[] }
  /** Every recipient is settled: the message is gone from the queue. */
  | { readonly type: "done"; readonly id: MessageId }
  | { readonly type: "trouble"; readonly where: string; readonly why: string };

export type EventSink = (event: MailEvent) => void;
