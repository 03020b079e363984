/**
 * SCRAM (RFC 5802, RFC 7677), the server's side.
 *
 * Rules
 * 1. Salt and iterations are asked of the caller, and so is the check of the proof: no key comes here.
 * 2. An unknown user is not told from a known one here: the caller gives a salt for any name.
 * 3. Which binding the client used, and what it believed of ours, is signed in the end (RFC 5802 6): a "y" where we offer -PLUS is an attack.
 */
import { encodeBase64 } from "../../util/base64.ts";
import { concat, EMPTY, sameBytes, utf8 } from "../../util/bytes.ts";
import type { ChannelBindings } from "./channel-binding.ts";
import type { Gs2Header } from "./gs2.ts";
import type { ScramParameters, ServerMechanism, ServerStep } from "./mechanism.ts";
import { newNonce } from "./nonce.ts";
import type { SaslHash } from "./question.ts";
import { type ClientFirst, parseClientFinal, parseClientFirst, serverFirst } from "./scram-messages.ts";

export interface ScramServerOptions {
  readonly hash: SaslHash;
  /** The name with -PLUS was called. */
  readonly bound: boolean;
  /** A name with -PLUS is offered. */
  readonly offersBinding: boolean;
  readonly bindings: ChannelBindings;
  /** For tests. */
  readonly nonce?: string;
}

type State = "first" | "salt" | "final" | "check" | "last";

export class ScramServer implements ServerMechanism {
  readonly name: string;
  readonly #options: ScramServerOptions;
  #state: State = "first";
  #first: ClientFirst | undefined;
  #nonce = "";
  #serverFirst = "";

  constructor(options: ScramServerOptions) {
    this.#options = options;
    this.name = `SCRAM-${options.hash}${options.bound ? "-PLUS" : ""}`;
  }

  step(response: Uint8Array | undefined): ServerStep {
    switch (this.#state) {
      case "first":
        return response === undefined ? { kind: "challenge", bytes: EMPTY } : this.#begin(response);
      case "final":
        return this.#conclude(response ?? EMPTY);
      case "last":
        return response?.length === 0 ? { kind: "done" } : malformed("the last response is not empty");
      default:
        throw new Error(`SCRAM waits for ${this.#state}`);
    }
  }

  salted({ salt, iterations }: ScramParameters): ServerStep {
    const first = this.#first;
    if (this.#state !== "salt" || first === undefined) throw new Error("SCRAM did not ask for a salt");
    this.#nonce = `${first.nonce}${this.#options.nonce ?? newNonce()}`;
    this.#serverFirst = serverFirst({ nonce: this.#nonce, salt, iterations });
    this.#state = "final";
    return { kind: "challenge", bytes: utf8(this.#serverFirst) };
  }

  accepted(signature: Uint8Array | undefined): ServerStep {
    if (this.#state !== "check" || signature === undefined) throw new Error("SCRAM ends with the server's signature");
    this.#state = "last";
    return { kind: "challenge", bytes: utf8(`v=${encodeBase64(signature)}`) };
  }

  #begin(response: Uint8Array): ServerStep {
    const first = parseClientFirst(response);
    if (typeof first === "string") return malformed(first);
    const refusal = this.#judge(first.header);
    if (refusal !== undefined) return refusal;
    this.#first = first;
    this.#state = "salt";
    return { kind: "salt", hash: this.#options.hash, user: first.user };
  }

  #judge({ flag }: Gs2Header): ServerStep | undefined {
    const { bound, offersBinding } = this.#options;
    if (bound !== (flag.kind === "bound")) return malformed(`${this.name} with another kind of channel binding`);
    if (flag.kind === "y" && offersBinding) {
      return { kind: "rejected", why: "the client says that channel binding is not offered, and it is: someone changed our offer" };
    }
    if (flag.kind === "bound" && this.#bindingOf(flag.type) === undefined) {
      return { kind: "rejected", why: `channel binding by ${flag.type} is not known in this TLS session` };
    }
    return undefined;
  }

  #conclude(response: Uint8Array): ServerStep {
    const final = parseClientFinal(response);
    const first = this.#first as ClientFirst;
    if (typeof final === "string") return malformed(final);
    if (final.nonce !== this.#nonce) return { kind: "rejected", why: "the client answers with another nonce" };
    const { flag, text, authorization } = first.header;
    const bound = flag.kind === "bound" ? (this.#bindingOf(flag.type) as Uint8Array) : EMPTY;
    if (!sameBytes(final.binding, concat([utf8(text), bound]))) {
      return { kind: "rejected", why: "the channel binding differs: the client is in another TLS session than this server" };
    }
    this.#state = "check";
    const authMessage = utf8(`${first.bare},${this.#serverFirst},${final.withoutProof}`);
    const { hash } = this.#options;
    return { kind: "check", authorization, claim: { kind: "scram", hash, user: first.user, authMessage, proof: final.proof } };
  }

  #bindingOf(type: string): Uint8Array | undefined {
    const { bindings } = this.#options;
    return type === "tls-exporter" || type === "tls-server-end-point" ? bindings[type] : undefined;
  }
}

function malformed(why: string): ServerStep {
  return { kind: "malformed", why };
}
