/** Our client submits to Postfix: with Cyrus SASL, and with Dovecot's. */
import { describe } from "node:test";
import { describeUnless, missingAccount, skipFor, skipWithout } from "../support/programs.ts";
import type { Cleanup } from "../support/temp-folder.ts";
import { submissionSuite } from "./client-suite.ts";
import { missingDovecot, startDovecot } from "./dovecot.ts";
import type { SubmissionServer } from "./submission.ts";
import { startPostfixSubmission } from "./submission-postfix.ts";

const missing =
  skipWithout("postfix", "saslpasswd2") ||
  skipFor([...missingDovecot(), ...missingAccount("passwd", "news"), ...missingAccount("group", "games")]);
const common = { extensions: ["SMTPUTF8", "CHUNKING", "PIPELINING"], reportsBearParameters: true } as const;
const byPassword = ["PLAIN", "LOGIN", "CRAM-MD5"];

describeUnless(missing, "our client to Postfix", () => {
  const start = async (t: Cleanup, sasl: "cyrus" | "dovecot"): Promise<SubmissionServer> =>
    (await startPostfixSubmission(t, await startDovecot(t)))[sasl];

  describe("with Cyrus SASL", () => {
    submissionSuite({ mechanisms: ["SCRAM-SHA-256", "SCRAM-SHA-1", ...byPassword], ...common }, (t) => start(t, "cyrus"));
  });
  describe("with Dovecot's SASL", () => {
    const mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "OAUTHBEARER", "XOAUTH2", ...byPassword];
    submissionSuite({ mechanisms, ...common }, (t) => start(t, "dovecot"));
  });
});
