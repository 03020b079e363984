/**
 * A transport that keeps messages in memory instead of sending them: for tests of programs that send.
 *
 * Rules
 * 1. A message is kept as the octets that would have gone to a server.
 */
import { concat, fromUtf8Lossy } from "../util/bytes.ts";
import { type KeptEnvelope, LocalSender, type LocalSenderOptions, type Outgoing } from "./local-sender.ts";

/** A message as a server would have got it. */
export class KeptMessage {
  readonly envelope: KeptEnvelope;
  /** With its angle brackets; "" where there is none. */
  readonly messageId: string;
  readonly content: Uint8Array;

  constructor(envelope: KeptEnvelope, messageId: string, content: Uint8Array) {
    this.envelope = envelope;
    this.messageId = messageId;
    this.content = content;
  }

  /** The content as UTF-8. */
  text(): string {
    return fromUtf8Lossy(this.content);
  }
}

export class MemoryTransport extends LocalSender {
  readonly #messages: KeptMessage[] = [];
  readonly #failures: Error[] = [];

  constructor(options: LocalSenderOptions = {}) {
    super("memory", options);
  }

  /** Those that were sent, oldest first. */
  get messages(): readonly KeptMessage[] {
    return this.#messages;
  }

  /** Forgets what was sent, and failures to come. */
  clear(): void {
    this.#messages.length = 0;
    this.#failures.length = 0;
  }

  /** The next message that can be composed fails with this error; called twice, the next two. */
  failNext(error: Error): void {
    this.#failures.push(error);
  }

  protected override async keep({ envelope, messageId, read }: Outgoing): Promise<string> {
    const failure = this.#failures.shift();
    if (failure !== undefined) throw failure;
    const chunks: Uint8Array[] = [];
    for await (const chunk of read()) chunks.push(chunk);
    this.#messages.push(new KeptMessage(envelope, messageId, concat(chunks)));
    return `kept as message ${this.#messages.length}`;
  }
}
