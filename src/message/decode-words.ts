/**
 * Encoded words read back (RFC 2047, with the languages of RFC 2231 5).
 *
 * Rules
 * 1. What is not an encoded word, or is in a charset that this runtime does not know, stays as it is written.
 * 2. Blanks between two encoded words do not count (RFC 2047 6.2); what a sender has cut inside a character is put together again where
 *    both words are in one charset and encoding.
 * 3. The result is text to be read. It may hold anything, a line break too: it is never written into a header without being checked.
 * 4. Linear in the length of the text.
 */
import { concat, latin1 } from "../util/bytes.ts";

const encodedWord = /=\?([\w.:-]{1,60})(?:\*[\w-]{0,40})?\?([QqBb])\?([!->@-~]*)\?=/g;

/** The text with its encoded words decoded. */
export function decodeWords(text: string): string {
  if (!text.includes("=?")) return text;
  let out = "";
  let at = 0;
  let run: Run | undefined;
  const flush = (run: Run) => {
    const decoded = decodeCharset(run.charset, concat(run.octets));
    out += decoded ?? text.slice(run.start, at);
  };
  for (const match of text.matchAll(encodedWord)) {
    const [whole, charset = "", encoding = "", payload = ""] = match;
    const between = text.slice(at, match.index);
    const octets = encoding === "Q" || encoding === "q" ? decodeQ(payload) : decodeB(payload);
    if (octets === undefined) continue;
    const joins = run !== undefined && /^[ \t\r\n]*$/.test(between);
    if (run !== undefined && joins && run.charset === charset.toLowerCase()) run.octets.push(octets);
    else {
      if (run !== undefined) flush(run);
      if (!joins) out += between;
      run = { charset: charset.toLowerCase(), octets: [octets], start: match.index };
    }
    at = match.index + whole.length;
  }
  if (run !== undefined) flush(run);
  return out + text.slice(at);
}

/** Encoded words in a row that hold one text. */
interface Run {
  readonly charset: string;
  readonly octets: Uint8Array[];
  readonly start: number;
}

function decodeCharset(charset: string, octets: Uint8Array): string | undefined {
  try {
    return new TextDecoder(charset, { ignoreBOM: true }).decode(octets);
  } catch {
    return undefined;
  }
}

function decodeQ(payload: string): Uint8Array {
  return latin1(
    payload.replaceAll("_", " ").replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  );
}

function decodeB(payload: string): Uint8Array | undefined {
  try {
    return latin1(atob(payload.replace(/=+$/, "")));
  } catch {
    return undefined;
  }
}
