/**
 * Bytes and the few things done to them.
 *
 * Rules
 * 1. Knows nothing of mail, files or sockets.
 * 2. Nothing here keeps a reference to what it was given.
 */

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

export const CR = 13;
export const LF = 10;
export const DOT = 46;
export const CRLF: Uint8Array = Uint8Array.of(CR, LF);
export const EMPTY: Uint8Array = new Uint8Array(0);

/** UTF-8 bytes of a string. */
export function utf8(text: string): Uint8Array {
  if (typeof Buffer === "undefined") return encoder.encode(text);
  // Short ones come out of a pool: an ArrayBuffer for each costs four times as much.
  const bytes = Buffer.from(text);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The string these bytes are in UTF-8, or `undefined` where they are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The string these bytes are in UTF-8, with U+FFFD for what is not. */
export function fromUtf8Lossy(bytes: Uint8Array): string {
  return lenient.decode(bytes);
}

/** One character (U+0000 to U+00FF) for each byte: nothing is lost and nothing is checked. */
export function fromLatin1(bytes: Uint8Array): string {
  // Buffer does it at several times a loop's speed; a runtime without Buffer takes the loop.
  if (typeof Buffer !== "undefined") return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
}

/** The byte for each character; characters above U+00FF lose their upper bits. */
export function latin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** One array holding all of these; the only chunk itself where there is just one. */
export function concat(chunks: readonly Uint8Array[], size = totalSize(chunks)): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

export function totalSize(chunks: readonly Uint8Array[]): number {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  return size;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether every character is in U+0000 to U+007F. */
export function isAscii(text: string): boolean {
  // Counting is one call into the runtime: worth it for a text, not for a name.
  if (text.length > 100 && typeof Buffer !== "undefined") return Buffer.byteLength(text) === text.length;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}
