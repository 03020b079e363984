/**
 * What a check did, in the order it did it, for `postrider verify` and the log: sentences a person can act on.
 *
 * Rules
 * 1. Nothing decides by a step; results are values of their own.
 * 2. A record can make a check take thousands of steps: STEP_LIMIT are kept, then one says that more were left out.
 */

export interface Step {
  /** How deep inside records that lead to others: 0 for the check itself. */
  readonly depth: number;
  readonly text: string;
}

/** Steps that one check keeps. */
export const STEP_LIMIT = 200;
/** Characters of a text from outside that a step shows. */
export const SHOWN_LIMIT = 300;

export class Steps {
  readonly #steps: Step[] = [];

  get list(): readonly Step[] {
    return this.#steps;
  }

  add(text: string, depth = 0): void {
    if (this.#steps.length < STEP_LIMIT) this.#steps.push({ depth, text });
    else if (this.#steps.length === STEP_LIMIT) this.#steps.push({ depth: 0, text: "further steps are left out" });
  }
}

/** A text from outside as one line of bounded length: controls become "?". */
export function shown(text: string, limit = SHOWN_LIMIT): string {
  const clean = text.slice(0, limit).replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, "?");
  return text.length > limit ? `${clean}…` : clean;
}
