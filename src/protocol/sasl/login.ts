/** LOGIN (draft-murchison-sasl-login): two prompts, never standardized, spoken by every mail program. */
import { fromUtf8, utf8 } from "../../util/bytes.ts";
import type { ClientMechanism, ClientMechanismStep, ServerMechanism, ServerStep } from "./mechanism.ts";

const USERNAME = utf8("Username:");
const PASSWORD = utf8("Password:");

export class LoginServer implements ServerMechanism {
  readonly name = "LOGIN";
  #user: string | undefined;

  step(response: Uint8Array | undefined): ServerStep {
    if (response === undefined) return { kind: "challenge", bytes: USERNAME };
    const text = fromUtf8(response);
    if (text === undefined || text.includes("\0")) return { kind: "malformed", why: "not UTF-8 without NUL" };
    if (this.#user === undefined) {
      this.#user = text;
      return { kind: "challenge", bytes: PASSWORD };
    }
    if (this.#user === "" || text === "") return { kind: "malformed", why: "empty user name or password" };
    return { kind: "check", authorization: "", claim: { kind: "password", user: this.#user, password: text } };
  }
}

export class LoginClient implements ClientMechanism {
  readonly name = "LOGIN";
  readonly needsPrivacy = true;
  readonly #answers: Uint8Array[];

  constructor(user: string, password: string) {
    this.#answers = [utf8(user), utf8(password)];
  }

  /** None: some servers do not take the user name with the command. */
  initial(): ClientMechanismStep {
    return { kind: "response" };
  }

  /** Servers word the prompts as they like, so they are answered in order. */
  respond(_challenge: Uint8Array): ClientMechanismStep {
    const bytes = this.#answers.shift();
    return bytes === undefined ? { kind: "cancel", why: "LOGIN has two prompts, and the server has another" } : { kind: "response", bytes };
  }

  answered(): never {
    throw new Error("LOGIN asks nothing");
  }

  done(): undefined {
    return undefined;
  }
}
