/**
 * Who signs for which domain.
 *
 * Rules
 * 1. The author's domain decides; a key of a domain signs for what is below it too, and the longest name counts.
 * 2. All keys of a domain sign, or the message is not sent.
 */
import { domainKey } from "../mail/domain.ts";
import type { Canonicalization } from "../message/dkim/canonical-body.ts";
import type { DkimKey } from "../message/dkim/key.ts";
import { DkimSigner } from "../message/dkim/signer.ts";

/** A key of a domain. The forms of a domain's first key are those of all; relaxed where absent. */
export interface DomainKey {
  readonly key: DkimKey;
  readonly headerForm?: Canonicalization;
  readonly bodyForm?: Canonicalization;
}

export class Signers {
  readonly #byDomain = new Map<string, DkimSigner>();

  constructor(keys: readonly DomainKey[]) {
    for (const { key, headerForm, bodyForm } of keys) {
      const { domain } = key;
      if (this.#byDomain.has(domain)) continue;
      const own = keys.flatMap((one) => (one.key.domain === domain ? [one.key] : []));
      const forms = { ...(headerForm === undefined ? {} : { headerForm }), ...(bodyForm === undefined ? {} : { bodyForm }) };
      this.#byDomain.set(domain, new DkimSigner({ keys: own, ...forms }));
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
