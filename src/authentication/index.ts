/**
 * Checks on messages that ask DNS (issue 5): SPF, DMARC and iprev, what they found as Authentication-Results, and what is done about it.
 *
 * How they fit together, for a message from port 25
 * 1. `dnsOf(resolver)` once; then SPF, iprev and DKIM at the same time, each inside `settle`.
 * 2. `checkDmarc({ author: authorOf(section), spf, dkim: dkimIdentifiers(dkim.results) }, dns)`, inside `settle` as well.
 * 3. `verdict(findings, settings)`: accept, quarantine, reject or defer, with the reply for the peer and the reason for the operator.
 * 4. `withoutForged(section, ids)` takes out fields that bear our name; `authenticationResultsField` writes ours in front, and
 *    `quarantineField` where the verdict says so. Received-SPF is not written: RFC 8601 serves.
 */

export { BLOCK_LIST_LIMIT, listedBy } from "./block-list.ts";
export * from "./dmarc/index.ts";
export { type CheckDns, type DnsAnswer, dnsOf, type MailExchanger } from "./dns.ts";
export { checkIprev, type IprevResult } from "./iprev.ts";
export { isInNetworks, type Network, parseNetwork } from "./network.ts";
export { QUARANTINE_FIELD, quarantineField } from "./policy/quarantine.ts";
export {
  type AuthenticationSettings,
  type CheckSettings,
  defaultAuthenticationSettings,
  defaultCheckSettings,
  type Knowledge,
  settingsFor,
} from "./policy/settings.ts";
export { settle } from "./policy/settle.ts";
export { type ArcFinding, type Checked, type Findings, type PolicyOverride, type Verdict, verdict } from "./policy/verdict.ts";
export * from "./reports/index.ts";
export { type Cleaned, forgedResults, withoutForged } from "./results/forged.ts";
export {
  type ArcMethodFacts,
  arcMethod,
  type DkimMethodFacts,
  dkimMethods,
  dmarcMethod,
  iprevMethod,
  spfMethod,
} from "./results/methods.ts";
export {
  claimedAuthservId,
  type ParsedArcResults,
  type ParsedResults,
  parseArcAuthenticationResults,
  parseAuthenticationResults,
} from "./results/parse.ts";
export type { AuthenticationResults, MethodResult, ResultProperty } from "./results/results.ts";
export { authenticationResultsField, authenticationResultsText, unfoldedResults } from "./results/write.ts";
export { arcFacts, arcFinding, dkimFacts, dkimIdentifiers } from "./signatures.ts";
export { checkSpf, type SpfOptions, type SpfQuestion, type SpfResult, type SpfVerdict } from "./spf/check.ts";
export { isSpfRecord, parseSpfRecord, type SpfRecord } from "./spf/record.ts";
export { Srs, type SrsOptions, type SrsReversed } from "./srs.ts";
export type { Step } from "./step.ts";
