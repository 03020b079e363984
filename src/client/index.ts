/**
 * `postrider/client`: sends mail from a program.
 *
 * `createTransport(url).send(message)` for most; `SmtpClient` for who wants each step, as Python's smtplib has them.
 */

export { attachFile, file } from "./file-source.ts";
export { type ClientOptions, type CreateTransportOptions, createTransport, SmtpClient } from "./node.ts";
export * from "./portable.ts";
