/** What can be set for a server; every limit of it has its name here. */
import type { ListenerKind } from "../mail/event.ts";
import type { Endpoint } from "../net/address.ts";
import { defaultLeniencies, type PathLeniencies } from "../protocol/path.ts";
import { days, minutes, seconds } from "../util/clock.ts";

/** What becomes of a CR or LF that is no part of a CRLF, in content that was not declared binary. */
export type BareLineEnds = "refuse" | "convert" | "keep";

export interface ListenAt {
  readonly kind: ListenerKind;
  readonly endpoint: Endpoint;
}

export interface ServerOptions {
  /** Our name in the greeting, in EHLO and in Received. */
  readonly hostname: string;
  /** Octets of content. */
  readonly maxSize: number;
  /** Recipients of one transaction. */
  readonly maxRecipients: number;
  /** Protocol errors of a session without a message accepted. */
  readonly maxErrors: number;
  readonly maxAuthenticationFailures: number;
  /** Received fields that a message may have: more is a loop (RFC 5321 6.3). */
  readonly maxReceived: number;
  /** Connections at once. */
  readonly maxConnections: number;
  /** Connections at once from one address (IPv6: from one /64). */
  readonly maxConnectionsPerAddress: number;
  /** Milliseconds without a byte from the peer (RFC 5321 4.5.3.2.7: at least five minutes). */
  readonly idleTimeout: number;
  /** Milliseconds for a TLS handshake. */
  readonly handshakeTimeout: number;
  /** Milliseconds between accepting a connection on 25 and the greeting; who speaks before it is refused. */
  readonly greetingDelay: number;
  /** Leaves the submitter's address out of Received. */
  readonly hideSubmitter: boolean;
  readonly bareLineEnds: Readonly<Record<"submission" | "smtp", BareLineEnds>>;
  readonly leniencies: PathLeniencies;
  /** Milliseconds that an account may have a message held (FUTURERELEASE); 0: it is not offered. */
  readonly maxHold: number;
  /** The highest MT-PRIORITY that an account gets; a higher one is lowered. */
  readonly maxPriority: number;
  /** Seconds: the least BY time that may be asked for with mode R. */
  readonly minDeliverBy: number;
}

export const defaultServerOptions: Omit<ServerOptions, "hostname"> = {
  maxSize: 35_882_577,
  maxRecipients: 1000,
  maxErrors: 20,
  maxAuthenticationFailures: 5,
  maxReceived: 100,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 200,
  idleTimeout: minutes(5),
  handshakeTimeout: seconds(60),
  greetingDelay: 0,
  hideSubmitter: false,
  bareLineEnds: { submission: "convert", smtp: "refuse" },
  leniencies: defaultLeniencies,
  maxHold: days(30),
  maxPriority: 4,
  minDeliverBy: 0,
};
