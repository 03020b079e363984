/** The error of a message that nobody took: that of the recipient whose trouble says the most. */
import { isPermanent, type Reply } from "../mail/reply.ts";
import type { RecipientResult } from "../protocol/recipient-result.ts";
import type { AttemptResult } from "./attempt-result.ts";
import {
  CancelledError,
  DataError,
  DisconnectedError,
  OutcomeUnknownError,
  RecipientsRefusedError,
  SenderRefusedError,
  type SmtpError,
} from "./error.ts";

/** Who was tried, and where. */
export interface Tried {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly host: string;
  /** The caller gave up. */
  readonly cancelled: boolean;
}

/** Unknown before all, since it forbids to send again; then what concerns the whole message; then the recipients. */
export function failureOf(results: readonly AttemptResult[], tried: Tried): SmtpError {
  const unknown = results.find((result) => result.kind === "unknown");
  if (unknown !== undefined) return refusalError(unknown, tried, results);
  if (tried.cancelled) {
    return new CancelledError(tried.host, { state: "command", why: "the caller gave it up", lasting: "temporary", about: "connection" });
  }
  const failed = results.find((result) => result.kind === "failed");
  if (failed?.kind === "failed") return failed.error;
  const whole = results.find((result) => result.kind === "lost" || (result.kind === "refused" && result.state !== "rcpt"));
  return refusalError((whole ?? results[0]) as RecipientResult, tried, results);
}

function refusalError(result: RecipientResult, { host, sender, recipients }: Tried, results: readonly AttemptResult[]): SmtpError {
  const { state } = result as Exclude<RecipientResult, { kind: "accepted" }>;
  if (result.kind === "unknown") return new OutcomeUnknownError(host, { state, why: result.why, lasting: "unknown", about: "connection" });
  if (result.kind === "lost") return new DisconnectedError(host, { state, why: result.why, lasting: "temporary", about: "connection" });
  const lasting = results.every((each) => each.kind === "refused" && isPermanent(each.reply)) ? "permanent" : "temporary";
  const failure = { state, reply: result.reply, lasting, about: "protocol" } as const;
  if (state === "mail") return new SenderRefusedError(host, { ...failure, why: `the sender <${sender}> was refused` }, sender);
  if (state !== "rcpt") return new DataError(host, { ...failure, why: "the message was refused" });
  const refused = new Map<string, Reply>();
  for (const [i, each] of results.entries()) if (each.kind === "refused") refused.set(recipients[i] as string, each.reply);
  const who = recipients.length === 1 ? `<${recipients[0]}> was refused` : "every recipient was refused";
  return new RecipientsRefusedError(host, { ...failure, why: who }, refused);
}
