/**
 * Bearer tokens: OAUTHBEARER (RFC 7628), and XOAUTH2, which Google and Microsoft had before it.
 *
 * Rules
 * 1. A token is printable and has no space (RFC 6750 2.1): nothing can be smuggled in with it.
 * 2. A refusal comes as a challenge of JSON; it is answered, so that the reply to AUTH can follow (RFC 7628 3.2.3).
 */
import { EMPTY, fromUtf8, fromUtf8Lossy, utf8 } from "../../util/bytes.ts";
import { gs2Header, parseGs2Header } from "./gs2.ts";
import type { ClientMechanism, ClientMechanismStep, ServerMechanism, ServerStep } from "./mechanism.ts";
import { oneLine } from "./one-line.ts";
import type { ClientAnswer } from "./question.ts";

export type BearerName = "OAUTHBEARER" | "XOAUTH2";

export interface BearerClientOptions {
  readonly user: string;
  /** RFC 7628 3.1: the server as it was called; "" where that is not known. */
  readonly host: string;
  readonly port: number;
  /** The token that was given before was refused. */
  readonly refused: boolean;
}

const KVSEP = "\x01";

abstract class BearerClient implements ClientMechanism {
  abstract readonly name: BearerName;
  readonly needsPrivacy = true;
  protected readonly options: BearerClientOptions;
  #token = "";
  #complaint: string | undefined;

  constructor(options: BearerClientOptions) {
    this.options = options;
  }

  protected abstract message(token: string): string;
  /** Answers the server's words of refusal. */
  protected abstract readonly acknowledgement: Uint8Array;

  get complaint(): string | undefined {
    return this.#complaint;
  }

  initial(): ClientMechanismStep {
    return { kind: "ask", question: { kind: "token", refused: this.options.refused } };
  }

  answered(answer: ClientAnswer): ClientMechanismStep {
    if (answer.kind !== "token") throw new Error(`${this.name} did not ask for ${answer.kind}`);
    if (!/^[\x21-\x7e]+$/.test(answer.token)) return { kind: "cancel", why: "the token is empty, or has characters that no token has" };
    if (/[\0\x01]/.test(this.options.user)) return { kind: "cancel", why: "the user name has control characters" };
    this.#token = answer.token;
    return { kind: "response", bytes: utf8(this.message(answer.token)) };
  }

  respond(challenge: Uint8Array): ClientMechanismStep {
    if (this.#complaint !== undefined) return { kind: "cancel", why: "the server sent another challenge behind its refusal" };
    const words = fromUtf8Lossy(challenge);
    this.#complaint = oneLine(this.#token === "" ? words : words.replaceAll(this.#token, "(token)"));
    return { kind: "response", bytes: this.acknowledgement };
  }

  done(): string | undefined {
    return undefined;
  }
}

export class OAuthBearerClient extends BearerClient {
  readonly name = "OAUTHBEARER";
  protected readonly acknowledgement = utf8(KVSEP);

  protected message(token: string): string {
    const { user, host, port } = this.options;
    const place = host === "" ? "" : `host=${host}${KVSEP}port=${port}${KVSEP}`;
    return `${gs2Header({ kind: "n" }, user)}${KVSEP}${place}auth=Bearer ${token}${KVSEP}${KVSEP}`;
  }
}

export class XOAuth2Client extends BearerClient {
  readonly name = "XOAUTH2";
  protected readonly acknowledgement = EMPTY;

  protected message(token: string): string {
    return `user=${this.options.user}${KVSEP}auth=Bearer ${token}${KVSEP}${KVSEP}`;
  }
}

/** RFC 7628 3.2.2; the schemes as Google's servers tell them. */
const COMPLAINT = JSON.stringify({ status: "invalid_token", schemes: "bearer" });

abstract class BearerServer implements ServerMechanism {
  abstract readonly name: BearerName;

  /** User name and pairs; `undefined` where the message is none. */
  protected abstract read(message: string): { readonly user: string; readonly pairs: string } | undefined;

  step(response: Uint8Array | undefined): ServerStep {
    if (response === undefined) return { kind: "challenge", bytes: EMPTY };
    const message = fromUtf8(response);
    const parts = message === undefined ? undefined : this.read(message);
    const token = parts === undefined ? undefined : tokenIn(parts.pairs);
    if (parts === undefined || token === undefined) return { kind: "malformed", why: `no message of ${this.name} with a bearer token` };
    return { kind: "check", authorization: "", claim: { kind: "token", user: parts.user, token } };
  }

  complaint(): Uint8Array {
    return utf8(COMPLAINT);
  }
}

export class OAuthBearerServer extends BearerServer {
  readonly name = "OAUTHBEARER";

  protected read(message: string): { user: string; pairs: string } | undefined {
    const header = parseGs2Header(message);
    // RFC 7628 3.1: there is no channel binding with a bearer token.
    if (header === undefined || header.flag.kind === "bound" || message[header.text.length] !== KVSEP) return undefined;
    return { user: header.authorization, pairs: message.slice(header.text.length + 1) };
  }
}

export class XOAuth2Server extends BearerServer {
  readonly name = "XOAUTH2";

  protected read(message: string): { user: string; pairs: string } | undefined {
    const [, user, pairs] = /^user=([^\0\x01]+)\x01(.*)$/s.exec(message) ?? [];
    return user === undefined || pairs === undefined ? undefined : { user, pairs };
  }
}

/** The token of `key=value` pairs, each ended by kvsep, and all of them by another. */
function tokenIn(pairs: string): string | undefined {
  if (!/^(?:[A-Za-z]+=[\t\n\r\x20-\x7e]*\x01)+\x01$/.test(pairs)) return undefined;
  const auth = pairs.split(KVSEP).filter((pair) => pair.startsWith("auth="));
  return auth.length === 1 ? /^auth=bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(auth[0] as string)?.[1] : undefined;
}
