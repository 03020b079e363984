/**
 * Addresses of ours whose mail goes on to others.
 *
 * Rules
 * 1. What is forwarded leaves with a reverse-path of ours (SRS), unless the sender is one of us or `<>`: SPF then passes for it where it goes.
 * 2. A message of which only some recipients are forwarded becomes two, in one commit: both are queued before the 250, or neither.
 * 3. Where an address is forwarded to another that is forwarded, that is followed; an address is never expanded twice.
 */
import type { Srs } from "../authentication/index.ts";
import { domainKey } from "../mail/domain.ts";
import type { Recipient, ReversePath } from "../mail/envelope.ts";
import { formatMailbox, type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import { type NewMessage, newMessageId, type QueuedBefore } from "../mail/message.ts";
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
    const { stay, go } = this.#expand(message.envelope.recipients);
    if (go.length === 0) return intake.accept(message);
    const reversePath = this.#reversePath(message.envelope.reversePath);
    if (stay.length === 0 || reversePath === message.envelope.reversePath) {
      return intake.accept({ ...message, envelope: { ...message.envelope, reversePath, recipients: [...stay, ...go] } });
    }
    const kept = { ...message, envelope: { ...message.envelope, recipients: stay } };
    const id = newMessageId(this.#options.clock.now());
    const sent = { ...message, id, envelope: { ...message.envelope, reversePath, recipients: go } };
    await this.#options.queue.settle([], [kept, sent]);
    return undefined;
  }

  #expand(recipients: readonly Recipient[]): { readonly stay: readonly Recipient[]; readonly go: readonly Recipient[] } {
    const stay: Recipient[] = [];
    const go: Recipient[] = [];
    const seen = new Set(
      recipients.filter(({ mailbox }) => !this.#options.forwards.has(mailboxKey(mailbox))).map(({ mailbox }) => mailboxKey(mailbox)),
    );
    const expanded = new Set<string>();
    const follow = (recipient: Recipient, origin: Recipient): void => {
      const key = mailboxKey(recipient.mailbox);
      const forward = this.#options.forwards.get(key);
      if (forward === undefined) {
        if (recipient === origin) stay.push(recipient);
        else if (!seen.has(key)) {
          seen.add(key);
          go.push(recipient);
        }
        return;
      }
      if (expanded.has(key)) return;
      expanded.add(key);
      if (forward.keep) stay.push(recipient);
      for (const mailbox of forward.to) follow({ ...asForwarded(origin), mailbox }, origin);
    };
    for (const recipient of recipients) follow(recipient, recipient);
    return { stay, go };
  }

  #reversePath(sender: ReversePath): ReversePath {
    if (sender === null || this.#options.local.has(domainKey(sender.domain))) return sender;
    return this.#options.srs.rewrite(sender, this.#options.clock.now()) ?? sender;
  }
}

/** RFC 3461 5.2.7.3: an alias keeps what was asked for, and says which address was meant. */
function asForwarded({ mailbox, ...parameters }: Recipient): Recipient {
  const originalRecipient = parameters.originalRecipient ?? { type: "rfc822", address: formatMailbox(mailbox) };
  return { ...parameters, originalRecipient, mailbox };
}
