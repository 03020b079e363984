/** `postrider/client`: connections to SMTP and LMTP servers. */
export { SmtpError } from "./error.ts";
export { type ConnectionOptions, SmtpConnection, type TlsMode } from "./smtp-connection.ts";
