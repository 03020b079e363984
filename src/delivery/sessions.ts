/**
 * Opens sessions: looks up the addresses of a site, and takes the first host that gives a session.
 *
 * Rules
 * 1. Hosts are tried one after another, in their order; the addresses of one host race (race.ts).
 * 2. An address whose server gives no session leaves those that are left.
 * 3. All connections together stay within one limit; an idle one gives its place to one that is wanted, and so does one that has come to no
 *    session for OPENING_PATIENCE_MS: servers that accept and say nothing do not keep mail from those that answer.
 */
import type { QueuedMessage, QueuedRecipient } from "../mail/message.ts";
import { describeHost, type Unfinished } from "../mail/outcome.ts";
import type { Resolver } from "../net/resolver.ts";
import type { Dial } from "../util/byte-stream.ts";
import { type Clock, seconds } from "../util/clock.ts";
import { Gate } from "../util/gate.ts";
import { hostsOf, type TargetHost } from "./hosts.ts";
import { type HostLink, LinkError, openLink } from "./link.ts";
import type { DeliveryOptions } from "./options.ts";
import { delayedHere, failedHere, outcomeOfError } from "./outcomes.ts";
import type { RemoteHop, Site } from "./site.ts";
import type { Sources } from "./sources.ts";

export interface SessionParts {
  readonly resolver: Pick<Resolver, "addresses">;
  readonly dial: Dial;
  readonly random?: () => number;
  /** Whether an MX of this name is ourselves. */
  isOwnName(name: string): boolean;
  /** Whether we listen there. */
  isOwnEndpoint(address: string, port: number): boolean;
  /** Whether a recipient's lease is still ours: asked right before the final dot. Absent: it always is. */
  holds?(message: QueuedMessage, recipient: QueuedRecipient): boolean;
  /** A TLS handshake failed; the session went on in clear. */
  onFallback(host: string, why: string): void;
}

export interface SessionsOptions extends SessionParts {
  readonly options: DeliveryOptions;
  readonly clock: Clock;
  /** Lets an idle connection go, where there is one. */
  makePlace(): void;
}

/** A server may take its time to greet, but not where others wait for the place. */
export const OPENING_PATIENCE_MS = seconds(20);

/** A connection that is no session yet. */
interface Opening {
  readonly begun: number;
  readonly callOff: AbortController;
}

type SourceFor = (address: string) => string | undefined;

export class Sessions {
  readonly #parts: SessionsOptions;
  /** A place for each connection that is open or being opened. */
  readonly #gate: Gate;
  readonly #abort = new AbortController();
  /** Oldest first. */
  readonly #openings = new Set<Opening>();
  #looking = false;

  constructor(parts: SessionsOptions) {
    this.#parts = parts;
    this.#gate = new Gate(parts.options.maxTotalConnections);
  }

  /** Somebody waits for a place. */
  get wanted(): boolean {
    return this.#gate.waiting > 0;
  }

  /** Ends every connection. */
  abort(): void {
    this.#abort.abort();
  }

  /** Never rejects. */
  async open(site: Site, hop: RemoteHop, sources: Sources): Promise<HostLink | Unfinished> {
    try {
      const { families, maxAddresses } = this.#parts.options;
      const found = await hostsOf(site, { ...this.#parts, families });
      if (found.kind === "none") return found.outcome;
      const sourceFor: SourceFor = (address) => sources.sourceFor(site.key, address);
      let left = maxAddresses;
      let last: Unfinished = delayedHere("4.4.1", "no address was tried");
      for (const host of found.hosts) {
        const tried = await this.#tryHost({ ...host, addresses: host.addresses.slice(0, left) }, hop, sourceFor);
        if (!("action" in tried)) return tried;
        last = tried;
        left -= host.addresses.length;
        if (left <= 0) break;
      }
      return last;
    } catch (error) {
      // A bug, or a lack of ours: not known to have failed, so it is tried again.
      return delayedHere("4.3.0", error instanceof Error ? error.message : String(error));
    }
  }

  async #tryHost(host: TargetHost, hop: RemoteHop, sourceFor: SourceFor): Promise<HostLink | Unfinished> {
    for (let addresses = host.addresses; ; ) {
      const tried = await this.#try({ ...host, addresses }, hop, sourceFor);
      if (!(tried instanceof LinkError)) return tried;
      const { address } = tried;
      addresses = address === undefined ? [] : addresses.filter((each) => each !== address);
      if (addresses.length === 0) return outcomeOfError(tried.cause, tried.at);
    }
  }

  async #try(host: TargetHost, hop: RemoteHop, sourceFor: SourceFor): Promise<HostLink | Unfinished | LinkError> {
    const { options, dial, clock, isOwnName, onFallback } = this.#parts;
    const opening = await this.#begin();
    try {
      const link = await openLink(host, hop, {
        delivery: options,
        dial,
        clock,
        signal: AbortSignal.any([this.#abort.signal, opening.callOff.signal]),
        sourceFor,
        holds: (message, recipients) => recipients.every((recipient) => this.#parts.holds?.(message, recipient) ?? true),
        onClosed: () => this.#gate.leave(),
        onFallback: (at, why) => onFallback(describeHost(at), why),
      });
      // A host that an operator named is believed; one that DNS named and that bears our name is ourselves (RFC 5321 5.1).
      if (hop.kind !== "mx" || !isOwnName(link.serverName)) return link;
      void link.quit();
      const text = `${describeHost(link.at)} calls itself ${link.serverName}, which is this server: mail would go in a circle`;
      return failedHere("5.4.6", text, "host");
    } catch (error) {
      this.#gate.leave();
      if (!(error instanceof LinkError)) throw error;
      if (!opening.callOff.signal.aborted) return error;
      const text = `no session within ${OPENING_PATIENCE_MS / 1000} s, and others wait for the place`;
      return outcomeOfError(new Error(text), error.at);
    } finally {
      this.#openings.delete(opening);
    }
  }

  /** Takes a place. */
  async #begin(): Promise<Opening> {
    if (this.#gate.full) this.#parts.makePlace();
    if (this.#gate.full) this.#lookForStuck();
    await this.#gate.enter();
    const opening = { begun: this.#parts.clock.now(), callOff: new AbortController() };
    this.#openings.add(opening);
    if (this.#gate.waiting > 0) this.#lookForStuck();
    return opening;
  }

  #lookForStuck(): void {
    const { clock } = this.#parts;
    const [oldest] = this.#openings;
    if (this.#looking || oldest === undefined) return;
    this.#looking = true;
    clock.after(Math.max(0, oldest.begun + OPENING_PATIENCE_MS - clock.now()), () => {
      this.#looking = false;
      let wanted = this.#gate.waiting;
      for (const opening of this.#openings) {
        if (wanted-- <= 0 || opening.begun + OPENING_PATIENCE_MS > clock.now()) break;
        this.#openings.delete(opening);
        opening.callOff.abort();
      }
      if (this.#gate.waiting > 0) this.#lookForStuck();
    });
  }
}
