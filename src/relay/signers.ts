/**
 * Who signs for which domain.
 *
 * Rules
 * 1. The author's domain decides; a key of a domain signs for what is below it too, and the longest name counts.
 * 2. All keys of a domain sign, or the message is not sent.
 */
import { domainKey } from "../mail/domain.ts";
import type { DkimKey } from "../message/dkim/key.ts";
import { DkimSigner } from "../message/dkim/signer.ts";

export class Signers {
  readonly #byDomain = new Map<string, DkimSigner>();

  constructor(keys: readonly DkimKey[]) {
    for (const { domain } of keys) {
      if (this.#byDomain.has(domain)) continue;
      this.#byDomain.set(domain, new DkimSigner({ keys: keys.filter((key) => key.domain === domain) }));
    }
  }

  /** Absent where there is no key for the domain. */
  for(domain: string): DkimSigner | undefined {
    if (this.#byDomain.size === 0) return undefined;
    for (let name = domainKey(domain); name !== ""; name = name.includes(".") ? name.slice(name.indexOf(".") + 1) : "") {
      const signer = this.#byDomain.get(name);
      if (signer !== undefined) return signer;
    }
    return undefined;
  }
}
