/** What the caller decides for the client's side of a session. */
import type { Credentials } from "./sasl/credentials.ts";

export interface ClientSessionOptions {
  /** The name that EHLO gives: a domain or an address literal. */
  readonly name: string;
  readonly protocol: "smtp" | "lmtp";
  /** implicit: the stream is inside TLS already. required: no transaction and no password without it. */
  readonly tls: "implicit" | "required" | "opportunistic" | "none";
  /**
   * whole: EHLO, STARTTLS and AUTH follow the greeting as `tls` and `credentials` have it, up to "ready". stepwise: each is called for by
   * its own method, and answered by "reply".
   */
  readonly opening: "whole" | "stepwise";
  readonly credentials?: Credentials;
  /** Allows a password to be sent outside TLS. Never a default. */
  readonly passwordInClear: boolean;
  /** The server as it was called: OAUTHBEARER says it (RFC 7628 3.1). */
  readonly host: string;
  readonly port: number;
}
