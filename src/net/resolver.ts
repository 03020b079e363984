/**
 * A stub resolver: asks the configured servers, and says what is known apart from what is not.
 *
 * Rules
 * 1. `no-domain` and `no-data` are facts that some server stated. A time-out, SERVFAIL, REFUSED or a lie we saw through is
 *    `failed`: it is never taken for an absence, because mail would be bounced for it.
 * 2. The same question is asked once at a time; answers are kept for their TTL, failures for FAILURE_TTL.
 * 3. A server that answers with a failure is not asked again for that question; one that was silent is, in the next round.
 * 4. Never rejects.
 */
import { getServers } from "node:dns";
import type { MxData, TlsaData } from "dns-packet";
import { domainKey } from "../mail/domain.ts";
import { fromUtf8Lossy } from "../util/bytes.ts";
import { type Clock, seconds, systemClock } from "../util/clock.ts";
import { canonicalAddress, type Endpoint, parseEndpoint, reverseName } from "./address.ts";
import { DnsCache } from "./dns-cache.ts";
import { ALIAS_LIMIT, isAskable, nameKey, type Question, type RecordType, readResponse } from "./dns-message.ts";
import { type AskServer, askServer, DnsError } from "./dns-transport.ts";
import { HostsFile } from "./hosts-file.ts";

export interface MxRecord {
  readonly preference: number;
  /** A-labels in lower case; "" is the null MX of RFC 7505. */
  readonly exchange: string;
}

export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly data: Uint8Array;
}

/** `ttl` is in seconds and counts down while an answer is kept; `authenticated` is the AD bit of the server. */
export type Found<T> = { readonly kind: "found"; readonly records: readonly T[]; readonly authenticated: boolean; readonly ttl: number };

export type Answer<T> =
  | Found<T>
  /** The name exists, without records of this type. */
  | { readonly kind: "no-data" }
  /** The name does not exist. */
  | { readonly kind: "no-domain" }
  /** Nobody could tell: to be tried again later. */
  | { readonly kind: "failed"; readonly why: string };

export type Families = "both" | "ipv4" | "ipv6";

/** Names are taken as written, U-labels too, and asked for as A-labels. */
export interface Resolver {
  mx(domain: string): Promise<Answer<MxRecord>>;
  /** IPv6 addresses first. Found where either family is; an IP address is its own answer; `localhost` is never asked for (RFC 6761 6.3). */
  addresses(host: string, families: Families): Promise<Answer<string>>;
  /** Each record as one text, its strings joined (RFC 7208 3.3). */
  txt(name: string): Promise<Answer<string>>;
  /** The names of an address. */
  ptr(address: string): Promise<Answer<string>>;
  tlsa(name: string): Promise<Answer<TlsaRecord>>;
  /** Calls off what is under way and forgets what is known. Questions after it fail. */
  close(): void;
}

export interface ResolverOptions {
  /** `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`; absent: the system's, and /etc/hosts is honoured. */
  readonly servers?: readonly string[];
  /** For one server in one round, in milliseconds. */
  readonly timeout?: number;
  /** How often each silent server is asked. */
  readonly rounds?: number;
  /** For a question as a whole, in milliseconds. */
  readonly limit?: number;
  readonly clock?: Clock;
  /** Where the names of the system are; used only with the system's servers, or where it is given. */
  readonly hostsFile?: string;
  /** Instead of the network, in tests. */
  readonly ask?: AskServer;
}

/** Questions on the network at the same time; each holds a socket. */
export const OUTSTANDING_LIMIT = 256;
/** Questions that wait for one of those places; more fail at once. */
export const WAITING_LIMIT = 20_000;
/** A failure is repeated from memory for this long, so that a dead server is not flooded. In seconds, as DNS counts. */
const FAILURE_TTL = 5;
/** No answer is kept for longer, in seconds. */
const TTL_LIMIT = 86_400;
const DNS_PORT = 53;

type Raw = Answer<unknown>;

export function createResolver(options: ResolverOptions = {}): Resolver {
  return new StubResolver(options);
}

/** The servers that these texts name; throws a RangeError for one that is no IP address with an optional port. */
export function parseServers(texts: readonly string[]): Endpoint[] {
  return texts.map((text) => {
    const zoned = /^(fe80:[0-9a-f:]*)%[\w.-]+$/i.test(text); // only the system names such a one
    const server = zoned ? { host: text, port: DNS_PORT } : parseEndpoint(text, DNS_PORT);
    if (server === undefined || (!zoned && canonicalAddress(server.host) === undefined)) {
      throw new RangeError(`not an IP address with an optional port: ${text}`);
    }
    return server;
  });
}

class StubResolver implements Resolver {
  readonly #servers: readonly Endpoint[];
  readonly #timeout: number;
  readonly #rounds: number;
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #ask: AskServer;
  readonly #hosts: HostsFile | undefined;
  readonly #cache: DnsCache<Raw>;
  readonly #underWay = new Map<string, Promise<Raw>>();
  readonly #places: Places;
  readonly #stop = new AbortController();
  /** The server that answered last: a dead first one costs its time-out once, not for every question. */
  #preferred = 0;

  constructor(options: ResolverOptions) {
    this.#servers = parseServers(options.servers ?? getServers());
    this.#timeout = options.timeout ?? seconds(2);
    this.#rounds = options.rounds ?? 2;
    this.#limit = options.limit ?? seconds(10);
    this.#clock = options.clock ?? systemClock;
    this.#ask = options.ask ?? askServer;
    const hostsFile = options.hostsFile ?? (options.servers === undefined ? "/etc/hosts" : undefined);
    this.#hosts = hostsFile === undefined ? undefined : new HostsFile(this.#clock, hostsFile);
    this.#cache = new DnsCache(this.#clock);
    this.#places = new Places(OUTSTANDING_LIMIT, WAITING_LIMIT);
  }

  mx(domain: string): Promise<Answer<MxRecord>> {
    return this.#query(domain, "MX", (data) => {
      const { preference, exchange } = data as MxData;
      return { preference: preference ?? 0, exchange: nameKey(exchange) };
    });
  }

  async addresses(host: string, families: Families): Promise<Answer<string>> {
    const literal = canonicalAddress(host);
    if (literal !== undefined) return local([literal], families);
    const name = domainKey(host);
    if (isLocalhost(name)) return local(["::1", "127.0.0.1"], families);
    if (this.#hosts !== undefined) {
      const known = local(await this.#hosts.addresses(name), families);
      if (known.kind === "found") return known;
    }
    if (families === "ipv4") return this.#query(name, "A", addressOf);
    if (families === "ipv6") return this.#query(name, "AAAA", addressOf);
    return eitherFamily(...(await Promise.all([this.#query(name, "AAAA", addressOf), this.#query(name, "A", addressOf)])));
  }

  txt(name: string): Promise<Answer<string>> {
    return this.#query(name, "TXT", (data) => {
      const strings = (Array.isArray(data) ? data : [data]) as (string | Buffer)[];
      return fromUtf8Lossy(Buffer.concat(strings.map((part) => (typeof part === "string" ? Buffer.from(part) : part))));
    });
  }

  async ptr(address: string): Promise<Answer<string>> {
    const name = reverseName(address);
    return name === undefined ? { kind: "no-domain" } : this.#query(name, "PTR", (data) => nameKey(data as string));
  }

  tlsa(name: string): Promise<Answer<TlsaRecord>> {
    return this.#query(name, "TLSA", (data) => {
      const { usage, selector, matchingType, certificate } = data as TlsaData;
      return { usage, selector, matchingType, data: certificate };
    });
  }

  close(): void {
    this.#stop.abort();
    this.#cache.clear();
  }

  async #query<T>(domain: string, type: RecordType, read: (data: unknown) => T): Promise<Answer<T>> {
    const name = domainKey(domain);
    if (isLocalhost(name)) return { kind: "no-data" };
    if (!isAskable(name)) return { kind: "no-domain" };
    const raw = await this.#lookup({ name, type });
    return raw.kind === "found" ? { ...raw, records: raw.records.map(read) } : raw;
  }

  #lookup(question: Question): Raw | Promise<Raw> {
    const key = `${question.type} ${question.name}`;
    const kept = this.#cache.get(key);
    if (kept !== undefined) {
      return kept.value.kind === "found" ? { ...kept.value, ttl: Math.floor(kept.remaining / 1000) } : kept.value;
    }
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const promise = this.#follow(question).then(({ answer, ttl }) => {
      this.#underWay.delete(key);
      if (!this.#stop.signal.aborted) this.#cache.set(key, answer, Math.min(ttl, TTL_LIMIT) * 1000);
      return answer;
    });
    this.#underWay.set(key, promise);
    return promise;
  }

  /** Asks, and asks on where an alias leads out of the answer. */
  async #follow(question: Question): Promise<{ answer: Raw; ttl: number }> {
    const until = this.#clock.now() + this.#limit;
    let authenticated = true;
    let ttl = TTL_LIMIT;
    let name = question.name;
    for (let hops = 0; hops <= ALIAS_LIMIT; hops++) {
      if (!isAskable(name)) return { answer: { kind: "no-domain" }, ttl: Math.min(ttl, FAILURE_TTL) };
      const result = await this.#askServers({ name, type: question.type }, until);
      if (result.kind === "failed") return { answer: { kind: "failed", why: result.why }, ttl: FAILURE_TTL };
      authenticated &&= result.authenticated;
      ttl = Math.min(ttl, result.ttl);
      if (result.kind === "found") return { answer: { kind: "found", records: result.records, authenticated, ttl }, ttl };
      if (result.kind !== "alias") return { answer: { kind: result.kind }, ttl };
      name = result.to;
    }
    return { answer: { kind: "failed", why: `more than ${ALIAS_LIMIT} aliases from ${question.name}` }, ttl: FAILURE_TTL };
  }

  async #askServers(question: Question, until: number) {
    const failed = (why: string) => ({ kind: "failed" as const, why: `${question.type} ${question.name}: ${why}` });
    if (this.#stop.signal.aborted) return failed("the resolver is closed");
    if (!(await this.#places.take())) return failed("too many questions are waiting");
    try {
      let why = "no DNS server";
      const first = this.#preferred;
      const answered = new Set<number>();
      for (let turn = 0; turn < this.#rounds * this.#servers.length; turn++) {
        const index = (first + turn) % this.#servers.length;
        if (answered.has(index)) continue;
        const remaining = until - this.#clock.now();
        if (remaining <= 0) return failed(why === "no DNS server" ? "waited too long for a turn" : why);
        const server = this.#servers[index] as Endpoint;
        try {
          const packet = await this.#ask(server, question, Math.min(this.#timeout, remaining), this.#stop.signal);
          const reading = readResponse(packet, question);
          if (reading.kind !== "failed") {
            this.#preferred = index;
            return { ...reading, authenticated: packet.flag_ad };
          }
          answered.add(index);
          why = `${server.host} answered ${reading.why}`;
        } catch (error) {
          if (!(error instanceof DnsError)) return failed(error instanceof Error ? error.message : String(error));
          why = error.message;
          if (this.#stop.signal.aborted) break;
        }
      }
      return failed(why);
    } finally {
      this.#places.give();
    }
  }
}

/** Places on the network, given in the order asked for. */
class Places {
  readonly #waiting: (() => void)[] = [];
  readonly #waitingLimit: number;
  #head = 0;
  #free: number;

  constructor(places: number, waitingLimit: number) {
    this.#free = places;
    this.#waitingLimit = waitingLimit;
  }

  /** Whether a place was given; at once false where too many wait. */
  async take(): Promise<boolean> {
    if (this.#free > 0) {
      this.#free--;
      return true;
    }
    if (this.#waiting.length - this.#head >= this.#waitingLimit) return false;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return true;
  }

  give(): void {
    if (this.#head === this.#waiting.length) {
      this.#free++;
      return;
    }
    const next = this.#waiting[this.#head++] as () => void;
    if (this.#head >= 1024 && this.#head * 2 >= this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    next();
  }
}

function isLocalhost(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

function addressOf(data: unknown): string {
  return canonicalAddress(data as string) ?? (data as string);
}

function local(addresses: readonly string[], families: Families): Answer<string> {
  const records = addresses.filter((address) => families === "both" || address.includes(":") === (families === "ipv6"));
  return records.length === 0 ? { kind: "no-data" } : { kind: "found", records, authenticated: false, ttl: 60 };
}

/** One family found is enough; an absence counts only where neither failed, and a missing domain only where both say so. */
function eitherFamily(six: Answer<string>, four: Answer<string>): Answer<string> {
  if (six.kind === "found" && four.kind === "found") {
    const authenticated = six.authenticated && four.authenticated;
    return { kind: "found", records: [...six.records, ...four.records], authenticated, ttl: Math.min(six.ttl, four.ttl) };
  }
  if (six.kind === "found") return six;
  if (four.kind === "found") return four;
  if (four.kind === "failed") return four;
  if (six.kind === "failed") return six;
  return six.kind === "no-domain" && four.kind === "no-domain" ? four : { kind: "no-data" };
}
