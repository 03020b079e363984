/**
 * Delivers: groups a message's recipients by destination and makes one attempt for each group.
 *
 * Rules
 * 1. Returns outcomes, writes nothing, retries nothing.
 * 2. Every recipient handed in gets one outcome, or is handed back untried: at a stop, or because its destination takes nothing for now.
 * 3. What waits for a slow DNS, a slow or a dead destination waits for that alone.
 * 4. Into mailboxes (LMTP) each recipient has a transaction of its own: its copy says whose it is (delivered-to.ts).
 */
import { type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import type { Outcome } from "../mail/outcome.ts";
import { reply } from "../mail/reply.ts";
import type { Resolver } from "../net/resolver.ts";
import { LocalQuota, type Quota } from "../queue/quota.ts";
import { type Clock, hours, minutes, systemClock } from "../util/clock.ts";
import { deliveredBefore, headerOf, inCircle, withDeliveredTo } from "./delivered-to.ts";
import { type Closed, Destination, type DestinationState } from "./destination.ts";
import type { Job } from "./link.ts";
import { type DeliveryOptions, defaultDeliveryOptions } from "./options.ts";
import { delayedHere, untriedHere } from "./outcomes.ts";
import { Pace } from "./pace.ts";
import { type PacingRule, providerRules, ruleFor, ruleForDomain } from "./pacing.ts";
import { destinationKey, type NextHop, type Route, routeFor } from "./route.ts";
import { type SessionParts, Sessions } from "./sessions.ts";
import type { NoSite, RemoteHop, Site } from "./site.ts";
import { Sites } from "./sites.ts";
import { Sources } from "./sources.ts";

export interface Attempted {
  readonly recipient: QueuedRecipient;
  readonly outcome: Outcome;
}

export interface DeliveryParts extends SessionParts {
  readonly routes: readonly Route[];
  readonly resolver: Resolver;
  readonly clock?: Clock;
  /** Counts what is paced, with all who share the queue; this process alone where absent. */
  readonly quota?: Quota;
  /** Writes into a Maildir; `folder` as the route has it. Never rejects. */
  readonly maildir?: (folder: string, message: QueuedMessage, mailbox: Mailbox) => Promise<Outcome>;
  /** A destination is left alone for a while, or no longer (`undefined`). */
  onClosed?(destination: string, closed: Closed | undefined): void;
}

/** One destination, for operators. */
export interface DestinationSummary extends DestinationState {
  /** Such as `mx a.test,b.test>c.test`. */
  readonly destination: string;
  /** Whose patience it shares: a provider's rule, or its own. */
  readonly pace: string;
  /** Connections that its pace allows now. */
  readonly limit: number;
}

/** A next hop that is this machine. */
type LocalHop = Exclude<NextHop, RemoteHop>;

interface Task extends Job {
  readonly hop: RemoteHop;
  /** As it is in the queue. */
  readonly whole: QueuedMessage;
}

function settleAll(task: Task, outcome: Outcome): void {
  task.settle(task.recipients.map(() => outcome));
}

/** Recipients that go the same way. */
interface Group {
  readonly hop: NextHop;
  readonly domain: string;
  readonly recipients: QueuedRecipient[];
}

interface RemoteGroup extends Group {
  readonly hop: RemoteHop;
}

interface Known {
  /** As DNS has it now: what it could not say the first time it may say later. */
  site: Site | NoSite;
  readonly destination: Destination<Task>;
  readonly pace: Pace;
  readonly maxRecipients: number;
}

/** How long what waited for a destination that does not move stays in the queue. */
const STALLED_FOR_MS = minutes(1);
/** How often mail is looked at that a route holds, in case its route is another by now. */
const HELD_FOR_MS = hours(1);
/** Sites whose rule is remembered. */
const SITE_RULES_LIMIT = 10_000;
/** Between two looks at who holds the hand. */
const RELIEVE_MS = 100;

export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #options: DeliveryOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #quota: Quota;
  readonly #sessions: Sessions;
  readonly #sites: Sites;
  readonly #rules: readonly PacingRule[];
  readonly #domainRules: readonly PacingRule[];
  readonly #siteRules = new Map<string, PacingRule | undefined>();
  /** By the keys of their sites, and the names of their rules: domains with the same exchangers may have rules of their own. */
  readonly #destinations = new Map<string, Known>();
  /** Those that several destinations share, by their rule. */
  readonly #paces = new Map<PacingRule, Pace>();
  #callOffLook: (() => void) | undefined;
  #relieved = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(parts: DeliveryParts, options: Pick<DeliveryOptions, "hostname"> & Partial<DeliveryOptions>) {
    this.#parts = parts;
    this.#options = { ...defaultDeliveryOptions, ...options };
    this.#clock = parts.clock ?? systemClock;
    this.#random = parts.random ?? Math.random;
    this.#quota = parts.quota ?? new LocalQuota(this.#clock);
    this.#sessions = new Sessions({ ...parts, options: this.#options, clock: this.#clock, makePlace: () => this.#makePlace() });
    this.#rules = [...this.#options.pacing, ...providerRules];
    this.#domainRules = this.#rules.filter(({ domains = [] }) => domains.length > 0);
    this.#sites = new Sites(
      { resolver: parts.resolver, port: this.#options.port, isOwnName: (name) => parts.isOwnName(name) },
      this.#clock,
    );
  }

  /** Makes an attempt for each of the message's recipients, or for some of them; `settle` hears each group of them as it is done. */
  deliver(
    message: QueuedMessage,
    settle: (attempted: readonly Attempted[]) => void,
    only: readonly QueuedRecipient[] = message.recipients,
  ): void {
    for (const { hop, domain, recipients } of this.#groups(message, only)) {
      if (hop.kind !== "mx" && hop.kind !== "host") {
        void this.#deliverHere(hop, message, recipients).then(settle);
        continue;
      }
      if (hop.kind === "host" && hop.protocol === "lmtp") {
        void this.#deliverToMailboxes({ hop, domain, recipients }, message, settle);
        continue;
      }
      const site = this.#sites.find(hop, domain);
      const group = { hop, domain, recipients };
      if (!(site instanceof Promise)) this.#send(site, group, { message, whole: message }, settle);
      else void site.then((found) => this.#send(found, group, { message, whole: message }, settle));
    }
  }

  /** `whole`: the message as it is in the queue. */
  #send(
    site: Site | NoSite,
    { hop, domain, recipients }: RemoteGroup,
    { message, whole }: { readonly message: QueuedMessage; readonly whole: QueuedMessage },
    settle: (attempted: readonly Attempted[]) => void,
  ): void {
    if (this.#stopped) {
      // While DNS was asked.
      const outcome = untriedHere("4.3.2", "the server stops", this.#clock.now());
      return settle(recipients.map((recipient) => ({ recipient, outcome })));
    }
    const { destination, maxRecipients } = this.#known(site, domain);
    for (let i = 0; i < recipients.length; i += maxRecipients) {
      const group = recipients.slice(i, i + maxRecipients);
      destination.add({
        hop,
        message,
        whole,
        recipients: group,
        settle: (outcomes) => settle(group.map((recipient, k) => ({ recipient, outcome: outcomes[k] as Outcome }))),
      });
    }
  }

  async #deliverToMailboxes(
    { hop, domain, recipients }: RemoteGroup,
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
    const site = await this.#sites.find(hop, domain);
    for (const recipient of recipients) {
      const { mailbox } = recipient;
      if (before.has(mailboxKey(mailbox))) {
        settle([{ recipient, outcome: inCircle(mailbox) }]);
        continue;
      }
      this.#send(site, { hop, domain, recipients: [recipient] }, { message: withDeliveredTo(message, mailbox), whole: message }, settle);
    }
  }

  async #deliverHere(hop: LocalHop, message: QueuedMessage, recipients: readonly QueuedRecipient[]): Promise<readonly Attempted[]> {
    return Promise.all(recipients.map(async (recipient) => ({ recipient, outcome: await this.#outcomeHere(hop, message, recipient) })));
  }

  async #outcomeHere(hop: LocalHop, message: QueuedMessage, { mailbox }: QueuedRecipient): Promise<Outcome> {
    if (hop.kind === "hold")
      return {
        action: "delayed",
        scope: "recipient",
        status: "4.0.0",
        why: { kind: "local", text: "held by its route" },
        untried: { due: this.#clock.now() + HELD_FOR_MS, ages: false },
      };
    if (hop.kind === "discard")
      return { action: "delivered", at: { name: "discard", port: 0 }, reply: reply(250, "2.0.0", "Discarded by its route") };
    const { maildir } = this.#parts;
    if (maildir === undefined) return delayedHere("4.3.5", "no Maildir can be written to here", "recipient");
    return maildir(hop.folder, message, mailbox);
  }

  /** Cuts what is still under way; it settles as lost, or as unknown. */
  abort(): void {
    this.#sessions.abort();
  }

  /** There is no room for more: what cannot be sent soon makes place for what can. */
  relieve(): void {
    const now = this.#clock.now();
    if (now - this.#relieved < RELIEVE_MS) return;
    this.#relieved = now;
    for (const { destination } of this.#destinations.values()) destination.relieve();
  }

  /** No destination is left alone any longer: an operator wants it tried now. */
  reopen(): void {
    for (const { destination } of this.#destinations.values()) destination.reopen();
  }

  /** Those with work, open connections, or trouble. */
  destinations(): DestinationSummary[] {
    return [...this.#destinations.values()].map((known) => ({
      destination: known.site.key,
      pace: known.pace.name,
      limit: known.pace.limit,
      ...known.destination.state,
    }));
  }

  /** Looks now and then for destinations that do not move, while there are any. */
  #lookForStalls(): void {
    const { stallAfter } = this.#options;
    this.#callOffLook ??= this.#clock.after(stallAfter, () => {
      this.#callOffLook = undefined;
      const now = this.#clock.now();
      for (const { destination } of this.#destinations.values()) {
        for (const task of destination.shed(now - stallAfter))
          settleAll(task, untriedHere("4.4.1", "its destination does not answer", now + STALLED_FOR_MS));
      }
      if (this.#destinations.size > 0) this.#lookForStalls();
    });
  }

  /** Hands back what was not begun. What is under way settles as usual. */
  stop(): { readonly message: QueuedMessage; readonly recipients: readonly QueuedRecipient[] }[] {
    this.#stopped = true;
    this.#callOffLook?.();
    return [...this.#destinations.values()]
      .flatMap(({ destination }) => destination.stop())
      .map(({ whole, recipients }) => ({ message: whole, recipients }));
  }

  #groups(message: QueuedMessage, only: readonly QueuedRecipient[]): Iterable<Group> {
    const groups = new Map<string, Group>();
    for (const recipient of only) {
      const { domain } = recipient.mailbox;
      const hop = routeFor(this.#parts.routes, domain, message.envelope.reversePath);
      const rule = this.#domainRules.length === 0 ? undefined : ruleForDomain(this.#domainRules, domain);
      const key = `${destinationKey(hop, domain)} ${rule?.name ?? ""}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { hop, domain, recipients: [recipient] });
      else group.recipients.push(recipient);
    }
    return groups.values();
  }

  #known(site: Site | NoSite, domain: string): Known {
    const rule = this.#ruleOf(site, domain);
    const key = `${site.key} ${rule?.name ?? ""}`;
    const known = this.#destinations.get(key);
    if (known !== undefined) {
      known.site = site;
      return known;
    }
    const { maxMessagesPerConnection, maxRecipients, sources } = { ...this.#options, ...rule };
    const pace = this.#paceOf(site, rule);
    const from = new Sources(sources);
    const made: Known = {
      site,
      pace,
      maxRecipients,
      destination: new Destination<Task>({
        clock: this.#clock,
        pace,
        maxMessagesPerConnection,
        keepIdle: this.#options.keepIdle,
        backOff: this.#options.backOff,
        random: this.#random,
        open: ({ hop }) => {
          const now = made.site;
          return now.kind === "none" ? Promise.resolve(now.outcome) : this.#sessions.open(now, hop, from);
        },
        settle: settleAll,
        isPlaceWanted: () => this.#sessions.wanted,
        onClosed: (closed) => this.#parts.onClosed?.(site.key, closed),
        onEmpty: () => this.#destinations.delete(key),
      }),
    };
    this.#destinations.set(key, made);
    this.#lookForStalls();
    return made;
  }

  /** Every message asks: without rules by domain the site says it all. */
  #ruleOf(site: Site | NoSite, domain: string): PacingRule | undefined {
    if (this.#domainRules.length > 0) return ruleFor(this.#rules, site, domain);
    if (this.#siteRules.has(site.key)) return this.#siteRules.get(site.key);
    const rule = ruleFor(this.#rules, site, domain);
    if (this.#siteRules.size >= SITE_RULES_LIMIT) this.#siteRules.clear();
    this.#siteRules.set(site.key, rule);
    return rule;
  }

  #paceOf({ key }: Site | NoSite, rule: PacingRule | undefined): Pace {
    const shared = rule === undefined ? undefined : this.#paces.get(rule);
    if (shared !== undefined) return shared;
    const { maxConnections, initialConnections } = { ...this.#options, ...rule };
    const rate = rule?.rate === undefined ? {} : { rate: rule.rate };
    const name = rule?.name ?? key;
    const pace = new Pace({ name, maxConnections, initialConnections, ...rate, quota: this.#quota, clock: this.#clock });
    if (rule !== undefined) this.#paces.set(rule, pace);
    return pace;
  }

  /** An idle connection gives its place to one that is wanted. */
  #makePlace(): void {
    for (const { destination } of this.#destinations.values()) if (destination.dropIdle()) return;
  }
}
