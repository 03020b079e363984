/**
 * Addresses of ours whose mail goes on to others.
 *
 * Rules
 * 1. What is forwarded leaves with a reverse-path of ours (SRS), unless the sender is one of us or `<>`: SPF then passes for it where it goes.
 * 2. A message becomes several, in one commit: one for those that stay, one for each address that is forwarded, with that in its Delivered-To.
 *    All are queued before the 250, or none.
 * 3. Where an address is forwarded to another that is forwarded, that is followed; an address is never expanded twice. One that is forwarded
 *    to itself, or in a ring that reaches nobody, keeps its mail.
 * 4. What has been here for the same address before is not followed again, and fails when it is tried: 5.4.6.
 */
import type { Srs } from "../authentication/index.ts";
import { deliveredBefore, headerOf, inCircle, withDeliveredTo } from "../delivery/delivered-to.ts";
import type { Attempted } from "../delivery/delivery.ts";
import { domainKey } from "../mail/domain.ts";
import type { Recipient, ReversePath } from "../mail/envelope.ts";
import { formatMailbox, type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import { type NewMessage, newMessageId, type QueuedBefore, type QueuedMessage, type QueuedRecipient } from "../mail/message.ts";
import type { QueueStore } from "../queue/store.ts";
import type { Intake } from "../server/policy.ts";
import type { Clock } from "../util/clock.ts";

export interface Forward {
  readonly to: readonly Mailbox[];
  /** The address itself gets it too. */
  readonly keep: boolean;
}

/** By mailbox key. */
export type Forwards = ReadonlyMap<string, Forward>;

export interface ForwardingOptions {
  readonly forwards: Forwards;
  readonly srs: Srs;
  /** Domain keys: senders there need no other reverse-path. */
  readonly local: ReadonlySet<string>;
  readonly queue: Pick<QueueStore, "settle">;
  readonly clock: Clock;
}

interface Expanded {
  readonly stay: readonly Recipient[];
  /** By the address that the message came for. */
  readonly go: readonly { readonly origin: Recipient; readonly recipients: readonly Recipient[] }[];
}

export class Forwarding {
  readonly #options: ForwardingOptions;

  constructor(options: ForwardingOptions) {
    this.#options = options;
  }

  through(intake: Intake): Intake {
    return {
      receive: (declared) => intake.receive(declared),
      refusal: (error) => intake.refusal(error),
      accept: (message) => this.#accept(message, intake),
    };
  }

  async #accept(message: NewMessage, intake: Intake): Promise<QueuedBefore | undefined> {
    const { recipients } = message.envelope;
    if (!recipients.some((recipient) => this.#isForwarded(recipient))) return intake.accept(message);
    const before = deliveredBefore(await headerOf(message.content));
    const parts = this.#parts(message, this.#expand(recipients, before));
    const [only] = parts;
    if (message.idempotencyKey !== undefined) return acceptEach(parts, intake, recipients.length);
    // A copy that is read out of a file goes to one of its own first, and is delivered out of that.
    if (parts.length === 1 && only?.content.kind === "memory") return intake.accept(only);
    await this.#options.queue.settle([], parts);
    return undefined;
  }

  /** Recipients that are forwarded and have been here before: what becomes of them when they are tried. */
  async circling({ content }: QueuedMessage, recipients: readonly QueuedRecipient[]): Promise<readonly Attempted[]> {
    const before = deliveredBefore(await headerOf(content));
    return recipients
      .filter((recipient) => this.#isForwarded(recipient) && before.has(mailboxKey(recipient.mailbox)))
      .map((recipient) => ({ recipient, outcome: inCircle(recipient.mailbox) }));
  }

  concerns(recipients: readonly Recipient[]): boolean {
    return recipients.some((recipient) => this.#isForwarded(recipient));
  }

  #isForwarded({ mailbox }: Recipient): boolean {
    return this.#options.forwards.has(mailboxKey(mailbox));
  }

  /** What stays, as it is; then a message for each address that is forwarded, with that in its Delivered-To. The first keeps the id. */
  #parts(message: NewMessage, { stay, go }: Expanded): NewMessage[] {
    const { envelope } = message;
    const parts = stay.length === 0 ? [] : [{ ...message, envelope: { ...envelope, recipients: stay } }];
    const reversePath = this.#reversePath(envelope.reversePath);
    for (const { origin, recipients } of go) {
      const id = parts.length === 0 ? message.id : newMessageId(this.#options.clock.now());
      parts.push(withDeliveredTo({ ...message, id, envelope: { ...envelope, reversePath, recipients } }, origin.mailbox));
    }
    return parts;
  }

  /** `before`: mailbox keys for which it has been here; they are not followed again. */
  #expand(recipients: readonly Recipient[], before: ReadonlySet<string>): Expanded {
    const stay: Recipient[] = [];
    const go: { readonly origin: Recipient; readonly recipients: Recipient[] }[] = [];
    const seen = new Set(recipients.filter((one) => !this.#isForwarded(one)).map(({ mailbox }) => mailboxKey(mailbox)));
    /** Whether what an address is forwarded to reached somebody: a ring leads back to where it is followed from, and reaches nobody. */
    const expanded = new Map<string, boolean>();
    const follow = (recipient: Recipient, origin: Recipient, targets: Recipient[]): boolean => {
      const key = mailboxKey(recipient.mailbox);
      const forward = this.#options.forwards.get(key);
      if (forward === undefined) {
        if (recipient === origin) stay.push(recipient);
        else if (!seen.has(key)) {
          seen.add(key);
          targets.push(recipient);
        }
        return true;
      }
      const known = expanded.get(key);
      if (known !== undefined) return known;
      expanded.set(key, false);
      const toItself = forward.to.some((mailbox) => mailboxKey(mailbox) === key);
      const keep = forward.keep || toItself || before.has(key); // the last fails when it is tried (`circling`)
      if (keep) stay.push(recipient);
      let reached = keep;
      if (!before.has(key))
        for (const mailbox of forward.to) reached = follow({ ...asForwarded(origin), mailbox }, origin, targets) || reached;
      expanded.set(key, reached);
      return reached;
    };
    for (const recipient of recipients) {
      const targets: Recipient[] = [];
      if (!follow(recipient, recipient, targets)) stay.push(recipient);
      if (targets.length > 0) go.push({ origin: recipient, recipients: targets });
    }
    return { stay, go };
  }

  #reversePath(sender: ReversePath): ReversePath {
    if (sender === null || this.#options.local.has(domainKey(sender.domain))) return sender;
    return this.#options.srs.rewrite(sender, this.#options.clock.now()) ?? sender;
  }
}

/**
 * One after the other, what stays last, for the others are copies of its content: whatever is interrupted, the client sends again, and what
 * was queued is left out by the key.
 */
async function acceptEach(parts: readonly NewMessage[], intake: Intake, recipients: number): Promise<QueuedBefore | undefined> {
  let first: QueuedBefore | undefined;
  let repeated = true;
  for (const part of parts.toReversed()) {
    const before = await intake.accept(part);
    if (before?.recipients.length === part.envelope.recipients.length) first = before;
    else repeated = false;
  }
  return repeated && first !== undefined
    ? { id: first.id, recipients: Array.from({ length: recipients }, (_, index) => index) }
    : undefined;
}

/** RFC 3461 5.2.7.3: an alias keeps what was asked for, and says which address was meant. */
function asForwarded({ mailbox, ...parameters }: Recipient): Recipient {
  const originalRecipient = parameters.originalRecipient ?? { type: "rfc822", address: formatMailbox(mailbox) };
  return { ...parameters, originalRecipient, mailbox };
}
