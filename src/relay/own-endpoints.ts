/** Where we ourselves listen, so that no mail is sent in a circle (RFC 5321 5.1). */
import { networkInterfaces } from "node:os";
import { canonicalAddress, isLoopback, isUnspecified } from "../net/address.ts";

export interface OwnEndpoint {
  readonly host: string;
  readonly port: number;
}

/** Whether one of these listens at the address and port. */
export function isOneOf(own: readonly OwnEndpoint[], address: string, port: number): boolean {
  return own.some(
    (at) => at.port === port && (canonicalAddress(at.host) === canonicalAddress(address) || (isUnspecified(at.host) && isMine(address))),
  );
}

function isMine(address: string): boolean {
  if (isLoopback(address)) return true;
  const wanted = canonicalAddress(address);
  return Object.values(networkInterfaces()).some((list) => list?.some((each) => canonicalAddress(each.address) === wanted));
}
