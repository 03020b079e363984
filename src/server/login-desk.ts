/**
 * What can be logged in with on one connection, and the checks of it.
 *
 * Rules
 * 1. Only what the credentials can check is offered; SCRAM before passwords, since mail programs take what they know first.
 * 2. Nobody acts as another account: an authorization identity must be the user's own (RFC 4954 4, 535).
 */
import type { LoginOffer, ServerEvent } from "../protocol/server-session.ts";
import type { ClientCertificate, TlsFacts } from "../util/byte-stream.ts";
import type { Credentials, KeyParameters, LoginResult } from "./policy.ts";

type AuthEvent = Extract<ServerEvent, { type: "auth" }>;
type Refusal = Exclude<LoginResult, { kind: "accepted" }>;

/** `user`: as the client named itself, for the log. */
export interface LoginOutcome {
  readonly user: string;
  readonly result: { readonly kind: "accepted"; readonly account: string; readonly signature?: Uint8Array } | Refusal;
}

const notTaken: Refusal = { kind: "rejected", why: "this kind of login is not offered" };

export class LoginDesk {
  readonly #credentials: Credentials;
  readonly #peer: string;
  #certificate: ClientCertificate | undefined;

  /** `peer`: the client's address. */
  constructor(credentials: Credentials, peer: string) {
    this.#credentials = credentials;
    this.#peer = peer;
  }

  /** What the client is offered in this TLS session. */
  async offer({ channelBindings, clientCertificate }: TlsFacts): Promise<LoginOffer> {
    const { scram, bearer } = this.#credentials;
    const mechanisms: string[] = [];
    if (scram !== undefined) mechanisms.push("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256");
    if (clientCertificate !== undefined && (await this.#isSomeones(clientCertificate))) mechanisms.push("EXTERNAL");
    mechanisms.push("PLAIN", "LOGIN");
    if (bearer !== undefined) mechanisms.push("OAUTHBEARER", "XOAUTH2");
    return { mechanisms, ...(scram === undefined || channelBindings === undefined ? {} : { channelBindings: channelBindings() }) };
  }

  async parametersOf(user: string): Promise<KeyParameters | Refusal> {
    return (await this.#credentials.scram?.parametersOf({ user, peer: this.#peer })) ?? notTaken;
  }

  async verify({ authorization, claim }: Pick<AuthEvent, "authorization" | "claim">): Promise<LoginOutcome> {
    const user = claim.kind === "certificate" ? certificateName(this.#certificate) : claim.user;
    const result = await this.#check(claim);
    // Of a certificate the account itself is the only name there is.
    const own = claim.kind === "certificate" && result.kind === "accepted" ? result.account : user;
    if (result.kind !== "accepted" || authorization === "" || authorization.toLowerCase() === own.toLowerCase()) return { user, result };
    return { user, result: { kind: "rejected", why: "asked to act as another account" } };
  }

  async #check(claim: AuthEvent["claim"]): Promise<LoginOutcome["result"]> {
    const { scram, bearer, certificates } = this.#credentials;
    const peer = this.#peer;
    switch (claim.kind) {
      case "password":
        return this.#credentials.verify({ user: claim.user, password: claim.password, peer });
      case "scram":
        // The only keys there are; the other hash is never offered.
        if (scram === undefined || claim.hash !== "SHA-256") return notTaken;
        return scram.verify({ user: claim.user, authMessage: claim.authMessage, proof: claim.proof, peer });
      case "token":
        return (await bearer?.verify({ user: claim.user, token: claim.token, peer })) ?? notTaken;
      case "certificate":
        if (this.#certificate === undefined) return notTaken;
        return (await certificates?.ownerOf(this.#certificate)) ?? notTaken;
    }
  }

  /** A store that does not answer only keeps this mechanism out of the offer. */
  async #isSomeones(certificate: ClientCertificate): Promise<boolean> {
    const owner = await this.#credentials.certificates?.ownerOf(certificate).catch(() => undefined);
    this.#certificate = owner?.kind === "accepted" ? certificate : undefined;
    return this.#certificate !== undefined;
  }
}

function certificateName(certificate: ClientCertificate | undefined): string {
  return certificate?.mailboxes[0] ?? certificate?.commonName ?? "";
}
