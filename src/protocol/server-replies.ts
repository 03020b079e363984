/** What the server's session says by itself (RFC 5321 4.2.3, RFC 3463). Decisions of others bring their own replies. */
import { type Reply, reply } from "../mail/reply.ts";

export const greeting = (hostname: string): Reply => reply(220, `${hostname} ESMTP ready`);
export const helo = (hostname: string): Reply => reply(250, hostname);
export const earlyTalker = reply(554, "5.5.1", "You spoke before the greeting");

export const ok = reply(250, "2.0.0", "OK");
export const mailOk = reply(250, "2.1.0", "OK");
export const rcptOk = reply(250, "2.1.5", "OK");
export const goAhead = reply(354, "Go ahead");
export const accepted = reply(250, "2.0.0", "OK, message accepted");
export const startTls = reply(220, "2.0.0", "Ready to start TLS");
export const authenticated = reply(235, "2.7.0", "Authentication successful");
export const bye = reply(221, "2.0.0", "closing connection");
export const help = reply(214, "2.0.0", "Commands: EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT (RFC 5321)");
// RFC 5321 3.5.3: to verify would tell address harvesters what RCPT tells anyway; 252 is the answer for it.
export const cannotVerify = reply(252, "2.1.5", "Cannot verify; send the message and it will be tried");
export const chunkReceived = (size: number): Reply => reply(250, "2.0.0", `${size} octets received`);

export const unknownCommand = reply(500, "5.5.1", "Command not recognized");
export const notImplemented = reply(502, "5.5.1", "Command not implemented");
export const notPrintable = reply(500, "5.5.2", "Commands are printable UTF-8");
export const lineTooLong = reply(500, "5.5.2", "Line too long");
export const bareLineEnd = reply(500, "5.5.2", "Bare CR or LF: lines end in CRLF (with nc use -C, with openssl s_client use -crlf)");
export const bareLinesOnly = reply(421, "4.7.0", "Lines end in CRLF; closing connection");
export const otherProtocol = reply(554, "5.5.1", "This is SMTP; closing connection");
export const tooManyErrors = reply(421, "4.7.0", "Too many errors; closing connection");

export const helloFirst = reply(503, "5.5.1", "Say EHLO first");
export const bdatUnderWay = reply(503, "5.5.1", "BDAT is under way: BDAT or RSET");
export const tlsFirst = reply(530, "5.7.0", "Must issue a STARTTLS command first");
export const alreadySecured = reply(503, "5.5.1", "TLS is already in use");
export const authFirst = reply(530, "5.7.0", "Authentication required");
export const authUnavailable = reply(502, "5.5.1", "AUTH is not available on this port; submit on 587 or 465");
export const authNeedsTls = reply(538, "5.7.11", "Encryption required: issue STARTTLS first");
export const alreadyAuthenticated = reply(503, "5.5.1", "Already authenticated");
export const authInTransaction = reply(503, "5.5.1", "AUTH is not permitted during a mail transaction");
export const unknownMechanism = reply(504, "5.5.4", "Unrecognized authentication mechanism");
export const authCancelled = reply(501, "5.7.0", "Authentication cancelled");
export const authLineTooLong = reply(500, "5.5.6", "Authentication exchange line is too long"); // RFC 4954 6
export const badBase64 = reply(501, "5.5.2", "Not base 64");
export const invalidCredentials = reply(535, "5.7.8", "Authentication credentials invalid");
export const malformedCredentials = reply(501, "5.5.2", "Malformed credentials");
export const tooManyAuthenticationFailures = reply(421, "4.7.0", "Too many failed logins; closing connection");

export const argumentMissing = (verb: string): Reply => reply(501, "5.5.4", `${verb} needs an argument`);
export const argumentUnwanted = (verb: string): Reply =>
  reply(501, "5.5.4", `${verb} takes no ${verb === "AUTH" ? "second " : ""}argument`);
export const malformedName = (verb: string): Reply => reply(501, "5.5.2", `${verb} needs a domain or an address literal`);
export const syntax = (verb: string, word: string): Reply => reply(501, "5.5.4", `Syntax: ${verb} ${word}<address>`);
export const malformedPath = (verb: "MAIL" | "RCPT", what: string): Reply =>
  reply(501, verb === "MAIL" ? "5.1.7" : "5.1.3", `Malformed address: ${what}`);
export const malformedParameters = reply(501, "5.5.4", "Malformed parameters");
export const malformedBdat = reply(501, "5.5.4", "Syntax: BDAT size [LAST]; closing connection");
export const utf8Sender = reply(550, "5.6.7", "A UTF-8 address needs SMTPUTF8");
export const utf8Recipient = reply(553, "5.6.7", "A UTF-8 address needs SMTPUTF8");
export const tooBig = (limit: number): Reply => reply(552, "5.3.4", `Message exceeds the limit of ${limit} octets`);
// RFC 4865 4.1: what is beyond the limits that EHLO told is an argument that is wrong.
export const heldTooLong = (seconds: number): Reply => reply(501, "5.5.4", `A message is held for ${seconds} seconds at most`);
export const deliverByTooSoon = (seconds: number): Reply => reply(555, "5.5.4", `With mode R the least BY time is ${seconds} seconds`);
// RFC 6710 4.4: the new priority, then words.
export const priorityLowered = (priority: number): Reply => reply(250, "2.3.6", `${priority} is the highest priority that is given here`);
// RFC 5321 4.5.3.1.10: 452, so that the client sends to the rest in another transaction.
export const tooManyRecipients = reply(452, "4.5.3", "Too many recipients; send to the rest in another transaction");
export const binaryNeedsBdat = reply(503, "5.5.1", "BODY=BINARYMIME is sent with BDAT");
