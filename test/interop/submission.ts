/**
 * What the tests of our client know of a submission server of others.
 *
 * Rules
 * 1. Nobody sends through it without TLS and a login: what arrives was let in by the mechanism under test.
 * 2. It delivers to mailboxes of its own domain, and to nobody else.
 */
import { chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/net/certificate.ts";
import type { Maildirs } from "./maildir.ts";

/** Who logs in; also a mailbox, so that reports come back. The password holds what a quoting or an encoding would spoil. */
export const account = { user: "alice", password: 'correct, horse="battery" 100%' } as const;
/** The mailboxes beside that of the account. */
export const otherUsers = ["bob", "carol"] as const;
export const users: readonly string[] = [account.user, ...otherUsers];

export interface SubmissionServer {
  /** A loopback address. */
  readonly host: string;
  readonly ports: { readonly starttls: number; readonly implicit: number };
  /** The domain whose mailboxes it holds. */
  readonly domain: string;
  /** What to trust, PEM. */
  readonly authority: string;
  readonly mail: Maildirs;
  /** A bearer token for the account, where it takes such. */
  readonly token?: string;
  /** A client certificate that is the account's, PEM, where it takes such. */
  readonly certificate?: { readonly chain: string; readonly key: string };
}

/** Makes `certificate.pem` and `key.pem` in the folder, the latter for that user alone; gives the certificate. */
export function makeCertificate(folder: string, names: readonly string[], owner: { uid: number; gid: number }): string {
  const { certificate, key } = selfSignedCertificate({ names });
  writeFileSync(join(folder, "certificate.pem"), certificate);
  writeFileSync(join(folder, "key.pem"), key, { mode: 0o600 });
  chownSync(join(folder, "key.pem"), owner.uid, owner.gid);
  return certificate;
}
