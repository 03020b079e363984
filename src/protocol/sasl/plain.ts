/** PLAIN, RFC 4616: authorization identity, NUL, user, NUL, password, in UTF-8. */
import { EMPTY, fromUtf8, utf8 } from "../../util/bytes.ts";
import type { ClientMechanism, ServerMechanism, ServerStep } from "./mechanism.ts";

export class PlainServer implements ServerMechanism {
  readonly name = "PLAIN";

  step(response: Uint8Array | undefined): ServerStep {
    if (response === undefined) return { kind: "challenge", bytes: EMPTY };
    const parts = fromUtf8(response)?.split("\0");
    if (parts?.length !== 3) return { kind: "malformed", why: "not authorization NUL user NUL password in UTF-8" };
    const [authorization, user, password] = parts as [string, string, string];
    if (user === "" || password === "") return { kind: "malformed", why: "empty user name or password" };
    return { kind: "password", authorization, user, password };
  }
}

export class PlainClient implements ClientMechanism {
  readonly name = "PLAIN";
  readonly needsPrivacy = true;
  readonly #response: Uint8Array;

  constructor(user: string, password: string, authorization = "") {
    this.#response = utf8(`${authorization}\0${user}\0${password}`);
  }

  initial(): Uint8Array {
    return this.#response;
  }

  respond(challenge: Uint8Array): Uint8Array | undefined {
    return challenge.length === 0 ? this.#response : undefined;
  }
}
