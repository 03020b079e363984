/** Our client submits to OpenSMTPD. */
import { describeUnless, skipFor, skipWithout } from "../support/programs.ts";
import { submissionSuite } from "./client-suite.ts";
import { missingOpenSmtpd, startOpenSmtpd } from "./submission-opensmtpd.ts";

describeUnless(skipFor(missingOpenSmtpd()) || skipWithout("openssl"), "our client to OpenSMTPD", () => {
  submissionSuite({ mechanisms: ["PLAIN", "LOGIN"], extensions: [], reportsBearParameters: false }, startOpenSmtpd);
});
