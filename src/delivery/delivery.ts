/**
 * Delivers: groups a message's recipients by destination and makes one attempt for each group.
 *
 * Rules
 * 1. Returns outcomes, writes nothing, retries nothing.
 * 2. Into mailboxes (LMTP) each recipient has a transaction of its own: its copy says whose it is (delivered-to.ts).
 * 3. Every recipient handed in gets one outcome, or is handed back untried when it stops.
 */

import { type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import { describeHost, type Outcome, type Unfinished } from "../mail/outcome.ts";
import { reply } from "../mail/reply.ts";
import type { Resolver } from "../net/resolver.ts";
import type { Dial } from "../util/byte-stream.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { Gate } from "../util/gate.ts";
import { deliveredBefore, headerOf, inCircle, withDeliveredTo } from "./delivered-to.ts";
import { Destination } from "./destination.ts";
import { hostsFor, type RemoteHop, type TargetHost } from "./hosts.ts";
import { type HostLink, type Job, openLink } from "./link.ts";
import { type DeliveryOptions, defaultDeliveryOptions } from "./options.ts";
import { delayedHere, failedHere, outcomeOfError } from "./outcomes.ts";
import { destinationKey, type NextHop, type Route, routeFor } from "./route.ts";

export interface Attempted {
  readonly recipient: QueuedRecipient;
  readonly outcome: Outcome;
}

export interface DeliveryParts {
  readonly routes: readonly Route[];
  readonly resolver: Resolver;
  readonly dial: Dial;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Whether an MX of this name is ourselves. */
  isOwnName(name: string): boolean;
  /** Whether we listen there. */
  isOwnEndpoint(address: string, port: number): boolean;
  /** Takes recipients back untried, for a minute or so: their destination does not move. */
  giveBack(message: QueuedMessage, recipients: readonly QueuedRecipient[]): void;
  /** Writes into a Maildir; `folder` as the route has it. Never rejects. */
  readonly maildir?: (folder: string, message: QueuedMessage, mailbox: Mailbox) => Promise<Outcome>;
  /** A TLS handshake failed; the session went on in clear. */
  onFallback(host: string, why: string): void;
}

/** A next hop that is this machine. */
type LocalHop = Exclude<NextHop, RemoteHop>;

/** Recipients that go the same way. */
interface Group {
  readonly key: string;
  readonly hop: NextHop;
  readonly domain: string;
  readonly recipients: QueuedRecipient[];
}

interface Task extends Job {
  readonly group: readonly QueuedRecipient[];
  /** As it is in the queue. */
  readonly whole: QueuedMessage;
}

export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #options: DeliveryOptions;
  readonly #clock: Clock;
  /** A place for each connection that is open or being opened. */
  readonly #gate: Gate;
  readonly #destinations = new Map<string, Destination<Task>>();
  readonly #abort = new AbortController();
  #callOffLook: (() => void) | undefined;

  constructor(parts: DeliveryParts, options: Pick<DeliveryOptions, "hostname"> & Partial<DeliveryOptions>) {
    this.#parts = parts;
    this.#options = { ...defaultDeliveryOptions, ...options };
    this.#clock = parts.clock ?? systemClock;
    this.#gate = new Gate(this.#options.maxTotalConnections);
  }

  /** Makes an attempt for each of the message's recipients, or for some of them; `settle` hears each group of them as it is done. */
  deliver(
    message: QueuedMessage,
    settle: (attempted: readonly Attempted[]) => void,
    only: readonly QueuedRecipient[] = message.recipients,
  ): void {
    for (const { key, hop, domain, recipients } of this.#groups(message, only)) {
      if (hop.kind !== "mx" && hop.kind !== "host") {
        void this.#deliverHere(hop, message, recipients).then(settle);
        continue;
      }
      if (hop.kind === "host" && hop.protocol === "lmtp") {
        void this.#deliverToMailboxes({ key, hop, domain, recipients }, message, settle);
        continue;
      }
      const destination = this.#destination(key, hop, domain);
      for (let i = 0; i < recipients.length; i += this.#options.maxRecipients) {
        const group = recipients.slice(i, i + this.#options.maxRecipients);
        destination.add({
          message,
          recipients: group,
          group,
          whole: message,
          settle: (outcomes) => settle(group.map((recipient, k) => ({ recipient, outcome: outcomes[k] as Outcome }))),
        });
      }
    }
  }

  async #deliverToMailboxes(
    { key, hop, domain, recipients }: Omit<Group, "hop"> & { readonly hop: RemoteHop },
    message: QueuedMessage,
    settle: (attempted: readonly Attempted[]) => void,
  ): Promise<void> {
    let before: ReadonlySet<string>;
    try {
      before = deliveredBefore(await headerOf(message.content));
    } catch (error) {
      const outcome = delayedHere(
        "4.3.0",
        `the content cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        "message",
      );
      return settle(recipients.map((recipient) => ({ recipient, outcome })));
    }
    for (const recipient of recipients) {
      const { mailbox } = recipient;
      if (before.has(mailboxKey(mailbox))) {
        settle([{ recipient, outcome: inCircle(mailbox) }]);
        continue;
      }
      this.#destination(key, hop, domain).add({
        message: withDeliveredTo(message, mailbox),
        whole: message,
        recipients: [recipient],
        group: [recipient],
        settle: ([outcome]) => settle([{ recipient, outcome: outcome as Outcome }]),
      });
    }
  }

  async #deliverHere(hop: LocalHop, message: QueuedMessage, recipients: readonly QueuedRecipient[]): Promise<readonly Attempted[]> {
    return Promise.all(recipients.map(async (recipient) => ({ recipient, outcome: await this.#outcomeHere(hop, message, recipient) })));
  }

  async #outcomeHere(hop: LocalHop, message: QueuedMessage, { mailbox }: QueuedRecipient): Promise<Outcome> {
    if (hop.kind === "hold")
      return { action: "delayed", scope: "recipient", status: "4.0.0", why: { kind: "local", text: "held by its route" }, held: true };
    if (hop.kind === "discard")
      return { action: "delivered", at: { name: "discard", port: 0 }, reply: reply(250, "2.0.0", "Discarded by its route") };
    const { maildir } = this.#parts;
    if (maildir === undefined) return delayedHere("4.3.5", "no Maildir can be written to here", "recipient");
    return maildir(hop.folder, message, mailbox);
  }

  /** Cuts what is still under way; it settles as lost, or as unknown. */
  abort(): void {
    this.#abort.abort();
  }

  /** Looks now and then for destinations that do not move, while there are any. */
  #lookForStalls(): void {
    const { stallAfter } = this.#options;
    this.#callOffLook ??= this.#clock.after(stallAfter, () => {
      this.#callOffLook = undefined;
      const before = this.#clock.now() - stallAfter;
      for (const destination of this.#destinations.values()) {
        for (const { whole, group } of destination.shed(before)) this.#parts.giveBack(whole, group);
      }
      if (this.#destinations.size > 0) this.#lookForStalls();
    });
  }

  /** Hands back what was not begun. What is under way settles as usual. */
  stop(): { readonly message: QueuedMessage; readonly recipients: readonly QueuedRecipient[] }[] {
    this.#callOffLook?.();
    return [...this.#destinations.values()]
      .flatMap((destination) => destination.stop())
      .map(({ whole, group }) => ({ message: whole, recipients: group }));
  }

  #groups(message: QueuedMessage, only: readonly QueuedRecipient[]): Iterable<Group> {
    const groups = new Map<string, Group>();
    for (const recipient of only) {
      const { domain } = recipient.mailbox;
      const hop = routeFor(this.#parts.routes, domain, message.envelope.reversePath);
      const key = destinationKey(hop, domain);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { key, hop, domain, recipients: [recipient] });
      else group.recipients.push(recipient);
    }
    return groups.values();
  }

  #destination(key: string, hop: RemoteHop, domain: string): Destination<Task> {
    const known = this.#destinations.get(key);
    if (known !== undefined) return known;
    const { maxConnections, initialConnections, maxMessagesPerConnection, keepIdle } = this.#options;
    const destination = new Destination<Task>({
      clock: this.#clock,
      maxConnections,
      initialConnections,
      maxMessagesPerConnection,
      keepIdle,
      open: () => this.#open(hop, domain),
      fail: (task, outcome) => task.settle(task.recipients.map(() => outcome)),
      onEmpty: () => this.#destinations.delete(key),
    });
    this.#destinations.set(key, destination);
    this.#lookForStalls();
    return destination;
  }

  /** A session at the first address that gives one. */
  async #open(hop: RemoteHop, domain: string): Promise<HostLink | Unfinished> {
    try {
      const { resolver, isOwnName, isOwnEndpoint, random } = this.#parts;
      const { families, port, maxAddresses } = this.#options;
      const own = { isOwnName, isOwnEndpoint, ...(random === undefined ? {} : { random }) };
      const found = await hostsFor(hop, domain, { resolver, families, port, ...own });
      if (found.kind === "none") return found.outcome;
      let last: Unfinished = delayedHere("4.4.1", "no address was tried");
      for (const target of found.hosts.slice(0, maxAddresses)) {
        const link = await this.#try(target, hop);
        if (!("action" in link)) return link;
        last = link;
      }
      return last;
    } catch (error) {
      // A bug, or a lack of ours: not known to have failed, so it is tried again.
      return delayedHere("4.3.0", error instanceof Error ? error.message : String(error));
    }
  }

  /** An idle connection gives its place to one that is wanted. */
  #makePlace(): void {
    for (const destination of this.#destinations.values()) if (destination.dropIdle()) return;
  }

  async #try(target: TargetHost, hop: RemoteHop): Promise<HostLink | Unfinished> {
    if (this.#gate.full) this.#makePlace();
    await this.#gate.enter();
    try {
      const link = await openLink(target, hop, {
        delivery: this.#options,
        dial: this.#parts.dial,
        clock: this.#clock,
        signal: this.#abort.signal,
        onClosed: () => this.#gate.leave(),
        onFallback: (host, why) => this.#parts.onFallback(describeHost(host), why),
      });
      // A host that an operator named is believed; one that DNS named and that bears our name is ourselves (RFC 5321 5.1).
      if (hop.kind === "mx" && this.#parts.isOwnName(link.serverName)) {
        void link.quit();
        return failedHere(
          "5.4.6",
          `${describeHost(target)} calls itself ${link.serverName}, which is this server: mail would go in a circle`,
          "host",
        );
      }
      return link;
    } catch (error) {
      this.#gate.leave();
      return outcomeOfError(error, target);
    }
  }
}
