/** The names that the suite uses, in one place. */
export { type Content, memoryContent } from "../../src/mail/content.ts";
export type { Envelope } from "../../src/mail/envelope.ts";
export { type MessageId, type NewMessage, newMessageId, type QueuedMessage } from "../../src/mail/message.ts";
export { BODY_FILE_THRESHOLD, type QueueStore, type Settlement, StoreError, type StoreErrorCode } from "../../src/queue/index.ts";
