/** What the tests of this folder share: ways to cut bytes, and sessions that are driven without I/O. */
import fc from "fast-check";
import { fromLatin1, latin1 } from "../util/bytes.ts";

/** The bytes, cut at these places; none of the pieces is empty. */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length].sort((a, b) => a - b);
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const end of ends) {
    if (end > from) pieces.push(bytes.subarray(from, end));
    from = end;
  }
  return pieces;
}

/** Each byte by itself. */
export const octets = (bytes: Uint8Array): Uint8Array[] => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));

/** Whole, byte by byte, and in two at every place. */
export function allCuts(bytes: Uint8Array): Uint8Array[][] {
  return [[bytes], octets(bytes), ...Array.from({ length: bytes.length + 1 }, (_, at) => cutAt(bytes, [at]))];
}

/** Places for `cutAt`. */
export const places = (): fc.Arbitrary<number[]> => fc.array(fc.nat(5000), { maxLength: 12 });

/** Octets, one character each, mostly those on which framing turns. */
export function framingText(maxLength = 60): fc.Arbitrary<string> {
  const unit = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("\r\n", "\r", "\n", ".", "\r\n.", "\r\n.\r\n", "\n.\n", "\0") },
    { weight: 3, arbitrary: fc.constantFrom("a", "bc", " ", "\x80\xff") },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 5 }).map(fromLatin1) },
  );
  return fc.array(unit, { maxLength }).map((units) => units.join(""));
}

/** One string of all these pieces, one character an octet. */
export const textOf = (pieces: readonly Uint8Array[]): string => pieces.map(fromLatin1).join("");

export { fromLatin1, latin1 };

const factor = Number(process.env.POSTRIDER_RUNS ?? 1);

/** How often a property is tried; POSTRIDER_RUNS=100 makes it a hundred times as often. */
export const runs = (count: number): { numRuns: number } => ({ numRuns: Math.ceil(count * factor) });
