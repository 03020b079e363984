/** PLAIN, RFC 4616: authorization identity, NUL, user, NUL, password, in UTF-8. */
import { EMPTY, fromUtf8, utf8 } from "../../util/bytes.ts";
import type { ClientMechanism, ClientMechanismStep, ServerMechanism, ServerStep } from "./mechanism.ts";

export class PlainServer implements ServerMechanism {
  readonly name = "PLAIN";

  step(response: Uint8Array | undefined): ServerStep {
    if (response === undefined) return { kind: "challenge", bytes: EMPTY };
    const parts = fromUtf8(response)?.split("\0");
    if (parts?.length !== 3) return { kind: "malformed", why: "not authorization NUL user NUL password in UTF-8" };
    const [authorization, user, password] = parts as [string, string, string];
    if (user === "" || password === "") return { kind: "malformed", why: "empty user name or password" };
    return { kind: "check", authorization, claim: { kind: "password", user, password } };
  }
}

export class PlainClient implements ClientMechanism {
  readonly name = "PLAIN";
  readonly needsPrivacy = true;
  readonly #text: string;
  readonly #hasNul: boolean;

  constructor(user: string, password: string, authorization = "") {
    this.#text = `${authorization}\0${user}\0${password}`;
    this.#hasNul = `${authorization}${user}${password}`.includes("\0");
  }

  initial(): ClientMechanismStep {
    if (this.#hasNul) return { kind: "cancel", why: "PLAIN cannot say a user name or password with NUL" };
    return { kind: "response", bytes: utf8(this.#text) };
  }

  /** Some servers ask for what came with the command already. */
  respond(challenge: Uint8Array): ClientMechanismStep {
    return challenge.length === 0 ? this.initial() : { kind: "cancel", why: "PLAIN has no challenge, and the server sent one" };
  }

  answered(): never {
    throw new Error("PLAIN asks nothing");
  }

  done(): undefined {
    return undefined;
  }
}
