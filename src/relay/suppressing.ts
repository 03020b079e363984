/**
 * Accounts that wish it are kept from sending to addresses that do not exist: found out by attempts, held against submissions.
 *
 * Rules
 * 1. An address is added where its own server refused it for good at RCPT with 5.1.1 or 5.1.10: nothing that was decided here, no other reason,
 *    nothing temporary, and of submissions alone.
 * 2. Accounts that did not ask for it are never looked up.
 * 3. `refuse` answers RCPT. `drop` takes the recipient, and fails it when it is first tried, so that its sender has a report as NOTIFY says.
 *    What cannot be looked up is answered 451, or waits.
 */
import type { Attempted } from "../delivery/delivery.ts";
import { failedHere } from "../delivery/outcomes.ts";
import { formatMailbox, type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import { describeReason, type Outcome, type Unfinished } from "../mail/outcome.ts";
import { isPermanent, reply } from "../mail/reply.ts";
import type { Suppression, SuppressionList } from "../queue/suppression.ts";
import { accept, type Decision, refuse } from "../server/policy.ts";
import type { Clock } from "../util/clock.ts";

export interface SuppressionSettings {
  /** Names of accounts, in their one form; "all". */
  readonly accounts: ReadonlySet<string> | "all";
  /** Milliseconds that an address stays on the list. */
  readonly for: number;
  readonly answer: "refuse" | "drop";
}

export interface SuppressingParts {
  readonly list: SuppressionList;
  readonly clock: Clock;
}

/** RFC 3463 3.2, RFC 7505 4.2: there is no such mailbox, or its domain takes no mail. */
const NO_SUCH_ADDRESS: ReadonlySet<string | undefined> = new Set(["5.1.1", "5.1.10"]);

export class Suppressing {
  readonly #settings: SuppressionSettings;
  readonly #list: SuppressionList;
  readonly #clock: Clock;

  constructor(settings: SuppressionSettings, { list, clock }: SuppressingParts) {
    this.#settings = settings;
    this.#list = list;
    this.#clock = clock;
  }

  #isFor(account: string): boolean {
    const { accounts } = this.#settings;
    return accounts === "all" || accounts.has(account);
  }

  /** What a submission to this address is answered. */
  rcpt(account: string, mailbox: Mailbox): Decision | Promise<Decision> {
    if (this.#settings.answer !== "refuse" || !this.#isFor(account)) return accept;
    return this.#list.find(account, [mailboxKey(mailbox)], this.#clock.now()).then(([found]) => {
      if (found === undefined) return accept;
      const text = `<${formatMailbox(mailbox)}> is on the suppression list of your account ${untilText(found)}`;
      return refuse(reply(550, "5.1.1", text), `suppressed for ${account}: ${found.reason} (\`postrider suppression remove\` ends that)`);
    });
  }

  /** What is to be kept of an attempt's outcome. */
  learned({ origin }: QueuedMessage, { mailbox }: QueuedRecipient, outcome: Outcome, now: number): Suppression | undefined {
    if (outcome.action !== "failed" || origin.kind !== "submission" || !this.#isFor(origin.account) || !saysNoSuchAddress(outcome))
      return undefined;
    const until = now + this.#settings.for;
    return { account: origin.account, mailbox: mailboxKey(mailbox), reason: describeReason(outcome.why), made: now, until };
  }

  /** Whether some of these recipients may have to be dropped. */
  concerns({ origin }: QueuedMessage, recipients: readonly QueuedRecipient[]): boolean {
    return (
      this.#settings.answer === "drop" &&
      origin.kind === "submission" &&
      this.#isFor(origin.account) &&
      recipients.some(({ attempts }) => attempts === 0)
    );
  }

  /** Those that are suppressed, with what they come to. Rejects with a StoreError. */
  async dropped({ origin }: QueuedMessage, recipients: readonly QueuedRecipient[]): Promise<readonly Attempted[]> {
    if (origin.kind !== "submission") return [];
    const untried = recipients.filter(({ attempts }) => attempts === 0);
    const keys = untried.map(({ mailbox }) => mailboxKey(mailbox));
    const found = await this.#list.find(origin.account, keys, this.#clock.now());
    const byKey = new Map(found.map((each) => [each.mailbox, each]));
    return untried.flatMap((recipient) => {
      const suppression = byKey.get(mailboxKey(recipient.mailbox));
      return suppression === undefined ? [] : [{ recipient, outcome: failedHere("5.1.1", dropText(suppression), "recipient") }];
    });
  }
}

function saysNoSuchAddress({ scope, why }: Unfinished): boolean {
  return scope === "recipient" && why.kind === "reply" && isPermanent(why.reply) && NO_SUCH_ADDRESS.has(why.reply.status);
}

function dropText(suppression: Suppression): string {
  return `not sent: this address is on the suppression list of the account ${untilText(suppression)}: ${suppression.reason}`;
}

function untilText({ until }: Suppression): string {
  return until === undefined ? "until the postmaster allows it" : `until ${new Date(until).toISOString().slice(0, 16)}Z`;
}
