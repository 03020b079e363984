/** What the caller decides for the client's side of a session. */
import type { PasswordCredentials } from "./sasl/choose.ts";

export interface ClientSessionOptions {
  /** The name that EHLO gives: a domain or an address literal. */
  readonly name: string;
  readonly protocol: "smtp" | "lmtp";
  /** implicit: the stream is inside TLS already. required: no transaction and no password without it. */
  readonly tls: "implicit" | "required" | "opportunistic" | "none";
  readonly credentials?: PasswordCredentials;
  /** Allows a password to be sent outside TLS. Never a default. */
  readonly passwordInClear: boolean;
}
