/**
 * Failures of lower floors as the user reads them, each with its exit code.
 *
 * Rules
 * 1. What is expected to go wrong gets a sentence and a hint; only what nobody expected shows its stack.
 * 2. The modules that define the errors are loaded when there is an error, not before.
 */
import { CliError, type ExitCode, exitCodes } from "./exit-codes.ts";

/** The CliError for what was thrown, or `undefined` for a defect. */
export async function explain(error: unknown): Promise<CliError | undefined> {
  if (error instanceof CliError) return error;
  const [{ ListenError }, { CertificateError }, { DatabaseError }, { StoreError }, { AccountError }, { AdminError }, { ComposeError }] =
    await Promise.all([
      import("../net/probe.ts"),
      import("../net/tls-context.ts"),
      import("../database/error.ts"),
      import("../queue/store.ts"),
      import("../accounts/account-store.ts"),
      import("../admin/admin-error.ts"),
      import("../message/compose-error.ts"),
    ]);
  const because = { cause: error };
  if (error instanceof ListenError) {
    const code = error.code === "forbidden" ? exitCodes.noPermission : exitCodes.unavailable;
    return new CliError(code, error.message, error.hint, because);
  }
  if (error instanceof CertificateError) return new CliError(exitCodes.config, error.message, undefined, because);
  if (error instanceof ComposeError) return new CliError(exitCodes.data, error.message, undefined, because);
  if (error instanceof DatabaseError || error instanceof StoreError) return storeFailure(error);
  if (error instanceof AccountError || error instanceof AdminError) return adminFailure(error);
  return undefined;
}

const storeFailures: Readonly<Record<string, readonly [ExitCode, string]>> = {
  busy: [exitCodes.temporary, "Stop that process first, or name another folder."],
  full: [exitCodes.temporary, "Make room on the disk; nothing was lost."],
  newer: [exitCodes.software, "Run the newer Postrider again: this one must not touch its data."],
  corrupt: [exitCodes.software, "Nothing was changed. Restore the folder from a backup, or set it aside and start with an empty one."],
  unsafe: [exitCodes.config, "Change that setting of the database; nothing was touched."],
  io: [exitCodes.cannotCreate, "Check that the folder exists and that this user may read and write it."],
};

/** Where the store is in PostgreSQL. */
const databaseFailures: typeof storeFailures = {
  io: [exitCodes.unavailable, "Check that the database runs and that queue.store (user, password, sslmode) is right for it."],
  full: [exitCodes.temporary, "Make room on the database's disk; nothing was lost."],
  newer: [exitCodes.software, "Run the newer Postrider here as well: this one must not touch its data."],
  corrupt: [exitCodes.software, "Nothing was changed. See the database's own log."],
};

function storeFailure(error: Error & { readonly code: string }): CliError {
  const ofDatabase = [error, error.cause].some((one) => one instanceof Error && one.name === "PostgresError");
  const [code, hint] = (ofDatabase ? databaseFailures[error.code] : undefined) ??
    storeFailures[error.code] ?? [exitCodes.software, undefined];
  return new CliError(code, withFullStop(error.message), hint, { cause: error });
}

const adminCodes: Readonly<Record<string, ExitCode>> = {
  unknown: exitCodes.noUser,
  "no-message": exitCodes.noInput,
  exists: exitCodes.data,
  "bad-name": exitCodes.data,
  "bad-address": exitCodes.data,
  "bad-password": exitCodes.data,
  "bad-filter": exitCodes.usage,
  "no-server": exitCodes.unavailable,
  io: exitCodes.unavailable,
  lost: exitCodes.unavailable,
  version: exitCodes.unavailable,
};

function adminFailure(error: Error & { readonly code: string }): CliError {
  const hint =
    error.code === "version"
      ? "Restart the server, so that it is of the same version as this command."
      : error.code === "unknown"
        ? "`postrider user list` shows the accounts."
        : error.code === "exists"
          ? "`postrider user passwd` changes its password."
          : undefined;
  return new CliError(adminCodes[error.code] ?? exitCodes.software, withFullStop(error.message), hint, { cause: error });
}

function withFullStop(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
