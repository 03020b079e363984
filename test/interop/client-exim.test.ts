/** Our client submits to Exim. */
import { describeUnless, skipFor, skipWithout } from "../support/programs.ts";
import { submissionSuite } from "./client-suite.ts";
import { missingEximSubmission, startEximSubmission } from "./submission-exim.ts";

const missing = skipWithout("openssl", "saslpasswd2") || skipFor(missingEximSubmission());

describeUnless(missing, "our client to Exim", () => {
  submissionSuite(
    {
      mechanisms: ["SCRAM-SHA-256", "SCRAM-SHA-1", "EXTERNAL", "PLAIN", "LOGIN", "CRAM-MD5"],
      extensions: ["SMTPUTF8", "CHUNKING", "PIPELINING"],
      reportsBearParameters: true,
    },
    startEximSubmission,
  );
});
