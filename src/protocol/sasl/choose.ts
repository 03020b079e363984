/**
 * Picks how to log in: the mechanisms that the server offers and the credentials can serve, the strongest first.
 *
 * Rules
 * 1. -PLUS before the same without, and only where there is something to bind to.
 * 2. CRAM-MD5 only where it was named.
 */
import { type BearerClientOptions, OAuthBearerClient, XOAuth2Client } from "./bearer.ts";
import { type ChannelBindings, strongestBinding } from "./channel-binding.ts";
import { CramMd5Client } from "./cram-md5.ts";
import type { Credentials } from "./credentials.ts";
import { ExternalClient } from "./external.ts";
import { LoginClient } from "./login.ts";
import type { ClientMechanism } from "./mechanism.ts";
import { PlainClient } from "./plain.ts";
import type { SaslHash } from "./question.ts";
import { ScramClient } from "./scram-client.ts";

/** What a mechanism may depend on beside the credentials. */
export interface ChoicePlace {
  /** Mechanisms as EHLO offered them, in upper case. */
  readonly mechanisms: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly channelBinding?: ChannelBindings;
}

/** A mechanism that could be used. */
export interface Candidate {
  readonly name: string;
  /** What would be told to who listens: it is used in TLS alone, but for "password" where that was allowed. "" where nothing would. */
  readonly reveals: "" | "password" | "token" | "identity";
  /** `refused`: the token that was given before did not serve. */
  make(refused: boolean): ClientMechanism;
}

type Maker = (name: string, credentials: Credentials, place: ChoicePlace) => Candidate | undefined;

const makers: Readonly<Record<string, Maker>> = {
  "SCRAM-SHA-256-PLUS": scram("SHA-256", true),
  "SCRAM-SHA-1-PLUS": scram("SHA-1", true),
  "SCRAM-SHA-256": scram("SHA-256", false),
  "SCRAM-SHA-1": scram("SHA-1", false),
  EXTERNAL: (name, { external, authorization }) =>
    external && { name, reveals: "identity", make: () => new ExternalClient(authorization ?? "") },
  OAUTHBEARER: bearer((options) => new OAuthBearerClient(options)),
  XOAUTH2: bearer((options) => new XOAuth2Client(options)),
  PLAIN: withPassword("password", ({ user, authorization }, password) => new PlainClient(user, password, authorization)),
  LOGIN: withPassword("password", ({ user }, password) => new LoginClient(user, password)),
  "CRAM-MD5": withPassword("", ({ user }, password) => new CramMd5Client(user, password)),
};

const byStrength: readonly string[] = Object.keys(makers).filter((name) => name !== "CRAM-MD5");

/** In the order to try; empty where the server offers none that is known, allowed and served by these credentials. */
export function chooseMechanisms(place: ChoicePlace, credentials: Credentials): Candidate[] {
  const wanted = new Set(credentials.mechanisms?.map((name) => name.toUpperCase()) ?? byStrength);
  const candidates: Candidate[] = [];
  for (const name of wanted) {
    if (!Object.hasOwn(makers, name) || !place.mechanisms.includes(name)) continue;
    const candidate = makers[name]?.(name, credentials, place);
    if (candidate !== undefined) candidates.push(candidate);
  }
  return candidates;
}

function withPassword(reveals: "" | "password", make: (credentials: Credentials, password: string) => ClientMechanism): Maker {
  return (name, credentials) => {
    const { password } = credentials;
    return password === undefined ? undefined : { name, reveals, make: () => make(credentials, password) };
  };
}

function bearer(make: (options: BearerClientOptions) => ClientMechanism): Maker {
  return (name, { bearer, user, authorization = "" }, { host, port }) =>
    bearer && { name, reveals: "token", make: (refused) => make({ user: authorization || user, host, port, refused }) };
}

function scram(hash: SaslHash, plus: boolean): Maker {
  return (name, { user, password, authorization = "" }, { channelBinding, mechanisms }) => {
    const strongest = strongestBinding(channelBinding);
    if (password === undefined || (plus && strongest === undefined)) return undefined;
    // RFC 5802 6: "y" tells a server that does offer -PLUS that someone took it out of what we read.
    const seen = mechanisms.some((one) => one.startsWith("SCRAM-") && one.endsWith("-PLUS"));
    const binding = plus && strongest !== undefined ? strongest : strongest !== undefined && !seen ? "y" : "n";
    return { name, reveals: "", make: () => new ScramClient({ hash, user, password, authorization, binding }) };
  };
}
