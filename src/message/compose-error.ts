/**
 * What is wrong with a draft, and the checks that every text passes on its way into a header.
 *
 * Rules
 * 1. A CR, LF, NUL or other control never gets into a header: with one a field could be forged, or a reader misled (RFC 5322 2.2).
 * 2. The error names the field as the header has it, or the property of the draft where it is no header.
 */

/** Something in the draft cannot be part of a message; `field` names it. */
export class ComposeError extends Error {
  override readonly name = "ComposeError";
  readonly field: string;

  constructor(field: string, message: string, options?: ErrorOptions) {
    super(`${field}: ${message}`, options);
    this.field = field;
  }
}

/** The text, unless it holds a control other than a tab. */
export function checkedText(field: string, text: string): string {
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) {
    throw new ComposeError(field, /[\r\n]/.test(text) ? "holds a line break" : "holds a control character");
  }
  return text;
}

/** A property that must be a string; programs without types give others. */
export function checkedString(field: string, value: unknown): string {
  if (typeof value !== "string") throw new ComposeError(field, `is ${value === null ? "null" : `of type ${typeof value}`}, not a string`);
  return value;
}

/** What is shown of a wrong value in an error. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
}
