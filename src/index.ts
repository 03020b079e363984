/** `postrider`: what most programs need. The parts are at `postrider/client`, `/message`, `/server` and `/protocol`. */
export { type ConnectionOptions, SmtpConnection, SmtpError } from "./client/index.ts";
export type { Envelope, Recipient } from "./mail/envelope.ts";
export { formatMailbox, type Mailbox, parseMailbox } from "./mail/mailbox.ts";
export type { Outcome } from "./mail/outcome.ts";
export { type Reply, reply } from "./mail/reply.ts";
export { compose, type Draft } from "./message/index.ts";
export { dial } from "./net/dial.ts";
export { type Counted, type Filter, FilterError, parseFilter, QueueControl, type Selection } from "./queue/index.ts";
export { openStores, Relay, type RelayOptions } from "./relay/index.ts";
export { SmtpServer } from "./server/index.ts";
