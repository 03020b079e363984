/**
 * The composition root: binds server to accounts, policy and queue, and the queue to delivery.
 *
 * Rules
 * 1. The way of a message is one way: server -> queue -> delivery -> settler -> queue. What goes back up is an event.
 * 2. Nothing here reads a file or the environment: settings come as values.
 * 3. Stopping loses nothing: what is in hand is finished or handed back, and the store closes last.
 */
import { createHmac } from "node:crypto";
import { Authenticator, type BearerOptions, bearerVerifier } from "../accounts/index.ts";
import { type AuthenticationSettings, dnsOf, type Network, Srs } from "../authentication/index.ts";
import { type Attempted, Delivery, type DestinationSummary } from "../delivery/delivery.ts";
import type { DeliveryOptions } from "../delivery/options.ts";
import type { Route } from "../delivery/route.ts";
import { domainKey } from "../mail/domain.ts";
import type { EventSink } from "../mail/event.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { NewMessage, QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import { describeReason } from "../mail/outcome.ts";
import { ArcSealer } from "../message/dkim/arc-seal.ts";
import type { DkimKey } from "../message/dkim/key.ts";
import { dial } from "../net/dial.ts";
import { createResolver, type Resolver } from "../net/resolver.ts";
import type { ServerContext } from "../net/tls-context.ts";
import { Scheduler } from "../queue/scheduler.ts";
import type { StandingMessage, StoreError } from "../queue/store.ts";
import type { ListenAt, ServerOptions } from "../server/options.ts";
import { SmtpServer } from "../server/smtp-server.ts";
import { type Clock, minutes, seconds, systemClock } from "../util/clock.ts";
import { AccountDirectory } from "./directory.ts";
import { Forwarding, type Forwards } from "./forwarding.ts";
import { Hand, type HandLimits } from "./hand.ts";
import type { CheckedArrival } from "./inspection/arrival-check.ts";
import { type InspectorsOptions, inspectors } from "./inspection/inspectors.ts";
import type { FromRule } from "./inspection/submission-check.ts";
import { type Courier, QueueIntake } from "./intake.ts";
import { isTooLate, Judge, overdue, type RetryOptions } from "./judge.ts";
import { Maildirs } from "./maildir.ts";
import { isOneOf } from "./own-endpoints.ts";
import { type LocalDomains, RelayPolicy } from "./policy.ts";
import { Reporter } from "./reporter.ts";
import { Reporting, type ReportOptions } from "./reports/reporting.ts";
import { Settler } from "./settler.ts";
import { type DomainKey, Signers } from "./signers.ts";
import type { Stores } from "./stores.ts";
import { Suppressing, type SuppressionSettings } from "./suppressing.ts";
import { Suspensions } from "./suspensions.ts";

export interface RelayOptions {
  readonly hostname: string;
  readonly stores: Stores;
  readonly listeners: readonly ListenAt[];
  readonly certificate: ServerContext;
  readonly domains: LocalDomains;
  readonly routes: readonly Route[];
  readonly logins?: LoginOptions;
  /** Addresses of ours whose mail goes on to others. */
  readonly forwards?: Forwards;
  /** The domain of reverse-paths that are rewritten for that; the first local one where absent. */
  readonly srsDomain?: string;
  /** How mail from other servers is checked; absent: it is not. */
  readonly checks?: CheckOptions;
  /** What is told to others about the mail that comes in, and read of what they tell; absent: nothing. */
  readonly reports?: ReportOptions;
  /** Which accounts are kept from addresses that were refused before; absent: none. */
  readonly suppression?: SuppressionSettings;
  /** Signs for their domains what accounts submit, and reports made here. */
  readonly keys?: readonly DomainKey[];
  /** What is done with a From that is not the account's; refused where absent. */
  readonly submissionFrom?: FromRule;
  readonly server?: Partial<ServerOptions>;
  readonly delivery?: Partial<DeliveryOptions>;
  readonly dns?: { readonly servers?: readonly string[]; readonly timeout?: number };
  readonly retry?: RetryOptions;
  readonly hand?: HandLimits;
  readonly events?: EventSink;
  readonly clock?: Clock;
}

export interface CheckOptions {
  readonly settings: AuthenticationSettings;
  readonly blockLists: readonly string[];
  /** Peers that are not checked. */
  readonly exempt: readonly Network[];
  /** Milliseconds for each check. */
  readonly timeout: number;
  /** Seals what is handed on (ARC). */
  readonly sealWith?: DkimKey;
}

/** What accounts may be logged in to with, beside their passwords. */
export interface LoginOptions {
  readonly bearer?: BearerOptions;
  /** Which name of a client's certificate is the account's; the certificate's issuer is in `RelayOptions.certificate`. */
  readonly certificates?: "email" | "common-name";
}

/** Milliseconds for the outcomes of what was cut at the deadline to be written. */
const LAST_SETTLEMENTS = seconds(1);
/** Milliseconds for sessions to hear that the store is lost. */
const LAST_WORDS = seconds(1);
/** Milliseconds until what could not be looked up is tried again. */
const GIVEN_BACK_FOR = minutes(1);

export class Relay {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #hand: Hand;
  readonly #resolver: Resolver;
  readonly #signers: Signers;
  readonly #maildirs = new Maildirs();
  readonly #suspensions: Suspensions;
  readonly #suppressing: Suppressing | undefined;
  readonly #srs: Srs | undefined;
  readonly #forwarding: Forwarding | undefined;
  readonly #reporting: Reporting | undefined;
  readonly #delivery: Delivery;
  readonly #reporter: Reporter;
  readonly #settler: Settler;
  readonly #scheduler: Scheduler;
  readonly #server: SmtpServer;
  #stopping = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#events = options.events ?? (() => {});
    this.#hand = new Hand(options.hand);
    this.#resolver = createResolver(options.dns);
    this.#signers = new Signers(options.keys ?? []);
    this.#reporting = this.#makeReporting();
    const { queue: store, shared } = options.stores;
    this.#suspensions = new Suspensions({ store, clock: this.#clock, shared, onTrouble: (error) => this.#trouble("suspensions", error) });
    this.#suppressing = this.#makeSuppressing();
    this.#srs = this.#makeSrs();
    this.#forwarding = this.#makeForwarding();
    this.#delivery = this.#makeDelivery();
    const { hostname, domains } = options;
    const postmaster = postmasterOf(domains, hostname);
    this.#reporter = new Reporter({ hostname, postmaster, signers: this.#signers, ...doubleBouncesOf(domains) });
    this.#settler = this.#makeSettler();
    this.#scheduler = this.#makeScheduler();
    this.#server = this.#makeServer();
    options.stores.queue.onDue(() => this.#scheduler.wake());
  }

  /** Where it listens; ports that were 0 are known after `start`. */
  get addresses(): SmtpServer["addresses"] {
    return this.#server.addresses;
  }

  /** Listens, and begins to deliver what is in the queue. Throws a ListenError. */
  async start(): Promise<void> {
    await this.#suspensions.start();
    await this.#server.start();
    this.#scheduler.start();
    this.#reporting?.start();
  }

  /** Calls back once if the store is lost: the process must then end. */
  onFatal(listener: (error: StoreError) => void): void {
    this.#options.stores.queue.onFatal(listener);
  }

  /** Takes nothing new, finishes what is under way within `deadline` milliseconds, hands the rest back, closes the store. */
  async stop(deadline: number): Promise<void> {
    this.#stopping = true;
    this.#suspensions.stop();
    const ends = this.#clock.now() + deadline;
    await Promise.all([this.#scheduler.stop(), this.#server.stop(deadline), this.#reporting?.stop()]);
    for (const { message, recipients } of this.#delivery.stop()) this.#settler.release(message, recipients, this.#clock.now());
    await this.#within(this.#hand.empty(), Math.max(0, ends - this.#clock.now()));
    this.#delivery.abort();
    await this.#within(this.#hand.empty(), LAST_SETTLEMENTS);
    this.#resolver.close();
    await this.#options.stores.close();
  }

  /** Where mail is going, and where it is not for now. */
  destinations(): DestinationSummary[] {
    return this.#delivery.destinations();
  }

  /** No destination is left alone any longer. */
  reopenDestinations(): void {
    this.#delivery.reopen();
  }

  /**
   * Ends without the store, which is lost: sessions hear 421, and what is on its way out is cut, for nobody could record that it arrived.
   * What is in the store is for the next start.
   */
  async abandon(): Promise<void> {
    this.#stopping = true;
    this.#suspensions.stop();
    this.#delivery.stop();
    this.#delivery.abort();
    await this.#server.stop(LAST_WORDS);
  }

  /** The report on a message that is removed; `undefined` where nobody is to hear of it. */
  reportRemoved(message: StandingMessage, reason: string): Promise<NewMessage | undefined> {
    return this.#reporter.removed(message, reason, this.#clock.now());
  }

  #within(done: Promise<void>, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      void done.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #makeReporting(): Reporting | undefined {
    const { reports, stores, hostname } = this.#options;
    if (reports === undefined) return undefined;
    const onTrouble = (why: string): void => this.#trouble("reports", why);
    return new Reporting(reports, { stores, signers: this.#signers, dns: dnsOf(this.#resolver), hostname, clock: this.#clock, onTrouble });
  }

  #makeSuppressing(): Suppressing | undefined {
    const { suppression, stores } = this.#options;
    return suppression === undefined ? undefined : new Suppressing(suppression, { list: stores.queue.suppressionList, clock: this.#clock });
  }

  #suppressingPart(): { readonly suppressing?: Suppressing } {
    return this.#suppressing === undefined ? {} : { suppressing: this.#suppressing };
  }

  #makeDelivery(): Delivery {
    const { hostname, routes, delivery, stores } = this.#options;
    const names = new Set([domainKey(hostname), domainKey(delivery?.hostname ?? hostname)]);
    return new Delivery(
      {
        routes,
        resolver: this.#resolver,
        dial,
        clock: this.#clock,
        isOwnName: (name) => names.has(domainKey(name)),
        isOwnEndpoint: (address, port) => isOneOf(this.#server.addresses, address, port),
        maildir: (folder, message, mailbox) => this.#maildirs.deliver(folder, message, mailbox),
        quota: stores.quota,
        holds: ({ id }, { index }) => stores.queue.holdsLease({ id, index }),
        onClosed: (destination, closed) =>
          this.#events(
            closed === undefined
              ? { type: "reopened", destination }
              : { type: "left-alone", destination, until: closed.until, why: describeReason(closed.why) },
          ),
        onFallback: (host, why) => this.#events({ type: "tls-fallback", host, why }),
      },
      { hostname, ...delivery },
    );
  }

  #makeSettler(): Settler {
    const { stores, retry } = this.#options;
    return new Settler({
      store: stores.queue,
      judge: new Judge(retry),
      reporter: this.#reporter,
      clock: this.#clock,
      events: this.#events,
      ...this.#suppressingPart(),
      onSettled: (message, recipients) => this.#settled(message, recipients),
    });
  }

  #makeScheduler(): Scheduler {
    return new Scheduler({
      store: this.#options.stores.queue,
      clock: this.#clock,
      capacity: () => {
        const { room } = this.#hand;
        if (room === 0) this.#delivery.relieve();
        return room;
      },
      deliver: (message) => {
        this.#hand.take(message.recipients.length, octetsInMemory(message));
        this.#deliver(message);
      },
      onTrouble: (error) => this.#trouble("scheduler", error),
    });
  }

  #makeServer(): SmtpServer {
    const { hostname, stores, domains, listeners, certificate, server } = this.#options;
    const directory = this.#makeDirectory();
    const srs = this.#srs;
    const policy = new RelayPolicy(domains, directory, {
      clock: this.#clock,
      ...this.#suppressingPart(),
      ...(srs === undefined ? {} : { srs }),
    });
    const queue = new QueueIntake(stores.queue, this.#courier());
    const read = this.#reporting?.through(queue) ?? queue;
    const intake = this.#forwarding?.through(read) ?? read;
    const inspector = inspectors({
      ...this.#arrivalChecks(),
      submissions: { from: this.#options.submissionFrom ?? "owned", directory, signers: this.#signers },
    });
    const parts = { listeners, policy, credentials: directory, intake, inspector, certificate, events: this.#events, clock: this.#clock };
    return new SmtpServer(parts, { hostname, ...server });
  }

  #arrivalChecks(): Pick<InspectorsOptions, "arrivals" | "exempt"> {
    const { hostname, checks } = this.#options;
    if (checks === undefined) return {};
    const { sealWith, exempt, ...settings } = checks;
    const sealer = sealWith === undefined ? {} : { sealer: new ArcSealer(sealWith) };
    const reporting = this.#reporting;
    const heard = reporting === undefined ? {} : { onChecked: (checked: CheckedArrival) => reporting.checked(checked) };
    const common = { hostname, dns: dnsOf(this.#resolver), clock: this.#clock, events: this.#events };
    return { arrivals: { ...common, ...settings, ...sealer, ...heard }, exempt };
  }

  /** Its secret is the accounts' own: the same after a restart, and on every server that shares them. */
  #makeSrs(): Srs | undefined {
    const { forwards, srsDomain, domains, hostname, stores } = this.#options;
    if (forwards === undefined || forwards.size === 0) return undefined;
    const [home = hostname] = domains.local;
    const secret = createHmac("sha256", stores.accounts.secret).update("SRS").digest();
    return new Srs({ secret, domain: srsDomain ?? home });
  }

  #makeForwarding(): Forwarding | undefined {
    const { forwards, domains, stores } = this.#options;
    const srs = this.#srs;
    if (srs === undefined || forwards === undefined) return undefined;
    return new Forwarding({ forwards, srs, local: domains.local, queue: stores.queue, clock: this.#clock });
  }

  #makeDirectory(): AccountDirectory {
    const { accounts } = this.#options.stores;
    const { bearer, certificates } = this.#options.logins ?? {};
    const tokens = bearer === undefined ? {} : { bearer: bearerVerifier(bearer) };
    return new AccountDirectory(accounts, new Authenticator({ accounts, clock: this.#clock, ...tokens }), {
      bearer: bearer !== undefined,
      ...(certificates === undefined ? {} : { certificates }),
    });
  }

  #courier(): Courier {
    const relay = this;
    return {
      get room() {
        return relay.#stopping ? 0 : relay.#hand.room;
      },
      take: (message) => this.#hand.take(message.envelope.recipients.length, octetsInMemory(message)),
      drop: (message) => this.#hand.give(message.envelope.recipients.length, octetsInMemory(message)),
      deliver: (message) => this.#deliver(message),
    };
  }

  #deliver(message: QueuedMessage): void {
    if (isTooLate(message, this.#clock.now()))
      return this.#settler.settle(
        message,
        message.recipients.map((recipient) => ({ recipient, outcome: overdue })),
      );
    const suspended = this.#suspensions.among(message);
    if (suspended.length === 0) return this.#deliverAllowed(message, message.recipients);
    this.#settler.settle(message, suspended);
    const not = new Set(suspended.map(({ recipient }) => recipient));
    const others = message.recipients.filter((recipient) => !not.has(recipient));
    if (others.length > 0) this.#deliverAllowed(message, others);
  }

  #deliverAllowed(message: QueuedMessage, recipients: readonly QueuedRecipient[]): void {
    const [suppressing, forwarding] = [this.#suppressing, this.#forwarding];
    const looks: Promise<readonly Attempted[]>[] = [];
    if (suppressing?.concerns(message, recipients)) looks.push(suppressing.dropped(message, recipients));
    if (forwarding?.concerns(recipients)) looks.push(forwarding.circling(message, recipients));
    if (looks.length === 0) this.#attempt(message, recipients);
    else void this.#attemptOthers(message, recipients, Promise.all(looks));
  }

  /** Fails some, and tries the others; where it cannot be found out which, all wait. */
  async #attemptOthers(
    message: QueuedMessage,
    recipients: readonly QueuedRecipient[],
    looks: Promise<readonly (readonly Attempted[])[]>,
  ): Promise<void> {
    const found = await looks.catch((error: unknown) => this.#trouble(`message ${message.id}`, error));
    if (found === undefined || this.#stopping) {
      const due = this.#clock.now() + (found === undefined ? GIVEN_BACK_FOR : 0);
      return this.#settler.release(message, recipients, due);
    }
    const failed = new Map(found.flat().map((each) => [each.recipient, each]));
    if (failed.size > 0) this.#settler.settle(message, [...failed.values()]);
    const others = recipients.filter((recipient) => !failed.has(recipient));
    if (others.length > 0) this.#attempt(message, others);
  }

  #attempt(message: QueuedMessage, recipients: readonly QueuedRecipient[]): void {
    const settle = (attempted: readonly Attempted[]): void => this.#settler.settle(message, attempted);
    this.#delivery.deliver(message, settle, recipients);
  }

  #settled(message: QueuedMessage, recipients: number): void {
    // A message of several groups gives its octets back in shares.
    this.#hand.give(recipients, (octetsInMemory(message) * recipients) / message.recipients.length);
    this.#scheduler.room();
  }

  #trouble(where: string, error: unknown): void {
    this.#events({ type: "trouble", where, why: error instanceof Error ? error.message : String(error) });
  }
}

function octetsInMemory({ content }: Pick<QueuedMessage, "content">): number {
  return content.kind === "memory" ? content.size : 0;
}

/** Whom reports are from: the role, not the person behind it, whose address is nobody's business. */
function postmasterOf({ local }: LocalDomains, hostname: string): Mailbox {
  const [home = hostname] = local;
  return { localPart: "postmaster", domain: home };
}

/** Who gets reports that could not be delivered: whoever reads what is for the postmaster here. */
function doubleBouncesOf({ local, postmaster }: LocalDomains): { readonly doubleBounces?: Mailbox } {
  const [home] = local;
  if (postmaster !== undefined) return { doubleBounces: postmaster };
  return home === undefined ? {} : { doubleBounces: { localPart: "postmaster", domain: home } };
}
