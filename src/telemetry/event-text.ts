/**
 * An event as one line that a postmaster can read.
 *
 * Rules
 * 1. One line, whatever a peer sent: controls become spaces.
 * 2. The first word says what happened, and lines of it can be searched for by that word and by the message's id.
 */
import { formatReversePath } from "../mail/envelope.ts";
import type { CheckResult, MailEvent } from "../mail/event.ts";
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import { describeHost, describeReason } from "../mail/outcome.ts";
import { describeReply } from "../mail/reply.ts";
import { timeOfDay } from "./logger.ts";

export function formatEvent(event: MailEvent): string {
  const [word, text] = parts(event);
  return oneLine(`${word.padEnd(10)} ${text}`);
}

/** The event with the time of day before it. */
export function formatEventAt(at: number, event: MailEvent): string {
  return `${timeOfDay(at)} ${formatEvent(event)}`;
}

/** Recipients named in one line. */
const NAMED = 5;

function parts(event: MailEvent): [word: string, text: string] {
  switch (event.type) {
    case "listening":
      return ["listening", `on ${event.address.includes(":") ? `[${event.address}]` : event.address}:${event.port} (${event.listener})`];
    case "connected":
      return ["connected", `${event.session} ${event.peer} (${event.listener})`];
    case "secured":
      return ["secured", `${event.session} ${event.peer} with ${event.tls}`];
    case "tls-failed":
      return ["tls failed", `${event.session} ${event.peer}: ${event.why}`];
    case "authenticated":
      return ["logged in", `${event.session} ${event.peer} as ${event.account} (${event.mechanism})`];
    case "authentication-failed":
      return ["no login", `${event.session} ${event.peer} as ${event.user}: ${event.why}`];
    case "refused": {
      const at = event.at === "" ? "" : ` at ${event.at}`;
      return ["refused", `${event.session} ${event.peer}${at}: ${describeReply(event.reply)}${event.why === "" ? "" : ` (${event.why})`}`];
    }
    case "disconnected":
      return ["left", `${event.session} ${event.peer}: ${event.why}, ${event.accepted} accepted`];
    case "accepted":
      return ["accepted", `${event.id} ${formatReversePath(event.from)} -> ${named(event.recipients)} (${formatSize(event.size)})`];
    case "repeated":
      return ["repeated", `${event.id} ${formatReversePath(event.from)} -> ${named(event.recipients)}: not queued again`];
    case "checked":
      return ["checked", `${event.id} ${formatReversePath(event.from)}: ${checks(event.results)}: ${event.action}, ${event.reason}`];
    case "attempted":
      return attempted(event);
    case "tls-fallback":
      return ["clear text", `to ${event.host}, TLS failed: ${event.why}`];
    case "left-alone":
      return ["left alone", `${event.destination} until ${timeOfDay(event.until)} because ${event.why}`];
    case "reopened":
      return ["reopened", event.destination];
    case "bounced":
      return ["bounced", `${event.id} to ${formatMailbox(event.to)} as ${event.bounce}, could not reach ${named(event.failed)}`];
    case "reported": {
      const told = event.about.map(({ recipient, action }) => `${formatMailbox(recipient)} ${action}`).join(", ");
      return ["reported", `${event.id} to ${formatMailbox(event.to)} as ${event.report}: ${told}`];
    }
    case "suppressed":
      return ["suppressed", `${event.id} ${event.mailbox} for ${event.account}: ${event.reason}`];
    case "dropped":
      return ["dropped", `${event.id} for ${named(event.failed)}: ${event.why}`];
    case "done":
      return ["done", event.id];
    case "trouble":
      return ["trouble", `${event.where}: ${event.why}`];
  }
}

function attempted({ id, recipient, outcome, next, age }: Extract<MailEvent, { type: "attempted" }>): [word: string, text: string] {
  const who = `${id} ${formatMailbox(recipient)}`;
  switch (outcome.action) {
    case "delivered":
    case "relayed":
      return [outcome.action, `${who} by ${describeHost(outcome.at)} after ${formatSpan(age)}: ${describeReply(outcome.reply)}`];
    case "expanded":
      return ["expanded", `${who} to ${outcome.to.join(", ")}`];
    case "delayed":
      return ["deferred", `${who}${next === undefined ? "" : ` until ${timeOfDay(next)}`} because ${describeReason(outcome.why)}`];
    case "failed":
      return ["failed", `${who} ${outcome.status} because ${describeReason(outcome.why)}`];
  }
}

function named(mailboxes: readonly Mailbox[]): string {
  const names = mailboxes.slice(0, NAMED).map(formatMailbox).join(", ");
  return mailboxes.length > NAMED ? `${names} and ${mailboxes.length - NAMED} more` : names;
}

function oneLine(text: string): string {
  return text.replace(/\r\n|[\x00-\x1f\x7f]/g, " ");
}

/** `740 bytes`, `1.2 KB`, `35.9 MB`. */
export function formatSize(octets: number): string {
  if (octets < 1000) return `${octets} bytes`;
  return octets < 999_950 ? `${(octets / 1000).toFixed(1)} KB` : `${(octets / 1_000_000).toFixed(1)} MB`;
}

/** `0.2 s`, `5 min`, `4.5 h`, `2.0 d` from milliseconds. */
export function formatSpan(ms: number): string {
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_570_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 86_220_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} d`;
}

/** `spf=pass (a.test), dkim=none`. */
function checks(results: readonly CheckResult[]): string {
  return results.map(({ method, result, domain }) => `${method}=${result}${domain === undefined ? "" : ` (${domain})`}`).join(", ");
}
