/** How a connection is opened, and what goes through it. */

import type { ClientState } from "../protocol/client-states.ts";
import type { TransactionOptions } from "../protocol/client-transaction.ts";
import type { Dial } from "../util/byte-stream.ts";
import type { Clock } from "../util/clock.ts";
import type { Credentials } from "./credentials.ts";

export type TlsMode = "implicit" | "required" | "opportunistic" | "none";

export interface ConnectionOptions {
  /** An IP address, a name for the system to resolve, or the path of a unix socket, which begins with "/". */
  readonly host: string;
  readonly port: number;
  /** What EHLO says: a domain or an address literal. */
  readonly name: string;
  readonly protocol?: "smtp" | "lmtp";
  readonly tls: TlsMode;
  /** The name that the certificate must bear; `host` where absent. */
  readonly tlsName?: string;
  /** Checks the certificate; true where absent, but for opportunistic TLS. */
  readonly verify?: boolean;
  /** PEM certificates to trust instead of the system's. */
  readonly authorities?: string;
  /** The client's own certificate and its key, PEM: for EXTERNAL, or where the server asks for one. */
  readonly certificate?: { readonly chain: string; readonly key: string };
  readonly credentials?: Credentials;
  /** Sends the password even outside TLS. */
  readonly passwordInClear?: boolean;
  readonly localAddress?: string;
  /** Milliseconds by state; those of RFC 5321 4.5.3.2 where absent. */
  readonly timeouts?: Timeouts;
  readonly dial: Dial;
  readonly clock?: Clock;
  /** Ends the connection, also while it is being opened. */
  readonly signal?: AbortSignal;
  /** The connection is gone; called once, unless `open` or `start` rejected. */
  readonly onClosed?: () => void;
}

/** Milliseconds by what is waited for. */
export type Timeouts = Partial<Readonly<Record<ClientState, number>>>;

export interface SendHow extends Pick<TransactionOptions, "mailParameters" | "rcptParameters"> {
  /** DATA where absent. */
  readonly via?: "DATA" | "BDAT";
  /** Hears how many octets of the content have been handed over. */
  readonly progress?: (sent: number) => void;
  /** Asked right before the content is complete; false: it must not be, and the connection is closed instead. */
  readonly mayEnd?: () => boolean;
}
