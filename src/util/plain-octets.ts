/**
 * Skips octets that mean nothing to a scanner of lines, eight at a time.
 */
import { CR } from "./bytes.ts";

/** Octets looked at in one step: two words of four. */
export const PLAIN_STEP = 8;

/**
 * The index at or after `i` from which the next eight octets hold something outside 14 to 127 (a control such as CR or LF, or an upper bit), or
 * fewer than eight are left before `length`. A word holds only such octets where neither it nor it less 14 in each octet has an upper bit; a
 * borrow can only cause a needless closer look.
 */
export function skipPlain(view: DataView, i: number, length: number): number {
  let at = i;
  for (; at + PLAIN_STEP <= length; at += PLAIN_STEP) {
    const a = view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    if (((a | (a - 0x0e0e0e0e) | b | (b - 0x0e0e0e0e)) & 0x80808080) !== 0) break;
  }
  return at;
}

/** The index at or after `from` of the first octet up to CR (13), or the length; `view` is over the same octets. */
export function indexOfControl(bytes: Uint8Array, view: DataView, from: number): number {
  for (let at = from; ; ) {
    at = skipPlain(view, at, bytes.length);
    for (const stop = Math.min(at + PLAIN_STEP, bytes.length); at < stop; at++) if ((bytes[at] as number) <= CR) return at;
    if (at >= bytes.length) return bytes.length;
  }
}
