/**
 * The client's way from the greeting to the first transaction: EHLO, STARTTLS, AUTH.
 *
 * Rules
 * 1. After STARTTLS all that was learnt is forgotten (RFC 3207 4.2).
 * 2. Where TLS is required, nothing of a login or a transaction is sent outside it.
 * 3. Each reply is answered by the next command or by one step: the handshake, readiness or failure.
 * 4. Stepwise, each step is called for, and its reply is told instead of acted upon.
 */
import { isPermanent, isPositive, type Reply } from "../mail/reply.ts";
import { type Capabilities, noCapabilities, parseCapabilities } from "./capabilities.ts";
import type { ClientEvent } from "./client-events.ts";
import { ClientLogin, type ClientLoginStep } from "./client-login.ts";
import type { ClientSessionOptions } from "./client-options.ts";
import type { CommandPipeline } from "./command-pipeline.ts";
import type { ChannelBindings } from "./sasl/channel-binding.ts";
import type { Credentials } from "./sasl/credentials.ts";
import type { ClientAnswer } from "./sasl/question.ts";
import { refusalBy, type SessionFailure } from "./session-failure.ts";

/** `undefined`: a command is under way. */
export type OpeningStep = Extract<ClientEvent, { type: "starttls" | "ready" | "failed" | "ask" | "reply" | "login-failed" }> | undefined;

export class ClientOpening {
  readonly #options: ClientSessionOptions;
  readonly #pipeline: CommandPipeline;
  #capabilities: Capabilities = noCapabilities;
  #secured: boolean;
  #bindings: ChannelBindings | undefined;
  #login: ClientLogin | undefined;
  /** Stepwise: the 220 that the handshake follows. */
  #go: Reply | undefined;

  constructor(options: ClientSessionOptions, pipeline: CommandPipeline) {
    this.#options = options;
    this.#pipeline = pipeline;
    this.#secured = options.tls === "implicit";
    pipeline.expect({ state: "greeting" });
  }

  /** What the server offered last. */
  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  /** A login is in the middle of its exchange. */
  get asking(): boolean {
    return this.#login !== undefined;
  }

  /** What binds a login to the TLS session that the stream is in. */
  bind(bindings: ChannelBindings): void {
    this.#bindings = bindings;
  }

  // Steps

  /** EHLO, HELO or LHLO. */
  hello(verb: "EHLO" | "HELO" | "LHLO", name: string): OpeningStep {
    this.#pipeline.send(`${verb} ${name}`, { state: verb === "HELO" ? "helo" : "ehlo" });
    return undefined;
  }

  startTls(): OpeningStep {
    this.#pipeline.send("STARTTLS", { state: "starttls" });
    return undefined;
  }

  login(credentials: Credentials): OpeningStep {
    const { passwordInClear, host, port } = this.#options;
    this.#login = new ClientLogin(credentials);
    const { mechanisms } = this.#capabilities;
    const place = { mechanisms, secured: this.#secured, passwordInClear, host, port };
    return this.#goOnWithLogin(this.#login.begin(this.#bindings === undefined ? place : { ...place, channelBinding: this.#bindings }));
  }

  /** Answers an "ask". */
  answer(answer: ClientAnswer): OpeningStep {
    return this.#login === undefined ? undefined : this.#goOnWithLogin(this.#login.answered(answer));
  }

  // Replies

  greetingAnswered(answer: Reply): OpeningStep {
    if (this.#stepwise) return told(answer);
    return isPositive(answer) ? this.#hello() : failed(refusalBy(answer, "greeting", "greeting"));
  }

  helloAnswered(state: "ehlo" | "helo", answer: Reply): OpeningStep {
    if (isPositive(answer)) this.#capabilities = parseCapabilities(state === "ehlo" ? answer : undefined);
    if (this.#stepwise) return told(answer);
    if (isPositive(answer)) return this.#secureOrLogin();
    // RFC 5321 3.2: a server that does not know EHLO is spoken to with HELO.
    const mayBeOld = state === "ehlo" && isPermanent(answer) && this.#options.protocol === "smtp" && !this.#secured;
    if (!mayBeOld) return failed(refusalBy(answer, state, "hello"));
    return this.hello("HELO", this.#options.name);
  }

  startTlsAnswered(answer: Reply): OpeningStep {
    if (answer.code === 220) {
      this.#go = answer;
      this.#pipeline.expect({ state: "handshake" });
      return { type: "starttls" };
    }
    if (this.#stepwise) return told(answer);
    if (this.#options.tls === "opportunistic") return this.#beginLogin();
    return failed(refusalBy(answer, "starttls", "tls"));
  }

  /** The handshake is done. */
  upgraded(): OpeningStep {
    this.#secured = true;
    this.#capabilities = noCapabilities;
    return this.#stepwise && this.#go !== undefined ? told(this.#go) : this.#hello();
  }

  authAnswered(answer: Reply): OpeningStep {
    if (this.#login === undefined) return undefined;
    return this.#goOnWithLogin(this.#login.replied(answer), answer);
  }

  // The whole opening

  get #stepwise(): boolean {
    return this.#options.opening === "stepwise";
  }

  #hello(): OpeningStep {
    return this.hello(this.#options.protocol === "lmtp" ? "LHLO" : "EHLO", this.#options.name);
  }

  #secureOrLogin(): OpeningStep {
    const { tls } = this.#options;
    if (this.#secured || tls === "none") return this.#beginLogin();
    if (this.#capabilities.startTls) return this.startTls();
    if (tls === "opportunistic") return this.#beginLogin();
    const why = "TLS is required here and the server does not offer STARTTLS";
    return failed({ state: "ehlo", why, lasting: "permanent", about: "tls" });
  }

  #beginLogin(): OpeningStep {
    const { credentials } = this.#options;
    return credentials === undefined ? this.#ready() : this.login(credentials);
  }

  #goOnWithLogin(step: ClientLoginStep, answer?: Reply): OpeningStep {
    switch (step.kind) {
      case "line":
        this.#pipeline.send(step.line, { state: "auth" });
        return undefined;
      case "ask":
        return { type: "ask", question: step.question };
      case "done":
        this.#login = undefined;
        return this.#stepwise && answer !== undefined ? told(answer) : this.#ready();
      case "failed":
        this.#login = undefined;
        return this.#stepwise ? { type: "login-failed", failure: step.failure } : failed(step.failure);
    }
  }

  #ready(): OpeningStep {
    return { type: "ready", capabilities: this.#capabilities };
  }
}

function told(answer: Reply): OpeningStep {
  return { type: "reply", reply: answer };
}

function failed(failure: SessionFailure): OpeningStep {
  return { type: "failed", failure };
}
