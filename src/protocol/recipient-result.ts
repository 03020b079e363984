/**
 * What became of one recipient in one transaction, and how a reply is read for it.
 *
 * Rules
 * 1. A result says for sure whether the message was taken, or that nobody knows; nothing in between.
 * 2. Only a 4xx or 5xx that makes sense is a refusal as it stands; all else is read as temporary.
 */
import { isPermanent, isTemporary, type Reply, reply } from "../mail/reply.ts";
import type { ClientState } from "./client-states.ts";

export type RecipientResult =
  /** The server took the message for this recipient. */
  | { readonly kind: "accepted"; readonly reply: Reply }
  /** A 4xx or 5xx; `state` says to what. */
  | { readonly kind: "refused"; readonly reply: Reply; readonly state: ClientState }
  /** The connection failed before the content was complete: nothing was taken. */
  | { readonly kind: "lost"; readonly why: string; readonly state: ClientState }
  /** The connection failed after the final dot: it may have been taken. */
  | { readonly kind: "unknown"; readonly why: string; readonly state: ClientState };

/** The refusal by a reply that is no yes to what `state` names. */
export function refusedIn(state: ClientState, answer: Reply): RecipientResult {
  const refusal = asRefusal(answer);
  return { kind: "refused", reply: state === "rcpt" ? asTooManyRecipients(refusal) : refusal, state };
}

/**
 * RFC 5321 4.5.3.1.10: RFC 821 listed 552 for "too many recipients"; a client treats it as 452. A full mailbox (5.2.2) or a
 * size (5.3.4) stays permanent.
 */
function asTooManyRecipients(answer: Reply): Reply {
  const means = answer.code === 552 && (answer.status === undefined || answer.status.endsWith(".5.3"));
  return means ? { code: 452, status: "4.5.3", text: answer.text } : answer;
}

/** A yes, or a 3xx, where it makes no sense: nothing is known to have failed for good (RFC 5321 4.3.2). */
function asRefusal(answer: Reply): Reply {
  if (isTemporary(answer) || isPermanent(answer)) return answer;
  return reply(451, "4.5.0", `Unexpected reply: ${answer.code} ${answer.text}`);
}
