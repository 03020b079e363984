/** As whom a client's session logs in. */
import type { ClientMechanism } from "./mechanism.ts";

export interface Credentials {
  readonly user: string;
  readonly password?: string;
  /** A bearer token is there to be asked for (the question "token"): OAUTHBEARER and XOAUTH2. */
  readonly bearer?: true;
  /** RFC 4422 3.4.1: whom to act as; "" or absent: the user. */
  readonly authorization?: string;
  /** The certificate that the client showed in the TLS handshake is the credential: EXTERNAL. */
  readonly external?: true;
  /** Names of mechanisms to allow, in the order to try. Where absent: the strongest first, and never CRAM-MD5. */
  readonly mechanisms?: readonly string[];
  /** A mechanism of the caller's own, used instead of choosing. Called for each login. */
  readonly mechanism?: () => ClientMechanism;
}
