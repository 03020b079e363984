/** What one attempt came to for one recipient: what the session says, or that there was none, or that the server cannot take the message. */
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import { isPermanent, type Reply, reply } from "../mail/reply.ts";
import type { RecipientResult } from "../protocol/recipient-result.ts";
import { type SmtpError, TlsError } from "./error.ts";
import type { RecipientReport } from "./send-result.ts";

export type AttemptResult = RecipientResult | { readonly kind: "failed"; readonly error: SmtpError };

export function reportOf(mailbox: Mailbox, result: AttemptResult, host: string, attempts: number): RecipientReport {
  const common = { address: formatMailbox(mailbox), host, attempts };
  switch (result.kind) {
    case "accepted":
      return { ...common, status: "accepted", ...said(result.reply) };
    case "refused":
      return { ...common, status: "refused", ...said(result.reply), lasting: isPermanent(result.reply) ? "permanent" : "temporary" };
    case "failed":
      return {
        ...common,
        status: "failed",
        text: result.error.message,
        lasting: result.error.lasting,
        ...(result.error.reply === undefined ? {} : said(result.error.reply)),
      };
    case "lost":
      return { ...common, status: "lost", text: result.why, lasting: "temporary" };
    case "unknown":
      return { ...common, status: "unknown", text: result.why, lasting: "unknown" };
  }
}

function said({ code, status, text }: Reply) {
  return { code, ...(status === undefined ? {} : { enhancedCode: status }), text };
}

/** Another try may change it. */
export function isWorthAnotherTry(result: AttemptResult): boolean {
  if (result.kind === "failed") return result.error.lasting === "temporary" && !(result.error instanceof TlsError);
  return result.kind === "lost" || (result.kind === "refused" && !isPermanent(result.reply));
}

/** Where some transactions were taken, what kept each of the others out is told of its recipients: none must go missing. */
export function ofSeveral(results: readonly RecipientResult[]): readonly RecipientResult[] {
  if (!results.some(({ kind }) => kind === "accepted")) return results;
  return results.map((result) => {
    if (result.kind === "accepted") return result;
    const answer = result.kind === "refused" ? result.reply : reply(451, "4.4.2", result.why);
    return { kind: "refused", reply: answer, state: "rcpt" };
  });
}
