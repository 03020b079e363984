/** Picks how to log in: the first mechanism here that the server offers, the strongest first. */
import { LoginClient } from "./login.ts";
import type { ClientMechanism } from "./mechanism.ts";
import { PlainClient } from "./plain.ts";

export interface PasswordCredentials {
  readonly user: string;
  readonly password: string;
  /** Names to allow, in the order to try; all where absent. */
  readonly mechanisms?: readonly string[];
}

const makers: Readonly<Record<string, (credentials: PasswordCredentials) => ClientMechanism>> = {
  PLAIN: ({ user, password }) => new PlainClient(user, password),
  LOGIN: ({ user, password }) => new LoginClient(user, password),
};

/** `undefined` where the server offers none that is known and allowed. */
export function chooseMechanism(offered: readonly string[], credentials: PasswordCredentials): ClientMechanism | undefined {
  const wanted = credentials.mechanisms?.map((name) => name.toUpperCase()) ?? Object.keys(makers);
  const name = wanted.find((candidate) => Object.hasOwn(makers, candidate) && offered.includes(candidate));
  return name === undefined ? undefined : makers[name]?.(credentials);
}
