/** What the policy asks of the accounts, answered from memory where a login has just been. */
import { type Account, type AccountStore, type Authenticator, owns } from "../accounts/index.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { Credentials, LoginResult } from "../server/policy.ts";
import type { Directory } from "./policy.ts";

/** Accounts remembered: those that logged in last. */
const REMEMBERED_LIMIT = 10_000;

export class AccountDirectory implements Directory, Credentials {
  readonly #accounts: AccountStore;
  readonly #authenticator: Authenticator;
  readonly #known = new Map<string, Account>();

  constructor(accounts: AccountStore, authenticator: Authenticator) {
    this.#accounts = accounts;
    this.#authenticator = authenticator;
    accounts.onChange((name) => this.#known.delete(name));
  }

  async verify(login: { readonly user: string; readonly password: string; readonly peer: string }): Promise<LoginResult> {
    const verdict = await this.#authenticator.verify(login);
    if (verdict.kind !== "accepted") return verdict;
    const { account } = verdict;
    if (this.#known.size >= REMEMBERED_LIMIT) this.#known.clear();
    this.#known.set(account.name, account);
    return { kind: "accepted", account: account.name };
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
}
