/** Networks of IP addresses, as an operator names them: `192.0.2.0/24`, `2001:db8::/32`, or one address. */
import { type IpAddress, inPrefix, parseIp } from "./ip.ts";

export interface Network {
  readonly address: IpAddress;
  /** Bits that count. */
  readonly length: number;
}

/** `undefined` where the text is none. */
export function parseNetwork(text: string): Network | undefined {
  const [, base = "", bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseIp(base);
  if (address === undefined) return undefined;
  const most = address.family === 4 ? 32 : 128;
  const length = bits === undefined ? most : Number(bits);
  return length > most ? undefined : { address, length };
}

/** Whether one of the networks has the address. An address that is none is in none. */
export function isInNetworks(address: string, networks: readonly Network[]): boolean {
  if (networks.length === 0) return false;
  const ip = parseIp(address);
  return ip !== undefined && networks.some((network) => inPrefix(ip.groups, network.address.groups, network.length));
}
