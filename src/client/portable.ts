/**
 * The client without any runtime's own parts: what it runs over, `dial`, is given. `postrider/client` binds it to Node's sockets.
 */

export type { ConnectionOptions, Timeouts, TlsMode } from "./connection-options.ts";
export type { Credentials, Token, TokenSource } from "./credentials.ts";
export {
  AuthenticationError,
  CancelledError,
  ConnectError,
  DataError,
  DisconnectedError,
  HelloError,
  type Lasting,
  NotSupportedError,
  OutcomeUnknownError,
  ProtocolError,
  RecipientsRefusedError,
  SenderRefusedError,
  SmtpError,
  SmtpTimeoutError,
  TlsError,
} from "./error.ts";
export type { ClientMessage, DsnInput } from "./message-input.ts";
export type { MxAnswer, MxLookup } from "./mx.ts";
export type { PoolOptions } from "./pool.ts";
export { LMTP_PORT, SMTP_PORT, SMTPS_PORT } from "./ports.ts";
export type { RateLimitOptions } from "./rate-limit.ts";
export type { RetryOptions } from "./retry.ts";
export type { RecipientReport, SendResult } from "./send-result.ts";
export { SmtpClient } from "./smtp-client.ts";
export type { Refused, SendMailOptions, SmtpClientOptions, TlsSettings } from "./smtp-client-options.ts";
export { SmtpConnection } from "./smtp-connection.ts";
export { formatTranscriptLine, Transcript, type TranscriptLine } from "./transcript.ts";
export type { DeliverByInput, TransferInput } from "./transfer-input.ts";
export { type Sender, type SendOptions, Transport } from "./transport.ts";
export type { TransportOptions } from "./transport-options.ts";
export { parseTransportUrl } from "./transport-url.ts";
export { type FetchOptions, fromUrl } from "./url-source.ts";
export { parseVerpAddress, verpAddress } from "./verp.ts";
