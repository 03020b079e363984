/**
 * The content of a message: header section, empty line, body (RFC 5321 2.3.9), as bytes that nobody joins.
 *
 * Rules
 * 1. Content ends its lines in CRLF and has no dots stuffed, unless `facts.binary`.
 * 2. Small content is a list of chunks in memory; large content is opened each time it is read.
 */

/** What was seen while the bytes came by; it decides what a next hop must be able to take. */
export interface ContentFacts {
  /** Octets, as they would be counted for SIZE: CRLF counted, dots not stuffed. */
  readonly size: number;
  /** Some octet above 127. */
  readonly eightBit: boolean;
  /** Some octet above 127 inside the header section: the message needs SMTPUTF8 (RFC 6531 3.6). */
  readonly eightBitHeader: boolean;
  /** A NUL, or a CR or LF that is no part of a CRLF: only BDAT may carry it (RFC 3030 3). */
  readonly binary: boolean;
  /** The longest line in octets, without its CRLF. RFC 5321 4.5.3.1.6 allows 998. */
  readonly longestLine: number;
}

export type Content =
  | { readonly kind: "memory"; readonly chunks: readonly Uint8Array[]; readonly size: number }
  | { readonly kind: "stored"; readonly size: number; open(): AsyncIterable<Uint8Array> };

export function memoryContent(chunks: readonly Uint8Array[]): Content {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  return { kind: "memory", chunks, size };
}

/** The chunks of either kind. */
export function readContent(content: Content): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  return content.kind === "memory" ? content.chunks : content.open();
}
