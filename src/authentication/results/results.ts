/**
 * What Authentication-Results says, as values (RFC 8601 2.2).
 *
 * Rules
 * 1. Names of methods, results, types and properties are lower case here; they have no case in the field.
 * 2. Values are what they mean: quotes and comments are taken off.
 */

export interface ResultProperty {
  /** `smtp`, `header`, `body` or `policy` (RFC 8601 2.3); others are kept as they are. */
  readonly type: string;
  readonly property: string;
  readonly value: string;
}

export interface MethodResult {
  /** `spf`, `dkim`, `dmarc`, `arc`, `iprev`, `auth`, ... */
  readonly method: string;
  readonly result: string;
  readonly reason?: string;
  readonly properties: readonly ResultProperty[];
}

export interface AuthenticationResults {
  /** Who checked. */
  readonly authservId: string;
  /** Empty: nothing was checked (`none`). */
  readonly methods: readonly MethodResult[];
}

export const property = (type: string, name: string, value: string): ResultProperty => ({ type, property: name, value });
