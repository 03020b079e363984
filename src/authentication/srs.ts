/**
 * The Sender Rewriting Scheme: forwarded mail gets a reverse-path of our own, so that SPF passes for it, and a bounce finds its way back.
 *
 * Rules
 * 1. `SRS0=hash=day=host=user@ours`; what comes rewritten already gets `SRS1=hash=host==rest@ours`, so that it never grows longer than that.
 * 2. Only what was made here with our secret, and not long ago, is taken back: nobody relays through us with it.
 * 3. Hashes and days are compared without case: some hosts change it.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { domainKey } from "../mail/domain.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { parseMailbox } from "../mail/mailbox.ts";

export interface SrsOptions {
  /** Octets that nobody can foretell. */
  readonly secret: Uint8Array;
  /** Where bounces come back to: its MX leads here. */
  readonly domain: string;
  /** Days that an address can be answered; 21 by default. */
  readonly lifetime?: number;
}

export type SrsReversed =
  | { readonly kind: "mailbox"; readonly mailbox: Mailbox }
  /** It looks like one of ours and is not to be believed; `why` is a sentence without its full stop. */
  | { readonly kind: "refused"; readonly why: string };

const LIFETIME_DAYS = 21;
const DAY_MS = 86_400_000;
/** The day is written in two digits of base 32. */
const DAYS = 1024;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** Characters of a hash, of six bits each. */
const HASH_LENGTH = 6;

export class Srs {
  readonly domain: string;
  readonly #secret: Uint8Array;
  readonly #lifetime: number;

  constructor({ secret, domain, lifetime = LIFETIME_DAYS }: SrsOptions) {
    this.#secret = secret;
    this.domain = domainKey(domain);
    this.#lifetime = lifetime;
  }

  /** Whether the address has the form, at our domain. */
  isRewritten({ localPart, domain }: Mailbox): boolean {
    return domainKey(domain) === this.domain && /^SRS[01][=+-]/i.test(localPart);
  }

  /** `undefined` where the address cannot be written so: a quoted local part. */
  rewrite(sender: Mailbox, now: number): Mailbox | undefined {
    const { localPart, domain } = sender;
    if (localPart.startsWith('"')) return undefined;
    const before = /^SRS([01])[=+-](.*)$/i.exec(localPart);
    if (before === null) {
      const day = dayText(now);
      const rest = `${day}=${domain}=${localPart}`;
      return this.#address(`SRS0=${this.#hash(rest)}=${rest}`);
    }
    const [, kind, inner = ""] = before;
    if (kind === "0") return this.#again(domain, inner);
    // hash=host==rest: the first host stays, for it is the one that can reverse the rest.
    const parts = /^[^=]*=([^=]+)==(.*)$/.exec(inner);
    return parts === null ? this.#again(domain, inner) : this.#again(parts[1] as string, parts[2] as string);
  }

  reverse(mailbox: Mailbox, now: number): SrsReversed {
    const [, kind, inner = ""] = /^SRS([01])[=+-](.*)$/i.exec(mailbox.localPart) ?? [];
    return kind === "1" ? this.#reverseAgain(inner) : this.#reverseFirst(inner, now);
  }

  #again(host: string, rest: string): Mailbox | undefined {
    return this.#address(`SRS1=${this.#hash(`${host}==${rest}`)}=${host}==${rest}`);
  }

  #reverseFirst(inner: string, now: number): SrsReversed {
    const parts = /^([^=]+)=([A-Za-z2-7]{2})=([^=]+)=(.+)$/.exec(inner);
    if (parts === null) return refused("it is not of the form SRS0=hash=day=host=user");
    const [, hash = "", day = "", host = "", user = ""] = parts;
    if (!this.#matches(hash, `${day}=${host}=${user}`)) return refused("it was not made here, or was changed");
    const age = (Math.floor(now / DAY_MS) - dayNumber(day) + 2 * DAYS) % DAYS;
    if (age > this.#lifetime) return refused(`it is older than ${this.#lifetime} days`);
    return found(`${user}@${host}`);
  }

  #reverseAgain(inner: string): SrsReversed {
    const parts = /^([^=]+)=([^=]+)==(.+)$/.exec(inner);
    if (parts === null) return refused("it is not of the form SRS1=hash=host==rest");
    const [, hash = "", host = "", rest = ""] = parts;
    if (!this.#matches(hash, `${host}==${rest}`)) return refused("it was not made here, or was changed");
    return found(`SRS0=${rest}@${host}`);
  }

  #address(localPart: string): Mailbox | undefined {
    return parseMailbox(`${localPart}@${this.domain}`);
  }

  #hash(text: string): string {
    return createHmac("sha256", this.#secret).update(text.toLowerCase()).digest("base64").replace(/[+/]/g, "x").slice(0, HASH_LENGTH);
  }

  #matches(given: string, text: string): boolean {
    const [a, b] = [given, this.#hash(text)].map((hash) => Buffer.from(hash.toLowerCase())) as [Buffer, Buffer];
    return a.length === b.length && timingSafeEqual(a, b);
  }
}

function refused(why: string): SrsReversed {
  return { kind: "refused", why };
}

function found(address: string): SrsReversed {
  const mailbox = parseMailbox(address);
  return mailbox === undefined ? refused("there is no address in it") : { kind: "mailbox", mailbox };
}

function dayText(now: number): string {
  const day = Math.floor(now / DAY_MS) % DAYS;
  return `${BASE32[day >> 5]}${BASE32[day & 31]}`;
}

function dayNumber(text: string): number {
  const [high = "", low = ""] = text.toUpperCase();
  return BASE32.indexOf(high) * 32 + BASE32.indexOf(low);
}
