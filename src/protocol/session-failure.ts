/** Why a client's session cannot be used. */
import { isPermanent, type Reply } from "../mail/reply.ts";
import { type ClientState, clientStates } from "./client-states.ts";

export interface SessionFailure {
  readonly state: ClientState;
  /** The reply that ended it, where one did. */
  readonly reply?: Reply;
  /** What went wrong, to complete "mx1.example.net: …". */
  readonly why: string;
  /** unknown: nothing is said about another try, so it is worth one. */
  readonly lasting: "temporary" | "permanent" | "unknown";
  readonly about: "greeting" | "hello" | "tls" | "authentication" | "protocol" | "connection";
}

/** The server refused what `state` names. */
export function refusalBy(answer: Reply, state: ClientState, about: SessionFailure["about"]): SessionFailure {
  const lasting = isPermanent(answer) ? "permanent" : "temporary";
  return { state, reply: answer, why: `refused ${clientStates[state].doing}`, lasting, about };
}
