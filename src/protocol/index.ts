/** `postrider/protocol`: SMTP as values, for both ends. No socket, no file, no clock. */
export { type Capabilities, parseCapabilities, type SessionLimits } from "./capabilities.ts";
export {
  type ClientEvent,
  ClientSession,
  type ClientSessionOptions,
  type RecipientResult,
  type SessionFailure,
  type TransactionOptions,
} from "./client-session.ts";
export { type ClientState, clientStates } from "./client-states.ts";
export { type Command, parseCommand } from "./command.ts";
export { DataFramer } from "./data-framer.ts";
export { DotStuffer } from "./dot-stuffer.ts";
export { grammar, type Phase, type Verb } from "./grammar.ts";
export { type Framed, LineFramer } from "./line-framer.ts";
export type { DeliverByRequest, FutureReleaseLimits, HoldRequest } from "./parameters.ts";
export { type PathLeniencies, parsePathArgument } from "./path.ts";
export { MalformedReply, ReplyParser } from "./reply-parser.ts";
export type { ChannelBindings } from "./sasl/channel-binding.ts";
export type { Credentials } from "./sasl/credentials.ts";
export type { ClientMechanism, ClientMechanismStep, LoginClaim, ScramParameters, ServerMechanism, ServerStep } from "./sasl/mechanism.ts";
export type { ClientAnswer, ClientQuestion, SaslHash } from "./sasl/question.ts";
export { type LoginOffer, type MailCommand, type ServerEvent, ServerSession, type ServerSessionOptions } from "./server-session.ts";
export { decodeXtext, encodeXtext } from "./xtext.ts";
