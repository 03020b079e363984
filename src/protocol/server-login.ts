/**
 * The server's side of AUTH (RFC 4954 4): from its argument to the credentials that are to be checked.
 *
 * Rules
 * 1. Whether AUTH may come now is decided before; whether the credentials are right, afterwards and elsewhere.
 * 2. Each response of the client is answered by one step; behind a refused one the exchange is over.
 */
import type { Reply } from "../mail/reply.ts";
import { decodeBase64 } from "../util/base64.ts";
import { fromLatin1 } from "../util/bytes.ts";
import { LoginServer } from "./sasl/login.ts";
import type { ServerMechanism } from "./sasl/mechanism.ts";
import { PlainServer } from "./sasl/plain.ts";
import type { ServerEvent } from "./server-events.ts";
import * as say from "./server-replies.ts";

export type ServerLoginStep =
  /** Goes out as 334; the client's next line is its response. */
  | { readonly kind: "challenge"; readonly bytes: Uint8Array }
  /** The credentials, as an event to be decided on. */
  | { readonly kind: "check"; readonly event: ServerEvent }
  /** The client's mistake, or its wish: the exchange is over. */
  | { readonly kind: "refused"; readonly reply: Reply };

const mechanisms: Readonly<Record<string, new () => ServerMechanism>> = { PLAIN: PlainServer, LOGIN: LoginServer };

/** As EHLO names them. */
export const loginMechanisms: readonly string[] = Object.keys(mechanisms);

export class ServerLogin {
  #mechanism: ServerMechanism | undefined;
  #failures = 0;

  /** Logins that were refused so far. */
  get failures(): number {
    return this.#failures;
  }

  /** AUTH, by its argument: the mechanism and, where there is one, the initial response. */
  begin(argument: string): ServerLoginStep {
    const [name = "", initial, ...rest] = argument.split(" ");
    const mechanism = Object.hasOwn(mechanisms, name.toUpperCase()) ? mechanisms[name.toUpperCase()] : undefined;
    if (mechanism === undefined) return refused(say.unknownMechanism);
    if (rest.length > 0) return refused(say.argumentUnwanted("AUTH"));
    const begun = new mechanism();
    this.#mechanism = begun;
    if (initial === undefined) return this.#step(begun, undefined);
    // RFC 4954 4: "=" is an initial response of no octets.
    return this.#respond(begun, initial === "=" ? "" : initial);
  }

  /** The line behind a challenge; `undefined` where it was too long. */
  respond(line: Uint8Array | undefined): ServerLoginStep {
    const mechanism = this.#mechanism;
    if (mechanism === undefined) throw new Error("no challenge was sent");
    if (line === undefined) return this.#break(say.authLineTooLong);
    const text = fromLatin1(line);
    if (text === "*") return this.#break(say.authCancelled);
    return this.#respond(mechanism, text);
  }

  /** The credentials were right. */
  succeeded(): void {
    this.#mechanism = undefined;
  }

  /** The credentials were not right. */
  failed(): void {
    this.#mechanism = undefined;
    this.#failures++;
  }

  #respond(mechanism: ServerMechanism, text: string): ServerLoginStep {
    const response = decodeBase64(text);
    if (response === undefined) return this.#break(say.badBase64);
    return this.#step(mechanism, response);
  }

  #step(mechanism: ServerMechanism, response: Uint8Array | undefined): ServerLoginStep {
    const step = mechanism.step(response);
    switch (step.kind) {
      case "challenge":
        return step;
      case "malformed":
        return this.#break(say.malformedCredentials);
      case "password": {
        const { authorization, user, password } = step;
        return { kind: "check", event: { type: "auth", mechanism: mechanism.name, authorization, user, password } };
      }
    }
  }

  #break(answer: Reply): ServerLoginStep {
    this.#mechanism = undefined;
    return refused(answer);
  }
}

function refused(answer: Reply): ServerLoginStep {
  return { kind: "refused", reply: answer };
}
