/**
 * Domain names and address literals, RFC 5321 4.1.2 and 4.1.3, RFC 6531 for U-labels.
 *
 * Rules
 * 1. A domain is kept as written; `domainKey` is its one form for comparing and for DNS.
 */
import { isAscii } from "../util/bytes.ts";

/** A domain name or an address literal, as written. */
export type Domain = string;

/** RFC 1035 2.3.4: 255 octets on the wire of DNS are 253 characters; RFC 5321 4.5.3.1.2 allows 255 in a command. */
export const DOMAIN_LIMIT = 255;
const LABEL_LIMIT = 63;

const asciiLabel = /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/i;

/** Letters, digits and hyphens, labels parted by single dots; underscores as DNS has them; U-labels in UTF-8. */
export function isDomain(text: string): boolean {
  if (text === "" || text.length > DOMAIN_LIMIT) return false;
  if (isAscii(text)) return isAsciiDomain(text);
  const ascii = toAscii(text);
  // Wide digits become an IPv4 address, which is no domain of anyone's.
  return ascii !== undefined && ascii.length <= DOMAIN_LIMIT && isAsciiDomain(ascii) && !isIPv4(ascii);
}

function isAsciiDomain(text: string): boolean {
  return text.split(".").every((label) => label.length <= LABEL_LIMIT && asciiLabel.test(label));
}

/** `[192.0.2.1]` or `[IPv6:2001:db8::1]`. General address literals (RFC 5321 4.1.3) name no network we could reach. */
export function isAddressLiteral(text: string): boolean {
  return addressOfLiteral(text) !== undefined;
}

/** The IP address inside an address literal. */
export function addressOfLiteral(text: string): string | undefined {
  if (!text.startsWith("[") || !text.endsWith("]")) return undefined;
  const inner = text.slice(1, -1);
  if (isIPv4(inner)) return inner;
  if (/^IPv6:/i.test(inner) && isIPv6(inner.slice(5)) && standsForTwo(inner.slice(5))) return inner.slice(5);
  return undefined;
}

/** The literal for an address: `192.0.2.1` -> `[192.0.2.1]`, `2001:db8::1` -> `[IPv6:2001:db8::1]`. */
export function addressLiteral(address: string): string {
  return address.includes(":") ? `[IPv6:${address}]` : `[${address}]`;
}

/** Lower-case A-labels without a final dot. */
export function domainKey(domain: Domain): string {
  const text = domain.endsWith(".") ? domain.slice(0, -1) : domain;
  return isAscii(text) ? text.toLowerCase() : (toAscii(text) ?? text.toLowerCase());
}

/** The A-label form (UTS 46), or `undefined` where there is none. */
export function toAscii(domain: string): string | undefined {
  if (isAscii(domain)) return domain.toLowerCase();
  if (/[/?#:@\\%\s[\]<>^|]/.test(domain)) return undefined; // would change what the URL parser takes for the host
  try {
    return new URL(`http://${domain}/`).hostname || undefined; // the one IDNA that every runtime has
  } catch {
    return undefined;
  }
}

const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const dotted = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

export function isIPv4(text: string): boolean {
  return dotted.test(text);
}

/** RFC 5321 4.1.3: inside a literal "::" stands for two groups or more (RFC 4291 2.2 lets it stand for one). */
function standsForTwo(address: string): boolean {
  if (!address.includes("::")) return true;
  const groups = address.split(":").filter((group) => group !== "").length + (address.includes(".") ? 1 : 0);
  return groups <= 6;
}

/** An IPv6 address in the forms of RFC 4291 2.2: full, compressed once, or with an IPv4 tail. */
export function isIPv6(text: string): boolean {
  if (text.length > 45) return false;
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groupsOf = (half: string, last: boolean): number => {
    if (half === "") return 0;
    const groups = half.split(":");
    let count = 0;
    for (const [i, group] of groups.entries()) {
      if (last && i === groups.length - 1 && isIPv4(group)) count += 2;
      else if (/^[0-9a-f]{1,4}$/i.test(group)) count += 1;
      else return Number.NaN;
    }
    return count;
  };
  if (halves.length === 1) return groupsOf(text, true) === 8;
  return groupsOf(halves[0] as string, false) + groupsOf(halves[1] as string, true) <= 7;
}
