/** `postrider/server`: an SMTP server that asks its owner what to take, whom to believe and where to put it. */
export { type BareLineEnds, defaultServerOptions, type ListenAt, type ServerOptions } from "./options.ts";
export {
  accept,
  type ContentSink,
  type Credentials,
  type Decision,
  type Intake,
  type KeyParameters,
  type LoginResult,
  type Peer,
  type Policy,
  type ProofResult,
  type RcptDecision,
  type Refusal,
  refuse,
  type ScramCredentials,
} from "./policy.ts";
export { SmtpServer, type SmtpServerParts } from "./smtp-server.ts";
