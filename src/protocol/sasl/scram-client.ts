/**
 * SCRAM (RFC 5802, RFC 7677), the client's side: the password is proved, never sent, and the server proves that it knows it too.
 *
 * Rules
 * 1. The proof is asked of the caller: deriving it takes tens of milliseconds.
 * 2. The server's nonce begins with ours, or someone replays.
 * 3. Success is believed only after the server's signature was right (RFC 5802 3).
 */
import { encodeBase64 } from "../../util/base64.ts";
import { concat, EMPTY, sameBytes, utf8 } from "../../util/bytes.ts";
import { prepare } from "../../util/saslprep.ts";
import type { ChannelBinding } from "./channel-binding.ts";
import { type BindingFlag, gs2Header } from "./gs2.ts";
import type { ClientMechanism, ClientMechanismStep } from "./mechanism.ts";
import { newNonce } from "./nonce.ts";
import { oneLine } from "./one-line.ts";
import type { ClientAnswer, SaslHash } from "./question.ts";
import { clientFinalWithoutProof, clientFirstBare, parseServerFinal, parseServerFirst } from "./scram-messages.ts";

/** RFC 7677 4: fewer would make the password cheap to guess for whoever plays the server. */
export const LEAST_ITERATIONS = 4096;
/** More would be a way to keep us busy; ten million take seconds. */
export const MOST_ITERATIONS = 10_000_000;

export interface ScramClientOptions {
  readonly hash: SaslHash;
  readonly user: string;
  readonly password: string;
  /** "" for the user's own. */
  readonly authorization?: string;
  /** Binds, by the mechanism with -PLUS; "y": could, but the server does not offer it; "n": cannot (RFC 5802 6). */
  readonly binding: ChannelBinding | "y" | "n";
  /** For tests. */
  readonly nonce?: string;
}

type State = "new" | "first" | "asking" | "final" | "verified" | "over";

export class ScramClient implements ClientMechanism {
  readonly name: string;
  readonly needsPrivacy = false;
  readonly #options: ScramClientOptions;
  readonly #nonce: string;
  readonly #header: string;
  readonly #bare: string;
  #state: State = "new";
  #withoutProof = "";
  #signature = EMPTY;
  #complaint: string | undefined;

  constructor(options: ScramClientOptions) {
    const { hash, user, authorization = "", binding, nonce = newNonce() } = options;
    const flag: BindingFlag = typeof binding === "string" ? { kind: binding } : { kind: "bound", type: binding.type };
    this.name = `SCRAM-${hash}${flag.kind === "bound" ? "-PLUS" : ""}`;
    this.#options = options;
    this.#nonce = nonce;
    this.#header = gs2Header(flag, authorization);
    // A name that SASLprep refuses goes as it is: the server judges it.
    this.#bare = clientFirstBare(prepare(user) ?? user, nonce);
  }

  get complaint(): string | undefined {
    return this.#complaint;
  }

  initial(): ClientMechanismStep {
    const { user, authorization = "" } = this.#options;
    if (`${user}${authorization}`.includes("\0") || user === "")
      return this.#cancel("SCRAM cannot say an empty user name, or one with NUL");
    this.#state = "first";
    return { kind: "response", bytes: utf8(`${this.#header}${this.#bare}`) };
  }

  respond(challenge: Uint8Array): ClientMechanismStep {
    if (this.#state === "first") return this.#prove(challenge);
    if (this.#state === "final") return this.#verify(challenge);
    return this.#cancel("SCRAM is complete, and the server sent another challenge");
  }

  answered(answer: ClientAnswer): ClientMechanismStep {
    if (this.#state !== "asking" || answer.kind !== "scram") throw new Error(`SCRAM did not ask for ${answer.kind}`);
    this.#state = "final";
    this.#signature = answer.serverSignature;
    return { kind: "response", bytes: utf8(`${this.#withoutProof},p=${encodeBase64(answer.proof)}`) };
  }

  done(): string | undefined {
    return this.#state === "verified" ? undefined : "the server did not prove that it knows the password";
  }

  #prove(challenge: Uint8Array): ClientMechanismStep {
    const first = parseServerFirst(challenge);
    if (typeof first === "string") return this.#cancel(first);
    const { nonce, salt, iterations } = first;
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      return this.#cancel("the server's nonce is not made from ours", true);
    }
    if (iterations < LEAST_ITERATIONS) {
      return this.#cancel(`the server wants ${iterations} iterations, and fewer than ${LEAST_ITERATIONS} are not safe`);
    }
    if (iterations > MOST_ITERATIONS) return this.#cancel(`the server wants more than ${MOST_ITERATIONS} iterations`);
    const { hash, password, binding } = this.#options;
    const bound = typeof binding === "string" ? EMPTY : binding.data;
    this.#withoutProof = clientFinalWithoutProof(concat([utf8(this.#header), bound]), nonce);
    const authMessage = concat([utf8(`${this.#bare},`), challenge, utf8(`,${this.#withoutProof}`)]);
    this.#state = "asking";
    return { kind: "ask", question: { kind: "scram", hash, password, salt, iterations, authMessage } };
  }

  #verify(challenge: Uint8Array): ClientMechanismStep {
    const final = parseServerFinal(challenge);
    if (typeof final === "string") return this.#cancel(final);
    if (final.kind === "error") {
      this.#complaint = oneLine(final.error);
      this.#state = "over";
      return { kind: "response", bytes: EMPTY };
    }
    if (!sameBytes(final.signature, this.#signature)) {
      return this.#cancel("the server's signature is wrong: it does not know the password", true);
    }
    this.#state = "verified";
    return { kind: "response", bytes: EMPTY };
  }

  #cancel(why: string, forged = false): ClientMechanismStep {
    this.#state = "over";
    return forged ? { kind: "cancel", why, forged } : { kind: "cancel", why };
  }
}
