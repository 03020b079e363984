import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, MxRecord, Resolver } from "../net/resolver.ts";
import { type HostsOptions, hostsOf } from "./hosts.ts";
import { type SiteOptions, siteOf } from "./site.ts";

type Zone = Readonly<Record<string, { mx?: Answer<MxRecord>; addresses?: Answer<string> }>>;

function found<T>(...records: T[]): Answer<T> {
  return { kind: "found", records, authenticated: false, ttl: 60 };
}

const mx = (preference: number, exchange: string): MxRecord => ({ preference, exchange });

function options(zone: Zone): HostsOptions & SiteOptions {
  const resolver = {
    mx: async (domain: string) => zone[domain]?.mx ?? { kind: "no-data" },
    addresses: async (host: string) => zone[host]?.addresses ?? (/^[\d.]+$/.test(host) ? found(host) : { kind: "no-domain" }),
  } as unknown as Resolver;
  return {
    resolver,
    families: "both",
    port: 25,
    isOwnName: (name) => name === "me.test",
    isOwnEndpoint: (address) => address === "192.0.2.99",
    random: () => 0.5,
  };
}

async function names(domain: string, zone: Zone): Promise<string> {
  const site = await siteOf({ kind: "mx" }, domain, options(zone));
  const hosts = site.kind === "none" ? site : await hostsOf(site, options(zone));
  if (hosts.kind === "none") return `${hosts.outcome.action} ${hosts.outcome.status}`;
  return hosts.hosts.flatMap(({ name, addresses }) => addresses.map((address) => `${name}[${address}]`)).join(" ");
}

const a: Answer<string> = found("192.0.2.1");
const b: Answer<string> = found("2001:db8::2", "192.0.2.2");

describe("the hosts of a domain (RFC 5321 5.1)", () => {
  const cases: readonly (readonly [string, Zone, string])[] = [
    [
      "MX by preference, both families",
      { "d.test": { mx: found(mx(20, "b.test"), mx(10, "a.test")) }, "a.test": { addresses: a }, "b.test": { addresses: b } },
      "a.test[192.0.2.1] b.test[2001:db8::2] b.test[192.0.2.2]",
    ],
    ["no MX: the domain itself", { "d.test": { addresses: a } }, "d.test[192.0.2.1]"],
    ["null MX (RFC 7505)", { "d.test": { mx: found(mx(0, "")), addresses: a } }, "failed 5.1.10"],
    ["a domain that does not exist", { "d.test": { mx: { kind: "no-domain" } } }, "failed 5.1.2"],
    ["DNS that does not answer", { "d.test": { mx: { kind: "failed", why: "SERVFAIL" } } }, "delayed 4.4.3"],
    [
      "an MX without an address beside one with",
      { "d.test": { mx: found(mx(5, "none.test"), mx(10, "a.test")) }, "a.test": { addresses: a } },
      "a.test[192.0.2.1]",
    ],
    ["no MX has an address", { "d.test": { mx: found(mx(5, "none.test")) } }, "failed 5.4.4"],
    [
      "the address of an MX is not to be had",
      { "d.test": { mx: found(mx(5, "a.test")) }, "a.test": { addresses: { kind: "failed", why: "time-out" } } },
      "delayed 4.4.3",
    ],
    [
      "ourselves among the MX: only what is preferred to us",
      {
        "d.test": { mx: found(mx(5, "a.test"), mx(10, "me.test"), mx(20, "b.test")) },
        "a.test": { addresses: a },
        "b.test": { addresses: b },
      },
      "a.test[192.0.2.1]",
    ],
    [
      "ourselves as the best MX",
      { "d.test": { mx: found(mx(5, "me.test"), mx(10, "a.test")) }, "a.test": { addresses: a } },
      "failed 5.4.6",
    ],
    [
      "ourselves by address",
      { "d.test": { mx: found(mx(5, "other.test")) }, "other.test": { addresses: found("192.0.2.99") } },
      "failed 5.4.6",
    ],
    ["an address literal", {}, "192.0.2.7[192.0.2.7]"],
  ];
  for (const [title, zone, expected] of cases) {
    it(title, async () => {
      assert.equal(await names(title === "an address literal" ? "[192.0.2.7]" : "d.test", zone), expected);
    });
  }
});
