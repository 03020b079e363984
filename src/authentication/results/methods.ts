/**
 * What the checks found, as results for the header (RFC 8601 2.7, 3; RFC 9989 9.1; RFC 8617 10.1).
 *
 * Rules
 * 1. A pass needs no reason; everything else says in words why it is so.
 * 2. An address whose local part is not ASCII is named by its domain.
 */
import { isAscii } from "../../util/bytes.ts";
import type { DmarcResult } from "../dmarc/check.ts";
import type { IprevResult } from "../iprev.ts";
import type { SpfResult } from "../spf/check.ts";
import { type MethodResult, property, type ResultProperty } from "./results.ts";

const reasonOf = (result: string, why: string): { readonly reason?: string } => (result === "pass" ? {} : { reason: why });

export function spfMethod(spf: SpfResult): MethodResult {
  const sender = isAscii(spf.sender) ? spf.sender : spf.domain;
  const checked = spf.identity === "helo" ? property("smtp", "helo", spf.domain) : property("smtp", "mailfrom", sender);
  return { method: "spf", result: spf.result, ...reasonOf(spf.result, spf.why), properties: [checked] };
}

export interface DkimMethodFacts {
  readonly result: string;
  readonly reason: string;
  readonly domain?: string | undefined;
  readonly selector?: string | undefined;
  /** `rsa-sha256`, `ed25519-sha256`. */
  readonly algorithm?: string | undefined;
  /** The `i` tag. */
  readonly identity?: string | undefined;
  /** The `b` tag without spaces: its first eight characters tell signatures apart (RFC 6008). */
  readonly signature?: string | undefined;
}

/** One result for each signature; `none` where there is no signature. */
export function dkimMethods(signatures: readonly DkimMethodFacts[]): MethodResult[] {
  if (signatures.length === 0) return [{ method: "dkim", result: "none", properties: [] }];
  return signatures.map(({ result, reason, domain, selector, algorithm, identity, signature }) => {
    const properties: ResultProperty[] = [];
    const add = (name: string, value: string | undefined): void => {
      if (value !== undefined && value !== "") properties.push(property("header", name, value));
    };
    add("d", domain);
    if (identity !== undefined && identity !== `@${domain}`) add("i", isAscii(identity) ? identity : undefined);
    add("s", selector);
    add("a", algorithm);
    add("b", signature?.slice(0, 8));
    return { method: "dkim", result, ...reasonOf(result, reason), properties };
  });
}

export function dmarcMethod(dmarc: DmarcResult): MethodResult {
  const properties: ResultProperty[] = [];
  if (dmarc.author !== undefined) properties.push(property("header", "from", dmarc.author));
  const evaluated = dmarc.result === "pass" || dmarc.result === "fail";
  if (evaluated && dmarc.requested !== undefined) properties.push(property("policy", "dmarc", dmarc.requested));
  return { method: "dmarc", result: dmarc.result, ...reasonOf(dmarc.result, dmarc.why), properties };
}

export function iprevMethod(iprev: IprevResult): MethodResult {
  const properties = [property("policy", "iprev", iprev.address)];
  return { method: "iprev", result: iprev.result, ...reasonOf(iprev.result, iprev.why), properties };
}

export interface ArcMethodFacts {
  readonly result: string;
  readonly reason: string;
  /** RFC 8617 5.2, step 5. */
  readonly oldestPass?: number | undefined;
  /** The peer's address. */
  readonly remote?: string | undefined;
}

export function arcMethod({ result, reason, oldestPass, remote }: ArcMethodFacts): MethodResult {
  const properties: ResultProperty[] = [];
  if (oldestPass !== undefined) properties.push(property("header", "oldest-pass", String(oldestPass)));
  if (remote !== undefined) properties.push(property("smtp", "remote-ip", remote));
  return { method: "arc", result, ...(result === "none" ? {} : reasonOf(result, reason)), properties };
}
