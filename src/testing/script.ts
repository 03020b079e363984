/**
 * Reads the scripts of a `ScriptedServer`: plain text, in which the server is played and the client is checked.
 *
 *   === TLS refused                    begins the script of another connection and names it; not needed before the first
 *   # a comment
 *   <- 220 mx                          the server's line; a CRLF ends it
 *   <= 250 o                           the server's octets, nothing added
 *   -> EHLO *                          the client's line; "*" stands for any text
 *   => half a li                       the client's octets, exactly these
 *   content                            the client's content, up to its final dot, or behind BDAT so many octets; it is kept
 *   tls                                the handshake: behind "220" to STARTTLS, or as the first step
 *   tls fails                          a handshake that the client breaks off
 *   close | reset                      the server closes the connection, or resets it
 *   silence                            the server says nothing more until the client closes
 *
 * Rules
 * 1. The server's lines that follow one another go out in the same segment.
 * 2. In lines: `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN` (an octet), and `\{60*ab}` for 60 times "ab". All else is UTF-8.
 * 3. Texts are kept as octets, one character each. A mistake in a script throws a SyntaxError that names the line.
 */
import { fromLatin1, utf8 } from "../util/bytes.ts";

export interface Step {
  readonly kind: "say" | "hear-line" | "hear-octets" | "content" | "tls" | "tls-fails" | "close" | "reset" | "silence";
  /** Octets: what is said, or the pattern that a line must fit. */
  readonly text: string;
  /** As it stands in the script. */
  readonly source: string;
  /** From 1. */
  readonly line: number;
}

export interface Script {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** Octets of one text that `\{n*...}` may make. */
export const REPEAT_LIMIT = 16 * 1024 * 1024;

const words = ["content", "tls", "close", "reset", "silence"] as const;

/** The scripts in a text: one, or as many as `===` begins. Throws a SyntaxError. */
export function readScripts(source: string): Script[] {
  const scripts: { title: string; steps: Step[] }[] = [];
  for (const [index, raw] of source.split(/\r?\n/).entries()) {
    const text = raw.trimStart();
    const line = index + 1;
    if (text.trim() === "" || text.startsWith("#")) continue;
    if (text.startsWith("===")) scripts.push({ title: text.slice(3).trim(), steps: [] });
    else {
      if (scripts.length === 0) scripts.push({ title: "", steps: [] });
      scripts.at(-1)?.steps.push(readStep(text, line));
    }
  }
  if (scripts.length === 0) throw new SyntaxError("the script is empty");
  return scripts;
}

function readStep(source: string, line: number): Step {
  const arrow = source.slice(0, 2);
  const text = source.slice(2).replace(/^ /, "");
  const octets = fromLatin1(utf8(text));
  switch (arrow) {
    case "<-":
      return { kind: "say", text: `${octetsOf(octets, line)}\r\n`, source, line };
    case "<=":
      return { kind: "say", text: octetsOf(octets, line), source, line };
    case "->":
      octetsOf(octets, line); // mistakes are told before anyone connects
      return { kind: "hear-line", text: octets, source, line };
    case "=>":
      return { kind: "hear-octets", text: octetsOf(octets, line), source, line };
  }
  const word = source.trim().replace(/\s+/g, " ");
  if (word === "tls fails") return { kind: "tls-fails", text: "", source, line };
  const kind = words.find((known) => known === word);
  if (kind === undefined) throw new SyntaxError(`line ${line} of the script is no step: ${JSON.stringify(source)}`);
  return { kind, text: "", source, line };
}

/** The octets that a text stands for. */
function octetsOf(text: string, line: number): string {
  const single: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "0": "\0", "\\": "\\" };
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|\{(\d{1,8})\*([^}]*)\}|(.?))/g, (all, hex, count, repeated, one) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (count !== undefined) {
      const piece = octetsOf(repeated as string, line);
      if (piece.length * Number(count) > REPEAT_LIMIT) throw new SyntaxError(`line ${line} of the script is too long: ${all}`);
      return piece.repeat(Number(count));
    }
    const character = single[one as string];
    if (character === undefined) throw new SyntaxError(`line ${line} of the script has an unknown escape: ${all}`);
    return character;
  });
}

/** Whether `actual` is `pattern`, in which "*" stands for any text and escapes for their octets. */
export function matches(pattern: string, actual: string): boolean {
  // A "*" inside \{n*...} is no wildcard.
  const parts = pattern.split(/(?<!\\\{\d{1,8})\*/).map((part) => octetsOf(part, 0));
  const [first = "", ...rest] = parts;
  if (!actual.startsWith(first)) return false;
  if (rest.length === 0) return actual === first;
  const last = rest.pop() as string;
  let at = first.length;
  for (const part of rest) {
    const found = actual.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return actual.length - at >= last.length && actual.endsWith(last);
}
