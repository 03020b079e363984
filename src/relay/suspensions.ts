/**
 * What is not tried, whatever comes: kept in memory, for each message asks.
 *
 * Rules
 * 1. The store has them; a change made here is known at once, one made by another server within POLL_MS.
 * 2. What is put off by one is due again when it ends; who ends it early makes it due (admin/operations.ts).
 * 3. Nothing is put off for longer than LOOK_MS: a server that has not heard yet of an end may put off what was just made due.
 */
import type { Attempted } from "../delivery/delivery.ts";
import { domainKey } from "../mail/domain.ts";
import { mailboxKey } from "../mail/mailbox.ts";
import type { QueuedMessage } from "../mail/message.ts";
import type { Unfinished } from "../mail/outcome.ts";
import { type QueueStore, SUSPENDED, type Suspension } from "../queue/store.ts";
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

  /** Those of the recipients that are not to be tried, with what becomes of them instead. */
  among({ envelope, origin, recipients }: QueuedMessage): readonly Attempted[] {
    if (this.#byKey.size === 0) return [];
    const { reversePath } = envelope;
    const whole =
      (origin.kind === "submission" ? this.#at("account", origin.account) : undefined) ??
      (reversePath === null
        ? undefined
        : (this.#at("sender", mailboxKey(reversePath)) ?? this.#at("sender", domainKey(reversePath.domain))));
    return recipients.flatMap((recipient) => {
      const suspension = whole ?? this.#at("domain", domainKey(recipient.mailbox.domain));
      return suspension === undefined ? [] : [{ recipient, outcome: this.#putOff(suspension) }];
    });
  }

  #putOff({ reason, until }: Suspension): Unfinished {
    const look = this.#options.clock.now() + LOOK_MS;
    const why = { kind: "local", text: `${SUSPENDED} ${reason}` } as const;
    return { action: "delayed", scope: "recipient", status: "4.0.0", why, untried: { due: Math.min(until ?? look, look), ages: false } };
  }

  #at(kind: Suspension["kind"], value: string): Suspension | undefined {
    const found = this.#byKey.get(`${kind} ${value}`);
    return found?.until !== undefined && found.until <= this.#options.clock.now() ? undefined : found;
  }

  #poll(): void {
    this.#stopPolling = this.#options.clock.after(POLL_MS, () => void this.#load().then(() => this.#poll()));
  }
}
