/**
 * A limit on the time of a whole check, whatever the single questions take.
 *
 * Rules
 * 1. Once the time is over every question fails at once, in words; what is under way is left to the resolver, and not waited for.
 * 2. One timer a check; it is called off with `end`.
 */
import type { Clock } from "../util/clock.ts";
import type { CheckDns, DnsAnswer } from "./dns.ts";

export interface TimeLimited {
  readonly dns: CheckDns;
  /** Whether the time is over. */
  readonly over: () => boolean;
  /** Calls the timer off. */
  readonly end: () => void;
}

/** The same DNS, of which every question fails after `ms`. */
export function limitTime(dns: CheckDns, ms: number, clock: Clock): TimeLimited {
  let over = false;
  let expire: (answer: { kind: "failed"; why: string }) => void = () => {};
  const expired = new Promise<{ kind: "failed"; why: string }>((resolve) => {
    expire = resolve;
  });
  const stop = clock.after(ms, () => {
    over = true;
    expire({ kind: "failed", why: `the check took longer than ${ms / 1000} s` });
  });
  const within = <T>(ask: () => Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> => (over ? expired : Promise.race([ask(), expired]));
  return {
    dns: {
      txt: (name) => within(() => dns.txt(name)),
      a: (name) => within(() => dns.a(name)),
      aaaa: (name) => within(() => dns.aaaa(name)),
      mx: (name) => within(() => dns.mx(name)),
      ptr: (address) => within(() => dns.ptr(address)),
    },
    over: () => over,
    end: stop,
  };
}
