/**
 * Values on their way to PostgreSQL and back.
 *
 * Rules
 * 1. Lists travel as arrays in PostgreSQL's binary form (array_send): one parameter for a column of any number of rows, bytes as they are.
 * 2. What comes back is text, as `pg` reads it: bigint becomes a number (all of ours are below 2^53), bytea is decoded from hex.
 */
const OID_BYTEA = 17;
const OID_INT8 = 20;
const OID_INT4 = 23;
const OID_TEXT = 25;
/** Dimensions, null flag, element type; then length and lower bound of the one dimension. */
const HEADER = 20;
const EMPTY_HEADER = 12;
const TWO_TO_32 = 4_294_967_296;

/** What a parameter may be. */
export type PostgresValue = string | number | boolean | null | Buffer;
/** Bytes in pieces, as content comes. */
export type Pieces = readonly Uint8Array[];

/** `text[]`. A NUL character is refused by the server; half a surrogate pair becomes U+FFFD. */
export function textArray(items: readonly (string | null)[]): Buffer {
  let size = 0;
  for (const item of items) if (item !== null) size += Buffer.byteLength(item);
  const { out, at: start } = begin(OID_TEXT, items.length, size);
  let at = start;
  for (const item of items) {
    if (item === null) {
      at = out.writeInt32BE(-1, at);
      continue;
    }
    const written = out.write(item, at + 4);
    out.writeInt32BE(written, at);
    at += 4 + written;
  }
  return out;
}

/** `int8[]`: whole numbers of at most 53 bits. */
export function int8Array(items: readonly number[]): Buffer {
  const { out, at: start } = begin(OID_INT8, items.length, items.length * 8);
  let at = start;
  for (const item of items) {
    const whole = Math.floor(item);
    at = out.writeInt32BE(8, at);
    at = out.writeInt32BE(Math.floor(whole / TWO_TO_32), at);
    at = out.writeUInt32BE(((whole % TWO_TO_32) + TWO_TO_32) % TWO_TO_32, at);
  }
  return out;
}

/** `int4[]`. */
export function int4Array(items: readonly number[]): Buffer {
  const { out, at: start } = begin(OID_INT4, items.length, items.length * 4);
  let at = start;
  for (const item of items) at = out.writeInt32BE(item, out.writeInt32BE(4, at));
  return out;
}

/** `bytea[]`. */
export function byteaArray(items: readonly (Pieces | null)[]): Buffer {
  let size = 0;
  for (const item of items) for (const piece of item ?? []) size += piece.length;
  const { out, at: start } = begin(OID_BYTEA, items.length, size);
  let at = start;
  for (const item of items) {
    const lengthAt = at;
    at += 4;
    for (const piece of item ?? []) {
      out.set(piece, at);
      at += piece.length;
    }
    out.writeInt32BE(item === null ? -1 : at - lengthAt - 4, lengthAt);
  }
  return out;
}

function begin(oid: number, items: number, octets: number): { out: Buffer; at: number } {
  const out = Buffer.allocUnsafe(items === 0 ? EMPTY_HEADER : HEADER + items * 4 + octets);
  out.writeInt32BE(items === 0 ? 0 : 1, 0);
  out.writeInt32BE(1, 4); // may hold nulls; the server finds out itself
  out.writeInt32BE(oid, 8);
  if (items > 0) {
    out.writeInt32BE(items, 12);
    out.writeInt32BE(1, 16);
  }
  return { out, at: items === 0 ? EMPTY_HEADER : HEADER };
}

const asText = (text: string): unknown => text;
const asNumber = (text: string): unknown => Number(text);
const asBoolean = (text: string): unknown => text === "t";
const asBytes = (text: string): unknown => Buffer.from(text.slice(2), "hex");

const parsers: ReadonlyMap<number, (text: string) => unknown> = new Map([
  [16, asBoolean],
  [OID_BYTEA, asBytes],
  [OID_INT8, asNumber],
  [21, asNumber],
  [OID_INT4, asNumber],
  [1700, asNumber], // numeric: what sum() of bigint gives
]);

/** For `pg`: how results are read. */
export const resultTypes = {
  getTypeParser: (oid: number): ((text: string) => unknown) => parsers.get(oid) ?? asText,
};
