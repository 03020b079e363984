/** A request of an operator that could not be met; `code` tells programs why. */
export class AdminError extends Error {
  override readonly name = "AdminError";
  /** Codes of AccountError and StoreError, and: no-message, bad-request, unknown-method, version, lost, failed. */
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
