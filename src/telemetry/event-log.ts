/**
 * The sink that writes each event as one line of the log.
 *
 * Rules
 * 1. Field names are the event's own, flattened: `event`, `id`, `session`, `peer`, `from`, `to`, `status`, `reply`, ...
 * 2. A peer's trouble is `info`, what an operator should look at is `warn`, what we cannot do is `error`; what only a
 *    debugging operator wants (connections) is `debug`.
 * 3. A sink never throws: nothing that is decided depends on it.
 */
import type { EventSink, MailEvent } from "../mail/event.ts";
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import { describeHost, describeReason, type Outcome } from "../mail/outcome.ts";
import { describeReply } from "../mail/reply.ts";
import { formatEvent } from "./event-text.ts";
import type { LogFields, Logger, LogLevel } from "./logger.ts";

export interface EventLogOptions {
  /** Writes the sentence of `formatEvent` instead of fields, for people. */
  readonly readable?: boolean;
}

export function eventLog(logger: Logger, options: EventLogOptions = {}): EventSink {
  return (event) => {
    const level = eventLevel(event);
    if (!logger.enabled(level)) return;
    try {
      if (options.readable === true) logger[level](formatEvent(event));
      else logger[level](event.type, eventFields(event));
    } catch {
      // Rule 3.
    }
  };
}

/** Several sinks as one; one that throws does not keep the others from hearing. */
export function fanOut(...sinks: readonly EventSink[]): EventSink {
  if (sinks.length === 1) return sinks[0] as EventSink;
  return (event) => {
    for (const sink of sinks) {
      try {
        sink(event);
      } catch {
        // A sink decides nothing.
      }
    }
  };
}

export function eventLevel(event: MailEvent): LogLevel {
  switch (event.type) {
    case "connected":
    case "secured":
    case "disconnected":
    case "done":
      return "debug";
    case "attempted":
      return event.outcome.action === "failed" ? "warn" : "info";
    case "dropped":
    case "left-alone":
    case "authentication-failed":
      return "warn";
    case "trouble":
      return "error";
    default:
      return "info";
  }
}

/** Recipients written out in one line of the log; the rest is a number. */
const RECIPIENTS_SHOWN = 20;

/** The event as flat fields. */
export function eventFields(event: MailEvent): LogFields {
  switch (event.type) {
    case "accepted": {
      const { id, session, peer, size, recipients } = event;
      const from = event.from === null ? "" : formatMailbox(event.from);
      return { event: "accepted", id, session, peer, from, to: addresses(recipients), recipients: recipients.length, size };
    }
    case "repeated": {
      const { id, session, peer, recipients } = event;
      const from = event.from === null ? "" : formatMailbox(event.from);
      return { event: "repeated", id, session, peer, from, to: addresses(recipients), recipients: recipients.length };
    }
    case "checked": {
      const { id, session, peer, results, action, reason, instead } = event;
      const from = event.from === null ? "" : formatMailbox(event.from);
      const found = results.map(({ method, result, domain }) => `${method}=${result}${domain === undefined ? "" : ` ${domain}`}`);
      return { event: "checked", id, session, peer, from, results: found, action, instead, reason };
    }
    case "attempted": {
      const { id, attempts, next, age, outcome } = event;
      return {
        event: "attempted",
        id,
        to: formatMailbox(event.recipient),
        ...outcomeFields(outcome),
        attempts,
        next: next === undefined ? undefined : new Date(next).toISOString(),
        age,
      };
    }
    case "refused":
      return {
        event: "refused",
        session: event.session,
        peer: event.peer,
        at: event.at,
        reply: describeReply(event.reply),
        why: event.why,
      };
    case "bounced":
      return { event: "bounced", id: event.id, bounce: event.bounce, to: formatMailbox(event.to), failed: addresses(event.failed) };
    case "reported": {
      const { id, report, to, about } = event;
      const told = about.map(({ recipient, action }) => `${formatMailbox(recipient)} ${action}`);
      return { event: "reported", id, report, to: formatMailbox(to), about: told };
    }
    case "left-alone":
      return { event: "left-alone", destination: event.destination, until: new Date(event.until).toISOString(), why: event.why };
    case "suppressed": {
      const { id, account, mailbox, reason, until } = event;
      return { event: "suppressed", id, account, mailbox, reason, until: until === undefined ? undefined : new Date(until).toISOString() };
    }
    case "dropped":
      return { event: "dropped", id: event.id, why: event.why, failed: addresses(event.failed) };
    default: {
      const { type, ...fields } = event;
      return { event: type, ...fields };
    }
  }
}

function outcomeFields(outcome: Outcome): LogFields {
  switch (outcome.action) {
    case "delivered":
    case "relayed":
      return {
        action: outcome.action,
        status: outcome.reply.status ?? "2.0.0",
        host: describeHost(outcome.at),
        tls: outcome.at.tls,
        reply: describeReply(outcome.reply),
      };
    case "expanded":
      return { action: outcome.action, into: outcome.to.length };
    default:
      return {
        action: outcome.action,
        scope: outcome.scope,
        status: outcome.status,
        cause: outcome.why.kind,
        why: describeReason(outcome.why),
      };
  }
}

function addresses(mailboxes: readonly Mailbox[]): readonly string[] {
  return (mailboxes.length > RECIPIENTS_SHOWN ? mailboxes.slice(0, RECIPIENTS_SHOWN) : mailboxes).map(formatMailbox);
}
