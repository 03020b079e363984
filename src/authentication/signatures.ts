/**
 * What DKIM and ARC found (`dkim.ts`), in the forms that DMARC, the header and the policy take.
 *
 * Rules
 * 1. Nothing is judged here again.
 * 2. What a sealer saw is its set's ARC-Authentication-Results: believed only where the chain passes and the sealer is trusted (`policy/`).
 */
import type { ArcChain } from "../message/dkim/arc-set.ts";
import type { ArcResult } from "../message/dkim/arc-verify.ts";
import { fieldText } from "../message/header-section.ts";
import type { DkimResult } from "./dkim.ts";
import type { DkimIdentifier } from "./dmarc/index.ts";
import type { ArcFinding } from "./policy/verdict.ts";
import type { ArcMethodFacts, DkimMethodFacts } from "./results/methods.ts";
import { parseArcAuthenticationResults } from "./results/parse.ts";

/** What of a signature's result is used. */
export type FoundSignature = Pick<DkimResult, "verdict" | "reason" | "domain" | "selector" | "algorithm"> & {
  readonly signature: Pick<NonNullable<DkimResult["signature"]>, "identity" | "signatureText"> | undefined;
};

export function dkimIdentifiers(results: readonly FoundSignature[]): DkimIdentifier[] {
  return results.map(({ verdict, domain, selector }) => ({ result: verdict, domain, selector }));
}

export function dkimFacts(results: readonly FoundSignature[]): DkimMethodFacts[] {
  return results.map(({ verdict, reason, domain, selector, algorithm, signature }) => ({
    result: verdict,
    reason,
    domain,
    selector,
    algorithm,
    identity: signature?.identity,
    signature: signature?.signatureText,
  }));
}

/** `remote`: the peer's address. */
export function arcFacts({ verdict, reason, oldestPass }: ArcResult, remote: string): ArcMethodFacts {
  return { result: verdict, reason, oldestPass, remote: verdict === "none" ? undefined : remote };
}

/** `chain` is the message's own, whose sets hold what each sealer saw. */
export function arcFinding(arc: ArcResult, chain: ArcChain): ArcFinding {
  const sets = chain.kind === "sets" ? chain.sets : [];
  return {
    result: arc.verdict,
    sets: arc.sets.map(({ instance, domain }) => {
      const field = sets.find((set) => set.instance === instance)?.results;
      const parsed = field === undefined ? undefined : parseArcAuthenticationResults(fieldText(field));
      const dmarc = parsed?.ok === true ? parsed.results.methods.find(({ method }) => method === "dmarc")?.result : undefined;
      return { sealer: domain?.toLowerCase(), dmarc };
    }),
  };
}
