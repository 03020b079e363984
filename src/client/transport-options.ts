/** What can be set for a transport; a URL says the most of it. */
import type { Content } from "../mail/content.ts";
import type { Draft } from "../message/draft.ts";
import type { Dial } from "../util/byte-stream.ts";
import type { Clock } from "../util/clock.ts";
import type { Timeouts, TlsMode } from "./connection-options.ts";
import type { Credentials } from "./credentials.ts";
import type { MxLookup } from "./mx.ts";
import type { PoolOptions } from "./pool.ts";
import type { RateLimitOptions } from "./rate-limit.ts";
import type { RetryOptions } from "./retry.ts";
import type { TlsSettings } from "./smtp-client-options.ts";
import type { TranscriptLine } from "./transcript.ts";

export interface TransportOptions {
  /** The server to submit to; or `direct`. */
  readonly host?: string;
  /** 587 where absent, 465 with implicit TLS, 2003 with LMTP. */
  readonly port?: number;
  /** Instead of a server: to each recipient's own, by MX, on port 25. TLS is then opportunistic unless `tlsMode` says more. */
  readonly direct?: boolean;
  readonly protocol?: "smtp" | "lmtp";
  /** "required" (STARTTLS), or "implicit" on port 465, where absent; loopback and unix sockets are no exception. */
  readonly tlsMode?: TlsMode;
  readonly tls?: TlsSettings;
  readonly auth?: Credentials;
  /** Lets a password go outside TLS. */
  readonly passwordInClear?: boolean;
  /** What EHLO says: a domain or an address literal; "[127.0.0.1]" where absent. */
  readonly name?: string;
  /** The address to come from. */
  readonly sourceAddress?: string;
  readonly pool?: Partial<PoolOptions>;
  readonly rate?: RateLimitOptions;
  /** Further attempts on 4xx and lost connections; false: none. */
  readonly retry?: Partial<RetryOptions> | false;
  /** Milliseconds by phase; 30 s to connect, 5 min for most others where absent (RFC 5321 4.5.3.2). */
  readonly timeouts?: Timeouts;
  /** Fields of every message that does not set them. */
  readonly defaults?: Partial<Draft>;
  /**
   * offered: parts are written as 8 bit or binary where the server offers it. portable: always in ASCII, so that nobody on the way has to
   * change it. Where absent: offered, and portable where the message is signed.
   */
  readonly encoding?: "offered" | "portable";
  /** Signs each message: gives the content with the signature in front. What it throws fails the message: nothing goes unsigned. */
  readonly sign?: (content: Content) => Content | Promise<Content>;
  /** Hears each connection's dialogue, credentials redacted. */
  readonly transcript?: (line: TranscriptLine) => void;
  readonly dial: Dial;
  /** For `direct`. */
  readonly lookUp?: MxLookup;
  readonly clock?: Clock;
}
