/**
 * What is not tried, whatever comes: kept in memory, for each message asks.
 *
 * Rules
 * 1. The store has them; a change made here is known at once, one made by another server within POLL_MS.
 * 2. What is put off by one is due again when it ends; who ends it early makes it due (admin/operations.ts).
 * 3. Nothing is put off for longer than LOOK_MS: a server that has not heard yet of an end may put off what was just made due.
 */
import { domainKey } from "../mail/domain.ts";
import { mailboxKey } from "../mail/mailbox.ts";
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import type { QueueStore, Suspension } from "../queue/store.ts";
import { type Clock, hours, seconds } from "../util/clock.ts";

const POLL_MS = seconds(5);
export const LOOK_MS = hours(1);

export interface SuspensionsOptions {
  readonly store: QueueStore;
  readonly clock: Clock;
  /** Others may change them, too. */
  readonly shared: boolean;
  onTrouble(error: unknown): void;
}

export class Suspensions {
  readonly #options: SuspensionsOptions;
  #byKey: ReadonlyMap<string, Suspension> = new Map();
  #stopPolling: () => void = () => {};

  constructor(options: SuspensionsOptions) {
    this.#options = options;
    options.store.onSuspension(() => void this.#load());
  }

  async start(): Promise<void> {
    await this.#load();
    if (this.#options.shared) this.#poll();
  }

  stop(): void {
    this.#stopPolling();
  }

  async #load(): Promise<void> {
    try {
      const all = await this.#options.store.suspensions(this.#options.clock.now());
      this.#byKey = new Map(all.map((each) => [`${each.kind} ${each.value}`, each]));
    } catch (error) {
      this.#options.onTrouble(error);
    }
  }

  /** Those of the recipients that are not to be tried, with when they are due again; `undefined` where all may be. */
  among({
    envelope,
    origin,
    recipients,
  }: QueuedMessage): { readonly recipients: readonly QueuedRecipient[]; readonly due: number } | undefined {
    if (this.#byKey.size === 0) return undefined;
    const { reversePath } = envelope;
    const look = this.#options.clock.now() + LOOK_MS;
    const dueAfter = ({ until = look }: Suspension): number => Math.min(until, look);
    const whole =
      (origin.kind === "submission" ? this.#at("account", origin.account) : undefined) ??
      (reversePath === null
        ? undefined
        : (this.#at("sender", mailboxKey(reversePath)) ?? this.#at("sender", domainKey(reversePath.domain))));
    if (whole !== undefined) return { recipients, due: dueAfter(whole) };
    const found = recipients.flatMap((recipient) => {
      const suspension = this.#at("domain", domainKey(recipient.mailbox.domain));
      return suspension === undefined ? [] : [{ recipient, due: dueAfter(suspension) }];
    });
    if (found.length === 0) return undefined;
    return { recipients: found.map(({ recipient }) => recipient), due: Math.min(...found.map(({ due }) => due)) };
  }

  #at(kind: Suspension["kind"], value: string): Suspension | undefined {
    const found = this.#byKey.get(`${kind} ${value}`);
    return found?.until !== undefined && found.until <= this.#options.clock.now() ? undefined : found;
  }

  #poll(): void {
    this.#stopPolling = this.#options.clock.after(POLL_MS, () => void this.#load().then(() => this.#poll()));
  }
}
