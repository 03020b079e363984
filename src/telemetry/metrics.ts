/**
 * Counts of what happened since the start. Plain numbers for now; their names are those that a scrape will give them.
 *
 * Rules
 * 1. Counting costs an addition: no labels are built on the way.
 * 2. Only values from a fixed set become names; nothing that a peer sends does.
 */
import type { EventSink, MailEvent } from "../mail/event.ts";

export interface Metrics {
  readonly sink: EventSink;
  /** All counters by name, zeros included. */
  snapshot(): Readonly<Record<string, number>>;
}

/** Every event type; `satisfies` keeps it complete. */
const names = {
  listening: "listeners",
  connected: "connections",
  secured: "tls_handshakes",
  "tls-failed": "tls_failures",
  authenticated: "authentications",
  "authentication-failed": "authentication_failures",
  refused: "refusals",
  disconnected: "disconnections",
  accepted: "messages_accepted",
  repeated: "messages_repeated",
  checked: "messages_checked",
  attempted: "attempts",
  "tls-fallback": "tls_fallbacks",
  "left-alone": "destinations_left_alone",
  reopened: "destinations_reopened",
  bounced: "bounces",
  reported: "reports",
  suppressed: "suppressions",
  dropped: "messages_dropped",
  done: "messages_done",
  trouble: "troubles",
} as const satisfies Record<MailEvent["type"], string>;

export function createMetrics(): Metrics {
  const types = Object.fromEntries(Object.keys(names).map((type) => [type, 0])) as Record<MailEvent["type"], number>;
  const outcomes = { delivered: 0, relayed: 0, expanded: 0, delayed: 0, failed: 0 };
  const accepted = { octets: 0, recipients: 0 };
  return {
    sink(event) {
      types[event.type]++;
      if (event.type === "attempted") outcomes[event.outcome.action]++;
      else if (event.type === "accepted") {
        accepted.octets += event.size;
        accepted.recipients += event.recipients.length;
      }
    },
    snapshot() {
      const all: Record<string, number> = {};
      for (const type of Object.keys(names) as MailEvent["type"][]) all[names[type]] = types[type];
      for (const [action, count] of Object.entries(outcomes)) all[`recipients_${action}`] = count;
      all.octets_accepted = accepted.octets;
      all.recipients_accepted = accepted.recipients;
      return all;
    },
  };
}
