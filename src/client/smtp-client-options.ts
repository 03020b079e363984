/** How a step-by-step client connects, and what it is given to send. */
import type { Reply } from "../mail/reply.ts";
import type { Dial } from "../util/byte-stream.ts";
import type { Timeouts } from "./connection-options.ts";
import type { TranscriptLine } from "./transcript.ts";
import type { TransferInput } from "./transfer-input.ts";

export interface TlsSettings {
  /** The name that the certificate must bear; the host where absent. */
  readonly name?: string;
  /** False takes any certificate: who listens on the way can then read all. */
  readonly verify?: boolean;
  /** PEM certificates to trust instead of the system's. */
  readonly authorities?: string;
  /** The client's own certificate and its key, PEM. */
  readonly certificate?: { readonly chain: string; readonly key: string };
}

export interface SmtpClientOptions {
  readonly dial: Dial;
  /** `host`, `host:port` or `[::1]:port`; for LMTP also the path of a unix socket. */
  readonly host?: string;
  readonly port?: number;
  /** TLS from the first byte (SMTPS). */
  readonly implicitTls?: boolean;
  readonly tls?: TlsSettings;
  readonly protocol?: "smtp" | "lmtp";
  /** What EHLO says; `[127.0.0.1]` where absent. */
  readonly localHostname?: string;
  /** The address to come from. */
  readonly sourceAddress?: string;
  /** Milliseconds for every answer; those of RFC 5321 4.5.3.2 where absent. */
  readonly timeout?: number;
  /** Milliseconds by phase, before `timeout`. */
  readonly timeouts?: Timeouts;
  /** Lets a password go outside TLS. */
  readonly passwordInClear?: boolean;
  /** Hears the dialogue, credentials redacted. */
  readonly transcript?: (line: TranscriptLine) => void;
  readonly signal?: AbortSignal;
}

export interface SendMailOptions extends TransferInput {
  /** Parameters of MAIL, such as "RET=HDRS" or "SMTPUTF8". */
  readonly mailOptions?: readonly string[];
  /** Parameters of each RCPT, such as "NOTIFY=NEVER". */
  readonly rcptOptions?: readonly string[];
  /** Hears how many octets have been handed over. */
  readonly progress?: (sent: number) => void;
}

/** The recipients that were refused, each with the reply it got; empty where all were taken. */
export type Refused = ReadonlyMap<string, Reply>;
