/**
 * Exit codes, those of sysexits.h, and the one error that carries one.
 *
 * Rules
 * 1. What the user can do something about is a CliError: a sentence, and a hint that says what to do. Anything else is a defect of ours.
 */
export const exitCodes = {
  ok: 0,
  /** The command line is wrong. */
  usage: 64,
  /** What was given cannot be read, or was refused for good. */
  data: 65,
  /** A file, folder or message that was named is not there. */
  noInput: 66,
  /** A recipient or account that does not exist. */
  noUser: 67,
  /** The host's name does not exist. */
  noHost: 68,
  /** A service cannot be reached, or cannot be given. */
  unavailable: 69,
  /** A defect, or a store that can go on no longer. */
  software: 70,
  /** A file or folder cannot be made. */
  cannotCreate: 73,
  /** Try again later. */
  temporary: 75,
  /** Not permitted: a login, a right, a policy. */
  noPermission: 77,
  config: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: ExitCode;
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(code: ExitCode, message: string, hint?: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }
}
