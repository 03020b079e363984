/**
 * SASLprep (RFC 4013): the one form of a user name or password, so that both sides hash the same octets.
 *
 * Rules
 * 1. Steps in the order of RFC 3454 3: map, normalize (NFKC), prohibit; strictly also: bidirectional text, and what Unicode 3.2 did not know.
 * 2. Not strictly, the last two are left out: they would refuse a password with an emoji, or a Hebrew word and a digit. What both take
 *    has the same form.
 * 3. Normalization is the runtime's: it differs from that of Unicode 3.2 for six code points that were corrected (Corrigendum 4 and 5)
 *    and, not strictly, for those that came later.
 */
import { leftToRight, prohibited, rightToLeft, unassigned } from "./stringprep-tables.ts";

/** RFC 3454 B.1 */
const mappedToNothing = /\u034f|[\u00ad\u1806\u200b-\u200d\u2060\ufeff]|[\u180b-\u180d]|[\ufe00-\ufe0f]/gu;
/** RFC 3454 C.1.2. U+200B is in both tables: nothing stays of it. */
const mappedToSpace = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;

/** The prepared text, perhaps empty; `undefined` where it has code points that must not be there. */
export function prepare(text: string, strictly = false): string | undefined {
  if (isPlainAscii(text)) return text;
  if (!text.isWellFormed()) return undefined;
  const prepared = text.replace(mappedToNothing, "").replace(mappedToSpace, " ").normalize("NFKC");
  for (const character of prepared) {
    const codePoint = character.codePointAt(0) as number;
    if (prohibited.has(codePoint) || (strictly && unassigned.has(codePoint))) return undefined;
  }
  return strictly && !isOneWay(prepared) ? undefined : prepared;
}

/** RFC 3454 6: text that goes from right to left does so from its first to its last character, and has none that goes the other way. */
function isOneWay(text: string): boolean {
  const points = Array.from(text, (character) => character.codePointAt(0) as number);
  if (!points.some((point) => rightToLeft.has(point))) return true;
  if (points.some((point) => leftToRight.has(point))) return false;
  return rightToLeft.has(points[0] as number) && rightToLeft.has(points.at(-1) as number);
}

function isPlainAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}
