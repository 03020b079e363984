/** What the server and its policy ask of the accounts, answered from memory where a login has just been. */
import { type Account, type AccountStore, type Authenticator, owns, type Verdict } from "../accounts/index.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { Credentials, LoginResult, ScramCredentials } from "../server/policy.ts";
import type { Directory } from "./policy.ts";

/** Accounts remembered: those that logged in last. */
const REMEMBERED_LIMIT = 10_000;

/** What may be logged in with beside a password. */
export interface DirectoryOptions {
  /** Tokens are taken: the authenticator has someone who checks them. */
  readonly bearer?: boolean;
  /** Which name of a client's certificate is the account's. Absent: certificates are nobody's. */
  readonly certificates?: "email" | "common-name";
}

export class AccountDirectory implements Directory, Credentials {
  readonly #accounts: AccountStore;
  readonly #authenticator: Authenticator;
  readonly #known = new Map<string, Account>();
  readonly scram: ScramCredentials;
  readonly bearer?: NonNullable<Credentials["bearer"]>;
  readonly certificates?: NonNullable<Credentials["certificates"]>;

  constructor(accounts: AccountStore, authenticator: Authenticator, { bearer = false, certificates }: DirectoryOptions = {}) {
    this.#accounts = accounts;
    this.#authenticator = authenticator;
    accounts.onChange((name) => this.#known.delete(name));
    this.scram = {
      parametersOf: (login) => authenticator.keyParameters(login),
      verify: async (login) => {
        const verdict = await authenticator.verifyProof(login);
        return verdict.kind === "accepted" ? { ...this.#accept(verdict.account), signature: verdict.signature } : verdict;
      },
    };
    if (bearer) this.bearer = { verify: async (login) => this.#settle(await authenticator.verifyToken(login)) };
    if (certificates !== undefined) {
      this.certificates = {
        ownerOf: async (certificate) => this.#settle(await authenticator.ownerOf(certificate, certificates)),
      };
    }
  }

  async verify(login: { readonly user: string; readonly password: string; readonly peer: string }): Promise<LoginResult> {
    return this.#settle(await this.#authenticator.verify(login));
  }

  owns(name: string, mailbox: Mailbox): boolean | Promise<boolean> {
    const known = this.#known.get(name);
    if (known !== undefined) return owns(known, mailbox);
    // Changed since the login, or removed: then it owns nothing.
    return this.#accounts.find(name).then((found) => found !== undefined && owns(found.account, mailbox));
  }

  isRecipient(mailbox: Mailbox): boolean {
    return this.#accounts.isLocalRecipient(mailbox);
  }

  #settle(verdict: Verdict): LoginResult {
    return verdict.kind === "accepted" ? this.#accept(verdict.account) : verdict;
  }

  #accept(account: Account): Extract<LoginResult, { kind: "accepted" }> {
    if (this.#known.size >= REMEMBERED_LIMIT) this.#known.clear();
    this.#known.set(account.name, account);
    return { kind: "accepted", account: account.name };
  }
}
