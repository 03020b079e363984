/**
 * What a server's LIMITS (RFC 9422) leave of a session: how many transactions, with how many recipients, at how many domains.
 *
 * Rules
 * 1. A transaction counts from its MAIL, whatever becomes of it.
 * 2. On a fresh session there is always room for one recipient.
 */
import { domainKey } from "../mail/domain.ts";
import type { Recipient } from "../mail/envelope.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { SessionLimits } from "../protocol/capabilities.ts";

export class Allowance {
  /** Those that EHLO told last. */
  readonly #limits: () => SessionLimits;
  #transactions = 0;
  readonly #domains = new Set<string>();

  constructor(limits: () => SessionLimits) {
    this.#limits = limits;
  }

  /** No further transaction is taken. */
  get spent(): boolean {
    return this.#transactions >= (this.#limits().mailMax ?? Number.POSITIVE_INFINITY);
  }

  /** A transaction with these recipients was begun. */
  count(recipients: readonly Recipient[]): void {
    this.#transactions++;
    if (this.#limits().rcptDomainMax === undefined) return;
    for (const { mailbox } of recipients) this.#domains.add(domainKey(mailbox.domain));
  }

  /** How all of these recipients go through this session, a list of places for each transaction; `undefined` where they do not. */
  plan(to: readonly Mailbox[]): number[][] | undefined {
    const rest = new Allowance(this.#limits);
    rest.#transactions = this.#transactions;
    for (const key of this.#domains) rest.#domains.add(key);
    const plan: number[][] = [];
    for (let left = [...to.keys()]; left.length > 0; ) {
      const next = rest.next(left.map((i) => to[i] as Mailbox)).map((i) => left[i] as number);
      if (next.length === 0) return undefined;
      rest.count(next.map((i) => ({ mailbox: to[i] as Mailbox })));
      plan.push(next);
      const gone = new Set(next);
      left = left.filter((i) => !gone.has(i));
    }
    return plan;
  }

  /** Those of these recipients that the next transaction can take, by their places; none where only another session can take them. */
  next(to: readonly Mailbox[]): number[] {
    if (this.spent) return [];
    const { rcptMax = Number.POSITIVE_INFINITY, rcptDomainMax = Number.POSITIVE_INFINITY } = this.#limits();
    const domains = new Set(this.#domains);
    const taken: number[] = [];
    for (const [i, { domain }] of to.entries()) {
      if (taken.length >= rcptMax) break;
      const key = domainKey(domain);
      if (!domains.has(key) && domains.size >= rcptDomainMax) continue;
      domains.add(key);
      taken.push(i);
    }
    return taken;
  }
}
