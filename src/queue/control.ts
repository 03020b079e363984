/**
 * What an operator does with many messages at once, whichever store they are in.
 *
 * Rules
 * 1. Messages are looked through in pages: nothing grows with the queue, and commits of others go in between.
 * 2. A dry run looks at the same messages and counts them.
 * 3. What its sender wants held until later (RFC 4865) is sent earlier only where an operator names it by its id: a filter that happens to
 *    fit it means mail that waits, not mail whose time has not come.
 */
import type { MessageId, NewMessage } from "../mail/message.ts";
import { type Filter, parseFilter } from "./filter.ts";
import type { Hold, QueuedSummary, QueueStore, StandingMessage } from "./store.ts";

/** Messages looked at in one call to the store. */
const PAGE = 500;

/** `dryRun`: the same messages are looked at and counted, and nothing is done. */
export type Selection = ({ readonly ids: readonly MessageId[] } | { readonly filter: string }) & { readonly dryRun?: boolean };

export interface Counted {
  readonly messages: number;
  readonly recipients: number;
  readonly octets: number;
  /** Of `retry` and `release`: messages whose senders want them held until later; these were not made due. Absent: none. */
  readonly scheduled?: number;
  /** Ids that were named and are not there. */
  readonly unknown: readonly MessageId[];
}

export interface RemoveOptions {
  /** Makes the report to the sender; `undefined`: there is nobody to report to. Absent: nobody hears of it. */
  readonly bounce?: (message: StandingMessage) => Promise<NewMessage | undefined>;
}

export class QueueControl {
  readonly #store: QueueStore;
  readonly #now: () => number;

  constructor(store: QueueStore, now: () => number = Date.now) {
    this.#store = store;
    this.#now = now;
  }

  /** Up to `limit` messages that fit, oldest first. Throws a FilterError. */
  async list(filter: string, { limit, after }: { readonly limit: number; readonly after?: MessageId }): Promise<QueuedSummary[]> {
    const found: QueuedSummary[] = [];
    for await (const page of this.#pages(parseFilter(filter), after)) {
      found.push(...page);
      if (found.length >= limit) return found.slice(0, limit);
    }
    return found;
  }

  count(selection: Selection): Promise<Counted> {
    return this.#each(selection, async () => {});
  }

  hold(selection: Selection, hold: Hold): Promise<Counted> {
    return this.#each(selection, async (messages) => {
      await this.#store.hold(idsOf(messages), hold);
    });
  }

  /** Those that are held; the others are left alone. */
  async release(selection: Selection): Promise<Counted> {
    let scheduled = 0;
    const meant = (message: QueuedSummary): boolean => {
      if (message.hold === undefined) return false;
      if (this.#isScheduled(message)) scheduled++;
      return true;
    };
    const work = async (messages: readonly QueuedSummary[]): Promise<void> => {
      await this.#store.unhold(this.#now(), idsOf(messages));
    };
    const counted = await this.#each(selection, work, meant);
    return scheduled === 0 ? counted : { ...counted, scheduled };
  }

  /** But for those that are held. */
  async retry(selection: Selection): Promise<Counted> {
    const named = "ids" in selection;
    let scheduled = 0;
    const meant = (message: QueuedSummary): boolean => {
      if (message.hold !== undefined) return false;
      if (named || !this.#isScheduled(message)) return true;
      scheduled++;
      return false;
    };
    const work = async (messages: readonly QueuedSummary[]): Promise<void> => {
      await this.#store.retry(this.#now(), idsOf(messages));
    };
    const counted = await this.#each(selection, work, meant);
    return scheduled === 0 ? counted : { ...counted, scheduled };
  }

  /** Its sender wants it held until later (RFC 4865). */
  #isScheduled({ holdUntil = 0 }: QueuedSummary): boolean {
    return holdUntil > this.#now();
  }

  /** The report is queued before the message is gone: a crash between them may send it twice, and never not at all. */
  remove(selection: Selection, { bounce }: RemoveOptions = {}): Promise<Counted> {
    return this.#each(selection, async (messages) => {
      if (bounce !== undefined) for (const { id } of messages) await this.#bounce(id, bounce);
      await this.#store.remove(idsOf(messages));
    });
  }

  async #bounce(id: MessageId, make: NonNullable<RemoveOptions["bounce"]>): Promise<void> {
    const message = await this.#store.read(id);
    const report = message === undefined ? undefined : await make(message);
    if (report !== undefined) await this.#store.enqueue(report, { lease: false });
  }

  async #each(
    selection: Selection,
    work: (messages: readonly QueuedSummary[]) => Promise<void>,
    meant: (message: QueuedSummary) => boolean = () => true,
  ): Promise<Counted> {
    const counted = { messages: 0, recipients: 0, octets: 0, unknown: [] as MessageId[] };
    const pages = "ids" in selection ? this.#named(selection.ids, counted.unknown) : this.#pages(parseFilter(selection.filter));
    for await (const all of pages) {
      const page = all.filter(meant);
      counted.messages += page.length;
      for (const { recipients, size } of page) {
        counted.recipients += recipients.length;
        counted.octets += size;
      }
      if (page.length > 0 && selection.dryRun !== true) await work(page);
    }
    return counted;
  }

  async *#named(ids: readonly MessageId[], unknown: MessageId[]): AsyncGenerator<QueuedSummary[]> {
    for (let i = 0; i < ids.length; i += PAGE) {
      const named = ids.slice(i, i + PAGE);
      const found = await Promise.all(named.map((id) => this.#store.show(id)));
      unknown.push(...named.filter((_, k) => found[k] === undefined));
      yield found.filter((message) => message !== undefined);
    }
  }

  async *#pages(filter: Filter, from?: MessageId): AsyncGenerator<QueuedSummary[]> {
    for (let after = from; ; ) {
      const page = await this.#store.list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
      if (page.length === 0) return;
      after = page.at(-1)?.id;
      const now = this.#now();
      yield page.filter((message) => filter.matches(message, now));
    }
  }
}

const idsOf = (messages: readonly QueuedSummary[]): MessageId[] => messages.map(({ id }) => id);
