/**
 * The server's side of AUTH (RFC 4954 4): from its argument to the credentials that are to be checked, and from the result to its end.
 *
 * Rules
 * 1. Whether AUTH may come now is decided before; whether the credentials are right, afterwards and elsewhere.
 * 2. Each response of the client is answered by one step; behind a refused one the exchange is over.
 * 3. Only what is offered is understood.
 */
import { isPermanent, type Reply } from "../mail/reply.ts";
import { decodeBase64 } from "../util/base64.ts";
import { fromLatin1 } from "../util/bytes.ts";
import { OAuthBearerServer, XOAuth2Server } from "./sasl/bearer.ts";
import { type ChannelBindings, strongestBinding } from "./sasl/channel-binding.ts";
import { ExternalServer } from "./sasl/external.ts";
import { LoginServer } from "./sasl/login.ts";
import type { ScramParameters, ServerMechanism, ServerStep } from "./sasl/mechanism.ts";
import { PlainServer } from "./sasl/plain.ts";
import type { SaslHash } from "./sasl/question.ts";
import { ScramServer } from "./sasl/scram-server.ts";
import type { ServerEvent } from "./server-events.ts";
import * as say from "./server-replies.ts";

/** What a client may log in with. */
export interface LoginOffer {
  /** In the order in which EHLO lists them. Those that are not known here, and -PLUS without a binding, are left out. */
  readonly mechanisms: readonly string[];
  /** What the TLS session can be bound by. */
  readonly channelBindings?: ChannelBindings;
}

export type ServerLoginStep =
  /** Goes out as 334; the client's next line is its response. */
  | { readonly kind: "challenge"; readonly bytes: Uint8Array }
  /** A question, as an event to be decided on. */
  | { readonly kind: "ask"; readonly event: Extract<ServerEvent, { type: "auth" | "salt" }> }
  | { readonly kind: "done"; readonly account: string }
  /** The client's mistake, or its wish: the exchange is over. */
  | { readonly kind: "refused"; readonly reply: Reply }
  /** A login that failed. `why` is the operator's; "" where the owner knows it already. */
  | { readonly kind: "failed"; readonly reply: Reply; readonly why: string };

type Maker = (offer: LoginOffer) => ServerMechanism;

const makers: Readonly<Record<string, Maker>> = {
  "SCRAM-SHA-256-PLUS": scram("SHA-256", true),
  "SCRAM-SHA-1-PLUS": scram("SHA-1", true),
  "SCRAM-SHA-256": scram("SHA-256", false),
  "SCRAM-SHA-1": scram("SHA-1", false),
  EXTERNAL: () => new ExternalServer(),
  OAUTHBEARER: () => new OAuthBearerServer(),
  XOAUTH2: () => new XOAuth2Server(),
  PLAIN: () => new PlainServer(),
  LOGIN: () => new LoginServer(),
};

function scram(hash: SaslHash, bound: boolean): Maker {
  return ({ mechanisms, channelBindings = {} }) => {
    const offersBinding = mechanisms.some((name) => name.endsWith("-PLUS"));
    return new ScramServer({ hash, bound, offersBinding, bindings: channelBindings });
  };
}

export class ServerLogin {
  #offer: LoginOffer = { mechanisms: [] };
  #mechanism: ServerMechanism | undefined;
  #account = "";
  /** Follows the client's answer to what was wrong. */
  #refusal: Reply | undefined;
  #failures = 0;

  /** Changes what is offered from the next EHLO on. */
  offer(offer: LoginOffer): void {
    const bindable = strongestBinding(offer.channelBindings) !== undefined;
    const mechanisms = offer.mechanisms.filter((name) => Object.hasOwn(makers, name) && (bindable || !name.endsWith("-PLUS")));
    this.#offer = { ...offer, mechanisms };
  }

  /** As EHLO names them. */
  get mechanisms(): readonly string[] {
    return this.#offer.mechanisms;
  }

  /** Logins that failed so far. */
  get failures(): number {
    return this.#failures;
  }

  /** AUTH, by its argument: the mechanism and, where there is one, the initial response. */
  begin(argument: string): ServerLoginStep {
    const [name = "", initial, ...rest] = argument.split(" ");
    const known = name.toUpperCase();
    const maker = this.#offer.mechanisms.includes(known) ? makers[known] : undefined;
    if (maker === undefined) return { kind: "refused", reply: say.unknownMechanism };
    if (rest.length > 0) return { kind: "refused", reply: say.argumentUnwanted("AUTH") };
    const mechanism = maker(this.#offer);
    this.#mechanism = mechanism;
    this.#refusal = undefined;
    if (initial === undefined) return this.#take(mechanism.step(undefined));
    // RFC 4954 4: "=" is an initial response of no octets.
    return this.#respond(mechanism, initial === "=" ? "" : initial);
  }

  /** The line behind a challenge; `undefined` where it was too long. */
  respond(line: Uint8Array | undefined): ServerLoginStep {
    const mechanism = this.#mechanism;
    if (mechanism === undefined) throw new Error("no challenge was sent");
    if (this.#refusal !== undefined) return this.#fail(this.#refusal, ""); // RFC 7628 3.2.3: whatever the client says to it
    if (line === undefined) return this.#break(say.authLineTooLong);
    const text = fromLatin1(line);
    if (text === "*") return this.#break(say.authCancelled);
    return this.#respond(mechanism, text);
  }

  /** Answers "salt". */
  salted(parameters: ScramParameters): ServerLoginStep {
    const salted = this.#mechanism?.salted?.(parameters);
    if (salted === undefined) throw new Error("no salt was asked for");
    return this.#take(salted);
  }

  /** Answers "auth": the credentials are those of this account. */
  accepted(account: string, signature: Uint8Array | undefined): ServerLoginStep {
    this.#account = account;
    return this.#take(this.#mechanism?.accepted?.(signature) ?? { kind: "done" });
  }

  /** Answers "auth" or "salt" with a no. */
  refused(answer: Reply): ServerLoginStep {
    const complaint = isPermanent(answer) ? this.#mechanism?.complaint?.() : undefined;
    if (complaint === undefined) return this.#fail(answer, "");
    this.#refusal = answer;
    return { kind: "challenge", bytes: complaint };
  }

  #respond(mechanism: ServerMechanism, text: string): ServerLoginStep {
    const response = decodeBase64(text);
    return response === undefined ? this.#break(say.badBase64) : this.#take(mechanism.step(response));
  }

  #take(step: ServerStep): ServerLoginStep {
    const mechanism = this.#mechanism?.name ?? "";
    switch (step.kind) {
      case "challenge":
        return step;
      case "salt":
        return { kind: "ask", event: { type: "salt", mechanism, hash: step.hash, user: step.user } };
      case "check":
        return { kind: "ask", event: { type: "auth", mechanism, authorization: step.authorization, claim: step.claim } };
      case "done":
        this.#mechanism = undefined;
        return { kind: "done", account: this.#account };
      case "malformed":
        return this.#break(say.malformedCredentials);
      case "rejected":
        return this.#fail(say.invalidCredentials, step.why);
    }
  }

  #break(answer: Reply): ServerLoginStep {
    this.#mechanism = undefined;
    return { kind: "refused", reply: answer };
  }

  #fail(answer: Reply, why: string): ServerLoginStep {
    this.#mechanism = undefined;
    this.#refusal = undefined;
    this.#failures++;
    return { kind: "failed", reply: answer, why };
  }
}
