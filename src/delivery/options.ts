/** What can be set for outgoing mail; every limit of it has its name here. */
import type { Families } from "../net/resolver.ts";
import type { ClientState } from "../protocol/client-states.ts";
import { minutes, seconds } from "../util/clock.ts";
import type { PacingRule } from "./pacing.ts";

export interface DeliveryOptions {
  /** What EHLO says. */
  readonly hostname: string;
  /** The port of recipients' servers. */
  readonly port: number;
  readonly families: Families;
  /** Addresses to come from; each destination keeps to one of each family. Of a family that is not named the system chooses. */
  readonly sources: readonly string[];
  /** Rules ahead of those that are known of large providers. */
  readonly pacing: readonly PacingRule[];
  /** Connections in all at once. */
  readonly maxTotalConnections: number;
  /** Connections to one destination at once. */
  readonly maxConnections: number;
  /** Connections to a destination that has not answered yet; grows by one with each success. */
  readonly initialConnections: number;
  /** Milliseconds for which a destination that cannot be reached is left alone: at first, then twice as long each time, and at most. */
  readonly backOff: { readonly first: number; readonly longest: number };
  /** Messages through one connection. */
  readonly maxMessagesPerConnection: number;
  /** Recipients of one transaction; RFC 5321 4.5.3.1.8 lets every server take 100. */
  readonly maxRecipients: number;
  /** Addresses tried in one attempt. */
  readonly maxAddresses: number;
  /** Milliseconds that a connection without work is kept for the next message. */
  readonly keepIdle: number;
  /** Milliseconds without any progress after which what waits for a destination is handed back. */
  readonly stallAfter: number;
  /** Milliseconds by state of the session; RFC 5321 4.5.3.2 where absent. */
  readonly timeouts: Partial<Readonly<Record<ClientState, number>>>;
}

export const defaultDeliveryOptions: Omit<DeliveryOptions, "hostname"> = {
  port: 25,
  families: "both",
  sources: [],
  pacing: [],
  maxTotalConnections: 500,
  maxConnections: 20,
  initialConnections: 5,
  backOff: { first: seconds(5), longest: minutes(15) },
  maxMessagesPerConnection: 1000,
  maxRecipients: 100,
  maxAddresses: 5,
  keepIdle: seconds(5),
  stallAfter: seconds(5),
  timeouts: {},
};
