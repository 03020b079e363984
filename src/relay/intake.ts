/**
 * Takes messages from the server into the queue.
 *
 * Rules
 * 1. `accept` resolves after the sync: what follows it is the 250.
 * 2. A message is taken in hand at once where there is room, else it waits in the queue for its turn. One with an idempotency key always waits:
 *    which of its recipients are new is known only when it is queued.
 */
import { isHeld, type NewMessage, type QueuedBefore, type QueuedMessage } from "../mail/message.ts";
import { reply } from "../mail/reply.ts";
import { type QueueStore, StoreError } from "../queue/store.ts";
import { type ContentSink, type Intake, type Refusal, refuse } from "../server/policy.ts";

export interface Courier {
  /** How many recipients can be taken in hand now. */
  readonly room: number;
  /** Counts a message in. */
  take(message: NewMessage): void;
  /** Counts it out again: it was not queued. */
  drop(message: NewMessage): void;
  deliver(message: QueuedMessage): void;
}

const full = reply(452, "4.3.1", "Insufficient system storage; try again later");
const unavailable = reply(451, "4.3.0", "The queue is not available; try again later");
/** After a failed sync: this process ends. */
const lost = reply(421, "4.3.0", "The queue's storage failed; closing connection");

export class QueueIntake implements Intake {
  readonly #store: QueueStore;
  readonly #courier: Courier;

  constructor(store: QueueStore, courier: Courier) {
    this.#store = store;
    this.#courier = courier;
  }

  receive(declared: number | undefined): ContentSink {
    return this.#store.receive(declared);
  }

  async accept(message: NewMessage): Promise<QueuedBefore | undefined> {
    const lease = !isHeld(message) && message.idempotencyKey === undefined && this.#courier.room >= message.envelope.recipients.length;
    if (!lease) return this.#store.enqueue(message, { lease });
    this.#courier.take(message);
    try {
      await this.#store.enqueue(message, { lease });
    } catch (error) {
      this.#courier.drop(message);
      throw error;
    }
    this.#courier.deliver(asQueued(message));
    return undefined;
  }

  refusal(error: unknown): Refusal {
    const why = error instanceof Error ? error.message : String(error);
    const code = error instanceof StoreError ? error.code : undefined;
    return refuse(code === "full" ? full : code === "fatal" ? lost : unavailable, why);
  }
}

function asQueued({ envelope: { recipients, ...envelope }, ...message }: NewMessage): QueuedMessage {
  return {
    ...message,
    envelope,
    recipients: recipients.map((recipient, index) => ({ ...recipient, index, attempts: 0, delayTold: false })),
  };
}
