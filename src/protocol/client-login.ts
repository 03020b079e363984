/**
 * The client's side of AUTH (RFC 4954 4).
 *
 * Rules
 * 1. No password is sent outside TLS unless that was named as allowed; no token and no EXTERNAL ever is.
 * 2. A login that was asked for is never skipped: where it cannot be made, it fails.
 * 3. A mechanism that was refused for good is followed by the next one; the last failure is the one that is told. Not after 421, and not
 *    after a server that proved to be a wrong one.
 * 4. A token that was refused is asked for once more before that.
 * 5. Success is believed when the mechanism believes it.
 */
import { isPermanent, isPositive, type Reply } from "../mail/reply.ts";
import { decodeBase64, encodeBase64 } from "../util/base64.ts";
import { EMPTY, utf8 } from "../util/bytes.ts";
import type { ChannelBindings } from "./sasl/channel-binding.ts";
import { type Candidate, chooseMechanisms } from "./sasl/choose.ts";
import type { Credentials } from "./sasl/credentials.ts";
import type { ClientMechanism, ClientMechanismStep } from "./sasl/mechanism.ts";
import type { ClientAnswer, ClientQuestion } from "./sasl/question.ts";
import { refusalBy, type SessionFailure } from "./session-failure.ts";

/** RFC 5321 4.5.3.1.4, CRLF included; RFC 4954 4 holds AUTH with an initial response to it. */
const COMMAND_LINE_LIMIT = 512;
/** RFC 4954 4, CRLF included: what a server has to take in an exchange. */
export const RESPONSE_LINE_LIMIT = 12_288;
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
  /** The server as it was called: OAUTHBEARER says it. */
  readonly host: string;
  readonly port: number;
  /** What the TLS session can be bound by. */
  readonly channelBinding?: ChannelBindings;
}

export type ClientLoginStep =
  /** To be sent, without its CRLF. */
  | { readonly kind: "line"; readonly line: string }
  /** To be answered by `answered`. */
  | { readonly kind: "ask"; readonly question: ClientQuestion }
  /** Logged in. */
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly failure: SessionFailure };

type Cancel = Extract<ClientMechanismStep, { kind: "cancel" }>;

export class ClientLogin {
  readonly #credentials: Credentials;
  /** Those to try after the present one. */
  #candidates: Candidate[] = [];
  #candidate: Candidate | undefined;
  #mechanism: ClientMechanism | undefined;
  /** The AUTH of the present mechanism went out. */
  #sent = false;
  /** An initial response that did not fit into the command. */
  #held: Uint8Array | undefined;
  #challenges = 0;
  #cancelled: Cancel | undefined;
  #askedAgain = false;
  #failure: SessionFailure | undefined;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** The mechanism in use. */
  get mechanism(): string | undefined {
    return this.#mechanism?.name;
  }

  /** AUTH with the initial response, where there is one and it fits; or what the mechanism asks before. */
  begin(place: LoginPlace): ClientLoginStep {
    const { mechanism } = this.#credentials;
    if (mechanism !== undefined) return this.#beginOwn(mechanism(), place);
    const candidates = chooseMechanisms(place, this.#credentials);
    if (candidates.length === 0) return failed(noneOf(place, this.#credentials));
    this.#candidates = candidates.filter(({ reveals }) => mayReveal(reveals, place));
    if (this.#candidates.length === 0) return failed(notInClear(candidates[0] as Candidate));
    return this.#next();
  }

  /** Any reply to AUTH or to a response. */
  replied(answer: Reply): ClientLoginStep {
    if (answer.code === 334) return this.#challenged(answer);
    if (!isPositive(answer)) return this.#refused(answer);
    const why = this.#cancelled === undefined ? this.#mechanism?.done() : this.#cancelled.why;
    if (why === undefined) return { kind: "done" };
    return fail({ state: "auth", reply: answer, why: `the login was accepted, but ${why}`, lasting: "permanent", about: "authentication" });
  }

  /** Answers an "ask". */
  answered(answer: ClientAnswer): ClientLoginStep {
    if (this.#mechanism === undefined) throw new Error("nothing was asked");
    return this.#take(this.#mechanism.answered(answer));
  }

  #beginOwn(mechanism: ClientMechanism, { secured, passwordInClear }: LoginPlace): ClientLoginStep {
    const reveals = mechanism.needsPrivacy ? "password" : "";
    const candidate: Candidate = { name: mechanism.name, reveals, make: () => mechanism };
    return mayReveal(reveals, { secured, passwordInClear }) ? this.#start(candidate, false) : failed(notInClear(candidate));
  }

  #next(): ClientLoginStep {
    const candidate = this.#candidates.shift();
    if (candidate !== undefined) return this.#start(candidate, false);
    return fail(this.#failure as SessionFailure);
  }

  #start(candidate: Candidate, refused: boolean): ClientLoginStep {
    this.#candidate = candidate;
    this.#mechanism = candidate.make(refused);
    this.#sent = false;
    this.#held = undefined;
    this.#challenges = 0;
    this.#cancelled = undefined;
    return this.#take(this.#mechanism.initial());
  }

  #take(step: ClientMechanismStep): ClientLoginStep {
    switch (step.kind) {
      case "ask":
        return step;
      case "cancel":
        return this.#cancel(step);
      case "response":
        return this.#sent ? this.#line(step.bytes ?? EMPTY) : this.#command(step.bytes);
    }
  }

  #command(initial: Uint8Array | undefined): ClientLoginStep {
    this.#sent = true;
    const command = `AUTH ${this.#mechanism?.name}`;
    if (initial === undefined) return { kind: "line", line: command };
    const line = `${command} ${initial.length === 0 ? "=" : encodeBase64(initial)}`;
    if (line.length + 2 <= COMMAND_LINE_LIMIT) return { kind: "line", line };
    // RFC 4954 4: a response that makes the command too long waits for the challenge.
    this.#held = initial;
    return { kind: "line", line: command };
  }

  #line(bytes: Uint8Array): ClientLoginStep {
    const line = encodeBase64(bytes);
    if (line.length + 2 <= RESPONSE_LINE_LIMIT) return { kind: "line", line };
    return this.#cancel({ kind: "cancel", why: `the response is longer than the ${RESPONSE_LINE_LIMIT} octets that a server takes` });
  }

  #cancel(step: Cancel): ClientLoginStep {
    this.#cancelled = step;
    if (this.#sent) return { kind: "line", line: "*" };
    this.#failure = { state: "auth", why: givenUp(step), lasting: "permanent", about: "authentication" };
    return this.#next();
  }

  #challenged(answer: Reply): ClientLoginStep {
    if (++this.#challenges > CHALLENGES_LIMIT) return failed(`more than ${CHALLENGES_LIMIT} challenges in one login`);
    if (this.#cancelled !== undefined) return { kind: "line", line: "*" };
    const mechanism = this.#mechanism as ClientMechanism;
    // LOGIN's prompts are answered whatever they are; some servers do not encode them.
    const challenge = decodeBase64(answer.text.trim()) ?? (mechanism.name === "LOGIN" ? utf8(answer.text) : undefined);
    if (challenge === undefined) return this.#cancel({ kind: "cancel", why: "the server's challenge is not base64" });
    const held = this.#held;
    if (held === undefined) return this.#take(mechanism.respond(challenge));
    this.#held = undefined;
    if (challenge.length === 0) return this.#take({ kind: "response", bytes: held });
    return this.#cancel({ kind: "cancel", why: "the server sent a challenge before it had heard anything" });
  }

  #refused(answer: Reply): ClientLoginStep {
    this.#failure = this.#failureBy(answer);
    if (!isPermanent(answer) || this.#cancelled?.forged) return fail(this.#failure);
    const candidate = this.#candidate as Candidate;
    if (candidate.reveals === "token" && !this.#askedAgain && !aboutTheCommand(answer)) {
      this.#askedAgain = true;
      return this.#start(candidate, true);
    }
    // RFC 4954 6: 535 says that the credentials are wrong. What checks the same in another way would be counted as another guess; a server that has no
    // SCRAM keys of this user may still know the password itself.
    if (answer.code === 535 && candidate.reveals !== "token")
      this.#candidates = this.#candidates.filter(({ reveals }) => reveals !== candidate.reveals);
    return this.#next();
  }

  #failureBy(answer: Reply): SessionFailure {
    const failure = refusalBy(answer, "auth", "authentication");
    if (this.#cancelled !== undefined) return { ...failure, why: givenUp(this.#cancelled) };
    const complaint = this.#mechanism?.complaint;
    return complaint === undefined || complaint === "" ? failure : { ...failure, why: `${failure.why}: ${complaint}` };
  }
}

/** 500 to 504: the command or the mechanism was not understood, so that nothing is said of the token. */
function aboutTheCommand({ code }: Reply): boolean {
  return code >= 500 && code <= 504;
}

function mayReveal(what: Candidate["reveals"], { secured, passwordInClear }: Pick<LoginPlace, "secured" | "passwordInClear">): boolean {
  return what === "" || secured || (what === "password" && passwordInClear);
}

function noneOf({ mechanisms, secured }: LoginPlace, { password, bearer, external }: Credentials): string {
  if (mechanisms.length === 0) return `a login is asked for and the server does not offer AUTH${secured ? "" : " outside TLS"}`;
  if (password === undefined && bearer === undefined && external === undefined) {
    return "a login is asked for, but neither a password nor a token nor a certificate was given for it";
  }
  return `a login is asked for and the server offers only ${mechanisms.join(", ")}`;
}

function notInClear({ reveals }: Candidate): string {
  const what = reveals === "identity" ? "there is no certificate to log in with" : `the ${reveals} was not sent`;
  return `the connection is not inside TLS: ${what}`;
}

function givenUp({ why }: Cancel): string {
  return `the login was given up: ${why}`;
}

function failed(why: string): ClientLoginStep {
  return fail({ state: "auth", why, lasting: "permanent", about: "authentication" });
}

function fail(failure: SessionFailure): ClientLoginStep {
  return { kind: "failed", failure };
}
