/**
 * CRAM-MD5, RFC 2195, the client's side alone: for old servers that have nothing better.
 *
 * Rules
 * 1. Used only where it was named: who hears one exchange can try passwords at the speed of MD5.
 */
import { utf8 } from "../../util/bytes.ts";
import { hmacMd5 } from "../../util/md5.ts";
import type { ClientMechanism, ClientMechanismStep } from "./mechanism.ts";

export class CramMd5Client implements ClientMechanism {
  readonly name = "CRAM-MD5";
  readonly needsPrivacy = false;
  readonly #user: string;
  readonly #password: string;
  #answered = false;

  constructor(user: string, password: string) {
    this.#user = user;
    this.#password = password;
  }

  initial(): ClientMechanismStep {
    return { kind: "response" };
  }

  respond(challenge: Uint8Array): ClientMechanismStep {
    // Without one, the answer would be the same each time.
    if (challenge.length === 0) return { kind: "cancel", why: "the server's challenge is empty" };
    if (this.#answered) return { kind: "cancel", why: "CRAM-MD5 has one challenge, and the server sent another" };
    this.#answered = true;
    const digest = Array.from(hmacMd5(utf8(this.#password), challenge), (octet) => octet.toString(16).padStart(2, "0")).join("");
    return { kind: "response", bytes: utf8(`${this.#user} ${digest}`) };
  }

  answered(): never {
    throw new Error("CRAM-MD5 asks nothing");
  }

  done(): string | undefined {
    return this.#answered ? undefined : "the server asked for no proof";
  }
}
