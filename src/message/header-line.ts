/**
 * Where a header section ends, as a table: one step for each octet.
 *
 * Rules
 * 1. The reader of headers and the scanner of facts both step through this table, so that they never differ about the border.
 * 2. Lines end in CRLF (RFC 5322 2.1); a CR or LF alone is an octet like others inside a value.
 * 3. A line that is no field, no continuation and not empty is the first line of the body: the empty line was forgotten.
 *
 *   state       ftext   ":"    SP TAB   CR          LF     other
 *   FIRST       NAME    BODY   BODY     EMPTY_CR    BODY   BODY      nothing read yet: nothing to continue
 *   LINE        NAME    BODY   VALUE    EMPTY_CR    BODY   BODY      after a whole line of a field
 *   NAME        NAME    VALUE  SPACE    BODY        BODY   BODY
 *   SPACE       BODY    VALUE  SPACE    BODY        BODY   BODY      obsolete: space before the colon (RFC 5322 4.5.3)
 *   VALUE       VALUE   VALUE  VALUE    VALUE_CR    VALUE  VALUE
 *   VALUE_CR    VALUE   VALUE  VALUE    VALUE_CR    LINE   VALUE
 *   EMPTY_CR    BODY    BODY   BODY     BODY        EMPTY  BODY
 */
import { CR, LF } from "../util/bytes.ts";

export const FIRST = 0;
export const LINE = 1;
export const NAME = 2;
export const SPACE = 3;
export const VALUE = 4;
export const VALUE_CR = 5;
export const EMPTY_CR = 6;
/** The section has ended with its empty line. This state and those above it are ends. */
export const EMPTY = 7;
/** The section has ended before the line that this octet stands in. */
export const BODY = 8;

const TAB = 9;
const SP = 32;
const COLON = 58;

/** The next state: `headerSteps[(state << 8) | octet]`. */
export const headerSteps: Uint8Array = makeSteps();

function makeSteps(): Uint8Array {
  const steps = new Uint8Array(EMPTY << 8).fill(BODY);
  const set = (state: number, octet: number, next: number) => {
    steps[(state << 8) | octet] = next;
  };
  for (let c = 33; c <= 126; c++) {
    if (c === COLON) continue;
    for (const state of [FIRST, LINE, NAME]) set(state, c, NAME);
  }
  for (const state of [FIRST, LINE]) set(state, CR, EMPTY_CR);
  for (const c of [SP, TAB]) {
    set(LINE, c, VALUE);
    set(NAME, c, SPACE);
    set(SPACE, c, SPACE);
  }
  set(NAME, COLON, VALUE);
  set(SPACE, COLON, VALUE);
  steps.fill(VALUE, VALUE << 8, EMPTY_CR << 8);
  set(VALUE, CR, VALUE_CR);
  set(VALUE_CR, CR, VALUE_CR);
  set(VALUE_CR, LF, LINE);
  set(EMPTY_CR, LF, EMPTY);
  return steps;
}
