/** Users, their credentials, and who may send as whom. */
export { type Account, accountName, addressKey, owns } from "./account.ts";
export { AccountError, type AccountErrorCode, type AccountStore, type NewAccount, type StoredAccount } from "./account-store.ts";
export {
  Authenticator,
  type AuthenticatorOptions,
  type KeyParameters,
  type Login,
  type ProofLogin,
  type ProofVerdict,
  type TokenLogin,
  type Verdict,
} from "./authenticator.ts";
export {
  type BearerOptions,
  type BearerVerdict,
  type BearerVerifier,
  bearerVerifier,
  type SignatureAlgorithm,
  signatureAlgorithms,
} from "./bearer.ts";
export { accountProcedures, openSqliteAccounts, type SqliteAccountsOptions } from "./sqlite-accounts.ts";
