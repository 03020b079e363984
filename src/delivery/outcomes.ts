/**
 * From what a server answered to what became of a recipient.
 *
 * Rules
 * 1. 4xx delays, 5xx fails; an enhanced status is taken from the reply, else it is the class alone (x.0.0).
 * 2. What is not known delays.
 */
import { SmtpError } from "../client/error.ts";
import type { Outcome, Reason, RemoteHost, Scope, Unfinished, Untried } from "../mail/outcome.ts";
import { isPermanent, type Reply } from "../mail/reply.ts";
import type { EnhancedStatus } from "../mail/status.ts";
import type { RecipientResult } from "../protocol/client-session.ts";
import { type ClientState, clientStates } from "../protocol/client-states.ts";

const scopes: Partial<Readonly<Record<ClientState, Scope>>> = {
  greeting: "host",
  ehlo: "host",
  helo: "host",
  auth: "session",
  rcpt: "recipient",
};

/** `dsn`: the next hop takes over the duty to report. `final`: what it has taken is in the mailbox. `deliverBy`: it keeps to BY. */
export function outcomeOf(
  result: RecipientResult,
  at: RemoteHost,
  { dsn, final, deliverBy }: { readonly dsn: boolean; readonly final: boolean; readonly deliverBy: boolean },
): Outcome {
  switch (result.kind) {
    case "accepted":
      if (final) return { action: "delivered", at, reply: result.reply, final };
      return { action: dsn ? "delivered" : "relayed", at, reply: result.reply, ...(deliverBy ? { deliverBy } : {}) };
    case "refused":
      return refused(result.reply, result.state, at);
    case "lost":
      return delayed("session", "4.4.2", { kind: "connection", text: result.why, doing: clientStates[result.state].doing, at });
    case "unknown":
      return delayed("session", "4.4.2", {
        kind: "unknown",
        text: `${result.why} after the final dot: whether the message was taken is not known`,
        at,
      });
  }
}

function refused(answer: Reply, state: ClientState, at: RemoteHost): Unfinished {
  const permanent = isPermanent(answer) && answer.code !== 421;
  const status: EnhancedStatus = answer.status ?? (permanent ? "5.0.0" : "4.0.0");
  const why = { kind: "reply", reply: answer, doing: clientStates[state].doing, at } as const;
  // RFC 5321 3.8: 421 says that the server goes away, whatever was asked of it.
  const scope = answer.code === 421 ? "host" : (scopes[state] ?? "message");
  return { action: permanent ? "failed" : "delayed", scope, status, why };
}

function delayed(scope: Scope, status: EnhancedStatus, why: Unfinished["why"]): Unfinished {
  return { action: "delayed", scope, status, why };
}

/** No session could be had. A host that says by 521 that it takes no mail (RFC 7504) is final; any other is tried again. */
export function outcomeOfError(error: unknown, at: RemoteHost): Unfinished {
  if (!(error instanceof SmtpError)) {
    return delayed("host", "4.4.1", {
      kind: "connection",
      text: error instanceof Error ? error.message : String(error),
      doing: "connecting",
      at,
    });
  }
  const { doing } = clientStates[error.phase];
  if (error.reply === undefined)
    return delayed("host", error.about === "tls" ? "4.7.5" : "4.4.1", { kind: "connection", text: error.why, doing, at });
  const why = { kind: "reply", reply: error.reply, doing, at } as const;
  if (error.reply.code === 521) return { action: "failed", scope: "host", status: error.reply.status ?? "5.3.2", why };
  return delayed("host", error.reply.status?.startsWith("4") === true ? error.reply.status : "4.3.2", why);
}

export function failedHere(status: EnhancedStatus, text: string, scope: Scope = "message"): Unfinished {
  return { action: "failed", scope, status, why: { kind: "local", text } };
}

export function delayedHere(status: EnhancedStatus, text: string, scope: Scope = "host"): Unfinished {
  return delayed(scope, status, { kind: "local", text });
}

/** Put off before anything was tried. */
export function untried({ status, why, ...rest }: Untried & { readonly status: EnhancedStatus; readonly why: Reason }): Unfinished {
  return { action: "delayed", scope: "host", status, why, untried: rest };
}

export function untriedHere(status: EnhancedStatus, text: string, due: number): Unfinished {
  return untried({ status, why: { kind: "local", text }, due, ages: true });
}
