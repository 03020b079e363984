/**
 * The sites of domains, remembered for a moment: every message asks.
 *
 * Rules
 * 1. A domain is looked up once at a time, and what waits for a slow answer waits for its own domain alone.
 * 2. What is known is asked again after LIFETIME_MS; the resolver keeps to the TTL of DNS.
 */
import { domainKey } from "../mail/domain.ts";
import { type Clock, seconds } from "../util/clock.ts";
import { type NoSite, type RemoteHop, type Site, type SiteOptions, siteOf } from "./site.ts";

const LIFETIME_MS = seconds(30);
const FAILURE_LIFETIME_MS = seconds(5);
/** Domains that are remembered; beyond it the oldest are forgotten. */
const SITES_LIMIT = 20_000;

interface Known {
  readonly site: Site | NoSite;
  readonly until: number;
}

export class Sites {
  readonly #options: SiteOptions;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  readonly #underWay = new Map<string, Promise<Site | NoSite>>();

  constructor(options: SiteOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** At once where it is known. Never rejects. */
  find(hop: RemoteHop, domain: string): Site | NoSite | Promise<Site | NoSite> {
    if (hop.kind === "host") return siteOf(hop, domain, this.#options);
    const key = domainKey(domain);
    const known = this.#known.get(key);
    if (known !== undefined && known.until > this.#clock.now()) return known.site;
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const site = siteOf(hop, domain, this.#options);
    if (!(site instanceof Promise)) return site;
    const found = site.then((each) => this.#keep(key, each));
    this.#underWay.set(key, found);
    return found;
  }

  #keep(key: string, site: Site | NoSite): Site | NoSite {
    this.#underWay.delete(key);
    this.#known.delete(key);
    const lifetime = site.kind === "none" ? FAILURE_LIFETIME_MS : LIFETIME_MS;
    this.#known.set(key, { site, until: this.#clock.now() + lifetime });
    if (this.#known.size > SITES_LIMIT) for (const oldest of this.#known.keys()) if (this.#known.delete(oldest)) break;
    return site;
  }
}
