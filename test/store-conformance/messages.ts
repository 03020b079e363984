/** Messages for the suite: their content tells which message they are, so that nothing can be mixed up unseen. */
import { createHash } from "node:crypto";
import { type Content, readContent } from "../../src/mail/content.ts";
import { type Envelope, type MessageId, memoryContent, type NewMessage, newMessageId, type QueueStore } from "./nouns.ts";

/** Content of any size that is the message's own. */
export function bytesOf(id: MessageId, size: number): Uint8Array {
  const line = `${createHash("sha256").update(id).digest("hex")}\r\n`;
  return Buffer.alloc(size, line);
}

export interface MessageOptions {
  readonly id?: MessageId;
  readonly size?: number;
  readonly recipients?: number;
  readonly arrived?: number;
  readonly content?: Content;
  readonly envelope?: Partial<Envelope>;
}

export function newMessage(options: MessageOptions = {}): NewMessage {
  const arrived = options.arrived ?? Date.now();
  const id = options.id ?? newMessageId(arrived);
  const bytes = options.content === undefined ? bytesOf(id, options.size ?? 1000) : undefined;
  const content = options.content ?? memoryContent([(bytes as Uint8Array).subarray(0, 10), (bytes as Uint8Array).subarray(10)]);
  return {
    id,
    envelope: {
      reversePath: { localPart: "sender", domain: "client.test" },
      recipients: Array.from({ length: options.recipients ?? 1 }, (_, i) => ({
        mailbox: { localPart: `user${i}`, domain: "example.test" },
      })),
      body: "8BITMIME",
      smtpUtf8: false,
      ...options.envelope,
    },
    content,
    facts: { size: content.size, eightBit: false, eightBitHeader: false, binary: false, longestLine: 64 },
    origin: { kind: "smtp", peer: "192.0.2.1", helo: "client.test" },
    arrived,
  };
}

/** Content through the store's writer, in chunks of 64 KiB. */
export async function receive(store: QueueStore, bytes: Uint8Array): Promise<Content> {
  const writer = store.receive(bytes.length);
  for (let at = 0; at < bytes.length; at += 65_536) await writer.write(bytes.subarray(at, at + 65_536));
  return writer.finish();
}

export async function bytesIn(content: Content): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readContent(content)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Whether the content is all of what `newMessage` made for this id. */
export async function isIntact(id: MessageId, content: Content): Promise<boolean> {
  const bytes = await bytesIn(content);
  return bytes.length === content.size && bytes.equals(bytesOf(id, content.size));
}
