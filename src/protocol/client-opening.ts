/**
 * The client's way from the greeting to the first transaction: EHLO, STARTTLS, AUTH.
 *
 * Rules
 * 1. After STARTTLS all that was learnt is forgotten (RFC 3207 4.2).
 * 2. Where TLS is required, nothing of a login or a transaction is sent outside it.
 * 3. Each reply is answered by the next command or by one step: the handshake, readiness or failure.
 */
import { isPermanent, isPositive, type Reply } from "../mail/reply.ts";
import { type Capabilities, noCapabilities, parseCapabilities } from "./capabilities.ts";
import type { ClientEvent } from "./client-events.ts";
import { ClientLogin, type ClientLoginStep } from "./client-login.ts";
import type { ClientSessionOptions } from "./client-options.ts";
import type { CommandPipeline } from "./command-pipeline.ts";
import { refusalBy, type SessionFailure } from "./session-failure.ts";

/** `undefined`: a command is under way. */
export type OpeningStep = Extract<ClientEvent, { type: "starttls" | "ready" | "failed" }> | undefined;

export class ClientOpening {
  readonly #options: ClientSessionOptions;
  readonly #pipeline: CommandPipeline;
  #capabilities: Capabilities = noCapabilities;
  #secured: boolean;
  #login: ClientLogin | undefined;

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

  greetingAnswered(answer: Reply): OpeningStep {
    return isPositive(answer) ? this.#hello() : failed(refusalBy(answer, "greeting", "greeting"));
  }

  helloAnswered(state: "ehlo" | "helo", answer: Reply): OpeningStep {
    if (isPositive(answer)) {
      this.#capabilities = parseCapabilities(state === "ehlo" ? answer : undefined);
      return this.#secureOrLogin();
    }
    // RFC 5321 3.2: a server that does not know EHLO is spoken to with HELO.
    const mayBeOld = state === "ehlo" && isPermanent(answer) && this.#options.protocol === "smtp" && !this.#secured;
    if (!mayBeOld) return failed(refusalBy(answer, state, "hello"));
    this.#pipeline.send(`HELO ${this.#options.name}`, { state: "helo" });
    return undefined;
  }

  startTlsAnswered(answer: Reply): OpeningStep {
    if (answer.code === 220) {
      this.#pipeline.expect({ state: "handshake" });
      return { type: "starttls" };
    }
    if (this.#options.tls === "opportunistic") return this.#beginLogin();
    return failed(refusalBy(answer, "starttls", "tls"));
  }

  /** The handshake is done. */
  upgraded(): void {
    this.#secured = true;
    this.#capabilities = noCapabilities;
    this.#hello();
  }

  authAnswered(answer: Reply): OpeningStep {
    if (answer.code === 334 && this.#login !== undefined) return this.#goOnWithLogin(this.#login.respond(answer));
    if (!isPositive(answer)) return failed(refusalBy(answer, "auth", "authentication"));
    this.#login = undefined;
    return { type: "ready", capabilities: this.#capabilities };
  }

  #hello(): OpeningStep {
    const verb = this.#options.protocol === "lmtp" ? "LHLO" : "EHLO";
    this.#pipeline.send(`${verb} ${this.#options.name}`, { state: "ehlo" });
    return undefined;
  }

  #secureOrLogin(): OpeningStep {
    const { tls } = this.#options;
    if (this.#secured || tls === "none") return this.#beginLogin();
    if (this.#capabilities.startTls) {
      this.#pipeline.send("STARTTLS", { state: "starttls" });
      return undefined;
    }
    if (tls === "opportunistic") return this.#beginLogin();
    const why = "TLS is required here and the server does not offer STARTTLS";
    return failed({ state: "ehlo", why, lasting: "permanent", about: "tls" });
  }

  #beginLogin(): OpeningStep {
    const { credentials, passwordInClear } = this.#options;
    if (credentials === undefined) return { type: "ready", capabilities: this.#capabilities };
    this.#login = new ClientLogin(credentials);
    const { mechanisms } = this.#capabilities;
    return this.#goOnWithLogin(this.#login.begin({ mechanisms, secured: this.#secured, passwordInClear }));
  }

  #goOnWithLogin(step: ClientLoginStep): OpeningStep {
    if (step.kind === "failed") return failed(step.failure);
    this.#pipeline.send(step.line, { state: "auth" });
    return undefined;
  }
}

function failed(failure: SessionFailure): OpeningStep {
  return { type: "failed", failure };
}
