/** EXTERNAL, RFC 4422 A: the certificate of the TLS handshake says who it is; the one message, whom to act as. */
import { EMPTY, fromUtf8, utf8 } from "../../util/bytes.ts";
import type { ClientMechanism, ClientMechanismStep, ServerMechanism, ServerStep } from "./mechanism.ts";

export class ExternalServer implements ServerMechanism {
  readonly name = "EXTERNAL";

  step(response: Uint8Array | undefined): ServerStep {
    if (response === undefined) return { kind: "challenge", bytes: EMPTY };
    const authorization = fromUtf8(response);
    if (authorization === undefined || authorization.includes("\0")) return { kind: "malformed", why: "not UTF-8 without NUL" };
    return { kind: "check", authorization, claim: { kind: "certificate" } };
  }
}

export class ExternalClient implements ClientMechanism {
  readonly name = "EXTERNAL";
  readonly needsPrivacy = true;
  readonly #response: Uint8Array;

  constructor(authorization = "") {
    this.#response = utf8(authorization);
  }

  initial(): ClientMechanismStep {
    return { kind: "response", bytes: this.#response };
  }

  respond(challenge: Uint8Array): ClientMechanismStep {
    return challenge.length === 0 ? this.initial() : { kind: "cancel", why: "EXTERNAL has no challenge, and the server sent one" };
  }

  answered(): never {
    throw new Error("EXTERNAL asks nothing");
  }

  done(): undefined {
    return undefined;
  }
}
