/**
 * The client's side of AUTH (RFC 4954 4).
 *
 * Rules
 * 1. No password is sent outside TLS unless that was named as allowed.
 * 2. A login that was asked for is never skipped: where it cannot be made, the session fails.
 */
import type { Reply } from "../mail/reply.ts";
import { decodeBase64, encodeBase64 } from "../util/base64.ts";
import { utf8 } from "../util/bytes.ts";
import { chooseMechanism, type PasswordCredentials } from "./sasl/choose.ts";
import type { ClientMechanism } from "./sasl/mechanism.ts";
import type { SessionFailure } from "./session-failure.ts";

/** RFC 5321 4.5.3.1.4, CRLF included; RFC 4954 4 holds AUTH with an initial response to it. */
const COMMAND_LINE_LIMIT = 512;
/** RFC 4954 has no limit on challenges; no mechanism needs more than a few. */
const CHALLENGES_LIMIT = 10;

/** Where the login is to be made. */
export interface LoginPlace {
  /** As EHLO offered them. */
  readonly mechanisms: readonly string[];
  /** Inside TLS. */
  readonly secured: boolean;
  /** Allows a password to be sent outside TLS. */
  readonly passwordInClear: boolean;
}

export type ClientLoginStep =
  /** To be sent, without its CRLF. */
  { readonly kind: "line"; readonly line: string } | { readonly kind: "failed"; readonly failure: SessionFailure };

export class ClientLogin {
  readonly #credentials: PasswordCredentials;
  #mechanism: ClientMechanism | undefined;
  #challenges = 0;

  constructor(credentials: PasswordCredentials) {
    this.#credentials = credentials;
  }

  /** AUTH with the initial response, where there is one and it fits. */
  begin({ mechanisms, secured, passwordInClear }: LoginPlace): ClientLoginStep {
    const mechanism = chooseMechanism(mechanisms, this.#credentials);
    if (mechanism === undefined) {
      const offers = mechanisms.length === 0 ? "does not offer AUTH" : `offers only ${mechanisms.join(", ")}`;
      const hint = mechanisms.length === 0 && !secured ? " outside TLS" : "";
      return failed(`a login is asked for and the server ${offers}${hint}`);
    }
    if (mechanism.needsPrivacy && !secured && !passwordInClear) {
      return failed("the connection is not inside TLS: the password was not sent");
    }
    this.#mechanism = mechanism;
    const initial = mechanism.initial();
    const response = initial === undefined ? "" : ` ${initial.length === 0 ? "=" : encodeBase64(initial)}`;
    // RFC 4954 4: a response that makes the command too long waits for the challenge.
    const fits = `AUTH ${mechanism.name}${response}`.length + 2 <= COMMAND_LINE_LIMIT;
    return { kind: "line", line: `AUTH ${mechanism.name}${fits ? response : ""}` };
  }

  /** The response to a 334, or "*" where it makes no sense. */
  respond(answer: Reply): ClientLoginStep {
    if (++this.#challenges > CHALLENGES_LIMIT) return failed(`more than ${CHALLENGES_LIMIT} challenges in one login`);
    const challenge = decodeBase64(answer.text.trim());
    // LOGIN's prompts are answered whatever they are; some servers do not encode them.
    const response = this.#mechanism?.respond(challenge ?? utf8(answer.text));
    return { kind: "line", line: response === undefined ? "*" : encodeBase64(response) };
  }
}

function failed(why: string): ClientLoginStep {
  return { kind: "failed", failure: { state: "auth", why, lasting: "permanent", about: "authentication" } };
}
