/** What can be wrong with key files, in words; the message is a sentence, the hint says what to do. */

/** state: `rotation.json`. exists: a file that would have been overwritten. */
export type KeysFault = "name" | "missing" | "exists" | "unreadable" | "unwritable" | "key" | "state";

export class KeysError extends Error {
  override readonly name = "KeysError";
  readonly fault: KeysFault;
  readonly hint: string | undefined;

  constructor(fault: KeysFault, message: string, hint?: string, options?: { cause?: unknown }) {
    super(message, options);
    this.fault = fault;
    this.hint = hint;
  }
}
